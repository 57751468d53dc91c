"""What a person asks to be remembered: used for that person alone, kept in one place, erased at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rag import remembered
from rag.errors import NotFound, SettingsError
from rag.library import Library
from rag.types import Answer, Done, Hit, Passage, Searching
from tests.miniature import small_library

HOLIDAYS = """# Public holidays

## Berlin office

Employees in Berlin have ten public holidays a year.

## Lisbon office

Employees in Lisbon have thirteen public holidays a year.
"""
LEAVE = """# Leave

Full-time employees have 27 days of annual leave a year. Part-time employees have 18 days of annual leave a year.
"""
HOW_MANY = "How many public holidays do I have?"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with small_library(tmp_path / "index") as opened:
        opened.add_bytes("holidays.md", HOLIDAYS.encode())
        opened.add_bytes("leave.md", LEAVE.encode())
        yield opened


def ask(library: Library, question: str, **how: object) -> tuple[Searching, Answer]:
    events = list(library.stream(question, **how))  # type: ignore[arg-type]
    first, last = events[0], events[-1]
    assert isinstance(first, Searching)
    assert isinstance(last, Done)
    return first, last.answer


def bytes_of(library: Library) -> bytes:
    """Everything that the library's folder holds on disk."""
    return b"".join(file.read_bytes() for file in sorted(library.path.rglob("*")) if file.is_file())


# --- keeping ----------------------------------------------------------------------------------------------------------


def test_facts_are_listed_edited_and_erased_and_survive_reopening(library: Library) -> None:
    first = library.remember("  i work\n in Lisbon. ")
    second = library.remember("I am a part-time employee")
    assert [fact.text for fact in library.remembered()] == ["I work in Lisbon", "I am a part-time employee"]
    assert library.remember("I work in LISBON!").id == first.id  # the same is not kept twice
    edited = library.edit_remembered(first.id, "I work in Berlin")
    assert (edited.id, edited.text) == (first.id, "I work in Berlin")
    assert edited.edited_at
    library.forget(second.id)
    with small_library(library.path) as again:
        assert [fact.text for fact in again.remembered()] == ["I work in Berlin"]
        assert again.forget_everything() == 1
    assert library.remembered() == []


def test_what_cannot_be_remembered_is_refused_with_the_rule(library: Library) -> None:
    with pytest.raises(SettingsError, match="nothing to remember"):
        library.remember(" . ")
    with pytest.raises(SettingsError, match="201 characters are too many"):
        library.remember("x" * 201)
    for number in range(remembered.MOST):
        library.remember(f"I have badge {number}")
    with pytest.raises(SettingsError, match="50 facts are remembered already"):
        library.remember("One more")


def test_two_people_at_once_keep_their_own(library: Library) -> None:
    mine = library.remember("I work in Lisbon", person="ann")
    library.remember("I work in Berlin", person="bob")
    for reach in (
        lambda: library.edit_remembered(mine.id, "I work nowhere", person="bob"),
        lambda: library.forget(mine.id, person="bob"),
        lambda: library.forget(mine.id),  # the owner of the machine is another person too
    ):
        with pytest.raises(NotFound, match="nothing is remembered under this id"):
            reach()
    assert library.forget_everything(person="bob") == 1
    assert [fact.text for fact in library.remembered(person="ann")] == ["I work in Lisbon"]


# --- used -------------------------------------------------------------------------------------------------------------


def test_the_same_question_is_answered_for_each_by_what_each_asked_to_be_remembered(library: Library) -> None:
    lisbon = library.remember("I work in Lisbon", person="ann")
    library.remember("I work in Berlin", person="bob")
    shown, for_ann = ask(library, HOW_MANY, person="ann")
    assert shown.remembered == ("I work in Lisbon",)
    assert "thirteen" in for_ann.text
    assert for_ann.remembered == (lisbon.id,)
    assert "ten" in ask(library, HOW_MANY, person="bob")[1].text
    shown, for_cy = ask(library, HOW_MANY, person="cy")
    assert shown.remembered == for_cy.remembered == ()
    assert "remembered" not in for_cy.as_dict()


def test_of_two_sentences_in_one_passage_the_one_about_the_person_answers(library: Library) -> None:
    library.remember("I am a part-time employee")
    assert "18 days" in ask(library, "How many days of annual leave do I have?")[1].text


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ("How many public holidays do employees have?", "it does not speak of the person"),
        ("How many public holidays do I have in Berlin?", "it names another place"),
        ("How many public holidays do I have in Lisbon?", "it says so itself"),
        ("How many days of annual leave do I have?", "the documents make no difference between places"),
        ("Who am I?", "nothing of it stands in the documents"),
    ],
)
def test_a_fact_that_a_question_does_not_need_is_not_used(library: Library, question: str, why: str) -> None:
    library.remember("I work in Lisbon")
    shown, given = ask(library, question)
    assert shown.remembered == given.remembered == (), why


