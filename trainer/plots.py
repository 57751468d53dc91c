"""Plots and tables for people: inline SVG and escaped HTML, put together to one page that needs no network.

Takes   plain numbers and names; matplotlib is imported when the first plot is drawn (extra `train`).
Gives   strings. A plot carries its title and a description for screen readers; its colours are the page's variables,
        so one drawing serves light and dark. Lines are labelled where they end, bars at their ends: no legend to match.
Refuses series whose x and y differ in length. Values that are no numbers are left out.
Source  colours after Okabe & Ito, "Color Universal Design", 2008, darkened or lightened to a contrast of 4.5 : 1.
"""

from __future__ import annotations

import html
import io
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from trainer.errors import DataError, need

WIDTH = 5.6  # inches; a figure fills the page's column, up to 34 rem
COLOURS = (  # of series: light, dark
    ("#0a66a3", "#6cb8f0"),
    ("#b84a00", "#ff9455"),
    ("#00735a", "#3ecfa5"),
    ("#a3437f", "#f09acb"),
    ("#7d5a00", "#e8b93e"),
    ("#4b5563", "#b3bcc8"),
)
INK, MUTED, RULE = ("#1b1f24", "#e8eaed"), ("#57606a", "#a3abb5"), ("#e1e4e8", "#343a42")
LABEL_GAP = 0.075  # of the plot's height: labels at line ends stand at least so far apart
TITLE_WIDTH = 54  # characters of a title's line
LONGEST_NAME = 34  # characters of a bar's name

STYLE = {
    "svg.fonttype": "none",  # text stays text: it can be searched, selected and read aloud
    "svg.hashsalt": "groundling",  # equal plots are equal bytes
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "figure.titlesize": 12,
    "figure.titleweight": "bold",
    "axes.labelsize": 10.5,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED[0],
    "axes.labelcolor": MUTED[0],
    "text.color": INK[0],
    "xtick.color": MUTED[0],
    "ytick.color": MUTED[0],
    "grid.color": RULE[0],
    "grid.linewidth": 0.8,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
}


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    title: str,
    x: str,
    y: str,
    log_x: bool = False,
    zero: bool = False,
) -> str:
    """One line a series, (x values, y values) by name, as an inline <svg>; `zero` begins the y axis at 0."""
    drawn = {name: finite(name, *points) for name, points in series.items()}
    drawn = {name: points for name, points in drawn.items() if points[0]}
    if not drawn:
        return nothing(title)
    with style():
        figure, axes = canvas(3.4, title)
        for number, (xs, ys) in enumerate(drawn.values()):
            alone = len(xs) == 1
            axes.plot(xs, ys, color=COLOURS[number % len(COLOURS)][0], marker="o" if alone else "", clip_on=False)
        axes.set_xscale("log" if log_x else "linear")
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            if (log_x and axis is axes.xaxis) or max(map(abs, limits)) >= 10_000:
                axis.set_major_formatter(need("matplotlib.ticker", extra="train", task="plots").EngFormatter(sep=""))
        axes.margins(x=0.01)
        if zero:
            axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        axes.set(xlabel=x, ylabel=y, axisbelow=True)
        if len(drawn) > 1 or next(iter(drawn)) not in (y, title):
            name_ends(axes, drawn)
        ends = ", ".join(f"{name} {number_text(ys[-1])}" for name, (_, ys) in drawn.items())
        return svg(figure, title, f"Lines of {y} over {x}; at the end: {ends}.")


