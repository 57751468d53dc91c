"""The scoring of documents counts what it says, and its truth is whole. The readers themselves run in the benchmark."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.parsing.records import exact, headings, plain, records
from benchmarks.parsing.score import Read, missing, score
from benchmarks.parsing.truth import UNSEEN, Cell, Truth, load

OURS = "# Leave\n\nGrade: A | Days a year: 25\nGrade: B | Days a year: 28\n"
MARKDOWN = "# Leave\n\n| Grade | Days a year |\n| --- | --- |\n| A | 25.0 |\n| B | 28 |\n"
BARE = "Leave\nGrade Days a year\nA 25\nB 28\n"
DAYS = (Cell(("A",), ("Days a year",), "25"), Cell(("B",), ("Days a year",), "28"))


def truth(**parts: object) -> Truth:
    return Truth("office/leave.pdf", "ordinary", ("ordinary",), **parts)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [OURS, MARKDOWN], ids=["ours", "markdown"])
def test_a_value_tied_to_row_and_header_is_right_in_either_notation(text: str) -> None:
    assert score(truth(cells=DAYS), Read(text))["cells"] == 1


def test_bare_lines_tie_no_value_to_a_header_but_keep_it_beside_its_row() -> None:
    found = score(truth(cells=DAYS), Read(BARE))
    assert (found["cells"], found["rows"]) == (0, 1)


def test_a_second_value_in_the_same_place_counts_against_the_first() -> None:
    found = score(truth(cells=DAYS), Read(OURS + "Grade: B | Days a year: 31\n"))
    assert found["cells"] == pytest.approx(2 * 2 / (2 + 1 + 2))


def test_a_header_of_two_levels_is_found_by_its_path() -> None:
    cells = (
        Cell(("Revenue",), ("Three months", "2023"), "13,507"),
        Cell(("Revenue",), ("Six months", "2023"), "20,699"),
    )
    text = "Revenue | Three months: July 30, 2023: 13507 | Six months: July 30, 2023: $20,699"
    assert score(truth(cells=cells), Read(text.replace("$", "")))["cells"] == 1


def test_a_label_is_tied_to_the_value_after_it_and_not_to_one_further_on() -> None:
    label = (Cell((), ("Claim #",), "SF-1008"),)
    for near in (
        "Claim #: SF-1008",
        "Claim # SF-1008",
        "Claim #\nSF-1008",
        "| Claim # | SF-1008 |",
        "Claim # (no): SF-1008",
    ):
        assert score(truth(cells=label), Read(near))["cells"] == 1, near
    for far in ("Claim #\nPolicy #\nSF-1008", "Claim # of Gabriel Diaz and others SF-1008", "Claim # SF-10081"):
        assert score(truth(cells=label), Read(far))["cells"] == 0, far


def test_signs_and_fractions_count_and_the_way_of_writing_a_number_does_not() -> None:
    assert exact("1,716") == exact("1716.0") == exact("１７１６")
    assert len({exact("-23"), exact("+23"), exact("23"), exact("2.3")}) == 4
    assert exact("−23") == exact("–23") == exact("-23")


def test_order_is_the_share_of_neighbours_that_follow_each_other() -> None:
    wanted = truth(order=("one", "two", "three", "four"))
    assert score(wanted, Read("one two three four"))["order"] == 1
    assert score(wanted, Read("one three two four"))["order"] == pytest.approx(2 / 3)
    assert score(wanted, Read("one four"))["order"] == 0, "a phrase that is not there follows nothing"


def test_a_phrase_that_also_stands_in_the_contents_is_looked_for_after_its_neighbour() -> None:
    contents = "1 Scope 2 Terms. Scope: all staff. They must. Terms: none."
    assert score(truth(order=("all staff", "Terms")), Read(contents))["order"] == 1


def test_false_headings_count_and_numbering_does_not() -> None:
    text = "# 1 Scope\n\n## Terms\n\n### Your Name\n"
    assert headings(text) == ["1 Scope", "Terms", "Your Name"]
    assert score(truth(headings=("Scope", "2 Terms")), Read(text))["headings"] == pytest.approx(4 / 5)


def test_what_must_not_be_there_is_looked_for_in_passages_and_nothing_read_scores_nothing() -> None:
    wanted = truth(exclude=("Page 2 of 3",), exclude_lines=("7",), required=("annual leave",))
    assert score(wanted, Read("annual leave", ["annual leave of 7 days"]))["excluded"] == 1
    assert score(wanted, Read("annual leave", ["annual leave", "7", "PAGE 2 of 3"]))["excluded"] == 0
    assert score(wanted, Read(""))["excluded"] == 0
    assert missing(wanted, Read("annual leave", ["annual leave\n7"]))["excluded"] == ["7"]


def test_a_page_lost_or_said_twice_is_seen_by_counting() -> None:
    wanted = truth(count=(("Docling bundles", 2),))
    assert [score(wanted, Read("Docling bundles " * n))["required"] for n in (1, 2, 4)] == [0.5, 1, 0.5]


def test_letters_of_every_script_are_compared_without_spaces_and_case() -> None:
    assert plain("할인점 · 주유") == plain("할인점·주유") != plain("")
    assert [record.fields for record in records("年齢: 30 | 住所: 東京")] == [(("年齢", "30"), ("住所", "東京"))]


def test_the_truth_is_whole_and_a_part_of_every_group_stays_unseen() -> None:
    found = load()
    tags = Counter(tag for one in found for tag in one.tags)
    assert len(found) >= 40
    assert all(tags[tag] >= 5 for tag in ("scan", "columns", "merged", "rotated", "script"))
    assert Counter(one.group for one in found if one.unseen) == UNSEEN
    assert sum(UNSEEN.values()) == 10
    assert len({one.file for one in found}) == len(found)
    assert all(bool(one.derived) == one.file.startswith("derived/") for one in found)
    for one in found:
        assert score(one, Read(""))["mean"] == 0, f"{one.file}: nothing read must score nothing"


def test_each_derived_file_has_its_recipe() -> None:
    from benchmarks.parsing.derived import RECIPES

    assert {Path(one.file).name for one in load() if one.derived} == set(RECIPES)
