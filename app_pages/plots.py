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
SEVERAL = (ANSWERED, REFUSED, "#6d84c4", DOWN, "#9a6bb0", "#4aa3b5", QUIET)  # models side by side
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
    when = _along([label for label, *_ in rows])
    colour = _coloured(kinds, [ANSWERED, REFUSED, DOWN])
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
    wide = max(1, min(7, len(points) // 8))  # points at each side that a mean takes in
    values = [{"x": x, "y": y} for x, y in points]
    steps = {"tickCount": 4, "tickMinStep": 1, "format": "d", "grid": False}
    across = {"field": "x", "type": "quantitative", "title": titles[0], "axis": steps}
    up: dict[str, Any] = {
        "type": "quantitative", "title": None, "scale": {"zero": False}, "axis": {"tickCount": 4},
    }  # fmt: skip
    tooltip = [{"field": "x", "title": titles[0]}, {"field": "y", "title": titles[1], "format": ".3f"}]
    layers = [
        {
            "mark": {"type": "line", "color": ANSWERED, "opacity": 0.35, "strokeWidth": 1},
            "encoding": {"x": across, "y": {**up, "field": "y"}, "tooltip": tooltip},
        },
        {
            "transform": [{"window": [{"op": "mean", "field": "y", "as": "mean"}], "frame": [-wide, wide]}],
            "mark": {"type": "line", "color": ANSWERED, "strokeWidth": 2.5},
            "encoding": {"x": across, "y": {**up, "field": "mean"}},
        },
    ]
    _draw({"layer": layers}, values, alt, height=160)


def risk(points: Sequence[tuple[float, float]], here: tuple[float, float] | None, alt: str) -> None:
    """Share answered against share wrong, in percent; a dot where the library stands with its present threshold."""
    titles = ("Answered, % of all questions", "Wrong, % of the answers")
    values = [{"x": x, "y": y} for x, y in points]
    tooltip = [{"field": field, "title": title} for field, title in zip("xy", titles, strict=True)]
    encoding = {
        "x": {"field": "x", "type": "quantitative", "title": titles[0], "scale": {"domain": [0, 100]},
              "axis": {"tickCount": 5}},
        "y": {"field": "y", "type": "quantitative", "title": titles[1], "scale": {"zero": True},
              "axis": {"tickCount": 5}},
        "tooltip": tooltip,
    }  # fmt: skip
    line = {"type": "line", "color": ANSWERED, "interpolate": "step-after", "strokeWidth": 2}
    layers: list[dict[str, Any]] = [{"mark": line, "encoding": encoding}]
    if here:
        dot = {"type": "point", "filled": True, "color": DOWN, "size": 110, "opacity": 1}
        values_here = {"values": [{"x": here[0], "y": here[1]}]}
        layers.append({"data": values_here, "mark": dot, "encoding": encoding})
    _draw({"layer": layers}, values, alt, height=260)


def ranges(rows: Sequence[tuple[str, str, float, float, float]], alt: str) -> None:
    """Rows of (model, measure, percent, low, high): a dot with its interval for each model, measure by measure."""
    names = list(dict.fromkeys(row[0] for row in rows))
    values = [
        {"model": model, "measure": measure, "value": value, "low": low, "high": high, "order": order}
        for order, (model, measure, value, low, high) in enumerate(rows)
    ]
    measure = {
        "field": "measure", "type": "nominal", "sort": {"field": "order"}, "axis": {**_QUIET, "labelLimit": 140},
    }  # fmt: skip
    apart = {"field": "model", "type": "nominal", "scale": {"domain": names}}
    colour = {
        "field": "model", "type": "nominal", "scale": {"domain": names, "range": list(SEVERAL)},
        "legend": {"title": None, "orient": "top", "symbolType": "circle", "columns": 1, "labelLimit": 320},
    }  # fmt: skip
    percent: dict[str, Any] = {
        "type": "quantitative",
        "scale": {"domain": [0, 100]},
        "title": "Percent, with 95% intervals",
    }
    tooltip = [
        {"field": name, "title": title}
        for name, title in (
            ("model", "Model"),
            ("measure", "Measure"),
            ("value", "%"),
            ("low", "from"),
            ("high", "to"),
        )
    ]
    shared: dict[str, Any] = {"y": measure, "yOffset": apart, "color": colour, "tooltip": tooltip}
    layers = [
        {
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {**shared, "x": {**percent, "field": "low"}, "x2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
            "encoding": {**shared, "x": {**percent, "field": "value"}},
        },
    ]
    measures = len({row[1] for row in rows})
    _draw({"layer": layers}, values, alt, height=measures * (22 + 14 * len(names)) + 30 * len(names) + 50)


def thumbs(rows: Sequence[tuple[str, int, int]], alt: str) -> None:
    """Rows of (when, up, down): thumbs up above the line, thumbs down below it."""
    kinds = ("Up", "Down")
    values = [
        {"when": when, "kind": kind, "count": count, "drawn": count if kind == "Up" else -count}
        for when, *counts in rows
        for kind, count in zip(kinds, counts, strict=True)
    ]
    when = _along([when for when, *_ in rows])
    colour = _coloured(kinds, [ANSWERED, DOWN])
    count = {
        "field": "drawn", "type": "quantitative",
        "axis": {**_QUIET, "tickMinStep": 1, "tickCount": 5, "labelExpr": "abs(datum.value)"},
    }  # fmt: skip
    tooltip = [{"field": "when", "title": "When"}, {"field": "kind", "title": "Thumbs"}, {"field": "count"}]
    mark = {"type": "bar", "cornerRadius": 2, "size": 18}
    _draw(
        {"mark": mark, "encoding": {"x": when, "y": count, "color": colour, "tooltip": tooltip}},
        values,
        alt,
        height=220,
    )


def scatter(
    rows: Sequence[tuple[str, float, float]],
    titles: tuple[str, str],
    *,
    band: tuple[float, float],
    line: float | None,
    alt: str,
) -> None:
    """Rows of (name, x, y) as dots; a band where ordinary values of x lie, and a line where something changes."""
    values = [{"name": name, "x": x, "y": y} for name, x, y in rows]
    shown = [*band, *(x for _, x, _ in rows), *([] if line is None else [line])]
    low, high = min(shown), max(shown)
    scale = {"domain": [0.95 * low, 1.05 * high], "zero": False, "nice": False}
    across = {"type": "quantitative", "title": titles[0], "scale": scale, "axis": {"tickCount": 6, "grid": False}}
    up = {"field": "y", "type": "quantitative", "title": titles[1], "scale": {"zero": False}, "axis": {"tickCount": 5}}
    tooltip = [
        {"field": "name", "title": "Document"},
        {"field": "x", "title": titles[0], "format": ".2f"},
        {"field": "y", "title": titles[1], "format": ".2f"},
    ]
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": [{"from": band[0], "to": band[1]}]},
            "mark": {"type": "rect", "color": QUIET, "opacity": 0.14},
            "encoding": {"x": {**across, "field": "from"}, "x2": {"field": "to"}},
        },
        {
            "mark": {"type": "point", "filled": True, "color": ANSWERED, "size": 60, "opacity": 0.8},
            "encoding": {"x": {**across, "field": "x"}, "y": up, "tooltip": tooltip},
        },
    ]
    if line is not None:
        rule = {"type": "rule", "color": DOWN, "strokeWidth": 2, "strokeDash": [5, 4]}
        here = {"values": [{"at": line}]}
        layers.append({"data": here, "mark": rule, "encoding": {"x": {**across, "field": "at"}}})
    _draw({"layer": layers}, values, alt, height=300)


def _along(labels: Sequence[str]) -> dict[str, Any]:
    """An axis of times, in the order given."""
    return {
        "field": "when", "type": "ordinal", "sort": None, "scale": {"domain": list(labels)},
        "axis": {**_QUIET, "labelAngle": 0, "labelOverlap": "greedy", "labelSeparation": 12},
    }  # fmt: skip


def _coloured(kinds: Sequence[str], colours: Sequence[str]) -> dict[str, Any]:
    """A colour for each kind, told above the plot."""
    return {
        "field": "kind", "type": "nominal", "scale": {"domain": list(kinds), "range": list(colours)},
        "legend": {"title": None, "orient": "top", "symbolType": "circle"},
    }  # fmt: skip


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
