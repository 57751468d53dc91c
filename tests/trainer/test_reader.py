"""The encoder reader: what a step shows, how spans are chosen, and what an export fits."""

from __future__ import annotations

import random

import pytest
import torch

from tests.trainer.bert import bert_folder
from tests.trainer.office import question
from trainer import reader, recipe, rows
from trainer.encoder import Encoder
from trainer.encoder_reader import EncoderReader, best_spans
from trainer.errors import CheckpointError
from trainer.rows import Example, ReadingRow
from trainer.scoring.calibrate import fit_brevity


def examples(count: int) -> list[Example]:
    found = []
    for seed in range(count):
        raw = question(seed)
        start = raw["answers"][0]["start"]
        span = (start, start + len(raw["answers"][0]["text"]))
        found.append(Example(raw["question"], "", raw["context"], (span,), "office", "CC0"))
    return found


def words(count: int, seed: int) -> str:
    chance = random.Random(seed)
    return " ".join(chance.choice(("leave", "days", "badge", "office", "form")) for _ in range(count))


def test_a_reader_goes_on_with_the_very_rows_it_began_with(tmp_path):
    base, found = bert_folder(tmp_path / "bert"), []
    for seed in range(12):
        raw = question(seed)
        start = raw["answers"][0]["start"]
        span = (start, start + len(raw["answers"][0]["text"]))
        found.append(Example(raw["question"], "", raw["context"], (span,), "office", "CC0"))
    made = list(rows.with_near_misses(found, misses=1, seed=1))
    settings = {"base": str(base), "steps": 2, "questions_per_step": 4, "precision": "fp32", "device": "cpu"}
    for name in ("train", "dev"):
        rows.write_rows(made, tmp_path / "rows" / f"{name}.jsonl")
    reader.reader(recipe.Recipe("small", tmp_path, tmp_path, {"reader": settings}))
    rows.write_rows([*made[1:], made[0]], tmp_path / "rows" / "train.jsonl")  # as many, in another order
    with pytest.raises(CheckpointError, match="rows"):
        reader.reader(recipe.Recipe("small", tmp_path, tmp_path, {"reader": {**settings, "steps": 3}}))


def test_visits_that_see_stretches_see_fewer_words_and_always_the_answer(tmp_path):
    encoder = Encoder.from_folder(bert_folder(tmp_path / "bert"))
    text = words(60, 1) + " twelve " + words(60, 2)
    start = text.index("twelve")
    made = [ReadingRow("how many days", (("", text), ("", words(120, 3))), ((start, start + 6),), "office")] * 4
    settings = {"questions_per_step": 4, "withheld": 0.0, "steps": 1, "length": 384}
    whole = reader.PairBatches(made, encoder, reader.ReaderConfig(**settings)).step(0)[0]
    cut = reader.PairBatches(made, encoder, reader.ReaderConfig(**settings, cropped=1.0, crop=160)).step(0)[0]
    assert cut.tokens < 0.4 * whole.tokens
    assert cut.arrays["gold"].sum() == whole.arrays["gold"].sum() == 4
    said = {
        encoder.tokenizer.decode(ids[first : last + 1].tolist())
        for ids, first, last, gold in zip(
            cut.arrays["ids"], cut.arrays["start"], cut.arrays["end"], cut.arrays["gold"], strict=True
        )
        if gold
    }
    assert {piece.replace(" ##", "") for piece in said} == {
        encoder.tokenizer.decode(encoder.tokenizer.encode("twelve", add_special_tokens=False).ids).replace(" ##", "")
    }


def test_a_stretch_holds_its_span_whatever_its_place_and_length():
    chance, text = random.Random(1), words(400, 4)
    for _ in range(500):
        start = chance.randrange(len(text) - 1)
        stop = min(len(text), start + chance.randrange(1, 700))
        (_, shown), moved = reader.cut(("heading", text), (start, stop), 480, chance)
        assert moved is not None
        assert shown[moved[0] : moved[1]] == text[start:stop]
    (_, shown), none = reader.cut(("", text), None, 480, chance)
    assert none is None
    assert 470 < len(shown) < 500


def test_brevity_prefers_the_shorter_of_two_likely_spans():
    start, end = torch.full((6,), -9.0), torch.full((6,), -9.0)
    start[1], end[2], end[5] = 5.0, 4.9, 5.0
    where = [None, (0, 3), (4, 7), (8, 11), (12, 15), (16, 19)]
    assert best_spans(start, end, where, keep=1)[0][:2] == (0, 19)
    short = best_spans(start, end, where, keep=1, brevity=0.3)[0]
    assert short[:2] == (0, 7)
    assert short[2] == pytest.approx(float(start.log_softmax(0)[1].exp() * end.log_softmax(0)[2].exp()), abs=0.01)


def test_the_brevity_with_the_best_f1_on_dev_rows_is_exported(tmp_path):
    base = bert_folder(tmp_path / "bert")
    made = list(rows.with_near_misses(examples(16), misses=1, seed=1))
    for name in ("train", "dev"):
        rows.write_rows(made, tmp_path / "rows" / f"{name}.jsonl")
    settings = {"base": str(base), "steps": 2, "questions_per_step": 4, "precision": "fp32", "device": "cpu"}
    folder = reader.reader(recipe.Recipe("small", tmp_path, tmp_path, {"reader": settings}))
    served = EncoderReader.from_folder(folder)
    told = served.settings["dev_f1_by_brevity"]
    assert told[str(served.settings["brevity"])] == max(told.values())
    assert fit_brevity(served, made)[1] == pytest.approx(told, abs=6)  # the folder's weights are rounded
