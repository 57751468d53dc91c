"""Pages and plots: what a browser will be given, read back as XML and HTML."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from trainer import plots
from trainer.errors import DataError

SVG = "{http://www.w3.org/2000/svg}"
LOSSES = {"handbooks": ([1, 10, 100], [5.0, 4.0, 3.0]), "manuals": ([1, 10, 100], [6.0, 4.1, 3.01])}


def texts(svg: str) -> list[str]:
    return [(node.text or "").strip() for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_each_line_is_labelled_by_name_and_the_title_is_read_aloud() -> None:
    svg = plots.lines(LOSSES, title="Loss <over> $time$", x="tokens", y="loss", log_x=True)
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == root.get("aria-label") == "Loss <over> $time$"
    assert "handbooks 3, manuals 3.01" in (root.findtext(f"{SVG}desc") or "")
    assert {"handbooks", "manuals", "tokens", "loss", "100"} <= set(texts(svg))


def test_labels_of_lines_that_end_together_do_not_touch() -> None:
    svg = plots.lines(LOSSES, title="Loss", x="tokens", y="loss")
    heights = []
    for node in ElementTree.fromstring(svg).iter(f"{SVG}text"):
        if (node.text or "").strip() in LOSSES:
            heights += [float(node.get("y") or re.findall(r"-?[\d.]+", node.get("transform", ""))[1])]
    assert len(heights) == 2
    assert abs(heights[0] - heights[1]) > 11  # the size of the letters


def test_colours_are_variables_so_that_light_and_dark_share_a_drawing() -> None:
    svg = plots.lines(LOSSES, title="Loss", x="tokens", y="loss") + plots.bars({"a": 1, "b": -2}, title="Bars")
    for light, _ in (*plots.COLOURS, plots.INK, plots.MUTED, plots.RULE):
        assert not re.search(rf"(?<!, ){light}", svg), f"{light} is fixed"
    assert "var(--plot-2" in svg


def test_equal_numbers_give_equal_bytes() -> None:
    first, second = (plots.bars({"one": 1.5, "two": 2}, title="Bits", unit="bits") for _ in range(2))
    assert first == second
    assert "1.5 bits" in texts(first)


def test_two_plots_on_one_page_share_no_name() -> None:
    page = plots.lines(LOSSES, title="A", x="x", y="y") + plots.bars({"a": 3}, title="B")
    drawn = [set(re.findall(r' id="([^"]+)"', part)) for part in page.split("<svg")[1:]]
    for name in drawn[0] & drawn[1]:  # only equal shapes may have equal names: they are named after their content
        assert name.startswith(("m", "p"))


def test_what_is_no_number_is_left_out_and_nothing_at_all_is_said_in_words() -> None:
    kept = plots.lines({"a": ([1, 2, 3], [1.0, math.nan, 2.0])}, title="T", x="x", y="y")
    assert "nan" not in kept
    assert "nothing to draw" in plots.lines({"a": ([1], [math.inf])}, title="T", x="x", y="y")
    assert "nothing to draw" in plots.bars({"a": math.nan}, title="T")


def test_series_of_unequal_length_are_refused_by_name() -> None:
    with pytest.raises(DataError, match="'a' has 2 x and 1 y"):
        plots.lines({"a": ([1, 2], [1])}, title="T", x="x", y="y")


def test_tables_escape_what_they_show_and_put_numbers_to_the_right() -> None:
    html = plots.table(["set <1>", "n"], [["<script>alert(1)</script>", 12345], ["b", None]])
    assert "<script>" not in html
    assert '<th scope="col" class="number">n</th>' in html
    assert '<td class="number">12,345</td>' in html


def test_a_page_loads_nothing_from_anywhere() -> None:
    page = plots.page("Scores & more", [("Loss", plots.lines(LOSSES, title="L", x="x", y="y"))])
    assert "<title>Scores &amp; more</title>" in page
    without_names = re.sub(r'xmlns(:xlink)?="[^"]+"', "", page)
    assert not re.search(r"https?:|<script|<link|@import|url\((?!#)", without_names)
    assert "prefers-color-scheme:dark" in page
    assert 'name="viewport"' in page


def test_colours_can_be_told_from_their_page() -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for light, dark in (*plots.COLOURS, plots.INK, plots.MUTED):
        assert 1.05 / (luminance(light) + 0.05) >= 4.5
        assert (luminance(dark) + 0.05) / (luminance("#15181c") + 0.05) >= 4.5
