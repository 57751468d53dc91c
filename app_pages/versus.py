"""Two answers to one question side by side; which is which is not said.

Takes   the library and an answer.
Gives   a dialog: a second answer is made another way, the two stand in random order, one press chooses.
"""

from __future__ import annotations

import random
from typing import Any

import streamlit as st

from app_pages import judge, prose
from rag.errors import GroundlingError
from rag.library import Library

HOW = "Both answer your question from the same documents, in two ways. Which serves you better?"
SAME = "Every other way of answering says the same, so there is nothing to compare."


@st.dialog("Two answers", width="large", icon=":material/compare_arrows:", on_dismiss="rerun")
def open_comparison(library: Library, answer: dict[str, Any]) -> None:
    """Show both. Call at most once in a run of the script."""
    key = f"second-{answer['answer_id']}"
    if key not in st.session_state:
        try:
            with st.spinner("Answering another way"):
                second = library.second_answer(answer["answer_id"])
        except GroundlingError as error:
            st.html(prose.notice(str(error), "error"))
            return
        pair = [answer, second.as_dict()] if second else []
        random.shuffle(pair)  # nobody knows which one came first
        st.session_state[key] = pair
    pair = st.session_state[key]
    if not pair:
        st.html(prose.notice(SAME))
        return
    st.html(prose.plain(HOW))
    for column, side, each in zip(st.columns(2, gap="medium"), "ab", pair, strict=True):
        with column, st.container(key=f"answer-{side}", gap="small", height="stretch"):
            _draw(each)
            if st.button("This one", key=f"choose-{side}", type="primary", width="stretch"):
                _choose(library, answer, side)
    if st.button("About the same", key="choose-equal", type="tertiary", width="stretch"):
        _choose(library, answer, "equal")


def _draw(answer: dict[str, Any]) -> None:
    st.html(prose.prose(answer["answer"]))
    if answer["abstained"] and answer.get("reason"):
        st.html(prose.plain(answer["reason"], "reason"))
    for cited in answer["citations"]:
        page = f", page {cited['page']}" if cited["page"] is not None else ""
        st.html(prose.quotation(cited["quote"]) + prose.plain(cited["document"] + page))


def _choose(library: Library, answer: dict[str, Any], winner: str) -> None:
    first, second = st.session_state.pop(f"second-{answer['answer_id']}")
    try:
        library.choose(first["answer_id"], second["answer_id"], winner)
    except GroundlingError as error:
        st.html(prose.notice(str(error), "error"))
        return
    st.toast(judge.THANKS)
    st.rerun()
