"""The fast embedder: near the exact vectors, exact for questions, never mixed with others, refused where it is coarse."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

from rag import embed_int8
from rag.config import Settings
from rag.embed import MiniLM, open_embedder
from rag.embed_int8 import FAST, Int8MiniLM
from rag.errors import MissingExtra, ModelError

TEXTS = [
    "Annual leave is 25 days a year.",
    "How much vacation do I get?",
    "The canteen opens at noon. " * 60,  # longer than 256 tokens
    "",
    "Ünïcode 🎉 休暇",
]


@pytest.fixture(scope="module")
def fast() -> Int8MiniLM:
    return Int8MiniLM()


@pytest.fixture(scope="module")
def exact() -> MiniLM:
    return MiniLM(precision="fp32")


def test_rows_are_near_the_exact_ones_and_in_the_order_of_the_texts(fast: Int8MiniLM, exact: MiniLM) -> None:
    rows = fast.embed(TEXTS)
    assert rows.shape == (5, 384)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-3)
    assert (rows * exact.embed(TEXTS)).sum(axis=1).min() > 0.98  # the empty text is the worst of them
    for text, row in zip(TEXTS, rows, strict=True):
        assert fast.embed([text])[0] @ row > 0.999  # padding must not leak
    assert fast.embed([]).shape == (0, 384)


def test_questions_are_embedded_exactly(fast: Int8MiniLM) -> None:
    np.testing.assert_array_equal(fast.embed_questions(TEXTS[:1]), MiniLM().embed_questions(TEXTS[:1]))


def test_its_vectors_have_another_identity_than_the_exact_ones(fast: Int8MiniLM) -> None:
    opened = open_embedder(Settings(embedder=FAST))
    assert isinstance(opened, Int8MiniLM)
    assert opened.identity == fast.identity
    assert opened.identity.startswith(f"{MiniLM.identity}/int8-")


def test_threads_share_one_fast_embedder(fast: Int8MiniLM) -> None:
    expected, found = fast.embed(TEXTS[:2]), []
    threads = [threading.Thread(target=lambda: found.append(fast.embed(TEXTS[:2]))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    for rows in found:
        np.testing.assert_allclose(rows, expected, atol=1e-3)


def test_a_machine_that_computes_too_coarsely_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed_int8, "LEAST_COSINE", 1.01)
    with pytest.raises(ModelError, match=r"have a cosine of 0\.99.*GROUNDLING_EMBEDDER=all-MiniLM-L6-v2"):
        Int8MiniLM().embed(["text"])


def test_without_the_extra_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtra, match=r"\[fast\]"):
        Int8MiniLM().embed(["text"])
