"""Fine-tuning: several kinds of rows in fixed shares, all weights or adapters, and a report of what was kept."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.trainer.office import page, question, write_jsonl
from trainer import chat, checkpoint, data, finetune, lora, recipe, rows
from trainer.chat import Turn
from trainer.data import Written
from trainer.errors import CheckpointError, DataError, RecipeError
from trainer.model import Cache, Transformer
from trainer.order import LikeLengths
from trainer.rows import Example, ReadingRow
from trainer.teaching import caution, lessons, retention
from trainer.teaching.dialogue import Rewrite, Talk
from trainer.teaching.lessons import FinetuneConfig, losses
from trainer.teaching.pointing import RowBatches
from trainer.teaching.retention import RetentionConfig
from trainer.teaching.shares import Mixed, pattern
from trainer.teaching.speaking import SpokenBatches, rewriter, spoken_losses

SETTINGS = {
    "steps": 6, "length": 240, "rows_per_batch": 4, "rows_per_step": 8, "most_sources": 2, "spoken_tokens": 24,
    "talk_length": 160, "text_length": 48, "peak_learning_rate": 2e-3, "precision": "fp32", "device": "cpu",
    "rows_at_a_time": 4, "checkpoint_every": 100,
}  # fmt: skip
KEPT = {"text_rows": 2, "text_length": 48, "reading_rows": 4, "rewriting_rows": 2}


@pytest.fixture
def plan(sizes, words, tmp_path):
    """A run that was pretrained: checkpoint, shards, reading rows, service dialogues."""
    out, raw = tmp_path / "out", tmp_path / "data"
    torch.manual_seed(1)
    checkpoint.save(
        out / "pretrain", Transformer(sizes), [], {"step": 1, "identity": {"model": checkpoint.describe(sizes)}}, keep=1
    )
    words.save(out / "tokenizer.json")
    splits = ["train"] * 24 + ["held"] * 6
    data.write((Written(split, "rules", page(seed)) for seed, split in enumerate(splits)), words, out / "shards")
    made = []
    for seed in range(60):
        raw_row = question(seed)
        start = raw_row["answers"][0]["start"]
        end = start + len(raw_row["answers"][0]["text"])
        made.append(Example(raw_row["question"], "Limits", raw_row["context"], ((start, end),), "office", "CC0"))
    reading = list(rows.with_near_misses(made, misses=1, seed=1))
    rows.write_rows(reading[:44], out / "rows" / "train.jsonl")
    rows.write_rows(reading[44:], out / "rows" / "dev.jsonl")
    talk = [
        ["USER", "Where are the vans?"],
        ["SYSTEM", "At the old mill."],
        ["USER", "Is the old mill open?"],
        ["SYSTEM", "Yes."],
    ]
    write_jsonl(
        raw / "dialogue" / "service.jsonl",
        [{"split": split, "turns": talk[: 2 + 2 * (at % 2)]} for split in ("train", "dev") for at in range(8)],
    )

    def with_settings(out=out, keep=None, **settings):
        sections = {"finetune": SETTINGS | settings, "retention": KEPT | (keep or {})}
        return recipe.Recipe("small", raw, out, sections)

    return with_settings


def same(one, other):
    a, b = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# --- shares and order --------------------------------------------------------------------------------------------------


def test_kinds_come_in_their_shares_evenly_and_the_same_however_they_are_asked_for():
    asked = []
    shares = {"read": 0.7, "talk": 0.1, "replay": 0.2}
    sources = {kind: lambda number, kind=kind: asked.append((kind, number)) or (kind, number) for kind in shares}
    mixed = Mixed(sources, shares, micro=2)
    given = [batch for step in range(100) for batch in mixed.step(step)]
    counts = {kind: sum(batch[0] == kind for batch in given) for kind in shares}
    assert counts == {"read": 140, "talk": 20, "replay": 40}
    for kind in shares:  # each source is read in order, nothing twice, nothing left out
        assert [number for name, number in given if name == kind] == list(range(counts[kind]))
    assert mixed.step(73) == given[146:148]
    gaps = np.diff([at for at, kind in enumerate(pattern(shares)) if kind == "talk"])
    assert gaps.max() <= 12
    with pytest.raises(RecipeError, match="less than one batch in 100"):
        pattern({"read": 1.0, "talk": 0.001})


def test_rows_of_like_length_are_padded_little_and_every_row_is_read_once_an_epoch():
    chance = random.Random(2)
    lengths = [chance.randint(20, 800) for _ in range(640)]
    order = LikeLengths(640, lambda _: lengths, size=16, seed=1)
    batches = [order.batch(number) for number in range(40)]
    assert sorted(row for batch in batches for row in batch) == list(range(640))
    padded = sum(len(batch) * max(lengths[row] for row in batch) for batch in batches)
    assert padded / sum(lengths) < 1.10  # shuffled: 1.9
    assert order.batch(45) != batches[5]
    assert LikeLengths(640, lambda _: lengths, size=16, seed=1).batch(45) == order.batch(45)
    with pytest.raises(DataError, match="3 rows do not fill a batch of 16"):
        LikeLengths(3, lambda _: [1, 2, 3], size=16, seed=1)


def test_reading_rows_are_padded_little_though_each_epoch_shows_other_sources(words):
    chance = random.Random(3)
    texts = [("", page(seed, chance.randint(1, 9))) for seed in range(400)]
    rows_ = [ReadingRow("Where?", tuple(chance.sample(texts, 4)), (), "office") for _ in range(300)]
    config = FinetuneConfig(rows_per_batch=8, rows_per_step=8, most_sources=4, length=900)
    batches = RowBatches(rows_, words, config)
    for epoch in (0, 1):
        made = [batches.batch(epoch * 37 + number) for number in range(37)]
        waste = 1 - sum(b.tokens for b in made) / sum(b.arrays["ids"].size for b in made)
        assert waste < 0.12  # sorted by all their sources instead of the shown ones: 0.4
    assert not np.array_equal(batches.batch(3).arrays["ids"], batches.batch(40).arrays["ids"])


def test_a_kind_counts_by_its_share_however_many_batches_make_a_step():
    config = FinetuneConfig(shares={"read": 0.8, "replay": 0.2})
    alone = lessons.weights(config.shares, 1, config)
    assert alone == {"span": 1, "support": 1, "evidence": 1, "answer": 0.5, "replay": 1, "replay_masked": 1}
    many = lessons.weights(config.shares, 20, config)
    assert many["span"] == 0.8
    assert many["replay"] + many["replay_masked"] == pytest.approx(0.2)


# --- what is said ------------------------------------------------------------------------------------------------------

FOLLOW_UPS = [
    Rewrite((Turn("user", f"Where is the {thing}?"), Turn("assistant", "At the mill.")), f"And {new}?", said, "", "", "")
    for thing, new, said in [
        ("van", "the keys", "Where are the keys?"), ("form", "who signs it", "Who signs the form?"),
        ("radio", "what does it cost", "What does the radio cost?"), ("ladder", "is it safe", "Is the ladder safe?"),
    ]
]  # fmt: skip


@pytest.mark.slow
def test_a_model_says_again_what_it_was_taught_to_say(model, words):
    batches = SpokenBatches(FOLLOW_UPS, words, term="rewrite", size=4, limit=200, seed=1)
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3)
    model.train()
    for _ in range(60):
        batch = batches.batch(0)
        arrays = {name: torch.from_numpy(array) for name, array in batch.arrays.items()}
        (spoken_losses(model, arrays, "rewrite")["rewrite"] / batch.counts["rewrite"]).backward()
        optimiser.step()
        optimiser.zero_grad()
    found = retention.score_rewriting(rewriter(model.eval(), words), FOLLOW_UPS)
    assert found["exact_match"] == 100  # read in full and spoken causally, as it was taught
    assert found["f1_unchanged"] < 60
    assert found["changed_rows"] == found["rows"] == 4


def test_padding_and_neighbours_change_no_row(model, words):
    talks = [Talk((Turn("user", "Vans?"), Turn("assistant", "At the mill. " * n)), (), "", "") for n in (1, 9)]
    mixed: list = [*FOLLOW_UPS[:2]]

    def nats(rows):
        batch = SpokenBatches(rows, words, term="x", size=len(rows), limit=200, seed=1).batch(0)
        with torch.no_grad():
            return float(spoken_losses(model, {n: torch.from_numpy(a) for n, a in batch.arrays.items()}, "x")["x"])

    for pair in (talks, mixed, [talks[1], mixed[0]]):
        assert nats(pair) == pytest.approx(sum(nats([row]) for row in pair), rel=1e-5)


# --- caution -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "settings", "warned"),
    [
        (
            32,
            {"steps": 256, "peak_learning_rate": 1e-3},
            ["256 steps at a mean rate", "32 'talk' rows are seen 64.0 times"],
        ),
        (512, {"steps": 256, "peak_learning_rate": 1e-3}, ["256 steps at a mean rate"]),
        (32, {"steps": 64, "peak_learning_rate": 3e-4}, []),
        (
            32,
            {"steps": 64, "peak_learning_rate": 3e-3},
            ["64 steps at a mean rate", "32 'talk' rows are seen 16.0 times"],
        ),
    ],
)
def test_few_rows_many_epochs_and_a_high_rate_are_warned_about_with_their_numbers(rows, settings, warned):
    config = FinetuneConfig(rows_per_batch=8, rows_per_step=8, schedule="cosine", **settings)
    said = caution.warnings({"talk": rows}, {"talk": 1.0}, config)
    assert [line[: len(start)] for line, start in zip(said, warned, strict=True)] == warned
    many = caution.warnings({"talk": 10**6}, {"talk": 0.9, "replay": 0.1}, config)
    assert many == []  # seen once, with general text beside


def test_replay_and_adapters_lower_what_is_said_to_be_lost():
    config = FinetuneConfig(rows_per_batch=8, rows_per_step=8, schedule="cosine", steps=64, peak_learning_rate=3e-3)

    def lost(shares, config):
        (said,) = caution.warnings({"talk": 100}, shares, config)
        return float(said.split("cost about ")[1].split()[0])

    assert lost({"talk": 1.0}, config) == pytest.approx(0.6, abs=0.05)  # 0.64 were measured with 32 rows
    assert lost({"talk": 0.8, "replay": 0.2}, config) == pytest.approx(0.3, abs=0.05)  # 0.30
    assert caution.warnings({"talk": 100}, {"talk": 1.0}, replace(config, lora_rank=8)) == []  # 0.18


def test_the_steps_a_warning_names_give_no_warning():
    config = FinetuneConfig(rows_per_batch=8, rows_per_step=8, steps=900, peak_learning_rate=2e-3, lora_rank=4)
    lost, heart = caution.warnings({"talk": 40}, {"talk": 1.0}, config)
    steps = int(heart.split("Use about ")[1].split()[0])
    travel = float(lost.rpartition("below ")[2])
    for fewer in (min(steps, int(travel / config.peak_learning_rate)) - 1, 1):
        assert not caution.warnings({"talk": 40}, {"talk": 1.0}, replace(config, steps=fewer))


# --- the stage ---------------------------------------------------------------------------------------------------------


def test_all_kinds_are_learnt_and_a_stopped_run_ends_with_equal_bits(plan, tmp_path):
    write_jsonl(tmp_path / "own.jsonl", [{"text": page(seed)} for seed in range(500, 506)])
    shares = {"read": 0.4, "review": 0.1, "rewrite": 0.1, "ask": 0.1, "talk": 0.1, "text": 0.1, "replay": 0.1}
    settings = {
        "shares": shares, "texts": [str(tmp_path / "own.jsonl")], "steps": 7,
        "review": str(tmp_path / "out" / "rows" / "dev.jsonl"),
    }  # fmt: skip
    straight = finetune.finetune(plan(**settings))
    seen = {name for line in (straight.parent / "metrics.jsonl").read_text().splitlines() for name in json.loads(line)}
    assert seen & {"span", "rewrite", "ask", "talk", "replay"}
    again = tmp_path / "again"
    again.mkdir()
    for name in ("pretrain", "shards", "rows", "tokenizer.json", "dialogue"):
        (again / name).symlink_to(tmp_path / "out" / name)
    for _ in range(3):  # stopped twice, each time after one step
        finetune.finetune(plan(out=again, **settings, minutes=1e-9))
    stopped = finetune.finetune(plan(out=again, **settings))
    assert stopped.name == straight.name == "step-00000007"
    assert same(straight, stopped)
    with pytest.raises(CheckpointError, match="choose another --out"):
        finetune.finetune(plan(out=again, **{**settings, "shares": {"read": 1.0}, "steps": 9}))


def test_adapters_learn_alone_and_end_in_a_plain_checkpoint(plan, tmp_path):
    last = finetune.finetune(plan(lora_rank=2, shares={"read": 0.8, "replay": 0.2}))
    assert last.parent.name == "finetune"
    result = checkpoint.load(last)
    base = checkpoint.load(tmp_path / "out" / "pretrain")
    assert not torch.equal(result.layers[0].gate.weight, base.layers[0].gate.weight)
    assert torch.equal(result.embed.weight, base.embed.weight)
    lora.load(base, tmp_path / "out" / "adapter")
    lora.merge(base)
    assert all(torch.equal(weight, base.state_dict()[name]) for name, weight in result.state_dict().items())
    assert finetune.finetune(plan(lora_rank=2, shares={"read": 0.8, "replay": 0.2})) == last  # nothing left to do


def test_the_report_compares_base_and_result_and_warns_beyond_its_limits(plan, tmp_path, capsys):
    last = finetune.finetune(plan(shares={"rewrite": 1.0}, keep={"most_bits_lost": -9.0}))
    assert last.is_dir()  # the stage ends well all the same
    report = json.loads((tmp_path / "out" / "retention.json").read_text())
    assert not report["kept"]
    assert "WARNING: general text costs" in capsys.readouterr().err
    bits = {when: report[when]["bits_per_byte"]["rules"] for when in ("before", "after", "change")}
    assert bits["change"] == pytest.approx(bits["after"] - bits["before"], abs=1e-3)
    assert set(report["after"]) == {"bits_per_byte", "reading", "rewriting"}
    assert {"f1", "answered"} <= set(report["after"]["reading"])
    assert "rewriting" not in report["before"]  # this base never learnt to speak
    assert {"exact_match", "f1", "f1_unchanged"} <= set(report["after"]["rewriting"])
    html = (tmp_path / "out" / "retention.html").read_text()
    assert "f1 unchanged" in html
    assert "<h1>Before and after fine-tuning</h1>" in html
    assert "<h3>Bits per byte</h3>" in html
    assert "general text costs" in html


def test_reading_that_was_there_and_is_lost_is_said():
    before = {"bits_per_byte": {"a": 2.0}, "reading": {"f1": 60.0}}
    config = RetentionConfig()
    lost = retention.compare(before, {"bits_per_byte": {"a": 2.01}, "reading": {"f1": 50.0}}, config)
    assert [warning[:28] for warning in lost["warnings"]] == ["reading fell by 10.0 points "]
    kept = retention.compare(before, {"bits_per_byte": {"a": 2.01}, "reading": {"f1": 59.0}}, config)
    assert kept["kept"]
    fresh = retention.compare({"reading": {"f1": 3.0}}, {"reading": {"f1": 0.0}}, config)
    assert fresh["kept"]  # a base that could not read has nothing to lose


@pytest.mark.slow  # thirty steps twice, and both measured
def test_replay_keeps_more_of_the_general_text(plan, tmp_path):
    """Half the batches from the pretraining text, and what is lost on it is less."""
    lost = []
    for shares in ({"rewrite": 1.0}, {"rewrite": 0.5, "replay": 0.5}):
        out = tmp_path / f"run {len(lost)}"
        out.mkdir()
        for name in ("pretrain", "shards", "rows", "tokenizer.json"):
            (out / name).symlink_to(tmp_path / "out" / name)
        finetune.finetune(plan(out=out, shares=shares, steps=30))
        lost.append(json.loads((out / "retention.json").read_text())["change"]["bits_per_byte"]["rules"])
    assert lost[1] < lost[0] - 0.1


def test_conversations_of_ones_own_are_learnt_and_other_shares_are_left_out_aloud(plan, tmp_path, capsys):
    own = [
        {"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"{n}!"}]}
        for n in range(5)
    ]
    write_jsonl(tmp_path / "own.jsonl", own)
    last = finetune.finetune(plan(shares={"talk": 1.0}, talks=[str(tmp_path / "own.jsonl")], steps=2))
    assert "talk" in json.loads((last.parent / "metrics.jsonl").read_text().splitlines()[-1])
    (tmp_path / "data" / "dialogue" / "service.jsonl").unlink()
    (tmp_path / "out" / "dialogue" / "talk-train.jsonl").unlink(missing_ok=True)
    out = tmp_path / "no talks"
    out.mkdir()
    for name in ("pretrain", "shards", "rows", "tokenizer.json"):
        (out / name).symlink_to(tmp_path / "out" / name)
    finetune.finetune(plan(out=out, steps=1))
    assert "no 'talk' rows, so its share goes to the others" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shares": {"reed": 1.0}}, r"shares are .*; give some of \['read'"),
        ({"shares": {"read": 0.5, "review": 0.5}}, r"shares.review needs `review`"),
        ({"shares": {"read": 0.5, "text": 0.5}}, r"shares.text needs `texts`"),
        ({"length": 999}, r"length 999 is above the model's context 256"),
        ({"rows_per_step": 6}, "rows_per_step 6 is no multiple of 4"),
        ({"rows": "/nowhere/rows.jsonl"}, "/nowhere/rows.jsonl is missing"),
        ({"lora_rank": -1}, "LoRA rank is -1"),
    ],
)
def test_settings_that_do_not_fit_are_named(plan, settings, message):
    with pytest.raises((RecipeError, DataError), match=message):
        finetune.finetune(plan(**settings))


def test_every_loss_is_a_number_and_counts_what_it_says(plan, words):
    small = plan()
    config = small.section("finetune", FinetuneConfig)
    torch.manual_seed(1)
    model = checkpoint.load(small.out / "pretrain")
    found = lessons.Lessons(small, replace(config, shares=dict.fromkeys(("read", "ask", "talk", "replay"), 1.0)), words)
    for source in found.sources().values():
        for number in (0, 1):
            batch = source(number)
            arrays = {
                n: torch.from_numpy(a.astype(np.int64) if a.dtype == np.uint16 else a) for n, a in batch.arrays.items()
            }
            terms = losses(model, arrays, batch.kind)
            assert set(terms) == set(batch.counts)
            assert all(torch.isfinite(value) for value in terms.values())
            assert batch.separable
            assert {len(array) for array in batch.arrays.values()} == {4}


def test_what_is_learnt_is_what_serving_computes(model, words):
    """A prompt is read with full attention in both, and what is said looks back only."""
    row = FOLLOW_UPS[1]
    batch = SpokenBatches([row], words, term="x", size=1, limit=200, seed=1).batch(0)
    with torch.no_grad():
        learnt = float(spoken_losses(model, {n: torch.from_numpy(a) for n, a in batch.arrays.items()}, "x")["x"])
        prompt, said = chat.render_rewrite(row.history, row.question, words).ids, chat.said(row.standalone, words)
        cache = Cache(model.config, capacity=len(prompt) + len(said), like=model.norm.weight)
        state, nats = model(torch.tensor([prompt]), causal=False, cache=cache)[0, -1], 0.0
        for token in said:
            nats -= float(model.logits(state).log_softmax(-1)[token])
            state = model(torch.tensor([[token]]), cache=cache)[0, -1]
    assert learnt == pytest.approx(nats, rel=1e-5)


def test_a_row_read_looking_back_teaches_the_answer_alone_as_a_left_to_right_runner_computes_it(plan, words):
    small = plan()
    model = checkpoint.load(small.out / "pretrain").eval()
    config = replace(small.section("finetune", FinetuneConfig), withheld=0.0, rows_per_batch=1, rows_per_step=1)
    reading = rows.read_rows(small.out / "rows" / "train.jsonl")
    both, back = (RowBatches(reading, words, replace(config, causal=share)).batch(0) for share in (0.0, 1.0))
    assert (both.arrays["ids"] == back.arrays["ids"]).all(), "the share changes how rows are read, not which are shown"
    assert (both.counts["support"], both.counts["span"], both.counts["evidence"] > 0) == (1, 1, True)
    assert {name: back.counts[name] for name in ("support", "span", "evidence")} == dict.fromkeys(
        ("support", "span", "evidence"), 0.0
    )
    arrays = {name: torch.from_numpy(array) for name, array in back.arrays.items()}
    with torch.no_grad():
        learnt = losses(model, arrays, "read")
        ids, prompt = arrays["ids"][0], int(arrays["prompt"][0])
        nats = model.logits(model(ids[None]))[0].log_softmax(-1)  # every token looking back, as llama.cpp does
        wanted = arrays["targets"][0, prompt - 1 :]
        expected = -float(nats[prompt - 1 :].gather(1, wanted[:, None]).sum())
    assert float(learnt["answer"]) == pytest.approx(expected, rel=1e-4)
    assert [float(learnt[name]) for name in ("support", "span", "evidence")] == [0.0, 0.0, 0.0]


def test_about_the_share_of_rows_is_read_looking_back(plan, words):
    small = plan()
    config = replace(small.section("finetune", FinetuneConfig), causal=0.25)
    batches = RowBatches(rows.read_rows(small.out / "rows" / "train.jsonl"), words, config)
    read = np.concatenate([batches.batch(number).arrays["ahead"] for number in range(55)])
    assert 0.15 < (read == 0).mean() < 0.35
