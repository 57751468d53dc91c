"""The models of a library: which one answers, what each learnt from, and the way back to an earlier one.

Takes   the library's versions (docs/gate.md).
Gives   one row for each with its lineage in numbers, and a button that returns to it after asking once more.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from app_pages import prose
from rag.errors import GroundlingError
from rag.library import Library

TOLD = "models-told"


def draw(library: Library) -> bool:
    """The versions, the latest first. True when that opened a dialog."""
    st.html('<h2 class="gl-section">Models</h2>')
    if told := st.session_state.pop(TOLD, None):
        st.html(prose.notice(told, "good"))
    rows = library.versions()
    if not any(row["current"] for row in rows):
        st.html(prose.notice("None of these answers: models/current.json cannot be read. Go back to one.", "error"))
    asked = False
    with st.container(key="models", gap=None):
        for row in reversed(rows):
            asked = _draw_version(library, row) or asked
    return asked


def _draw_version(library: Library, row: dict[str, Any]) -> bool:
    key = "base" if row["version"] is None else str(row["version"])
    with st.container(horizontal=True, vertical_alignment="center", key=f"row-model-{key}", wrap=False):
        marks = "".join(f"<span>{prose.escape(mark)}</span>" for mark in row["marks"])
        st.html(
            f'<div class="gl-document"><strong>{prose.escape(named(row))}</strong>'
            f"<span>{prose.escape(' · '.join(facts(row)))}</span>{marks}</div>"
        )
        if row["current"]:
            return False
        if st.button("Back to this version", key=f"back-{key}", type="tertiary", icon=":material/undo:"):
            confirm(library, row)
            return True
    return False


def named(row: dict[str, Any]) -> str:
    """As people call it."""
    if row["version"] is None:
        return "The base"
    return f"Version {row['version']}: {row['name']}"


def facts(row: dict[str, Any]) -> list[str]:
    """Whether it answers, since when it is there, from what it was made, what it learnt from."""
    said = ["answers now"] if row["current"] else []
    if row["added_at"]:
        said.append(f"promoted {prose.moment(row['added_at'])}")
    if row["version"] is None:
        return [*said, f"{row['name']}, the model that the settings name; it learnt nothing here"]
    said.append("made from the base" if row["from"] is None else f"made from version {row['from']}")
    if row["documents"] is None:
        return [*said, "what it learnt from is not known"]
    said.append(
        f"learnt from {prose.count(row['documents'], 'document')} and {prose.count(row['judgements'], 'judgement')}"
    )
    held = row["figures"].get("held_out")
    if held:
        said.append(f"right on held-out questions: {held['current']:.0f}% before, {held['candidate']:.0f}% with it")
    if row["last_clean"]:
        said.append("the last that saw no document removed or closed since")
    return said


@st.dialog("Go back to this model?", icon=":material/undo:", on_dismiss="rerun")
def confirm(library: Library, row: dict[str, Any]) -> None:
    """Ask once more."""
    words = f"{named(row)} answers from the next question on. The present model stays and can come back the same way."
    st.html(prose.plain(words, "body"))
    with st.container(horizontal=True, key="back-buttons"):
        if st.button("Go back", key="back-yes", type="primary"):
            try:
                switched = library.promote_back(row["version"], to_base=row["version"] is None)
            except GroundlingError as error:
                st.html(prose.notice(str(error), "error"))
                return
            st.session_state[TOLD] = f"{switched.model} answers now."
            st.rerun()
        if st.button("Leave it", key="back-no"):
            st.rerun()
