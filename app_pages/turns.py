"""One question and its answer, drawn: words, numbered quotations, refusal, judgement, copy, ask again.

Takes   a turn as the catalogue stores it: {"question", "answer": {...}}, the answer being the object of the
        command line's JSON, whether it was answered a moment ago or last year.
Gives   drawn elements; what people press is returned (`Pressed`), and app.py acts on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from app_pages import browser, judge, keeping, prose, versus
from app_pages.judge import WORDS as WORDS
from app_pages.source import open_source
from rag.library import Library

LONGEST = 2000  # characters of a question put in other words
SHOWN = 12  # quotations that stand open; a count over many documents has more


@dataclass
class Pressed:
    """What was pressed in this run of the script."""

    citation: dict[str, Any] | None = None  # open it
    answer: dict[str, Any] | None = None  # that it belongs to, where it can be judged
    marking: bool = False  # the right words are to be marked
    compare: bool = False  # the answer is to be compared with another
    again: int | None = None  # ask the question of this turn again
    standalone: str | None = None  # and understand it so


def draw_turn(library: Library, turn: dict[str, Any], number: int, pressed: Pressed) -> None:
    """Draw a stored turn."""
    answer = turn["answer"]
    with st.container(key=f"turn-{number}", gap="small"):
        understood = answer.get("standalone_question", "")
        draw_question(turn["question"], understood)
        if differs(turn["question"], understood):
            _draw_understanding(turn["question"], understood, number, pressed)
        if answer.get("remembered"):
            st.html(keeping.used(library, answer["remembered"], turn.get("at", "")))
        if answer["abstained"]:
            draw_refusal(answer, number, pressed)
        else:
            st.html(prose.prose(answer["answer"]))
            draw_sides(answer, f"{number}", pressed)
        if pressed.citation is not None and pressed.answer is None:
            pressed.answer = answer  # its source was pressed
        for line in answer.get("notices", ()):
            st.html(prose.notice(line))
        _draw_actions(library, turn, number, pressed)


def draw_question(question: str, standalone: str = "") -> None:
    """The question, and how it was understood where it leaned on the turns before it."""
    st.html(f'<h2 class="gl-question">{prose.escape(question)}</h2>')
    if differs(question, standalone):
        st.html(prose.plain(f"Understood as: {standalone}", "understood"))


def differs(question: str, standalone: str) -> bool:
    """Was the question rewritten before it was searched?"""
    return bool(standalone) and standalone.strip() != question.strip()


def _draw_understanding(question: str, understood: str, number: int, pressed: Pressed) -> None:
    """Let a person put in other words how a follow-up is understood, and ask it so."""
    with (
        st.popover("Not what you meant?", key=f"meant-{number}", type="tertiary", icon=":material/edit:"),
        st.form(f"understanding-{number}", border=False),
    ):
        meant = st.text_area("Ask it as", understood, key=f"understood-{number}", max_chars=LONGEST, height="content")
        with st.container(horizontal=True, key=f"understanding-buttons-{number}"):
            if st.form_submit_button("Ask like this", key=f"ask-understood-{number}", type="primary") and meant.strip():
                pressed.again, pressed.standalone = number, meant.strip()
            if st.form_submit_button("Ask as I typed it", key=f"ask-typed-{number}"):
                pressed.again, pressed.standalone = number, question


def draw_refusal(answer: dict[str, Any], number: int, pressed: Pressed) -> None:
    """The refusal, its reason, and what came nearest."""
    st.html(prose.prose(answer["answer"]))
    if answer.get("reason"):
        st.html(prose.plain(answer["reason"], "reason"))
    if answer.get("nearest"):
        st.html(prose.plain("What came nearest", "caption"))
        draw_quotations(answer["nearest"], f"{number}-nearest", pressed, numbered=False)


def draw_sides(answer: dict[str, Any], key: str, pressed: Pressed) -> None:
    """The quotations; where documents contradict each other, theirs side by side, each with its date."""
    cited, sides = list(enumerate(answer["citations"], start=1)), answer.get("disagreement", ())
    beside = {(side["document"], side["start"]): side for side in sides}
    found = [(n, citation) for n, citation in cited if (citation["document"], citation["start"]) in beside]
    for column, (n, citation) in zip(st.columns(len(found), gap="small") if found else (), found, strict=True):
        side = beside[citation["document"], citation["start"]]
        with column:
            _draw_quotation(citation, n, key, pressed, when=f"{side['dated'].capitalize()} {prose.day(side['date'])}")
    rest = [one for one in cited if one not in found]
    for n, citation in rest[:SHOWN]:
        _draw_quotation(citation, n, key, pressed)
    if rest[SHOWN:]:
        with st.expander(prose.count(len(rest) - SHOWN, "more quotation"), key=f"more-{key}"):
            for n, citation in rest[SHOWN:]:
                _draw_quotation(citation, n, key, pressed)


def draw_quotations(citations: list[dict[str, Any]], key: str, pressed: Pressed, numbered: bool = True) -> None:
    """Each quotation in its card; the line under it names the source and opens it."""
    for n, citation in enumerate(citations, start=1):
        _draw_quotation(citation, n, key, pressed, numbered=numbered)


def _draw_quotation(
    citation: dict[str, Any], n: int, key: str, pressed: Pressed, *, numbered: bool = True, when: str = ""
) -> None:
    with st.container(key=f"quote-{key}-{n}", gap=None):
        if when:
            st.html(prose.plain(when, "caption"))
        st.html(prose.quotation(citation["quote"], n if numbered else None))
        label = source_line(citation)
        if st.button(label, key=f"open-{key}-{n}", type="tertiary", icon=":material/description:", wrap=True):
            pressed.citation = citation


def source_line(citation: dict[str, Any]) -> str:
    """Document and page, as a button's label."""
    return prose.label(prose.place(citation))


def _draw_actions(library: Library, turn: dict[str, Any], number: int, pressed: Pressed) -> None:
    answer = turn["answer"]
    with st.container(horizontal=True, vertical_alignment="center", gap="xxsmall", key=f"actions-{number}"):
        judge.draw_thumbs(library, answer["answer_id"])
        browser.copy_button(as_text(answer), key=f"copy-{number}")
        if st.button("Ask again", key=f"again-{number}", type="tertiary"):
            pressed.again = number
        if st.button("Compare", key=f"compare-{number}", type="tertiary", help="See the question answered another way"):
            pressed.answer, pressed.compare = answer, True
    if judge.draw_judgement(library, answer["answer_id"]):
        pressed.answer, pressed.marking = answer, True


def open_pressed(library: Library, pressed: Pressed) -> bool:
    """Open what was pressed: a source, the drawer to mark words in, two answers. True when that opened a dialog."""
    answer = pressed.answer
    if answer is not None and pressed.compare:
        versus.open_comparison(library, answer)
    elif answer is not None and pressed.marking:
        near = [*answer["citations"], *answer.get("nearest", ())]
        open_source(library, near[0] if near else None, answer, marking=True)
    elif pressed.citation is not None:
        open_source(library, pressed.citation, answer)
    else:
        return False
    return True


def as_text(answer: dict[str, Any]) -> str:
    """The answer and its quotations as plain text, for the clipboard."""
    lines = [answer["answer"]]
    for n, citation in enumerate(answer["citations"], start=1):
        lines.append(f'[{n}] "{citation["quote"]}" ({prose.place(citation)})')
    return "\n\n".join(lines)