def bars(values: Mapping[str, float], *, title: str, unit: str = "") -> str:
    """One bar a value, lying, in the order given, with its number at its end, as an inline <svg>."""
    drawn = {name: float(value) for name, value in values.items() if math.isfinite(value)}
    if not drawn:
        return nothing(title)
    gap = "" if unit in ("", "%") else " "
    texts = [f"{number_text(value)}{gap}{unit}" for value in drawn.values()]
    with style():
        figure, axes = canvas(0.55 + 0.32 * len(drawn), title)
        rows = range(len(drawn))
        colours = [COLOURS[0 if value >= 0 else 1][0] for value in drawn.values()]
        placed = axes.barh(rows, list(drawn.values()), height=0.62, color=colours)
        axes.bar_label(placed, texts, padding=4, color=INK[0], fontsize=10.5)
        axes.set_yticks(rows, [shorten(name) for name in drawn])
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0, labelcolor=INK[0])
        axes.set_xticks([])
        axes.spines[["bottom", "left"]].set_visible(False)
        axes.axvline(0, color=MUTED[0], linewidth=1)
        axes.margins(x=0.16 if min(drawn.values()) < 0 else 0.02, y=0.02)
        said = ", ".join(f"{name} {text}" for name, text in zip(drawn, texts, strict=True))
        return svg(figure, title, f"Bars: {said}.")


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Escaped HTML; numbers stand to the right, floats have at most four digits behind the point.

    >>> "&lt;b&gt;" in table(["name"], [["<b>"]])
    True
    """
    right = [all(is_number(row[at]) for row in rows if row[at] is not None) for at in range(len(header))]
    kinds = [' class="number"' if rows and number else "" for number in right]
    head = "".join(f'<th scope="col"{kind}>{html.escape(name)}</th>' for name, kind in zip(header, kinds, strict=True))
    body = "".join("<tr>" + "".join(cell(value) for value in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def cell(value: object) -> str:
    """One cell of a table."""
    if isinstance(value, bool) or value is None:
        value = {True: "yes", False: "no", None: ""}[value]
    if is_number(value):
        assert isinstance(value, int | float)
        return f'<td class="number">{html.escape(number_text(value))}</td>'
    return f"<td>{html.escape(str(value))}</td>"


def is_number(value: object) -> bool:
    """Does a value stand to the right?"""
    return isinstance(value, int | float) and not isinstance(value, bool)


def page(title: str, sections: Sequence[tuple[str, str]]) -> str:
    """One self-contained HTML file of (heading, html) sections, readable in light, in dark and on a phone."""
    body = "".join(f"<section><h2>{html.escape(name)}</h2>{content}</section>" for name, content in sections)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{css()}</style></head>"
        f"<body><main><h1>{html.escape(title)}</h1>{body}</main></body></html>\n"
    )


def css() -> str:
    """The page's style: two sets of colours, one column, tables that scroll by themselves."""
    names = ["--ink", "--muted", "--rule", *(f"--plot-{n}" for n in range(1, len(COLOURS) + 1))]
    pairs = [INK, MUTED, RULE, *COLOURS]
    light, dark = (";".join(f"{n}:{pair[i]}" for n, pair in zip(names, pairs, strict=True)) for i in (0, 1))
    return (
        f":root{{color-scheme:light dark;--page:#fff;{light}}}"
        f"@media (prefers-color-scheme:dark){{:root{{--page:#15181c;{dark}}}}}"
        "body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,sans-serif}"
        "main{max-width:46rem;margin:0 auto;padding:1.5rem 1rem 4rem}"
        "h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0 1rem}h2{font-size:1.2rem;margin:2.25rem 0 .5rem}"
        "h3{font-size:1rem;margin:1.5rem 0 .5rem}h1,h2,h3,p,td{overflow-wrap:break-word}"
        "p{margin:.75rem 0}a{color:var(--plot-1)}.note{color:var(--muted)}"
        "svg.plot{display:block;width:100%;max-width:34rem;height:auto;margin:1rem 0}"
        ".wide{overflow-x:auto;margin:.75rem 0}table{border-collapse:collapse;font-size:.94rem}"
        "th,td{text-align:left;vertical-align:top;padding:.3rem .9rem .3rem 0;border-bottom:1px solid var(--rule)}"
        "th{color:var(--muted);font-weight:600}.number{text-align:right;font-variant-numeric:tabular-nums}"
        "@media (max-width:30rem){table{font-size:.86rem}th,td{padding-right:.6rem}}"
        "pre{overflow-x:auto;white-space:pre-wrap}"
    )


# --- drawing ----------------------------------------------------------------------------------------------------------


def style() -> AbstractContextManager[None]:
    """Our settings of matplotlib for one drawing; those of the process stay as they are."""
    made: AbstractContextManager[None] = need("matplotlib", extra="train", task="drawing plots").rc_context(STYLE)
    return made


