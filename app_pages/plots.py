"""Plots and tables of numbers. Every plot has its numbers beside it as a table that a screen reader can read.

Takes   plain rows; names of documents and questions are drawn as letters, never as markup.
Gives   a plot over time, horizontal bars, a table, a row of figures; all follow the light or dark theme.
The plots are Vega-Lite specifications, which Streamlit draws itself: nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app_pages import prose

ANSWERED, REFUSED, DOWN = "#4f9473", "#d9a441", "#c2553d"  # each readable on light and dark
QUIET = "#8b8f8a"
ROW = 30  # pixels of one bar and the space around it

_QUIET = {"domain": False, "ticks": False, "title": None, "labelPadding": 6}


def over_time(rows: Sequence[tuple[str, int, int, int]], alt: str) -> None:
    """Rows of (label, answered, refused, judged down): the first two stacked, a dot for judged down."""
    kinds = ("Answered", "Refused", "Judged down")
    values = [
        {"when": label, "kind": kind, "count": count}
        for label, *counts in rows
        for kind, count in zip(kinds, counts, strict=True)
    ]
    when = {
        "field": "when", "type": "ordinal", "sort": None, "scale": {"domain": [label for label, *_ in rows]},
        "axis": {**_QUIET, "labelAngle": 0, "labelOverlap": "greedy", "labelSeparation": 12},
    }  # fmt: skip
    colour = {
        "field": "kind", "type": "nominal", "scale": {"domain": list(kinds), "range": [ANSWERED, REFUSED, DOWN]},
        "legend": {"title": None, "orient": "top", "symbolType": "circle"},
    }  # fmt: skip
    count = {"field": "count", "type": "quantitative", "axis": {**_QUIET, "tickMinStep": 1, "tickCount": 4}}
    tooltip = [
        {"field": "when", "title": "When"},
        {"field": "kind", "title": "Questions"},
        {"field": "count", "title": "Count"},
    ]
    encoding = {"x": when, "y": count, "color": colour, "tooltip": tooltip}
    bars = {
        "transform": [{"filter": "datum.kind != 'Judged down'"}],
        "mark": {"type": "bar", "cornerRadius": 2},
        "encoding": encoding,
    }
    dots = {
        "transform": [{"filter": "datum.kind == 'Judged down' && datum.count > 0"}],
        "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
        "encoding": encoding,
    }
    _draw({"layer": [bars, dots]}, values, alt, height=220)


def bars(rows: Sequence[tuple[str, int]], unit: str, alt: str, colour: str = ANSWERED) -> None:
    """One horizontal bar a row, with its number at its end."""
    values = [{"name": name, "order": at, "count": count} for at, (name, count) in enumerate(rows)]
    named = {
        "field": "name", "type": "nominal", "sort": {"field": "order"}, "axis": {**_QUIET, "labelLimit": 180},
    }  # fmt: skip
    length = {"field": "count", "type": "quantitative", "axis": None}
    tooltip = [{"field": "name", "title": "Name"}, {"field": "count", "title": unit}]
    encoding = {"y": named, "x": length, "tooltip": tooltip}
    layers = [
        {"mark": {"type": "bar", "cornerRadius": 2, "color": colour, "height": {"band": 0.7}}, "encoding": encoding},
        {
            "mark": {"type": "text", "align": "left", "dx": 5, "color": QUIET},
            "encoding": {**encoding, "text": {"field": "count", "type": "quantitative"}},
        },
    ]
    _draw({"layer": layers}, values, alt, height=ROW * len(rows) + 10)


def line(points: Sequence[tuple[float, float]], titles: tuple[str, str], alt: str) -> None:
    """One line through points of (x, y); both axes begin at 0."""
    values = [{"x": x, "y": y} for x, y in points]
    across, up = (
        {"field": field, "type": "quantitative", "title": title, "scale": {"zero": True}, "axis": {"tickCount": 5}}
        for field, title in zip("xy", titles, strict=True)
    )
    tooltip = [{"field": field, "title": title} for field, title in zip("xy", titles, strict=True)]
    mark = {"type": "line", "point": {"filled": True, "color": ANSWERED}, "color": ANSWERED, "interpolate": "monotone"}
    _draw({"mark": mark, "encoding": {"x": across, "y": up, "tooltip": tooltip}}, values, alt, height=240)


def curve(points: Sequence[tuple[float, float]], titles: tuple[str, str], alt: str) -> None:
    """A loss as it falls: its points faint, their running mean as a line; the axis of y fits what is drawn."""
    values = [{"x": x, "y": y} for x, y in points]
    across = {"field": "x", "type": "quantitative", "title": titles[0], "axis": {"tickCount": 4, "grid": False}}
    up = {"type": "quantitative", "title": None, "scale": {"zero": False}, "axis": {"tickCount": 4}}
    tooltip = [{"field": "x", "title": titles[0]}, {"field": "y", "title": titles[1], "format": ".3f"}]
    layers = [
        {
            "mark": {"type": "line", "color": ANSWERED, "opacity": 0.35, "strokeWidth": 1},
            "encoding": {"x": across, "y": {**up, "field": "y"}, "tooltip": tooltip},
        },
        {
            "transform": [{"window": [{"op": "mean", "field": "y", "as": "mean"}], "frame": [-7, 7]}],
            "mark": {"type": "line", "color": ANSWERED, "strokeWidth": 2.5},
            "encoding": {"x": across, "y": {**up, "field": "mean"}},
        },
    ]
    _draw({"layer": layers}, values, alt, height=160)


def _draw(spec: dict[str, Any], values: list[dict[str, Any]], alt: str, *, height: int) -> None:
    whole = {**spec, "data": {"values": values}, "config": {"view": {"stroke": None}}}
    st.vega_lite_chart(spec=whole, height=height, alt=alt)


def table(headings: Sequence[str], rows: Sequence[Sequence[object]], caption: str) -> str:
    """A table as HTML; numbers stand at the right."""

    numbers = [isinstance(value, int) for value in rows[0]] if rows else [False] * len(headings)
    classes = [' class="gl-count"' if number else "" for number in numbers]

    def cell(value: object, kind: str) -> str:
        shown = f"{value:,}" if isinstance(value, int) else str(value)
        return f"<td{kind}>{prose.escape(shown)}</td>"

    head = "".join(
        f'<th scope="col"{kind}>{prose.escape(name)}</th>' for name, kind in zip(headings, classes, strict=True)
    )
    body = "".join(f"<tr>{''.join(map(cell, row, classes))}</tr>" for row in rows)
    return (
        f'<table class="gl-table"><caption>{prose.escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def figures(rows: Sequence[tuple[str, str, str]]) -> str:
    """Large numbers side by side: (name, number, a line under it)."""
    cells = "".join(
        f"<div><dt>{prose.escape(name)}</dt><dd>{prose.escape(number)}</dd>"
        f"<dd>{prose.escape(note) or '&nbsp;'}</dd></div>"
        for name, number, note in rows
    )
    return f'<dl class="gl-figures">{cells}</dl>'
