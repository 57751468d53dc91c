"""The reward model: one feature decides, and held-out pairs are ordered by it; the split keeps like prompts together."""

from __future__ import annotations

import gzip
import json
import random

import numpy as np
import pytest

from tests.trainer.bert import bert_folder
from tests.trainer.office import PEOPLE, PLACES, THINGS, VERBS
from trainer import recipe
from trainer.errors import CheckpointError, DataError
from trainer.preference import compared
from trainer.preference.compared import Comparison
from trainer.preference.reward import RewardModel, by, reward, share


def comparison(seed: int) -> dict[str, str]:
    """What is free of charge is preferred, whoever does it with whatever; neither answer is the longer one."""
    chance = random.Random(seed)
    who, does, what, where = (chance.choice(words) for words in (PEOPLE, VERBS, THINGS, PLACES))
    ends = ["free of charge", "for a small fee"]
    said = [f"{who} {does} {chance.choice((7, 70, 7000))} {what} {end}." for end in ends]
    return {"instruction": f"{what} {seed} at {where} {who} {does}?", "chosen": said[0], "rejected": said[1]}


def write(path, rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_every_layout_of_compared_answers_is_read(tmp_path):
    write(tmp_path / "labels.jsonl", [{"instruction": "i", "output_1": "a", "output_2": "b", "label": 2}])
    write(
        tmp_path / "preferences.train.jsonl",
        [
            {"question": "q", "sources": [["", "t"]], "chosen": "a", "rejected": rejected}
            for rejected in ("b", None, "a")
        ],
    )
    (tmp_path / "list.json").write_text(
        json.dumps([{"instruction": "i", "input": "x", "chosen": "a", "rejected": "b"}])
    )
    talk = "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: more\n\nAssistant: "
    with gzip.open(tmp_path / "talks.jsonl.gz", "wt") as out:
        out.write(json.dumps({"chosen": talk + "yes", "rejected": talk + "no"}))
    rows = compared.read(sorted(tmp_path.iterdir()))
    assert rows == [
        Comparison("i", "b", "a", "labels"),
        Comparison("i\nx", "a", "b", "list"),
        Comparison("q", "a", "b", "preferences"),
        Comparison("Human: hi\n\nAssistant: hello\n\nHuman: more", "Assistant: yes", "Assistant: no", "talks"),
    ]
    write(tmp_path / "labels.jsonl", [{"instruction": "i", "output_1": "a", "output_2": "b", "label": 3}])
    with pytest.raises(DataError, match="row 1"):
        compared.read([tmp_path / "labels.jsonl"])


def test_like_prompts_stand_on_one_side_in_any_order():
    chance = random.Random(3)
    rows = []
    for number in range(60):
        words = [f"{chance.choice(THINGS)}{number}" for _ in range(12)]
        for changed in (None, 2, 9):
            prompt = " ".join("else" if at == changed else word for at, word in enumerate(words))
            rows.append(Comparison(prompt, "a", "b", str(number)))
    learnt, held = compared.split(rows, one_in=4)
    assert {row.name for row in learnt}.isdisjoint({row.name for row in held})
    assert 15 < len(held) < 90
    shuffled = chance.sample(rows, len(rows))
    assert set(compared.split(shuffled, one_in=4)[1]) == set(held)
    opened = ["Human: hi there\n\nAssistant: a b c d e", "Human: Hi there!\n\nAssistant: quite other words than these"]
    assert compared.families([*opened, "Human: good evening"]) == [0, 0, 2]


def test_an_accuracy_comes_with_its_interval_and_length_is_no_merit():
    found = share(np.array([1.0] * 80 + [0.0] * 20))
    assert found["percent"] == 80
    assert 68 < found["from"] < 75 < 85 < found["to"] < 90
    assert [by(Comparison("p", "long", "no", "s"), longer=longer) for longer in (True, False)] == [1, 0]
    assert by(Comparison("p", "ab", "cd", "s"), longer=True) == 0.5


@pytest.mark.slow  # a model is trained twice
def test_a_reward_model_orders_held_out_pairs_by_the_one_feature_that_decides(tmp_path):
    base = bert_folder(tmp_path / "bert")
    write(tmp_path / "pairs.jsonl", [comparison(seed) for seed in range(200)])
    settings = {
        "base": str(base), "compared": [str(tmp_path / "pairs.jsonl")], "steps": 40, "pairs_per_step": 16,
        "peak_learning_rate": 3e-3, "precision": "fp32", "device": "cpu", "checkpoint_every": 10,
    }  # fmt: skip

    def plan(out: str, **other: float) -> recipe.Recipe:
        return recipe.Recipe("r", tmp_path, tmp_path / out, {"reward": {**settings, **other}})

    folder = reward(plan("straight"))
    report = json.loads((tmp_path / "straight" / "reward.json").read_text())
    assert report["pairs"]["held"] > 20
    assert report["pairs"]["accuracy"]["from"] > 90
    assert report["pairs"]["length"]["percent"] < 90
    model = RewardModel.from_folder(folder)
    free, fee = model.rewards(
        [("keys?", "clerks count 7 keys free of charge."), ("keys?", "clerks count 7 for a small fee.")]
    )
    assert free > fee
    stopped = reward(plan("stopped", minutes=1e-9))
    assert stopped.name.startswith("step-")
    assert reward(plan("stopped")).name == "reward-model"
    again = RewardModel.from_folder(tmp_path / "stopped" / "reward-model")
    assert again.rewards([("keys?", "free of charge")]) == model.rewards([("keys?", "free of charge")])
    (folder / "model.safetensors").write_bytes(b"other")
    with pytest.raises(CheckpointError):
        RewardModel.from_folder(folder)
