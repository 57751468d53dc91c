"""Tables stay tables, whatever the format: merged cells, several header rows, what a page cannot hold."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from rag import clean, load

openpyxl = pytest.importorskip("openpyxl")


def text_of(path: Path) -> str:
    return clean.draft(load.pages(path), title=path.stem).text


def test_merged_cells_of_a_sheet_are_read_in_each_of_their_places(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in [
        ["Region", "First half", None, "Second half", None],
        [None, "Sales", "Cost", "Sales", "Cost"],
        ["North", 10, 7, 12, 8],
        [None, 20, 9, 22, 11],
        ["South", 30, 19, 32, 21],
    ]:
        sheet.append(row)
    for area in ("A1:A2", "B1:C1", "D1:E1", "A3:A4"):
        sheet.merge_cells(area)
    book.save(tmp_path / "sales.xlsx")
    lines = text_of(tmp_path / "sales.xlsx").splitlines()
    assert lines[2] == (
        "Region: North | First half Sales: 10 | First half Cost: 7 | Second half Sales: 12 | Second half Cost: 8"
    )
    assert lines[3].startswith("Region: North | First half Sales: 20 |")
    assert lines[4].startswith("Region: South | First half Sales: 30 |")


def test_a_merged_area_over_a_whole_sheet_costs_nothing(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["Notice", "applies to all"])
    book.active.merge_cells("A1:B1")
    book.save(tmp_path / "small.xlsx")
    with zipfile.ZipFile(tmp_path / "small.xlsx") as small, zipfile.ZipFile(tmp_path / "wide.xlsx", "w") as wide:
        for name in small.namelist():
            wide.writestr(name, small.read(name).replace(b'ref="A1:B1"', b'ref="A1:XFD1048576"'))
    assert text_of(tmp_path / "wide.xlsx") == "## Sheet\n\nNotice"


WORDS = [["Dataset", "Base", "Notes"], ["PubLayNet", "F / M", "scientific pages"], ["PRImA", "M", "magazines"]]
LABELLED = "Dataset: PRImA | Base: M | Notes: magazines"


def test_a_word_table_of_words_names_its_columns(tmp_path: Path) -> None:
    docx = pytest.importorskip("docx")
    document = docx.Document()
    for rows in (WORDS, [["Term", "Meaning"], ["leave", "time off"], ["notice", "time before"]]):
        table = document.add_table(rows=3, cols=len(rows[0]))
        for y, row in enumerate(rows):
            for x, text in enumerate(row):
                table.cell(y, x).text = text
        document.add_paragraph("Between.")
    document.save(tmp_path / "words.docx")
    lines = text_of(tmp_path / "words.docx").splitlines()
    assert LABELLED in lines
    assert "Term: notice | Meaning: time before" in lines


def test_merged_cells_of_a_slide_name_what_stands_below_them(tmp_path: Path) -> None:
    pptx = pytest.importorskip("pptx")
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    table = slide.shapes.add_table(4, 3, 0, 0, 5_000_000, 2_000_000).table
    for y, row in enumerate([["Region", "2025", ""], ["", "Sales", "Cost"], ["North", "10", "7"], ["", "20", "9"]]):
        for x, text in enumerate(row):
            table.cell(y, x).text = text
    table.cell(0, 1).merge(table.cell(0, 2))
    table.cell(0, 0).merge(table.cell(1, 0))
    table.cell(2, 0).merge(table.cell(3, 0))
    deck.save(tmp_path / "table.pptx")
    assert text_of(tmp_path / "table.pptx").splitlines()[-1] == "Region: North | 2025 Sales: 20 | 2025 Cost: 9"


def test_a_row_of_equal_amounts_is_a_row_and_a_label_over_all_columns_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("North,South,West\n3,3,3\nFrom May on,,\n4,5,6\n")
    assert text_of(tmp_path / "a.csv").splitlines() == [
        "North: 3 | South: 3 | West: 3", "From May on", "North: 4 | South: 5 | West: 6",
    ]  # fmt: skip


def test_a_title_and_groups_above_the_header_of_a_delimited_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Sales by region,,\n,2025,\nRegion,Sales,Cost\nNorth,10,7\n")
    assert text_of(tmp_path / "a.csv").splitlines() == [
        "Sales by region", "Region: North | 2025 Sales: 10 | 2025 Cost: 7",
    ]  # fmt: skip


def test_pictures_with_a_description_and_charts_are_listed_where_they_stand(tmp_path: Path) -> None:
    docx, pptx = pytest.importorskip("docx"), pytest.importorskip("pptx")
    from PIL import Image
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE

    Image.new("RGB", (20, 20), "red").save(tmp_path / "p.png")
    document = docx.Document()
    document.add_paragraph("Above.")
    document.add_picture(str(tmp_path / "p.png"))._inline.docPr.set("descr", "The shed, seen from the gate")
    document.add_picture(str(tmp_path / "p.png"))  # nobody has described it
    document.add_paragraph("Below.")
    document.save(tmp_path / "a.docx")
    assert text_of(tmp_path / "a.docx") == "Above.\n\nPicture: The shed, seen from the gate\n\nBelow."

    deck = pptx.Presentation()
    shapes = deck.slides.add_slide(deck.slide_layouts[6]).shapes
    data = CategoryChartData()
    data.categories = ["2025", "2026"]
    data.add_series("Bikes", (12, 9))
    chart = shapes.add_chart(XL_CHART_TYPE.LINE, 0, 0, 3_000_000, 3_000_000, data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Bikes in the shed"
    deck.save(tmp_path / "a.pptx")
    assert text_of(tmp_path / "a.pptx").splitlines() == [
        "Chart: Bikes in the shed",
        "2025 | Bikes: 12",
        "2026 | Bikes: 9",
    ]