def test_what_may_not_be_read_makes_no_fact_needed(library: Library, tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("# Bonus\n\nEmployees in Porto have a bonus of 900 euros.\n", "utf-8")
    library.add(secret, access=["eva"])
    for person in ("ann", "eva"):
        library.remember("I work in Porto", person=person)
    assert ask(library, "Which bonus do I have?", person="ann")[0].remembered == ()
    assert ask(library, "Which bonus do I have?", person="eva")[0].remembered == ("I work in Porto",)


def test_measuring_and_replaying_use_nothing_that_was_not_used(library: Library) -> None:
    library.remember("I work in Lisbon")
    before = library.replay(ask(library, "How many public holidays do employees in Berlin have?")[1].answer_id)
    assert before.same
    row = {"question": HOW_MANY, "answers": ["ten"], "answerable": True}
    assert library.evaluate([row]).rows[0]["standalone_question"] == HOW_MANY
    assert "remembered" not in json.dumps(library.audited(library.evaluate([row]).rows[0]["answer_id"])["answer"])
    used = ask(library, HOW_MANY)[1]
    assert library.replay(used.answer_id).same  # the fact is still there
    library.forget_everything()
    replayed = library.replay(used.answer_id)
    assert not replayed.same
    assert any(line.startswith("remembered facts: ") for line in replayed.changed)


def test_only_so_many_facts_are_used_and_the_nearest_ones() -> None:
    passage = Passage(1, 1, "a.md", 1, 0, 60, "Nurses in Lisbon on night shift in team Blue have 9 holidays.", None)

    def search(words: str) -> Sequence[Hit]:
        return [Hit(passage, 1.0)]

    kept = [remembered.Fact(str(n), text, "") for n, text in enumerate(["I work in Lisbon", "I work in team Blue",
                                                                       "I am on night shift"])]  # fmt: skip
    found = remembered.recall("How many holidays do we have?", kept, search)
    assert len(found.facts) == remembered.USED
    assert found.question == f"How many holidays do we have? ({'; '.join(found.notes)})"
    assert remembered.recall("How many holidays do we have?", [], search).facts == ()


def test_words_under_a_heading_that_speaks_of_a_fact_are_leaned_on() -> None:
    text = "## Berlin\n\nParking costs 40 euros.\n\n## Lisbon\n\nParking costs nothing."
    passage = Passage(1, 1, "a.md", 1, 0, len(text), text, None, ("Offices",))
    recalled = remembered.Recalled("What does parking cost me? (Lisbon)", (), ("Lisbon",))
    berlin, lisbon = (text.index("Parking", start) for start in (0, 30))
    assert remembered.lean(recalled, "Parking costs 40 euros.", passage, berlin) == 0
    assert remembered.lean(recalled, "Parking costs nothing.", passage, lisbon) > 0
    assert remembered.lean(remembered.Recalled(""), "Parking costs nothing.", passage, lisbon) == 0


# --- nowhere else -----------------------------------------------------------------------------------------------------


def test_the_words_of_a_fact_stand_nowhere_but_in_its_table_and_are_gone_at_once(library: Library) -> None:
    """Its last word is in no document, so that every copy can be told."""
    library.add_bytes("porto.md", b"# Porto\n\nEmployees in Porto have 12 public holidays a year.\n")
    fact = library.remember("I work in Porto, and Quillfeather leads us")
    conversation = library.new_conversation()
    given = ask(library, HOW_MANY)[1]
    assert given.remembered == (fact.id,)
    library.append(conversation.id, given)
    library.rate(given.answer_id, "up")
    audited = json.dumps(library.audited(given.answer_id))
    assert "Quillfeather" not in audited
    assert "(Porto" not in audited
    assert "Quillfeather" not in library.export_conversation(conversation.id)
    assert "Quillfeather" not in json.dumps(library.judgements())
    assert b"Quillfeather" in bytes_of(library)  # in its table, or this test could not fail
    library.forget(fact.id)
    assert b"Quillfeather" not in bytes_of(library)
    assert library.verify() == []


def test_editing_erases_the_former_words(library: Library) -> None:
    fact = library.remember("I work in Quillfeather")
    library.edit_remembered(fact.id, "I work in Lisbon")
    assert b"Quillfeather" not in bytes_of(library)


# --- said in a chat ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Remember that I work in Lisbon.", "I work in Lisbon"),
        ("please remember: I'm a contractor", "I'm a contractor"),
        ("Remember my office is in Porto!", "My office is in Porto"),
        ("Can you remember that we use the Berlin office", "We use the Berlin office"),
        ("Don't forget that I am on night shift", "I am on night shift"),
    ],
)
def test_what_is_said_in_a_chat_is_remembered(library: Library, said: str, kept: str) -> None:
    assert f"“{kept}”" in (library.heed(said) or "")
    assert [fact.text for fact in library.remembered()] == [kept]


@pytest.mark.parametrize(
    "question",
    [
        "What should I remember about expense claims?",
        "Can I remember that later?",
        "Remember to book hotels through the travel desk",
        "Forget that. What about hotels?",
        "What do you know about annual leave?",
        "Do I have to note that in Timely?",
        "forget it",
    ],
)
def test_questions_for_the_documents_are_left_alone(library: Library, question: str) -> None:
    library.remember("I work in Lisbon")
    assert library.heed(question) is None
    assert [fact.text for fact in library.remembered()] == ["I work in Lisbon"]


def test_memory_is_shown_and_forgotten_in_a_chat(library: Library) -> None:
    assert "Nothing is remembered" in (library.heed("What do you remember about me?") or "")
    library.remember("I work in Lisbon")
    library.remember("I work nights")
    library.remember("I have badge 7", person="bob")
    assert library.heed("what do you remember?") == "Remembered, for you alone: “I work in Lisbon”; “I work nights”."
    assert "Nothing like that" in (library.heed("Forget that I work.") or "")  # both do: which one is meant?
    assert library.heed("Forget that I work in Lisbon.") == "Erased: “I work in Lisbon”."
    assert library.heed("forget everything you remember about me") == (
        "Erased: everything that was remembered about you (1)."
    )
    assert [fact.text for fact in library.remembered(person="bob")] == ["I have badge 7"]
