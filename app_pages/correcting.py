"""The form in which a reviewer corrects a judgement: reason, better answer, the right words.

Takes   a row of the queue, with the passages that were read.
Gives   the changes, as `library.review` takes them; {} when the form was left, None while it is open.
Words are found in their passage whatever white space was typed; what is kept is their place in the document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from app_pages import prose, turns
from rag.library import REASONS

if TYPE_CHECKING:
    from rag.library import QueueRow

NOTE = "note"  # among the changes: the reviewer's own, not the judgement's
HINT = "Exactly as they stand in the passage. Copy them from “passages that were read” below."


def draw(row: QueueRow) -> dict[str, Any] | None:
    """One form. A mark that cannot be found keeps it open and says why."""
    made = row.judgement
    passages = dict(enumerate(row.passages, start=1))
    marked = made.marked.quote if made.marked else ""
    with st.form(f"correct-{made.id}", border=True):
        reason = st.selectbox(
            "Reason",
            ["", *REASONS],
            key=f"correct-reason-{made.id}",
            index=["", *REASONS].index(made.reason or ""),
            format_func=lambda name: turns.WORDS.get(name, "No reason"),
        )
        better = st.text_area("It should have said", made.better or "", key=f"correct-better-{made.id}", height=80)
        words = st.text_area("The right words", marked, key=f"correct-words-{made.id}", height=80, help=HINT)
        number = st.selectbox(
            "They stand in",
            list(passages),
            key=f"correct-passage-{made.id}",
            index=_held_by(row, marked),
            format_func=lambda at: name_of(passages[at], at),
        )
        note = st.text_input("Note for other reviewers", made.note or "", key=f"correct-note-{made.id}")
        with st.container(horizontal=True, key="correct-buttons"):
            saved = st.form_submit_button("Save", key=f"correct-save-{made.id}", type="primary")
            left = st.form_submit_button("Leave as it is", key=f"correct-leave-{made.id}", type="tertiary")
    if left:
        return {}
    if not saved:
        return None
    changes: dict[str, Any] = {}
    if (reason or None) != made.reason:
        changes["reason"] = reason or None
    if better.strip() != (made.better or ""):
        changes["better"] = better.strip() or None
    if words.strip() != marked.strip():
        found = place_of(words, passages.get(number or 0))
        if isinstance(found, str):
            st.html(prose.notice(found, "warning"))
            return None
        changes["marked"] = found
    if note.strip() != (made.note or ""):
        changes[NOTE] = note.strip() or None
    return changes


def name_of(passage: Mapping[str, Any], number: int) -> str:
    """`3. leave.md › Annual leave`"""
    return " › ".join([f"{number}. {passage['document']}", *passage.get("headings", ())[-1:]])


def _held_by(row: QueueRow, marked: str) -> int | None:
    """Where in the list of passages the words stand that are marked now; else the first."""
    for at, passage in enumerate(row.passages):
        if marked and marked in passage["text"]:
            return at
    return 0 if row.passages else None


def place_of(words: str, passage: Mapping[str, Any] | None) -> dict[str, Any] | str | None:
    """The mark of these words in a passage; None for no words; a line for people where there is no such place."""
    if not words.strip():
        return None
    if passage is None:
        return "No passage of this answer is open to you, so no words can be marked here."
    text = str(passage["text"])
    found = list(re.finditer(r"\s+".join(map(re.escape, words.split())), text))
    if not found:
        return (
            f"These words do not stand in {passage['document']} as they are written here. Copy them from the passage."
        )
    if len(found) > 1:
        return (
            f"These words stand {len(found)} times in this passage. Take a few more: then it is clear which are meant."
        )
    start = int(passage["start"]) + found[0].start()
    return {
        "document": passage["document"],
        "version": passage["version"],
        "start": start,
        "end": start + len(found[0].group()),
        "quote": found[0].group(),
    }
