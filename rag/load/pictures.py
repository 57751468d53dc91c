"""Pictures and charts of office files and pages become lines: what is said of them, and a chart's numbers.

Takes   the description that a file holds of a picture, or the XML of a chart.
Gives   `Picture: DESCRIPTION`, nothing where no person has described it; of a chart its title and a table, a row a
        category, a column a series.
"""

from __future__ import annotations

import re
from typing import Any

from rag.load import rows

_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_NO_WORDS = re.compile(
    r"(?:image|picture|img|bild|grafik|photo|logo|icon|graphic|object)?[\s_-]*\d*(?:\.(?:png|jpe?g|gif|emf|wmf|svg|tiff?|bmp))?",
    re.IGNORECASE,
)
_BY_MACHINE = re.compile(r"\s*(?:description )?automatically generated.*|\s*AI-generated content.*", re.IGNORECASE)


def described(words: str | None) -> str:
    """One line for a picture, or an empty string."""
    text = rows.cell(_BY_MACHINE.sub("", words or ""))
    file_name = " " not in text and re.search(r"\.\w{3,4}$", text) is not None
    return "" if _NO_WORDS.fullmatch(text) or file_name else f"Picture: {text}"


def chart(space: Any) -> list[str]:
    """The lines of one chart, from the root of its XML; libraries know no three-dimensional plots, this does."""
    title = space.find(f".//{_C}title")
    words = "" if title is None or _of_axis(title) else rows.cell("".join(t.text or "" for t in title.iter(f"{_A}t")))
    categories: list[str] = []
    series: list[tuple[str, list[str]]] = []
    for one in space.iter(f"{_C}ser"):
        name = " ".join(text.text or "" for text in one.iterfind(f"{_C}tx//{_C}v"))
        categories = categories or [text.text or "" for text in one.iterfind(f"{_C}cat//{_C}v")]
        series.append((name, [text.text or "" for text in one.iterfind(f"{_C}val//{_C}v")]))
    caption = [f"Chart: {words}"] if words else []
    if not series:
        return caption
    count = max(len(values) for _, values in series)
    table = [["", *(name for name, _ in series)]]
    for index in range(count):
        columns = (categories, *(values for _, values in series))
        table.append([values[index] if index < len(values) else "" for values in columns])
    return [*caption, *rows.lines(table, header=1)]


def _of_axis(title: Any) -> bool:
    parent = title.getparent()
    return parent is not None and str(parent.tag).endswith("Ax")
