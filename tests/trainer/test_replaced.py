"""Choices of pretraining: tokens replaced and told again, a last part with other text, rows of the task as text."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trainer.office import page
from trainer import checkpoint, data, pretrain, recipe, replaced, rows
from trainer.data import Packed, Written
from trainer.errors import CheckpointError, DataError, RecipeError
from trainer.model import Transformer
from trainer.pretrain import PretrainConfig, TextBatches, text_losses
from trainer.rows import ReadingRow
from trainer.scoring import curve
from trainer.step import Piece, Step
from trainer.teaching import examined
from trainer.tokenizer import RESERVED

CONFIG = PretrainConfig(
    length=128, rows=4, tokens_per_step=2048, masked_share=0.25, replaced_share=0.25, device="cpu", precision="fp32"
)


@pytest.fixture(scope="module")
def shards(words, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    kinds = {"rules": range(60), "notes": range(500, 560)}
    data.write(
        [Written("train", kind, page(seed, 9)) for kind, seeds in kinds.items() for seed in seeds], words, folder
    )
    return data.open_shards(folder, "train", words)


@pytest.fixture
def batches(words, shards):
    return TextBatches(Packed(shards, length=128, seed=1), words, CONFIG)


def test_a_step_has_each_kind_in_its_share(batches):
    assert [batch.kind for batch in batches.step(3)] == ["causal", "causal", "replaced", "masked"]
    assert batches.step(3)[2].arrays["ids"].tolist() == batches.step(3)[2].arrays["ids"].tolist()


def test_what_is_new_is_marked_and_everything_else_stands_as_it_was(batches):
    plain, batch = batches.rows(2)[:, :-1], batches.detection(2)
    ids, new = batch.arrays["ids"], batch.arrays["replaced"]
    assert np.array_equal(new == 1, ids != plain)
    assert 0.1 < (new == 1).mean() < 0.22  # of a fifth that is drawn, some are the same again
    assert np.array_equal(new == replaced.UNASKED, plain < len(RESERVED))
    assert not np.any(ids[plain >= len(RESERVED)] < len(RESERVED))
    assert batch.counts["replaced"] == (new >= 0).sum()
    assert set(np.unique(ids[new == 1])) <= set(np.unique(plain))  # as often as in the text


@pytest.mark.slow
def test_a_trunk_learns_to_tell_replaced_tokens(words, sizes, batches):
    torch.manual_seed(2)
    model = Transformer(replace(sizes, detects=True))
    step = Step(lambda arrays, kind: text_losses(model, arrays, kind), {}, torch.device("cpu"), "fp32")
    optimiser, course = torch.optim.AdamW(model.parameters(), lr=4e-3), []
    for number in range(80):
        found = step.backward([Piece(0, batches.detection(number % 2))])
        optimiser.step()
        optimiser.zero_grad()
        course.append(found.means["replaced"])
    assert course[0] == pytest.approx(np.log(2), abs=0.1)
    assert np.mean(course[-4:]) < 0.3  # always saying "genuine" costs .45


def test_the_last_part_reads_what_it_is_given_and_nothing_before_does(words, shards):
    config = replace(CONFIG, steps=20, late_share=0.25)
    made = [Packed(shards, length=128, seed=1, weights=w) for w in ({"notes": 0}, {"rules": 0})]
    batches = TextBatches(made[0], words, config, made[1])
    known = [{tuple(packed.row(n)) for n in range(320)} for packed in made]
    for step in range(20):
        for at in range(batches.micro):
            for row in batches.rows(step * batches.micro + at):
                assert tuple(row) in known[step >= 15]
    assert np.array_equal(batches.rows(15 * 4)[0], made[1].row(0))


def test_settings_that_cannot_be_are_refused(words, shards):
    with pytest.raises(RecipeError, match="replaced_share"):
        PretrainConfig(masked_share=0.8, replaced_share=0.5)
    with pytest.raises(RecipeError, match="late_weights"):
        PretrainConfig(late_weights={"rules": -1})
    with pytest.raises(RecipeError, match="is none of 2 micro-batches"):
        TextBatches(
            Packed(shards, length=128, seed=1), words, replace(CONFIG, rows=8, masked_share=0.5, replaced_share=0.1)
        )


def test_the_stage_pretrains_with_both_and_its_trunk_is_opened_again(words, shards, sizes, tmp_path):
    words.save(tmp_path / "tokenizer.json")
    texts = [
        Written(split, kind, page(seed))
        for kind in ("rules", "notes")
        for split in ("train", "held")
        for seed in range(40)
    ]
    data.write(texts, words, tmp_path / "shards")
    given = {
        "steps": 4, "length": 64, "rows": 2, "tokens_per_step": 512, "masked_share": 0.25, "replaced_share": 0.25,
        "late_share": 0.5, "late_weights": {"rules": 0}, "precision": "fp32", "device": "cpu", "evaluate_every": 2,
    }  # fmt: skip
    model = {name: value for name, value in checkpoint.describe(sizes).items() if name != "vocabulary"}

    def run(**changes):
        return pretrain.pretrain(recipe.Recipe("s", tmp_path, tmp_path, {"pretrain": given | changes, "model": model}))

    last = run()
    assert checkpoint.load(last).config.detects
    losses = [json.loads(line) for line in (tmp_path / "pretrain" / "metrics.jsonl").read_text().splitlines()]
    assert any("replaced" in json.dumps(line) for line in losses)
    with pytest.raises(Exception, match="replaced_weight"):
        run(steps=5, replaced_weight=3.0)


def test_rows_become_a_domain_of_their_own(tmp_path):
    made = [
        ReadingRow("When?", (("Hours", "We open at 9."), ("", "Lunch is at 12.")), ((11, 12),), "office", "CC0"),
        ReadingRow("Who?", (("", "We open at 9."),), (), "office"),
    ]
    rows.write_rows(made, tmp_path / "rows" / "train.jsonl")
    plan = recipe.Recipe("s", tmp_path, tmp_path, {})
    texts = [json.loads(line)["text"] for line in examined.make(plan).read_text().splitlines()]
    assert texts == ["Hours\n\nWe open at 9.\n\nWhen?\n9", "We open at 9.\n\nWho?\nNot stated."]
    with pytest.raises(DataError, match="run `trainer rows` first"):
        examined.make(recipe.Recipe("s", tmp_path, tmp_path / "none", {}))


def test_the_curve_has_a_point_a_checkpoint_and_measures_none_twice(words, sizes, tmp_path, monkeypatch):
    words.save(tmp_path / "tokenizer.json")
    data.write(
        [Written("held", kind, page(seed)) for kind in ("a", "b") for seed in range(20)], words, tmp_path / "shards"
    )
    plan = recipe.Recipe(
        "s", tmp_path, tmp_path, {"curve": {"domains": ["b"], "rows": 2, "length": 64, "precision": "fp32"}}
    )

    def saved(step):
        torch.manual_seed(step)
        state = {"step": step, "tokens": 100 * step, "identity": {"model": checkpoint.describe(sizes)}}
        checkpoint.save(tmp_path / "pretrain", Transformer(sizes), [], state, keep=9)

    saved(1)
    with pytest.raises(CheckpointError, match="keeps 1 checkpoints"):
        curve.curve(plan)
    saved(2)
    points = json.loads(curve.curve(plan).read_text())["points"]
    assert [(p["step"], p["tokens"], list(p["bits_per_byte"])) for p in points] == [(1, 100, ["b"]), (2, 200, ["b"])]
    assert points[0]["bits_per_byte"]["b"] != points[1]["bits_per_byte"]["b"]
    assert "bits per byte" in (tmp_path / "curve.html").read_text()
    saved(3)
    asked = []
    load = checkpoint.load
    monkeypatch.setattr(checkpoint, "load", lambda path: asked.append(path.name) or load(path))
    assert len(json.loads(curve.curve(plan).read_text())["points"]) == 3
    assert asked == ["step-00000003"]
