"""The short answer by rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.spoken import unsupported
from rag.verdict import verdict
from rag.wording import WORDS, in_full, layout, say, shape, tidy

PAGE = """Full-time employees accrue 15 days of paid vacation per year. Part-timers get less.

You cannot carry unused days into the next year.

To book a trip:
1. Open the portal.
2. Choose a train.
3. Ask for approval.

The Power-Ups approved for use are:
- Any made by Trello
- GitHub

Provider: Sentry | Kept for: 90 days
"""


def answered(question: str, needle: str, **how: str) -> str:
    at = PAGE.index(needle)
    return say(question, PAGE, (at, at + len(needle)), **how).words  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How do I book a trip?", "steps"),
        ("How long does it take?", "fact"),
        ("Which Power-Ups are approved?", "list"),
        ("Which tool watches our repositories?", "fact"),
        ("Which three rules prevent most trouble?", "list"),
        ("What can I reserve in Concur?", "list"),
        ("What is the code?", "fact"),
        ("May I keep the laptop?", "choice"),
        ("I lost my badge. Do I have to report it?", "choice"),
        ("Is it paid weekly or monthly?", "fact"),
        ("Who approves it?", "fact"),
        ("When was it founded?", "fact"),
    ],
)
def test_the_question_says_what_kind_of_answer_it_wants(question: str, expected: str) -> None:
    assert shape(question) == expected


def test_a_fact_is_said_with_its_sentence_or_bare() -> None:
    question = "How many days of vacation do I get?"
    assert answered(question, "15 days") == "Full-time employees accrue 15 days of paid vacation per year."
    assert answered(question, "15 days", policy="span") == "15 days."
    assert answered(question, "15", policy="span") == "15 days."


def test_steps_and_lists_are_given_whole() -> None:
    assert answered("How do I book a trip?", "Choose a train") == (
        "To book a trip:\n1. Open the portal.\n2. Choose a train.\n3. Ask for approval."
    )
    assert answered("Which Power-Ups are approved?", "GitHub").endswith("- Any made by Trello\n- GitHub")


def test_one_entry_is_enough_for_a_question_about_one_unless_it_is_a_bare_name() -> None:
    page = "Rules:\n- Overtime must be approved by your lead.\n- Alcohol"
    for needle, expected in (("your lead", "Overtime must be approved by your lead."), ("Alcohol", page)):
        at = page.index(needle)
        assert say("Who approves overtime?", page, (at, at + len(needle))).words == expected


def test_a_table_row_is_said_in_words() -> None:
    assert answered("How long does Sentry keep data?", "90 days") == "Provider: Sentry; Kept for: 90 days."


def test_a_long_row_says_its_first_cell_and_the_one_that_answers() -> None:
    row = "Name: Alpha | " + " | ".join(f"Column {n}: some longer value {n}" for n in range(12))
    at = row.index("value 7")
    assert say("What is it?", row, (at, at + 7)).words == "Name: Alpha; Column 7: some longer value 7."


def test_a_sentence_of_more_than_sixty_words_is_cut_around_the_span() -> None:
    text = "It says that " + "one thing, " * 40 + "the limit is 38 euros, " + "and so on, " * 40 + "at last."
    words = answered_in(text, "38 euros")
    assert "38 euros" in words
    assert len(words.split()) <= WORDS


def answered_in(text: str, needle: str) -> str:
    at = text.index(needle)
    return say("What is the limit?", text, (at, at + len(needle))).words


@pytest.mark.parametrize(
    ("question", "quoted", "expected"),
    [
        ("Can I carry unused days into next year?", "You cannot carry unused days into the next year.", "No"),
        (
            "May I approve a backport by myself?",
            "Yes, you can approve backport PRs as long as they were reviewed.",
            "Yes",
        ),
        ("Do contributors need to sign an agreement?", "Contributors do not need to sign any agreement.", "No"),
        ("Must employees sign the agreement?", "Employees must sign the agreement before the first day.", "Yes"),
        ("Can employees use the gym?", "All employees can use the gym in the basement.", "Yes"),
        ("Can I carry days over?", "You can carry days over if your manager agrees.", ""),
        (
            "Can a hire get access before the first day?",
            "No access is granted before the first day, unless approved.",
            "",
        ),
        ("Can I use the gym?", "Visitors cannot park in the yard.", ""),
        ("Isn't overtime paid?", "Overtime is not paid.", ""),
        ("How many days do I get?", "You cannot carry days over.", ""),
    ],
)
def test_yes_and_no_are_said_only_where_the_quotation_is_certain(question: str, quoted: str, expected: str) -> None:
    assert verdict(question, quoted) == expected


def test_a_yes_no_answer_begins_with_it_and_gives_the_reason() -> None:
    assert answered("Can I carry unused days into next year?", "unused days") == (
        "No. You cannot carry unused days into the next year."
    )


def test_yes_is_not_said_twice() -> None:
    text = "Yes, you can approve backports by yourself."
    assert say("May I approve backports?", text, (9, 20)).words == text


@pytest.mark.parametrize(
    ("words", "expected"),
    [("within one hour", "Within one hour."), ("- GitHub", "GitHub."), ("docker-compose up", "docker-compose up."),
     ("A: No, you don't.", "No, you don't."), ("press@gsa.gov", "press@gsa.gov."), ("two\nlines,", "Two lines."),
     ("iPhone 15", "iPhone 15."), ('He said "stop."', 'He said "stop."')],
)  # fmt: skip
def test_words_are_tidied_but_not_changed(words: str, expected: str) -> None:
    assert tidy(words) == expected


@pytest.mark.parametrize(
    ("question", "needle", "expected"),
    [
        ("Can I bring pets?", "pets", "No. You may not bring: pets of any kind to the office."),
        ("Can I bring pets?", "You may not bring", "No. You may not bring: pets of any kind to the office."),
        ("Can I bring a plant?", "pets", "You may not bring: pets of any kind to the office."),
        ("Which rule holds for bicycles?", "into the lift", "You may not bring: bicycles into the lift."),
        ("Where do umbrellas go?", "umbrellas", "Umbrellas in the stand."),
        ("Can I vote?", "board", "The members of the board may always vote."),
        ("Who may vote?", "board", "The members of the board may always vote."),
        ("Do I need a receipt for taxis?", "taxis", "You do not need one for taxis."),
        ("May I skip the receipt?", "No, you", "You never need a receipt here."),
        ("Do I need a receipt here?", "No, you", "No, you never need a receipt here."),
    ],
)
def test_the_line_that_announces_a_list_is_not_lost_and_a_yes_or_no_is_never_to_another_question(
    question: str, needle: str, expected: str
) -> None:
    page = (
        "You may not bring:\n- pets of any kind to the office\n- bicycles into the lift\n\nThese vote:\n"
        "- the members of the board may always vote\n\nThings such as, but not limited to:\n- umbrellas in the stand\n\n"
        "You do not need one for taxis.\n\nNo, you never need a receipt here."
    )
    at = page.index(needle)
    said = say(question, page, (at, at + len(needle)))
    assert said.words == expected
    assert page[said.start : said.end].startswith("You may not bring") == ("bring" in expected)


def test_a_shown_list_joins_continuation_lines_and_keeps_its_nesting() -> None:
    assert layout("You need:\n- one\n  more\n    - deep\n\n- two") == "You need:\n- one more\n    - deep\n- two"


@settings(deadline=None)
@given(st.text(max_size=300), st.integers(0, 300), st.integers(1, 60), st.sampled_from(["span", "sentence", "unit"]))
def test_every_word_said_stands_in_the_range_that_is_quoted(text: str, start: int, length: int, policy: str) -> None:
    said = say("What is it?", text, (start, start + length), policy=policy)  # type: ignore[arg-type]
    quoted = text[said.start : said.end]
    assert set(said.words.casefold().split()) <= {
        form for word in quoted.casefold().split() for form in _forms(word)
    } | _forms("") | {w for part in quoted.split(" | ") for w in _row(part)}


def _forms(word: str) -> set[str]:
    bare = word.strip(" ;,:–—")
    return {bare, bare + ".", word, word + "."}


def _row(cell: str) -> set[str]:
    return {form for word in cell.casefold().split() for bare in _forms(word) for form in (bare, bare + ";")}


def test_nothing_said_is_unsupported_by_its_quotation() -> None:
    for needle in ("15 days", "unused days", "Choose a train", "GitHub", "90 days"):
        for question in ("How do I do it?", "Which ones are there?", "Can I carry unused days into next year?"):
            at = PAGE.index(needle)
            said = say(question, PAGE, (at, at + len(needle)))
            assert unsupported(said.words, [PAGE[said.start : said.end]]) == []


def test_an_entry_that_only_announces_is_said_with_what_is_under_it() -> None:
    text = "- Allowed:\n  - trains\n  - buses\n- Forbidden: planes"
    assert say("What is allowed?", text, (2, 9)).words == "- Allowed:\n  - trains\n  - buses"


def test_a_long_sentence_is_not_quoted_without_the_negation_at_its_beginning() -> None:
    middle = "in any of the cases that are named in the list of the office, " * 6
    denied = f"It is never the case that, {middle}the hotel pays 38 euros for breakfast."
    at = denied.index("38 euros")
    assert say("What does the hotel pay?", denied, (at, at + 8)).words == ""
    plain = denied.replace("never", "always")
    at = plain.index("38 euros")
    assert "38 euros" in say("What does the hotel pay?", plain, (at, at + 8)).words


def test_a_whole_quotation_is_said_where_it_is_short() -> None:
    assert in_full("You need:\n-  a  badge") == "You need:\n- a badge"
    assert in_full("two\nlines") == "Two lines."
    assert in_full("word " * (WORDS + 1)) == ""
