"""What the gate said of a candidate: the outcome in plain words, and every figure behind it.

Takes   the gate's report as a run keeps it (docs/gate.md). It holds no words of questions or documents.
Gives   a notice with the outcome and the reasons, a table of figures for the current model and the candidate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app_pages import plots, prose

HEADINGS = ("Figure, in percent", "n", "Now", "Candidate", "Gain", "95%", "May lose", "")
STANDS = {"ok": "holds", "lost": "lost too much", "short": "not shown"}


def draw(report: Mapping[str, Any], *, place: str) -> None:
    """The outcome, why, and the figures."""
    promoted = bool(report.get("promoted"))
    st.html(prose.notice(outcome(report), "good" if promoted else "warning"))
    for note in report.get("notes", ()):
        st.html(prose.plain(str(note)))
    figures = report.get("figures", ())
    if figures:
        with st.expander("The figures", key=f"gate-figures-{place}", type="compact", expanded=True):
            table = plots.table(HEADINGS, [row(figure) for figure in figures], said_of(report))
            st.html(f'<div class="gl-wide">{table}</div>')
    if changed := report.get("changed", ()):
        better = sum(one["to"] == "right" for one in changed)
        words = f"Of people’s questions {len(changed)} end otherwise: {better} of them right now."
        st.html(prose.plain(words))


def outcome(report: Mapping[str, Any]) -> str:
    """In plain words what happened and why."""
    reasons = "; ".join(str(reason) for reason in report.get("reasons", ()))
    if report.get("promoted"):
        return f"The candidate was better and answers now, as version {report.get('version')}: {reasons}."
    return f"The candidate was not good enough, so the current model stays: {reasons}."


def said_of(report: Mapping[str, Any]) -> str:
    """The caption: who was compared, when."""
    return f"{report.get('current')} and {report.get('candidate')}, measured {prose.moment(str(report.get('at', '')))}"


def row(figure: Mapping[str, Any]) -> tuple[object, ...]:
    """One figure; the ends of the interval say how certain the gain is."""
    low, high = figure["interval"]
    limit = figure["limit"]
    stands = "ok" if figure["ok"] else "short" if limit is None else "lost"
    return (
        figure["words"], int(figure["n"]), f"{figure['current']:.1f}", f"{figure['candidate']:.1f}",
        f"{figure['gain']:+.1f}", f"{low:+.1f} to {high:+.1f}", "it decides" if limit is None else f"{limit:g}",
        STANDS[stands],
    )  # fmt: skip
