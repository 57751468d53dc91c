"""Both stores asked, their scores made comparable, copies dropped, nothing forbidden found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rag
from rag.config import Settings
from rag.library import Library
from rag.parts import Parts
from rag.retrieve import Scores, fuse, rank, retrieve, spread, without_copies
from rag.types import Hit, Passage

scored = st.dictionaries(st.integers(1, 30), st.floats(-100, 100), max_size=20)


def test_scores_count_in_spreads_so_that_the_store_that_tells_passages_apart_decides() -> None:
    alike, apart = {1: 0.51, 2: 0.50, 3: 0.50, 4: 0.49}, {1: 2.0, 2: 2.1, 3: 9.0, 4: 2.0}
    assert [row.passage for row in fuse(alike, apart, weight=0.5)] == [3, 1, 2, 4]
    assert spread(np.array([1.0, 1.0])).tolist() == [0.0, 0.0]


def test_a_passage_best_in_both_has_1_and_one_worst_in_both_0() -> None:
    assert fuse({1: 0.9, 2: 0.5, 3: 0.1}, {1: 12.0, 2: 5.0, 3: 2.0}, weight=0.3)[0] == (1, 1.0)
    assert fuse({1: 0.9, 2: 0.5, 3: 0.1}, {1: 12.0, 2: 5.0, 3: 2.0}, weight=0.3)[-1] == (3, 0.0)


def test_both_scores_count_by_their_weight() -> None:
    near, same = {1: 0.9, 2: 0.5, 3: 0.1}, {1: 1.0, 2: 5.0, 3: 9.0}
    assert fuse(near, same, weight=0.7)[0].passage == 1
    assert fuse(near, same, weight=0.3)[0].passage == 3


def test_where_one_store_finds_nothing_the_other_counts_alone() -> None:
    assert fuse({}, {1: 5.0, 2: 0.0}, weight=0.9) == [(1, 1.0), (2, 0.0)]
    assert fuse({1: 0.5}, {}, weight=0.1) == [(1, 1.0)]
    assert fuse({}, {}, weight=0.5) == []


def test_the_question_leans_towards_the_best_three() -> None:
    rows = {1: [1, 0], 2: [1, 0], 3: [1, 0], 4: [0.8, 0.6], 5: [0, 1]}
    vectors = {number: np.array(row, dtype=np.float32) for number, row in rows.items()}
    near = {1: 0.9, 2: 0.89, 3: 0.88, 4: 0.5, 5: 0.51}  # 4 is like the best three, 5 is not
    assert [row.passage for row in fuse(near, {}, weight=1.0)] == [1, 2, 3, 5, 4]
    assert [row.passage for row in rank(Scores(near, {}, vectors), weight=1.0)] == [1, 2, 3, 4, 5]
    few = {number: vectors[number] for number in (1, 2)}
    assert rank(Scores(near, {}, few), weight=1.0) == fuse(near, {}, weight=1.0)


@given(scored, scored, st.floats(0, 1))
def test_fused_scores_lie_between_0_and_1_each_passage_once_best_first(
    near: dict[int, float], same: dict[int, float], weight: float
) -> None:
    rows = fuse(near, same, weight=weight)
    assert all(-1e-9 <= row.score <= 1 + 1e-9 for row in rows)
    assert {row.passage for row in rows} == {*near, *same}
    assert len(rows) == len({row.passage for row in rows})
    assert rows == sorted(rows, key=lambda row: (-row.score, row.passage))


def test_of_near_copies_the_best_stays_and_passages_without_keys_are_no_copies() -> None:
    hits = [Hit(Passage(number, 1, "a.md", 1, 0, 1, "x", None), 1 - number / 10) for number in range(1, 6)]
    keys = {1: frozenset("ab"), 3: frozenset("bc"), 5: frozenset("cd")}
    assert [hit.passage.id for hit in without_copies(hits, keys)] == [1, 2, 4, 5]  # 5 is a copy of none that is shown


@pytest.fixture(scope="module")
def parts(papers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    folder = tmp_path_factory.mktemp("retrieve")
    with rag.open(folder / "index", Settings(index=folder / "index")) as library:
        library.add([papers])
        secret = folder / "secret.md"
        secret.write_text("# Merger\n\nThe merger with Blue Sky Hotels is announced in May.\n", "utf-8")
        library.add([secret], collection="board", access=["ann"])
        for number in range(4030, 4034):
            text = f"# Error E-{number}\n\nRestart pump {number - 4000}.\n".encode()
            library.add_bytes(f"e{number}.md", text, collection="codes")
        yield _parts(library)


def _parts(library: Library) -> Parts:
    return library._parts()


def test_the_passage_with_the_answer_is_found_by_words_and_by_meaning(parts: Parts) -> None:
    assert retrieve("carried over until 31 March", parts=parts)[0].document == "leave.md"
    assert retrieve("How much may I spend on lunch while travelling?", parts=parts)[0].document == "travel/expenses.md"


def test_every_hit_has_the_score_of_both_stores_however_far_down_it_stands(parts: Parts) -> None:
    question = "How much may I spend on lunch while travelling?"
    vector = parts.embedder.embed_questions([question])[0]
    cosines = dict(parts.vectors.search_vector(vector, 1000))
    same = dict(parts.lexical.search(question, 1000))
    assert len(cosines) > len(same) > 2
    found = retrieve(question, parts=parts, k=1000)
    assert all(hit.nearness == pytest.approx(cosines[hit.passage.id], abs=1e-3) for hit in found)
    assert parts.lexical.scores(question, cosines) == same  # passages without a word of it have no score


def test_a_misspelt_word_finds_what_was_meant(parts: Parts) -> None:
    assert retrieve("carreid over until 31 Mrach", parts=parts)[0].document == "leave.md"
    assert retrieve("carreid over", parts=parts)[0].score == retrieve("carried over", parts=parts)[0].score


def test_a_misspelt_word_is_never_corrected_by_what_one_may_not_read(parts: Parts) -> None:
    ann, bob = (parts.lexical.counting(parts.catalogue.readable(person, None)) for person in ("ann", "bob"))
    assert (ann("merger"), bob("merger")) == (1, 0)
    assert retrieve("the megrer", parts=parts, person="ann")[0].document == "secret.md"
    assert "secret.md" not in {hit.document for hit in retrieve("the megrer", parts=parts, person="bob")}


def test_codes_and_numbers_are_found_as_they_are_written(parts: Parts) -> None:
    assert retrieve("What does E-4032 mean?", parts=parts)[0].document == "e4032.md"
    assert retrieve("pump 33", parts=parts)[0].document == "e4033.md"


def test_nobody_finds_what_they_may_not_read(parts: Parts) -> None:
    question = "When is the merger with Blue Sky Hotels announced?"
    assert retrieve(question, parts=parts, person="ann")[0].document == "secret.md"
    assert retrieve(question, parts=parts)[0].document == "secret.md"  # the local owner reads everything
    assert "secret.md" not in {hit.document for hit in retrieve(question, parts=parts, person="bob")}


def test_a_collection_is_searched_alone(parts: Parts) -> None:
    assert {hit.document for hit in retrieve("hotels", parts=parts, collection="board")} == {"secret.md"}
    assert retrieve("hotels", parts=parts, collection="nothing") == []
    assert retrieve("hotels", parts=parts, collection="board", person="bob") == []


def test_no_more_hits_than_asked_for_and_none_for_no_question(parts: Parts) -> None:
    assert len(retrieve("days", parts=parts, k=2)) == 2
    assert retrieve("  ", parts=parts) == []
    assert retrieve("days", parts=parts, k=0) == []


@pytest.mark.parametrize("question", ['a "quote', "AND OR NOT", "field:value^2 (", "🙂", "ü" * 5000, "-", "*"])
def test_any_question_can_be_searched(parts: Parts, question: str) -> None:
    retrieve(question, parts=parts)
