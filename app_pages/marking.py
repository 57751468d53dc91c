"""Mark the right words: selected in the text of the drawer, or typed.

Takes   the answer that is judged, the open document, and the leaf that is shown.
Gives   a bar under the text. What is selected there reaches the server as characters of the document, which reads the
        words out of its own copy: nothing that a browser says about them is believed.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from app_pages import browser, judge, prose
from rag.errors import GroundlingError
from rag.library import Library
from rag.types import Document

HOW = "Select the words that answer the question"


def draw_documents(library: Library, citation: dict[str, Any] | None) -> dict[str, Any] | None:
    """Choose the document in which the right words stand; returns where to open it. None: there are no documents."""
    first = [citation["document"]] if citation else []
    names = list(dict.fromkeys([*first, *(document.name for document in library.documents())]))
    if not names:
        return None
    chosen = st.selectbox("Document", names, key="mark-document")
    if citation and chosen == citation["document"]:
        return citation
    return {"document": chosen, "version": None, "start": 0, "end": 0}


def draw_bar(
    library: Library, answer: dict[str, Any], document: Document, leaf: tuple[int, int], *, typing: bool
) -> None:
    """The button for what is selected and, where somebody came to mark, the box to type in."""
    place = {"document": document.name, "version": document.version}
    with st.container(key="mark-bar", gap="xsmall"):
        selected = browser.select_words(".gl-leaf", key="mark-selected", waiting=HOW)
        if selected is not None:
            start, end = _trimmed(document.text, *selected)
            _keep(library, answer, {**place, "start": start, "end": end})
        if not typing:
            return
        with (
            st.form("mark-typed-form", border=False),
            st.container(horizontal=True, vertical_alignment="bottom", key="mark-typed-row"),
        ):
            typed = st.text_input("Or type them as they stand there", key="mark-typed")
            sent = st.form_submit_button("Mark", key="mark-send")
        if sent and typed.strip():
            _keep(library, answer, {**place, "quote": typed.strip(), "start": _start(document, leaf, typed.strip())})


def _start(document: Document, leaf: tuple[int, int], words: str) -> int | None:
    """Where they stand on the page that is shown, if they stand there once; else the whole document is searched."""
    page = document.text[leaf[0] : leaf[1]]
    return leaf[0] + page.index(words) if page.count(words) == 1 else None


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A selection without the white space at its ends."""
    start, end = max(0, start), min(end, len(text))
    words = text[start:end]
    return start + len(words) - len(words.lstrip()), end - len(words) + len(words.rstrip())


def _keep(library: Library, answer: dict[str, Any], marked: dict[str, Any]) -> None:
    """Store them with the judgement and close the drawer."""
    made = library.judgement(answer["answer_id"])
    changes: dict[str, Any] = {"marked": marked}
    if made is None or made.reason is None:
        cited = {citation["document"] for citation in answer["citations"]}
        missed = "should_have_answered" if answer["abstained"] else "passage_missed"
        changes["reason"] = "wrong_words" if marked["document"] in cited else missed
    try:
        judge.keep(library, answer["answer_id"], **changes)
    except GroundlingError as error:
        st.html(prose.notice(str(error), "error"))
        return
    st.session_state[f"asks-reason-{answer['answer_id']}"] = False
    st.toast(judge.THANKS)
    st.rerun()
