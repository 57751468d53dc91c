"""Quality, over time and side by side: people's thumbs, and models that were asked the same questions.

Takes   judgements, measurements, the library's models.
Gives   two views of the Quality page, each plot with its numbers as a table.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import streamlit as st

from app_pages import plots, prose
from rag.library import Library

if TYPE_CHECKING:
    from rag.library import Measurement

COMPARED = {"right": "Right", "wrong": "Wrong", "refused": "Refused", "recall_at_5": "Recall@5", "f1": "F1"}


def draw_feedback(library: Library) -> None:
    """Thumbs over time, and by model."""
    found = library.feedback_trend()
    if not found.steps:
        st.html(prose.plain("Nobody has judged an answer yet. Thumbs under an answer in the chat count here.", "lead"))
        st.page_link(st.session_state["pages"]["chat"], label="Ask something", icon=":material/forum:")
        return
    up, down = (sum(getattr(one, name) for one in found.steps) for name in ("up", "down"))
    said = (
        f"{prose.count(up + down, 'judgement')}: {up:,} up, {down:,} down, for each {found.by} an answer was given in."
    )
    st.html(prose.plain(said))
    rows = [(_when(one.name, found.by), one.up, one.down) for one in found.steps]
    plots.thumbs(rows, said)
    with st.expander("The numbers", key="numbers", type="compact"):
        st.html(plots.table((found.by.capitalize(), "Up", "Down"), rows, "Judgements by when the answer was given"))
    st.html('<h2 class="gl-section">By model</h2>')
    models = [
        (one.name, one.up, one.down, f"{one.share:.0f}%", f"{one.interval[0]:.0f} to {one.interval[1]:.0f}")
        for one in found.models
        if one.up or one.down
    ]
    caption = "People choose what to judge: thumbs compare models less well than questions do"
    heads = ("Model", "Up", "Down", "Share up", "95% interval")
    st.html(f'<div class="gl-wide">{plots.table(heads, models, caption)}</div>')
    st.page_link(st.session_state["pages"]["review"], label="Review the judgements", icon=":material/rule:")


def _when(start: str, by: str) -> str:
    day = date.fromisoformat(start)
    return day.strftime("%b %Y") if by == "month" else day.strftime("%d %b").lstrip("0")


# --- models -----------------------------------------------------------------------------------------------------------


def draw_models(library: Library) -> None:
    """Measurements over the same questions side by side, and what was written down with each model."""
    titles = {one.name: one.title for one in library.models()}
    runs = [run for run in library.measurements() if run.rows and not run.going_on and run.model]
    alike: dict[str, dict[str, Measurement]] = {}
    for run in reversed(runs):  # of one model the latest stands
        if len(run.rows) == run.total:
            alike.setdefault(run.questions, {})[f"{run.model}, {run.strictness}"] = run
    compared = [list(each.values()) for each in alike.values() if len(each) > 1]
    if not compared:
        st.html(
            prose.plain(
                "Measure two models with the same questions, under Answers, and they stand side by side here.", "lead"
            )
        )
    for number, group in enumerate(reversed(compared)):
        st.html(f'<h2 class="gl-section">{prose.escape(group[0].name)}</h2>')
        st.html(prose.plain(f"{prose.count(group[0].total, 'question')}, each asked of every model below."))
        rows = [
            (_title(run, titles), title, one.value, one.low, one.high)
            for name, title in COMPARED.items()
            for run in group
            if (one := run.figures.get(name))
        ]
        said = "; ".join(f"{model}: {what} {value:.0f}%" for model, what, value, *_ in rows)
        plots.ranges(rows, said)
        with st.expander("The numbers", key=f"numbers-{number}", type="compact"):
            table = [
                (model, what, f"{value:.1f}%", f"{low:.1f} to {high:.1f}") for model, what, value, low, high in rows
            ]
            st.html(plots.table(("Model", "Measure", "Share", "95% interval"), table, group[0].name))
    draw_folders(library)


def _title(run: Measurement, titles: dict[str, str]) -> str:
    return f"{titles.get(run.model, 'Gone')}: {run.model}, {run.strictness}"


def draw_folders(library: Library) -> None:
    """Every model there is, with the figures that its training wrote down."""
    st.html('<h2 class="gl-section">Models of this library</h2>')
    thumbs = {one.name: one for one in library.feedback_trend().models}
    found = library.models()
    rows = []
    for one in found:
        judged = thumbs.get(one.name)
        given = f"{judged.up:,} up, {judged.down:,} down" if judged else "–"
        since = prose.day(one.added_at) if one.added_at else "–"
        rows.append((one.title, one.name, "yes" if one.current else "", since, given))
    heads = ("Model", "Name", "Answers now", "Since", "Thumbs")
    st.html(f'<div class="gl-wide">{plots.table(heads, rows, "Models that could answer here")}</div>')
    for number, one in enumerate(found):
        shared = [name for name in one.after if name in one.before]
        if shared:
            with st.expander(f"{one.title}: figures of its training", key=f"report-{number}", type="compact"):
                table = [(name, f"{one.before[name]:g}", f"{one.after[name]:g}") for name in shared]
                st.html(plots.table(("Figure", "Before", "After"), table, "On rows kept from training"))
    st.page_link(st.session_state["pages"]["training"], label="Improve the model", icon=":material/model_training:")
