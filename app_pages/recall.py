"""One earlier answer in a drawer: what was asked, what was said, on which words it rests, and where to go from there.

Takes   the id of an audited answer. Only what this person may read is shown (`library.answered`).
Gives   a drawer. What is pressed in it (a source, "Ask again") takes effect on the page once the drawer has closed:
        Streamlit shows one dialog at a time.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from app_pages import conversations, prose, turns
from app_pages.source import open_source
from rag.errors import GroundlingError
from rag.library import Library

TO_OPEN = "source-to-open"  # a citation, waiting for the drawer to close
TO_ASK = "question-to-ask"  # app.py asks it


def open_waiting(library: Library) -> bool:
    """Open the source that was pressed in the drawer. True when that opened a dialog."""
    citation = st.session_state.pop(TO_OPEN, None)
    if citation is not None:
        open_source(library, citation)
    return citation is not None


def ask(question: str) -> None:
    """Go to the chat and ask there, in a conversation of its own."""
    st.session_state[TO_ASK] = question
    conversations.open_conversation(None)
    st.switch_page(st.session_state["pages"]["chat"])


@st.dialog("Answer", width="medium", position="right", icon=":material/forum:", on_dismiss="rerun")
def open_answer(library: Library, answer_id: str) -> None:
    """Show one answer. Call at most once in a run of the script."""
    try:
        answer = library.answered(answer_id)
    except GroundlingError as error:
        st.html(prose.notice(str(error), "error"))
        return
    pressed = turns.Pressed()
    st.html(prose.plain(f"Asked {prose.day(answer['at'])}", "where"))
    with st.container(key="recalled", gap="small"):
        draw(answer, "recalled", pressed)
        with st.container(horizontal=True, key="recalled-buttons"):
            if st.button("Ask again", key="recalled-again", icon=":material/refresh:"):
                ask(answer["question"])
            if answer["conversation"]:
                st.page_link(
                    st.session_state["pages"]["chat"],
                    label="Open the conversation",
                    icon=":material/forum:",
                    query_params={conversations.PARAMETER: answer["conversation"]},
                )
    if pressed.citation:
        st.session_state[TO_OPEN] = pressed.citation
        st.rerun()


def draw(answer: dict[str, Any], key: str, pressed: turns.Pressed) -> None:
    """Question, words and quotations of an answer that is not part of the open conversation."""
    turns.draw_question(answer["question"])
    st.html(prose.prose(answer["answer"]))
    if answer["abstained"] and answer.get("reason"):
        st.html(prose.plain(answer["reason"], "reason"))
    turns.draw_quotations(answer["citations"], key, pressed)
    if answer["abstained"] and answer.get("nearest"):
        st.html(prose.plain("What came nearest", "caption"))
        turns.draw_quotations(answer["nearest"], f"{key}-nearest", pressed, numbered=False)
