"""One question and its answer, drawn: words, numbered quotations, refusal, judgement, copy, ask again.

Takes   a turn as the catalogue stores it: {"question", "answer": {...}}, the answer being the object of the
        command line's JSON, whether it was answered a moment ago or last year.
Gives   drawn elements; what people press is returned (`Pressed`), and app.py acts on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from app_pages import browser, prose
from rag.errors import GroundlingError
from rag.library import REASONS, Library

WORDS = {  # how a person would say it; keys are feedback.REASONS
    "passage_missed": "It missed a passage",
    "wrong_words": "It quoted the wrong words",
    "unsupported": "The quotation does not support it",
    "outdated": "It is out of date",
    "should_have_refused": "The documents do not say this",
    "should_have_answered": "The documents do answer this",
    "style": "It is badly worded",
}

VERDICTS = ("down", "up")  # as the thumbs count them


@dataclass
class Pressed:
    """What was pressed in this run of the script."""

    citation: dict[str, Any] | None = None  # open it
    again: int | None = None  # ask the question of this turn again


def draw_turn(library: Library, turn: dict[str, Any], number: int, pressed: Pressed) -> None:
    """Draw a stored turn."""
    answer = turn["answer"]
    with st.container(key=f"turn-{number}", gap="small"):
        draw_question(turn["question"], answer.get("standalone_question", ""))
        if answer["abstained"]:
            draw_refusal(answer, number, pressed)
        else:
            st.html(prose.prose(answer["answer"]))
            draw_quotations(answer["citations"], f"{number}", pressed)
        for line in answer.get("notices", ()):
            st.html(prose.notice(line))
        _draw_actions(library, turn, number, pressed)


def draw_question(question: str, standalone: str = "") -> None:
    """The question, and how it was understood where it leaned on the turns before it."""
    st.html(f'<h2 class="gl-question">{prose.escape(question)}</h2>')
    if standalone and standalone.strip() != question.strip():
        st.html(prose.plain(f"Understood as: {standalone}", "understood"))


def draw_refusal(answer: dict[str, Any], number: int, pressed: Pressed) -> None:
    """The refusal, its reason, and what came nearest."""
    st.html(prose.prose(answer["answer"]))
    if answer.get("reason"):
        st.html(prose.plain(answer["reason"], "reason"))
    if answer.get("nearest"):
        st.html(prose.plain("What came nearest", "caption"))
        draw_quotations(answer["nearest"], f"{number}-nearest", pressed, numbered=False)


def draw_quotations(citations: list[dict[str, Any]], key: str, pressed: Pressed, numbered: bool = True) -> None:
    """Each quotation in its card; the line under it names the source and opens it."""
    for n, citation in enumerate(citations, start=1):
        with st.container(key=f"quote-{key}-{n}", gap=None):
            st.html(prose.quotation(citation["quote"], n if numbered else None))
            if st.button(
                source_line(citation), key=f"open-{key}-{n}", type="tertiary", icon=":material/description:", wrap=True
            ):
                pressed.citation = citation


def source_line(citation: dict[str, Any]) -> str:
    """Document and page, as a button's label."""
    page = f", page {citation['page']}" if citation["page"] is not None else ""
    return prose.label(citation["document"] + page)


def _draw_actions(library: Library, turn: dict[str, Any], number: int, pressed: Pressed) -> None:
    answer = turn["answer"]
    answer_id = answer["answer_id"]
    verdict_key, reason_key = f"verdict-{answer_id}", f"asks-reason-{answer_id}"

    def judged() -> None:
        verdict = st.session_state[verdict_key]
        st.session_state[reason_key] = verdict == 0
        try:
            if verdict is None:
                library.withdraw(answer_id)
            else:
                library.rate(answer_id, VERDICTS[verdict])
        except GroundlingError as error:
            st.toast(prose.label(str(error)))

    with st.container(horizontal=True, vertical_alignment="center", gap="xxsmall", key=f"actions-{number}"):
        made = library.judgement(answer_id)
        st.feedback("thumbs", key=verdict_key, on_change=judged, default=VERDICTS.index(made.verdict) if made else None)
        browser.copy_button(as_text(answer), key=f"copy-{number}")
        if st.button("Ask again", key=f"again-{number}", type="tertiary"):
            pressed.again = number
    if st.session_state.get(reason_key):
        _draw_reason(library, answer_id, reason_key)


def _draw_reason(library: Library, answer_id: str, reason_key: str) -> None:
    with st.form(f"reason-{answer_id}", border=True):
        reason = st.pills(
            "What was wrong?", list(REASONS), key=f"why-{answer_id}", format_func=lambda name: WORDS.get(name, name)
        )
        correction = st.text_area("What would have been right? (optional)", key=f"right-{answer_id}", height=80)
        with st.container(horizontal=True, key=f"reason-buttons-{answer_id}"):
            sent = st.form_submit_button("Send", key=f"send-{answer_id}", type="primary")
            skipped = st.form_submit_button("Skip", key=f"skip-{answer_id}", type="tertiary")
    if sent:
        library.rate(answer_id, "down", reason=reason, correction=correction.strip() or None)
        st.toast("Thank you. Your judgement is kept with the answer.")
    if sent or skipped:
        st.session_state[reason_key] = False
        st.rerun()


def as_text(answer: dict[str, Any]) -> str:
    """The answer and its quotations as plain text, for the clipboard."""
    lines = [answer["answer"]]
    for n, citation in enumerate(answer["citations"], start=1):
        page = f", page {citation['page']}" if citation["page"] is not None else ""
        lines.append(f'[{n}] "{citation["quote"]}" ({citation["document"]}{page})')
    return "\n\n".join(lines)
