"""An old answer given again: from its own passages, with its own model, and what it says when that cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rag.errors import NotFound
from rag.library import Library
from rag.replay import Replayed, recorded_model
from rag.types import Passage, Reading
from rag.versions import Versions
from tests.miniature import OverlapReader, small_library

LEAVE = "# Leave\n\nFull-time employees have 27 days of annual leave a year.\n"
ASKED = "How many days of annual leave do full-time employees have?"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with small_library(tmp_path / "index") as opened:
        opened.add_bytes("leave.md", LEAVE.encode())
        opened.add_bytes("meals.md", b"# Meals\n\nA meal is reimbursed up to 38 euros a day.\n")
        yield opened


def test_an_answer_is_given_again_after_its_document_was_replaced(library: Library) -> None:
    then = library.ask(ASKED)
    assert "27" in then.text
    library.add_bytes("leave.md", LEAVE.replace("27", "30").encode())
    library.add_bytes("more.md", LEAVE.replace("27", "31").encode())
    assert "27" not in library.ask(ASKED).text
    replayed = library.replay(then.answer_id)
    assert replayed.same
    assert replayed.difference is None
    assert [line.partition(":")[0] for line in replayed.changed] == ["index generation"]


def test_of_another_model_the_first_token_that_differs_is_shown(library: Library) -> None:
    then = library.ask(ASKED)

    class Silent(OverlapReader):
        def read(self, question: str, passages: Sequence[Passage]) -> Reading:
            return Reading((0.0,) * len(passages), 0.0, ())

    assert library._opened is not None
    library._opened.reader = Silent("other-1")
    replayed = library.replay(then.answer_id)
    assert not replayed.same
    assert replayed.difference == {"token": 0, "then": "Full", "now": "The"}
    assert "model: overlap-1 then, other-1 now" in replayed.changed


def test_what_was_erased_is_said_and_the_rest_is_searched_today(library: Library) -> None:
    then = library.ask(ASKED)
    library.remove("leave.md")
    replayed = library.replay(then.answer_id)
    assert not replayed.same
    assert replayed.now["abstained"]
    [erased] = replayed.erased
    assert erased.startswith("leave.md, version 1: removed on ")
    assert any(line.startswith("passages: those of today") for line in replayed.changed)


def test_a_document_closed_since_is_not_read_again_for_its_asker(library: Library) -> None:
    from rag import commit

    then = library.ask(ASKED, person="ann")
    assert library.replay(then.answer_id).same
    commit.set_access(library._catalogue, library.document("leave.md"), ["bob"])
    replayed = library.replay(then.answer_id)
    assert not replayed.same
    assert "27" not in replayed.now["answer"]
    assert replayed.erased == ()


def test_a_change_of_the_documents_is_no_answer(library: Library) -> None:
    row = library.audit_rows(1)[0]
    with pytest.raises(NotFound, match="is no answer"):
        library.replay(row["id"])


def test_the_circumstances_of_each_answer_are_recorded(library: Library) -> None:
    kept = library.audited(library.ask(ASKED).answer_id)
    assert set(kept["made_with"]) == {"precision", "embedder_precision", "threads", "torch", "machine"}
    assert all({"score", "nearness"} <= set(place) for place in kept["passages"])


def test_the_first_difference_is_counted_in_words_and_marks() -> None:
    def given(words: str) -> dict[str, object]:
        return {"answer": words, "abstained": False, "citations": []}

    assert Replayed(given("Up to 5 days."), given("Up to 6 days.")).difference == {"token": 2, "then": "5", "now": "6"}
    assert Replayed(given("Yes"), given("Yes.")).difference == {"token": 1, "then": None, "now": "."}


def test_the_recorded_model_is_looked_for_among_the_versions(library: Library, untrained_reader: Path) -> None:
    from rag.read import fingerprint

    versions = Versions(library.path)
    number = versions.add(untrained_reader)
    parts = library._model_parts()
    name = f"untrained-{fingerprint(untrained_reader)}"
    assert recorded_model(parts, library.settings.model, name) == versions.path(number)
    assert recorded_model(parts, library.settings.model, "untrained-00000000") is None


@pytest.mark.slow  # opens a model twice
def test_an_answer_of_a_former_version_is_given_again_by_that_version(library: Library, untrained_reader: Path) -> None:
    versions = Versions(library.path)
    versions.switch(versions.add(untrained_reader))
    then = library.ask(ASKED)
    assert then.model.startswith("untrained-")
    versions.switch(None)
    library._parts().reader = OverlapReader()
    assert library.ask(ASKED).model == "overlap-1"
    replayed = library.replay(then.answer_id)
    assert replayed.same
    assert replayed.now["model"] == then.model
    assert replayed.changed == []
