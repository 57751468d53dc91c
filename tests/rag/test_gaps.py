"""Questions that ask for the same thing stand together under a name."""

from __future__ import annotations

import numpy as np
import pytest

from rag import gaps
from rag.embed import MiniLM

SUBJECTS = {
    "parking": [
        "Where can visitors park their cars?", "Is there a parking space for guests?",
        "How much does a parking permit cost?", "Who may park in the yard?", "Can I get a parking spot?",
    ],
    "dogs": ["Can I bring my dog to work?", "Are pets allowed in the office?", "May dogs come into the workshop?"],
    "sport": [
        "Does the company pay for a gym membership?", "Is there a fitness subsidy?",
        "Do we get a discount at the sports club?",
    ],
    "sabbatical": ["Can I take a sabbatical?", "How long may an unpaid sabbatical last?", "Who approves a sabbatical?"],
    "cars": ["Can I lease a company car?", "How is a company car taxed?", "Which company cars are available?"],
    "else": ["Who won the football world cup in 2014?", "What is the capital of Portugal?", "hello"],
}  # fmt: skip


@pytest.fixture(scope="module")
def embedder() -> MiniLM:
    return MiniLM(precision="fp32")


def test_questions_about_one_subject_make_one_group_with_its_name(embedder: MiniLM) -> None:
    questions = [question for asked in SUBJECTS.values() for question in asked]
    found = gaps.groups(questions, embedder)
    together = {frozenset(questions[place] for place in places) for _, places in found}
    for subject in ("parking", "dogs", "sport", "sabbatical", "cars"):
        assert frozenset(SUBJECTS[subject]) in together
    for question in SUBJECTS["else"]:
        assert frozenset([question]) in together
    names = {name for name, _ in found}
    assert {"parking spot", "sabbatical", "company car", "capital of Portugal", "hello"} <= names
    assert [len(places) for _, places in found] == sorted((len(places) for _, places in found), reverse=True)


def test_a_question_asked_again_counts_again_and_takes_its_place_beside_the_first(embedder: MiniLM) -> None:
    found = gaps.groups(["May dogs come along?", "Who repairs bicycles?", "may  DOGS come along"], embedder)
    assert [places for _, places in found] == [[0, 2], [1]]


def test_no_questions_make_no_groups(embedder: MiniLM) -> None:
    assert gaps.groups([], embedder) == []


@pytest.mark.parametrize("seed", range(6))
def test_linking_gives_the_groups_of_scipys_average_linkage(seed: int) -> None:
    hierarchy = pytest.importorskip("scipy.cluster.hierarchy")
    distance = pytest.importorskip("scipy.spatial.distance")
    chance = np.random.default_rng(seed)
    points = chance.normal(size=(60, 3)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    like = points @ points.T
    apart = (1 - like).clip(0)
    np.fill_diagonal(apart, 0)
    tree = hierarchy.linkage(distance.squareform((apart + apart.T) / 2, checks=False), "average")
    for least in (0.3, 0.6, 0.9):
        labels = hierarchy.fcluster(tree, 1 - least, "distance")
        wanted = {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels)}
        assert {frozenset(group) for group in gaps.linked(like, [1] * 60, least)} == wanted


def test_a_question_weighs_as_often_as_it_was_asked() -> None:
    like = np.array([[1.0, 0.6, 0.1], [0.6, 1.0, 0.7], [0.1, 0.7, 1.0]], dtype=np.float32)
    assert gaps.linked(like, [1, 1, 1], least=0.35) == [[0, 1, 2]]  # (0.6 + 0.1) / 2
    assert gaps.linked(like, [1, 1, 9], least=0.35) == [[0], [1, 2]]  # (0.6 + 9 x 0.1) / 10
