"""One run that improves the model: its stages with time left, its loss curves, stopping and going on.

Takes   a run as the library shows it.
Gives   a panel that follows the run by itself every few seconds; the page around it is drawn anew when the run ends.
The run is a process of its own: this panel only reads what it has written.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import streamlit as st

from app_pages import plots, prose, verdict
from rag.errors import GroundlingError
from rag.library import Library, Loss, Run

LOOK_S = 2.0  # between two looks at a run
POINTS = 200  # of one curve: a screen shows no more
SEEN = "run-seen-going-on"
WORDS = {  # of a stage, and of the steps of the training
    "export": "Take out what may be learnt from",
    "train": "Train a candidate",
    "calibrate": "Fit its confidence",
    "gate": "Compare it with the current model",
    "unpack": "Unpack the file",
    "synthesise": "Make questions from the documents",
    "retriever": "Tune the search",
    "reader": "Tune the reader",
    "preference": "Learn what people prefer",
    "evaluate": "Measure on questions kept aside",
    "write": "Write the candidate",
}
STATES = {
    "starting": "Starting",
    "running": "At work",
    "stopping": "Stopping: it saves first",
    "stopped": "Stopped",
    "interrupted": "Interrupted: its process is gone",
    "failed": "Failed",
    "promoted": "A better model answers now",
    "refused": "The current model stays",
}
SIGNS = {"done": "✓", "running": "●", "failed": "✕", "skipped": "–", "waiting": "○"}
SAID = {"done": "done", "running": "at work", "failed": "failed", "skipped": "not needed", "waiting": "waiting"}


def draw(library: Library, run: Run) -> None:
    """The panel; it follows a run that goes on."""
    st.session_state[SEEN] = run.number if run.going_on else None
    every = LOOK_S if run.going_on else None
    st.fragment(_panel, run_every=every)(library, run.number)


def _panel(library: Library, number: int) -> None:
    run = library.improvement(number)
    if run is None or (st.session_state.get(SEEN) == number and not run.going_on):
        st.rerun()  # it has ended: versions, history and what would be learnt are others now
    draw_run(library, number)
    _draw_buttons(library, run)


def draw_run(library: Library, number: int, *, place: str = "page") -> None:
    """All there is to know of a run; `place` tells two drawings of one run apart."""
    run = library.improvement(number)
    assert run is not None, "a number that was listed is a run"
    st.html(_heading(run) + stages(run))
    if run.error:
        st.html(prose.notice(run.error, "error"))
    if run.outcome:
        verdict.draw(run.outcome, place=place)
    draw_losses(library.improvement_losses(number), going_on=run.going_on, place=place)


def _heading(run: Run) -> str:
    facts = [f"begun {prose.moment(run.began)} by {run.asked.person}"]
    if run.going_on and run.left_s:
        facts.append(f"about {prose.duration(run.left_s)} left in this stage")
    title = f"Improvement {run.number}: {STATES[run.status].lower()}"
    return f'<h2 class="gl-section" role="status">{prose.escape(title)}</h2>' + prose.plain(" · ".join(facts))


def stages(run: Run) -> str:
    """The stages as a list, each with its state in words, and how far the one at work is."""
    shown = [
        stage | {"detail": ""} if run.outcome and stage["name"] == "gate" else stage  # the verdict stands below, whole
        for stage in run.stages
    ]
    return f'<ol class="gl-stages">{"".join(map(_stage, shown))}</ol>'


def _stage(stage: dict[str, Any], within: str = "") -> str:
    status, name = stage["status"], stage["name"]
    title = WORDS["write"] if within and name == "export" else WORDS.get(name, name)
    notes = [str(stage.get("detail") or "")]
    if status == "running":
        notes.append(f"{100 * float(stage.get('progress') or 0):.0f}%")
        notes += [f"about {prose.duration(stage['left_s'])} left"] if stage.get("left_s") else []
    elif stage.get("seconds"):
        notes.append(prose.duration(stage["seconds"]))
    bar = _bar(float(stage.get("progress") or 0), title) if status == "running" else ""
    steps = "".join(_stage(step, name) for step in stage.get("stages", ()))
    inner = f"<ol>{steps}</ol>" if steps else ""
    return (
        f'<li class="gl-is-{status}"><span class="gl-sign" aria-hidden="true">{SIGNS.get(status, "○")}</span>'
        f'<div><strong>{prose.escape(title)}</strong> <span class="gl-note">'
        f"{prose.escape(' · '.join([SAID.get(status, status), *filter(None, notes)]))}</span>{bar}{inner}</div></li>"
    )


def _bar(progress: float, title: str) -> str:
    share = f"{100 * min(max(progress, 0.0), 1.0):.0f}"
    return (
        f'<div class="gl-bar" role="progressbar" aria-label="{prose.escape(title)}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{share}"><div style="width: {share}%"></div></div>'
    )


# --- loss curves ------------------------------------------------------------------------------------------------------


def draw_losses(points: Sequence[Loss], *, going_on: bool, place: str) -> None:
    """A curve for each step that learns, and the numbers behind."""
    curves = {stage: list(found) for stage, found in groupby(sorted(points, key=_place(points)), lambda p: p.stage)}
    drawn = {stage: found for stage, found in curves.items() if len(found) > 1}
    if not drawn:
        return
    st.html('<h3 class="gl-caption">Loss: how far its answers are from those it learns</h3>')
    columns = st.columns(min(2, len(drawn)))
    for number, (stage, found) in enumerate(drawn.items()):
        with columns[number % len(columns)]:
            title = WORDS.get(stage, stage)
            said = f"{title}: {found[0].loss:.3g} at step {found[0].step}, {found[-1].loss:.3g} at {found[-1].step}"
            st.html(prose.plain(title, "quiet"))
            plots.curve([(point.step, point.loss) for point in thinned(found)], ("Step", "Loss"), said)
    with st.expander("The numbers", key=f"loss-numbers-{place}", type="compact"):
        rows = [
            (WORDS.get(stage, stage), found[-1].step, found[-1].steps, f"{found[0].loss:.3f}",
             f"{min(point.loss for point in found):.3f}", f"{found[-1].loss:.3f}")
            for stage, found in drawn.items()
        ]  # fmt: skip
        caption = "Loss of each step so far" if going_on else "Loss of each step"
        st.html(plots.table(("Step", "Done", "Of", "First", "Least", "Last"), rows, caption))


def _place(points: Sequence[Loss]) -> Any:
    order = list(dict.fromkeys(point.stage for point in points))
    return lambda point: (order.index(point.stage), point.step)


def thinned(points: Sequence[Loss]) -> list[Loss]:
    """At most POINTS of them, evenly, with the first and the last."""
    if len(points) <= POINTS:
        return list(points)
    step = (len(points) - 1) / (POINTS - 1)
    return [points[round(at * step)] for at in range(POINTS)]


# --- stopping and going on --------------------------------------------------------------------------------------------


def _draw_buttons(library: Library, run: Run) -> None:
    with st.container(horizontal=True, key="run-buttons"):
        if run.status in ("running", "starting"):
            if st.button("Stop", key="run-stop", icon=":material/stop_circle:", help="It saves first; go on later."):
                _do(library.stop_improving)
        elif run.resumable:
            if st.button("Go on", key="run-resume", type="primary", icon=":material/resume:"):
                _do(lambda: library.resume_improving(run.number))
        elif run.status == "refused" and st.button("Compare again", key="run-gate", type="tertiary"):
            _do(lambda: library.resume_improving(run.number, again="gate"))


def _do(action: Any) -> None:
    try:
        action()
    except GroundlingError as error:
        st.html(prose.notice(str(error), "error"))
        return
    st.rerun()
