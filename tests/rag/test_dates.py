"""What a document says about its own time."""

from __future__ import annotations

from datetime import date

import pytest

from rag.dates import dates

TODAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("These rates are valid until 31 December 2024.", date(2024, 12, 31)),
        ("The offer expires on March 5, 2025.", date(2025, 3, 5)),
        ("This price list applies until 2023-06-30 only.", date(2023, 6, 30)),
        ("In force until 1.4.2022.", date(2022, 4, 1)),
        ("Expiry date: 1st of May 2021", date(2021, 5, 1)),
        ("Next review: February 2024", date(2024, 2, 29)),  # a month ends with its last day
        ("valid through December 2025", date(2025, 12, 31)),
        ("It is in effect until the end of 2020.", date(2020, 12, 31)),
        ("Valid until 31 May 2020. The extension is valid until 31 May 2031.", date(2031, 5, 31)),
        ("Up to 5 days can be carried over until 31 March.", None),  # every year
        ("It was decided on 31 December 2024.", None),  # no end
        ("Valid until 31 June 2024.", None),  # there is no such day
    ],
)
def test_the_last_end_that_a_text_names_is_found(text: str, day: date | None) -> None:
    found = dates(text, TODAY)
    assert found.ends == day
    if day is not None:
        assert str(day.year) in text[found.start : found.end]


def test_the_newest_year_counts_where_several_are_named_and_leaves_out_numbers_and_the_future() -> None:
    assert dates("In 2017, 2018 and 2019 we grew. By 2040 we will be many.", TODAY).newest_year == 2019
    assert dates("As decided in 2019.", TODAY).newest_year is None  # one year alone tells nothing
    assert dates("It costs 2019.50 euros, 2,018 pounds, $2017 or §2016.", TODAY).newest_year is None


def test_a_text_without_dates_says_nothing() -> None:
    found = dates("Ask your manager.", TODAY)
    assert (found.ends, found.newest_year, found.start, found.end) == (None, None, 0, 0)
