"""What is kept about a person: facts to remember, and how long conversations stay. Drawn in the settings and the chat.

Takes   the library; facts and days as they are chosen here.
Gives   drawn elements. Everything takes effect at once: what is erased is gone from the file when the page is back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import streamlit as st

from app_pages import browser, prose
from rag.errors import GroundlingError
from rag.library import Library
from rag.types import Fact

TOLD = "told"  # what was said about memory, and in which conversation
DAYS = (0, 7, 30, 90, 365)
ABOUT = (
    "What you ask to be remembered is used for your questions alone, where the documents make a difference. "
    "It is sent nowhere, never exported and never trains a model. In the chat, say “Remember that …”."
)


# --- settings ---------------------------------------------------------------------------------------------------------


def draw_memory(library: Library) -> None:
    """What is remembered, each with Edit and Erase, and a line for more."""
    facts = library.remembered()
    st.html('<h2 class="gl-section">Memory</h2>')
    st.html(prose.plain(ABOUT))
    _draw_outcome("memory-outcome")
    with st.container(key="facts", gap=None):
        for fact in facts:
            _draw_fact(library, fact)
    if not facts:
        st.html(prose.plain("Nothing is remembered about you yet.", "body"))
    with (
        st.form("remember", border=False, clear_on_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom", key="remember-line"),
    ):
        said = st.text_input("Remember about me", key="remember-text", placeholder="I work in Lisbon", max_chars=200)
        sent = st.form_submit_button("Remember", key="remember-send")
    if sent and said.strip():
        _do("memory-outcome", "", library.remember, said)
    if len(facts) > 1 and st.button("Erase everything", key="erase-all", type="tertiary", icon=":material/delete:"):
        _confirm_erasing(library, len(facts))


def _draw_fact(library: Library, fact: Fact) -> None:
    since = ("changed " if fact.edited_at else "since ") + prose.day(fact.edited_at or fact.at)
    with st.container(horizontal=True, vertical_alignment="center", key=f"row-fact-{fact.id}", wrap=False):
        st.html(
            f'<div class="gl-document"><strong>{prose.escape(fact.text)}</strong>'
            f"<span>{prose.escape(since)}</span></div>"
        )
        if st.button("Edit", key=f"edit-{fact.id}", type="tertiary", icon=":material/edit:"):
            _edit(library, fact)
        if st.button("Erase", key=f"erase-{fact.id}", type="tertiary", icon=":material/delete:"):
            _do("memory-outcome", "Erased.", library.forget, fact.id)


@st.dialog("Edit", icon=":material/edit:", on_dismiss="rerun")
def _edit(library: Library, fact: Fact) -> None:
    with st.form("edit-fact", border=False):
        text = st.text_input("Remember about me", fact.text, key=f"edit-text-{fact.id}", max_chars=200)
        if st.form_submit_button("Save", key="edit-send", type="primary") and text.strip():
            _do("memory-outcome", "Saved. The former words are erased.", library.edit_remembered, fact.id, text)


@st.dialog("Erase everything?", icon=":material/delete:", on_dismiss="rerun")
def _confirm_erasing(library: Library, count: int) -> None:
    st.html(prose.plain(f"{prose.count(count, 'sentence')} about you will be gone for good.", "body"))
    with st.container(horizontal=True, key="erase-buttons"):
        if st.button("Erase", key="erase-yes", type="primary"):
            _do("memory-outcome", "Erased.", library.forget_everything)
        if st.button("Keep", key="erase-no"):
            st.rerun()


def draw_retention(library: Library) -> None:
    """How long conversations stay, and what a shorter time would delete now."""
    rule = library.retention()
    st.html('<h2 class="gl-section">Conversations</h2>')
    _draw_outcome("retention-outcome")
    options = sorted({*DAYS, rule.own})
    days = st.selectbox(
        "Keep my conversations", options, index=options.index(rule.own), key="retention-days", format_func=_days
    )
    parts = ["Older ones are deleted by themselves."] if days or rule.limit else ["Nothing is deleted by itself."]
    if (days or rule.limit) and not rule.audit_keeps_purged:
        parts.append("The words of their answers leave the audit, too; what you judged stays there.")
    if rule.limit:
        parts.append(f"This library keeps none longer than {prose.count(rule.limit, 'day')}.")
    st.html(prose.plain(" ".join(parts)))
    if days != rule.own:
        due = library.due(days)
        if any(due):
            gone = [prose.count(due.conversations, "conversation")] if due.conversations else []
            gone += [f"the words of {prose.count(due.answers, 'answer')} in the audit"] if due.answers else []
            st.html(prose.notice(f"Older, and deleted when you save: {' and '.join(gone)}.", "warning"))
        if st.button("Save", key="retention-save", type="primary"):
            _do("retention-outcome", "Saved.", library.keep_conversations, days)


def _days(days: int) -> str:
    return f"{prose.count(days, 'day')} after their last turn" if days else "For ever"


def _draw_outcome(key: str) -> None:
    if outcome := st.session_state.pop(key, None):
        st.html(prose.notice(*outcome))


def _do(outcome: str, words: str, change: Any, *arguments: Any) -> None:
    """Change something and draw anew, with what became of it."""
    try:
        change(*arguments)
    except GroundlingError as error:
        st.session_state[outcome] = (str(error), "error")
    else:
        if words:
            st.session_state[outcome] = (words, "good")
    st.rerun()


# --- chat -------------------------------------------------------------------------------------------------------------


def heed(library: Library, conversation: str | None, words: str) -> bool:
    """Do what "Remember that …" and its like ask; False where the words are a question for the documents."""
    try:
        told, kind = library.heed(words), "good"
    except GroundlingError as error:
        told, kind = str(error), "error"
    st.session_state[TOLD] = (conversation, told, kind, uuid4().hex)
    return told is not None


def draw_told(conversation: str | None) -> None:
    """What was said about memory a moment ago, in this conversation; the next question takes it away."""
    place, told, kind, token = st.session_state.get(TOLD, (None, None, "", ""))
    if told and place == conversation:
        with st.container(key="told"):
            st.html(prose.notice(told, kind))
        with st.container(key="unseen-told"):
            browser.bring_into_view(".st-key-told", "told-look", token)


def used(library: Library, ids: Sequence[str], at: str) -> str:
    """Which facts an answer used, as HTML. Their words are looked up: what was erased since is nowhere."""
    facts = {fact.id: fact for fact in library.remembered()}
    known = [facts[one] for one in ids if one in facts]
    lines = [_used(fact.text) + (" It has changed since." if (fact.edited_at or "") > at else "") for fact in known]
    if len(known) < len(ids):
        lines.append("It used something you asked to be remembered, which is erased.")
    return "".join(prose.plain(line, "understood") for line in lines)


def used_now(texts: Sequence[str]) -> str:
    """The same for an answer on its way."""
    return "".join(prose.plain(_used(text), "understood") for text in texts)


def _used(text: str) -> str:
    return f"Remembered about you: “{text}”."