def canvas(height: float, title: str) -> tuple[Any, Any]:
    """A figure that belongs to nobody's window, and its axes; `height` in inches."""
    kind = need("matplotlib.figure", extra="train", task="drawing plots").Figure
    figure = kind(figsize=(WIDTH, height), layout="constrained")
    figure.suptitle(textwrap.fill(title, TITLE_WIDTH), x=0.0, ha="left")
    return figure, figure.subplots()


def name_ends(axes: Any, drawn: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> None:
    """Write each series' name beside its last point, moved apart where they would touch."""
    low, high = axes.get_ylim()
    wanted = [(ys[-1] - low) / (high - low or 1) for _, ys in drawn.values()]
    for number, (name, place) in enumerate(zip(drawn, spread(wanted), strict=True)):
        colour = COLOURS[number % len(COLOURS)][0]
        axes.text(1.025, place, name, transform=axes.transAxes, color=colour, va="center", fontsize=10.5)


def spread(wanted: Sequence[float]) -> list[float]:
    """Places in 0..1 near the wanted ones, in their order, no two closer than LABEL_GAP where there is room.

    >>> [round(place, 3) for place in spread([0.5, 0.5])]
    [0.463, 0.537]
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    groups: list[tuple[float, int]] = []  # centre, members: labels that touch share a centre
    for i in order:
        groups.append((wanted[i], 1))
        while len(groups) > 1 and groups[-1][0] - groups[-2][0] < LABEL_GAP * (groups[-1][1] + groups[-2][1]) / 2:
            (upper, many), (lower, few) = groups.pop(), groups.pop()
            groups.append(((upper * many + lower * few) / (many + few), many + few))
    ranked = [centre + LABEL_GAP * (at - (size - 1) / 2) for centre, size in groups for at in range(size)]
    return [place for _, place in sorted(zip(order, ranked, strict=True))]


def svg(figure: Any, title: str, description: str) -> str:
    """The figure as inline SVG: colours become the page's variables, names that nothing refers to are dropped."""
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    used = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", text))
    text = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", text)
    variables = {pair[0]: f"var(--plot-{n}, {pair[0]})" for n, pair in enumerate(COLOURS, 1)}
    variables |= {pair[0]: f"var(--{n}, {pair[0]})" for n, pair in (("ink", INK), ("muted", MUTED), ("rule", RULE))}
    text = re.sub("|".join(variables), lambda found: variables[found[0]], text)
    text = text.replace("font-family: 'DejaVu Sans'", "font-family: system-ui, sans-serif")
    size = re.search(r'viewBox="[^"]+"', text)
    label = html.escape(title, quote=True)
    opening = f'<svg class="plot" role="img" aria-label="{label}" xmlns="http://www.w3.org/2000/svg" '
    opening += f'xmlns:xlink="http://www.w3.org/1999/xlink" {size[0] if size else ""}>'
    return f"{opening}<title>{label}</title><desc>{html.escape(description)}</desc>" + text[text.index(">") + 1 :]


def nothing(title: str) -> str:
    """What stands in place of a plot without values."""
    return f'<p class="note">{html.escape(title)}: nothing to draw.</p>'


def finite(name: str, xs: Sequence[float], ys: Sequence[float]) -> tuple[list[float], list[float]]:
    """The points that are numbers. Raises DataError where x and y differ in length."""
    if len(xs) != len(ys):
        raise DataError(f"series {name!r} has {len(xs)} x and {len(ys)} y values; give as many of both")
    kept = [(float(a), float(b)) for a, b in zip(xs, ys, strict=True) if math.isfinite(a) and math.isfinite(b)]
    return [a for a, _ in kept], [b for _, b in kept]


def shorten(name: str) -> str:
    """A name cut to LONGEST_NAME characters."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1].rstrip() + "…"


def number_text(value: float) -> str:
    """A number as people read it.

    >>> [number_text(v) for v in (1234567, 0.12345, 71.5, 12345.6, -3.0, 0.00001234)]
    ['1,234,567', '0.1235', '71.5', '12,346', '-3', '1.23e-05']
    """
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}"
    if abs(value) < 0.001:
        return f"{value:.3g}"
    digits = 0 if abs(value) >= 10_000 else 1 if abs(value) >= 1000 else 2 if abs(value) >= 10 else 4
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
