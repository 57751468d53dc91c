"""Two answers to one question side by side; which is which is not said.

Takes   the library and an answer.
Gives   a dialog: a second answer is made another way, the two stand in random order, one press chooses. Who wants to
        know what a setting does chooses it there, and the second answer is made with it.
"""

from __future__ import annotations

import random
from typing import Any

import streamlit as st

from app_pages import judge, prose, speaking
from rag.errors import GroundlingError
from rag.library import Library

HOW = "Both answer your question from the same documents, in two ways. Which serves you better?"
SAME = "Every other way of answering says the same, so there is nothing to compare."
ALIKE = "With these settings the answer is the same."


@st.dialog("Two answers", width="large", icon=":material/compare_arrows:", on_dismiss="rerun")
def open_comparison(library: Library, answer: dict[str, Any]) -> None:
    """Show both. Call at most once in a run of the script."""
    key = f"second-{answer['answer_id']}"
    with st.expander("Choose how the second one is made", icon=":material/tune:"):
        wanted = _wanted(library)
    if key not in st.session_state or wanted:
        try:
            with st.spinner("Answering another way"):
                second = library.second_answer(answer["answer_id"], settings=wanted)
        except GroundlingError as error:
            st.html(prose.notice(str(error), "error"))
            return
        pair = [answer, second.as_dict()] if second else []
        random.shuffle(pair)  # nobody knows which one came first
        if wanted and not pair:
            st.html(prose.notice(ALIKE))
        else:
            st.session_state[key] = pair
    pair = st.session_state.get(key, [])
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


def _wanted(library: Library) -> dict[str, Any] | None:
    """The settings of the second answer, once they are sent; None while nothing was chosen."""
    with st.form("second-settings", border=False, enter_to_submit=False):
        wanted = speaking.draw(library.settings, key="second-", compared=True)
        strictness = library.settings.strictness
        levels = list(dict.fromkeys([strictness, "lenient", "normal", "strict"]))
        wanted["strictness"] = st.selectbox("Strictness", levels, key="second-strictness", format_func=str)
        wanted["fusion_weight"] = st.slider(
            "Share of meaning in the search, the rest goes to the words",
            0.0,
            1.0,
            library.settings.fusion_weight,
            0.1,
            key="second-fusion",
        )
        return wanted if st.form_submit_button("Answer with these", key="second-send") else None


def _draw(answer: dict[str, Any]) -> None:
    st.html(prose.prose(answer["answer"]))
    if answer["abstained"] and answer.get("reason"):
        st.html(prose.plain(answer["reason"], "reason"))
    for cited in answer["citations"]:
        st.html(prose.quotation(cited["quote"]) + prose.plain(prose.place(cited)))


def _choose(library: Library, answer: dict[str, Any], winner: str) -> None:
    first, second = st.session_state.pop(f"second-{answer['answer_id']}")
    try:
        library.choose(first["answer_id"], second["answer_id"], winner)
    except GroundlingError as error:
        st.html(prose.notice(str(error), "error"))
        return
    st.toast(judge.THANKS)
    st.rerun()
