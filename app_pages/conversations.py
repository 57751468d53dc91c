"""The list of conversations in the sidebar, and what can be done with one: rename, export, delete.

Takes   the library; which conversation is open stands in the address (`?c=`), so that a reload comes back to it.
Gives   drawn elements; `opened()` and `open_conversation()` read and set the open one.
"""

from __future__ import annotations

import json
import re
from typing import Any
from uuid import uuid4

import streamlit as st

from app_pages import browser, prose
from rag.errors import GroundlingError, NotFound
from rag.library import Library
from rag.types import Conversation

PARAMETER = "c"  # in the address
SHOWN = 30  # conversations in the sidebar before "Show more"


def opened(library: Library) -> Conversation | None:
    """The conversation of the address; without one, that of this tab before it visited another page."""
    wanted = st.query_params.get(PARAMETER) or st.session_state.get("conversation")
    if not wanted:
        return None
    try:
        conversation = library.conversation(wanted)
    except NotFound as error:
        open_conversation(None)
        st.html(prose.notice(str(error), "warning"))
        return None
    open_conversation(conversation.id)
    return conversation


def open_conversation(identity: str | None) -> None:
    """Make it the open one, in the address and in this tab; None opens an empty one."""
    st.session_state["conversation"] = identity
    if identity is None:
        st.query_params.pop(PARAMETER, None)
    elif st.query_params.get(PARAMETER) != identity:
        st.query_params[PARAMETER] = identity


def draw_sidebar(library: Library, chat_page: Any, page: Any) -> None:
    """New conversation, search, and the list, youngest first. `page` is the one on show."""

    def choose(identity: str | None) -> None:
        st.session_state["conversation"] = identity
        st.session_state["go-to-chat"] = True
        st.session_state["chosen"] = uuid4().hex

    with st.sidebar:
        st.button(
            "New conversation", key="new", icon=":material/edit_square:", width="stretch", on_click=choose, args=(None,)
        )
        sought = st.text_input(
            "Search conversations",
            key="sought",
            placeholder="Search conversations",
            label_visibility="collapsed",
            icon=":material/search:",
        )
        found = library.conversations(search=sought.strip() or None)
        shown = st.session_state.get("shown", SHOWN)
        nothing = st.empty()
        with st.container(key="conversations", gap=None):
            for conversation in found[:shown]:
                current = conversation.id == st.session_state.get("conversation")
                title = prose.label(conversation.title or "New conversation", limit=60)
                st.button(
                    title,
                    key=f"conversation-{conversation.id}",
                    type="secondary" if current else "tertiary",
                    width="stretch",
                    wrap=False,
                    on_click=choose,
                    args=(conversation.id,),
                )
        if st.session_state.setdefault("page-on-show", page.title) != page.title:
            st.session_state["page-on-show"], st.session_state["chosen"] = page.title, uuid4().hex
        if chosen := st.session_state.get("chosen"):
            with st.container(key="unseen-fold"):
                browser.fold_sidebar("fold", chosen)
        if not found:
            nothing.html(prose.plain("Nothing found." if sought.strip() else "Your conversations will be listed here."))
        if len(found) > shown:
            st.button(
                "Show more", key="more", type="tertiary", on_click=lambda: st.session_state.update(shown=shown + SHOWN)
            )
    if st.session_state.pop("go-to-chat", False):
        identity = st.session_state["conversation"]
        st.switch_page(chat_page, query_params={PARAMETER: identity} if identity else None)


def draw_header(library: Library, conversation: Conversation) -> bool:
    """Title of the open conversation and the menu of what can be done with it; True when that opened a dialog."""
    first = " ".join(conversation.turns[0]["question"].split()) if conversation.turns else conversation.title
    title = "" if first.startswith(conversation.title.rstrip("…")) else conversation.title  # not the same words twice
    with st.container(horizontal=True, vertical_alignment="center", key="header", wrap=False):
        st.html(f'<h1 class="gl-title">{prose.escape(title) or "&nbsp;"}</h1>')
        chosen = st.menu_button(
            "More",
            ["Rename", "Export", "Delete"],
            key="menu",
            type="tertiary",
            help="Rename, export or delete this conversation",
        )
    if chosen == "Rename":
        _rename(library, conversation)
    elif chosen == "Export":
        _export(library, conversation)
    elif chosen == "Delete":
        _delete(library, conversation)
    return chosen is not None


@st.dialog("Rename conversation", icon=":material/edit:", on_dismiss="rerun")
def _rename(library: Library, conversation: Conversation) -> None:
    with st.form("rename", border=False):
        title = st.text_input("Title", conversation.title, key="title", max_chars=120)
        if st.form_submit_button("Rename", key="rename-send", type="primary") and title.strip():
            _do(library.rename, conversation.id, title.strip())


@st.dialog("Export conversation", icon=":material/download:", on_dismiss="rerun")
def _export(library: Library, conversation: Conversation) -> None:
    name = re.sub(r"[^\w-]+", "-", conversation.title).strip("-")[:60] or "conversation"
    st.html(prose.plain("Questions, answers and quotations with their sources."))
    with st.container(horizontal=True, key="exports"):
        st.download_button(
            "Markdown",
            library.export_conversation(conversation.id),
            f"{name}.md",
            "text/markdown",
            key="export-md",
            icon=":material/description:",
            on_click="ignore",
        )
        st.download_button(
            "JSON",
            as_json(conversation),
            f"{name}.json",
            "application/json",
            key="export-json",
            icon=":material/data_object:",
            on_click="ignore",
        )


@st.dialog("Delete conversation?", icon=":material/delete:", on_dismiss="rerun")
def _delete(library: Library, conversation: Conversation) -> None:
    held = prose.count(len(conversation.turns), "answer")
    st.html(prose.plain(f"“{conversation.title}” with {held} will be gone for good.", "body"))
    with st.container(horizontal=True, key="delete-buttons"):
        if st.button("Delete", key="delete-yes", type="primary"):
            open_conversation(None)
            _do(library.delete, conversation.id)
        if st.button("Keep", key="delete-no"):
            st.rerun()


def _do(change: Any, *arguments: str) -> None:
    try:
        change(*arguments)
    except GroundlingError as error:
        st.html(prose.notice(str(error), "error"))
        return
    st.rerun()


def as_json(conversation: Conversation) -> str:
    """The conversation for programs: the answers are the objects of `rag ask --json`."""
    whole = {"id": conversation.id, "title": conversation.title, "turns": list(conversation.turns)}
    return json.dumps(whole, ensure_ascii=False, indent=2)
