"""Measuring from the page: which questions to ask which model, and a measurement as it goes.

Takes   questions the library holds, or a file that is uploaded; a model of the library.
Gives   a form that starts a measurement, and a panel that follows it. It is a process of its own: it goes on when the
        page or the app is closed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import streamlit as st

from app_pages import prose
from rag.errors import GroundlingError, SettingsError
from rag.library import Library

if TYPE_CHECKING:
    from rag.library import Measurement, QuestionSet

LOOK_S = 1.0  # between two looks at a measurement
FILE = "A question file"
SETS = {"pinned": "Approved questions", "judged": "Judged questions, kept from training"}
NONE = {
    "pinned": "No question is approved yet: judge an answer up, or pin one under Documents.",
    "judged": "No accepted judgement says what is right about a document that is kept from training.",
}
FORMAT = '{"question": "…", "answers": ["…"], "documents": ["leave.pdf"], "answerable": true}'


def draw_form(library: Library, running: bool) -> None:
    """Questions, model, and the button."""
    st.html('<h2 class="gl-section">Measure</h2>')
    kind = st.radio(
        "Which questions",
        [*SETS, "file"],
        format_func=lambda name: SETS.get(name, FILE),
        key="question-set",
        horizontal=True,
    )
    asked: QuestionSet | None = None
    try:
        asked = _uploaded(library) if kind == "file" else _held(library, str(kind))
    except GroundlingError as error:
        st.html(prose.notice(str(error), "error"))
    models = library.models()
    titles = [f"{one.title}{' (answers now)' if one.current else ''}" for one in models]
    chosen = 0
    if len(models) > 1:
        now = next((at for at, one in enumerate(models) if one.current), 0)
        chosen = titles.index(st.selectbox("Which model", titles, index=now, key="model-to-measure", width=320))
    idle = not running and asked is not None and bool(models)
    pressed = st.button("Measure", type="primary", icon=":material/speed:", key="measure", disabled=not idle)
    if not models:
        st.html(prose.plain("There is no model to measure. Settings say which one answers."))
    if pressed and asked is not None:
        model = models[chosen]
        try:
            library.start_measuring(asked, model=None if model.current else model.folder)
        except GroundlingError as error:
            st.html(prose.notice(str(error), "error"))
            return
        st.rerun()


def _held(library: Library, kind: str) -> QuestionSet | None:
    found = library.question_set(kind)
    if not found.rows:
        st.html(prose.plain(NONE[kind]))
        return None
    st.html(prose.plain(f"{prose.count(len(found.rows), 'question')}. {_long(len(found.rows))}"))
    return found


def _uploaded(library: Library) -> QuestionSet | None:
    upload = st.file_uploader("Question file", type=["jsonl", "json"], key="question-file")
    if upload is None:
        st.html(prose.plain("JSONL: one question a line, UTF-8, like this."))
        st.code(FORMAT, language="json", wrap_lines=True)
        return None
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(upload.getvalue().decode("utf-8", "replace").split("\n"), start=1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise SettingsError(f"{upload.name}, line {number}: not JSON ({error}). One object a line") from error
    found = library.question_rows(upload.name, rows)
    st.html(prose.plain(f"{prose.count(len(rows), 'question')}. {_long(len(rows))}"))
    return found


def _long(questions: int) -> str:
    return f"About {prose.duration(max(20, questions))} on two cores; answering goes on meanwhile."


# --- a measurement as it goes -----------------------------------------------------------------------------------------


def draw_running(library: Library, run: Measurement) -> None:
    """The panel, which follows the measurement by itself."""
    st.fragment(_panel, run_every=LOOK_S)(library, run.id)


def _panel(library: Library, identity: int) -> None:
    run = library.measurement(identity)
    if not run.going_on:
        st.rerun()  # it has ended: figures and plots are others now
    done = len(run.rows)
    words = f"{run.name}: {done} of {prose.count(run.total, 'question')} asked"
    if not done:
        words = f"{run.name}: loading the model"
    elif run.left_s is not None:
        words += f", about {prose.duration(run.left_s)} left"
    st.progress(done / run.total, text=prose.label(words))
    if run.state == "stopping":
        st.html(prose.plain("Stopping after the question it is at; what was asked is kept."))
    else:
        st.button(
            "Stop", key="stop-measuring", icon=":material/stop_circle:", type="tertiary",
            on_click=library.stop_measuring, args=(identity,),
        )  # fmt: skip
