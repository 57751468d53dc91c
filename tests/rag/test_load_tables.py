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
