"""Questions made by rule: what is asked, which words answer, and what is not asked at all."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from trainer.headings import asks_generally, examples
from trainer.synthesis.asking.altered import alter, names
from trainer.synthesis.asking.lists import headed
from trainer.synthesis.asking.made import ask
from trainer.synthesis.asking.sentences import sentences
from trainer.synthesis.asking.wellformed import answer_fault, fault

ASKED = {
    "Employees must submit receipts within 30 days of the trip.": ("must employees submit receipts?", "within 30 days of the trip"),
    "You can carry over up to five days of leave per year.": ("How many days of leave can I carry over per year?", "up to five days"),
    "The travel desk must approve all bookings over $900.": ("Who must approve", None),
    "The pantry team must approve all bookings over $900.": ("Who must approve all bookings over $900?", "The pantry team"),
    "If you lose your badge, tell the security team at once.": ("if I lose my badge?", "tell the security team at once"),
    "To book a room, open the calendar and pick a slot.": ("book a room?", "open the calendar and pick a slot"),
    "Send the signed form to the payroll team.": ("Who should I send the signed form to?", "the payroll team"),
    "Contact the travel team if your flight is cancelled.": ("Who should I contact if my flight is cancelled?", "the travel team"),
    "The board meets every two weeks.": (None, None),
    "The steering board reviews open requests every two weeks.": ("How often does the steering board review open requests?", "every two weeks"),
    "Do not share your badge with visitors.": ("share my badge with visitors?", "Do not share your badge with visitors"),
    "Contracts are stored in the legal team's shared drive.": ("Where are contracts stored?", "in the legal team's shared drive"),
    "The library opens on Monday at 9 am.": (None, None),
    "A sprint retro is a meeting in which the team looks back on its work.": ("What is a sprint retro?", "a meeting in which the team looks back on its work"),
    "The Paid Time Off (PTO) calendar is public.": ("PTO", "Paid Time Off"),
    "There are four fridges in the kitchen.": ("How many fridges are there in the kitchen?", "four fridges"),
    "You must not install games because they slow the machine down.": (None, None),
    "Laptops must be returned because they hold customer records.": ("Why must laptops be returned?", "because they hold customer records"),
    "Managers are responsible for signing time sheets each Friday.": ("Who is responsible for signing time sheets each Friday?", "Managers"),
    "Visitors are not allowed to park in the courtyard.": ("Are visitors allowed to park in the courtyard?", "Visitors are not allowed to park in the courtyard"),
    "The daily meal limit is $60 per person.": ("the daily meal limit?", "$60 per person"),
}  # fmt: skip


@pytest.mark.parametrize("text", [text for text, (asked, answer) in ASKED.items() if asked and answer])
def test_a_rule_is_asked_as_a_colleague_would_and_answered_to_the_character(text):
    asked, answer = ASKED[text]
    found = [one for one in ask(text, [], random.Random(1)) if asked in one.question]
    assert found, [one.question for one in ask(text, [], random.Random(1))]
    assert answer in [text[one.start : one.end] for one in found]


def test_a_list_answers_its_lead_in_and_steps_their_heading():
    text = "To claim a meal you need:\n\n- the receipt\n- your cost code\n\nSend both."
    (one,) = [one for one in ask(text, [], random.Random(1)) if one.kind == "list"]
    assert one.question == "What do I need to claim a meal?" or "claim a meal" in one.question
    assert text[one.start : one.end] == "- the receipt\n- your cost code"
    steps = "1. Open the portal.\n2. Choose a date."
    (one,) = [one for one in ask(steps, ["Travel", "Booking a hotel room"], random.Random(1)) if one.kind == "steps"]
    assert "book a hotel room?" in one.question
    assert steps[one.start : one.end] == steps


def test_steps_whose_beginning_stands_in_another_passage_are_not_asked_for():
    assert not ask("3. Choose a date.\n4. Press send.", ["Booking a hotel room"], random.Random(1))


def test_a_table_row_is_asked_by_its_first_cell():
    text = "Plan: Basic | Price: $20 | Owner: Ann Lee\nPlan: Extended | Price: $45 | Owner: Bo Ray"
    found = {one.question: text[one.start : one.end] for seed in range(8) for one in ask(text, [], random.Random(seed))}
    assert found["How much does Basic cost?"] == "$20"
    assert found["Who is the owner of Extended?"] == "Bo Ray"
    assert found["Which plan has a price of $45?"] == "Extended"


def test_headings_that_name_no_doing_ask_nothing():
    chance = random.Random(1)
    assert headed(["Overview"], chance) is None
    assert headed(["Support hours"], chance) is None
    assert headed(["Engineering"], chance) is None
    assert headed(["Travel card", "Requirements"], chance) == "What are the requirements for travel card?"


@pytest.mark.parametrize(
    ("question", "answer", "why"),
    [
        ("What is this?", "a thing", "too short"),
        ("When must this form be sent to HR?", "by noon", "points at its passage"),
        ("Who should it be sent to by managers?", "the clerk", "unclear pronoun"),
        ("How can I open https://x.org from home?", "by tunnel", "markup"),
        ("Who approves the budget of the?", "the board", "broken"),
        ("Do my teammates have to be heard, and I need them?", "they have to", "not one sentence"),
        ("Is the red door open today?", "the red door is open today", "says its answer"),
        ("What should I know about annual leave?", "it is paid", "asks about everything"),
        ("When must receipts be sent to payroll?", "within 30 days", ""),
    ],
)
def test_a_question_that_is_broken_or_vague_is_refused_with_its_reason(question, answer, why):
    assert fault(question, answer) == why


def test_answers_that_were_cut_off_or_point_elsewhere_are_refused():
    assert answer_fault("send it to the") == "answer cut off"
    assert answer_fault("(see there") == "answer cut off"
    assert answer_fault("in the next section") == "answer points elsewhere"
    assert answer_fault("in the shared drive") == ""


def test_what_is_refused_is_counted_by_reason():
    faults: Counter[str] = Counter()
    ask("You must send this form to the payroll team within 30 days.", [], random.Random(1), faults=faults)
    assert faults["points at its passage"] >= 1


def test_every_span_is_exact_for_whatever_text():
    chance = random.Random(5)
    words = "You must send the form to payroll within 3 days because of , ; ( ) : - | the a If To Use 5 $40 % team is are".split()
    for seed in range(300):
        text = " ".join(chance.choice(words) for _ in range(30)) + chance.choice((".", "\n- x\n- y", ":\n1. a\n2. b"))
        for one in ask(text, ["Paying invoices"], random.Random(seed)):
            answer = text[one.start : one.end]
            assert answer == answer.strip() != ""


def test_sentences_know_where_they_stand():
    text = "Ask HR, e.g. Ann. It is quick.\n  - Bring a pen!\n| a | b |\n    code()\nName: x | Age: 3"
    found = list(sentences(text))
    assert [one.text for one in found] == ["Ask HR, e.g. Ann", "It is quick", "Bring a pen"]
    assert all(text[one.start : one.end] == one.text for one in found)


def test_a_changed_question_asks_for_what_no_text_holds():
    texts = ["In 2019 employees had 25 days. Managers of the KPI group had more. It is paid."]
    new, kind, note = alter("How many days did the team have in 2019?", texts, [], random.Random(2))
    assert kind == "number"
    assert note.startswith("2019 -> ")
    assert note.split(" -> ")[1] not in texts[0]
    assert new != "How many days did the team have in 2019?"
    others = names(["We met the OKR board and the SLA team.", "Ask Berlin or Oslo for it."])
    assert others == ["Berlin", "OKR", "Oslo", "SLA"]
    new, kind, note = alter("Who leads the KPI group?", texts, others, random.Random(2))
    assert (kind, note.split(" -> ")[0]) == ("entity", "KPI")
    assert note.split(" -> ")[1] in ("OKR", "SLA")


def test_a_change_to_what_a_text_holds_is_not_made():
    assert alter("What is paid?", ["unpaid and paid"], [], random.Random(1)) is None


def test_handbooks_ask_specific_questions_and_no_general_ones():
    text = (
        "# Travel\n\n## Receipts\n\nEmployees must submit receipts within 30 days of the trip. Keep them for two years in the archive "
        "folder of your team.\n\n## Who can book a flight?\n\nEverybody who has a cost code can book a flight through the travel desk. "
        "It takes a day.\n\n## Overview\n\nThis part says how we travel, and why we travel so little, and what it costs us all.\n"
    )
    found = list(examples(text, licence="CC0", domain="x", chance=random.Random(3)))
    questions = {one.question for one in found}
    assert "Who can book a flight?" in questions
    assert any("receipts" in question for question in questions)
    assert not any("Overview" in question or "know about" in question for question in questions)
    for one in found:
        (span,) = one.spans
        assert one.text[slice(*span)].strip()


def test_general_questions_are_recognised():
    for question in (
        "What is a sprint?",
        "Tell me about travel.",
        "What should I know about leave?",
        "What are the rules for travel?",
    ):
        assert asks_generally(question)
    for question in ("How many days do I have?", "What is the limit for meals in Paris?", "Who approves leave?"):
        assert not asks_generally(question)
