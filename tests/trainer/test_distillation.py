"""A teacher's labels: kept by pair, found again, put on the student's tokens, and learnt; reading layers below the heads."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trainer.office import question
from tests.trainer.test_lora import bert_folder
from trainer import attention, chat, checkpoint, finetune, recipe, rows
from trainer.chat import Source
from trainer.encoder import Encoder
from trainer.encoder_reader import EncoderReader
from trainer.errors import CheckpointError, DataError, RecipeError
from trainer.model import ModelConfig, Transformer, grown
from trainer.reading import TrunkReader
from trainer.rows import Example
from trainer.teaching import soft, teacher
from trainer.teaching.labels import Label, Labels, described, kind
from trainer.teaching.lessons import FinetuneConfig, losses
from trainer.teaching.pointing import RowBatches, pointed

CONFIG = FinetuneConfig(rows_per_batch=4, rows_per_step=4, most_sources=2, length=250, spoken_tokens=24, withheld=0.3)


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    """A run's folder with reading rows, and the folder of a real encoder reader in miniature."""
    out = tmp_path_factory.mktemp("office")
    torch.manual_seed(5)
    reader = EncoderReader(Encoder.from_folder(bert_folder(out / "bert")))
    torch.nn.init.normal_(reader.span.weight, std=0.5)  # opinions strong enough to be told from none
    torch.nn.init.normal_(reader.evidence.weight, std=0.5)
    settings = {"name": "teacher", "threshold": 0.5, "length": 200}
    reader.export(out / "teacher", settings, out / "bert" / "tokenizer.json")
    made = []
    for seed in range(24):
        raw = question(seed)
        start = raw["answers"][0]["start"]
        span = (start, start + len(raw["answers"][0]["text"]))
        made.append(Example(raw["question"], "Limits", raw["context"], (span,), "office", "CC0"))
    rows.write_rows(list(rows.with_near_misses(made, misses=1, seed=1)), out / "rows" / "train.jsonl")
    return out


def plan_of(office, out, **settings):
    given = {
        "teacher": str(office / "teacher"),
        "precision": "fp32",
        "shelf": 7,
        "rows": [str(office / "rows/train.jsonl")],
    }
    return recipe.Recipe("small", out, out, {"labels": given | settings})


@pytest.fixture(scope="module")
def labelled(office):
    return teacher.label(plan_of(office, office))


def pairs_of(office, most=None):
    """The different pairs of the first rows."""
    found = rows.read_rows(office / "rows" / "train.jsonl")[:most]
    return {(row.question, *source) for row in found for source in row.sources}


# --- the file -----------------------------------------------------------------------------------------------------------


def test_each_pair_is_found_again_with_the_span_that_the_teacher_reads(office, labelled):
    labels, reader, agree = Labels(labelled), EncoderReader.from_folder(office / "teacher"), []
    for asked, heading, text in pairs_of(office):
        label = labels.of(asked, Source(heading, text))
        assert label is not None
        best = max(
            float(s + e)
            for a, s in zip(label.start_at, label.start, strict=True)
            for b, e in zip(label.end_at, label.end, strict=True)
            if a < b
        )
        _, support, spans = reader.read(asked, [Source(heading, text)])
        assert support == pytest.approx(1 / (1 + np.exp(-label.evidence)), abs=2e-3)
        assert np.exp(best) * support <= 1.03 * spans[0].score
        agree.append(np.exp(best) * support >= 0.97 * spans[0].score)
    assert np.mean(agree) > 0.8  # of a few pairs the best span begins or ends past the ten likeliest places
    assert labels.of("Who else?", Source("Limits", "Nobody was asked about this.")) is None
    assert labelled.stat().st_size == len(pairs_of(office)) * kind(10).itemsize


def test_a_killed_run_goes_on_and_asks_about_no_pair_twice(office, labelled, tmp_path, monkeypatch):
    half = plan_of(office, tmp_path, most_rows=10)
    teacher.label(half)
    target = tmp_path / "labels" / teacher.NAME
    part = target.with_name(target.name + ".part")
    target.replace(part)
    described(target).replace(described(part))
    about = json.loads(described(part).read_text())
    del about["records"]
    described(part).write_text(json.dumps(about))
    part.write_bytes(part.read_bytes()[:-5])  # killed within the last record
    asked = []
    read = teacher.Teacher.read
    monkeypatch.setattr(teacher.Teacher, "read", lambda self, pairs: asked.extend(pairs) or read(self, pairs))
    teacher.label(plan_of(office, tmp_path))
    assert len(asked) == len(pairs_of(office)) - (len(pairs_of(office, 10)) - 1)
    one, other = Labels(target), Labels(labelled)
    assert one.keys.tolist() == other.keys.tolist()
    for name in kind(10).names:
        if name != "key":  # padded otherwise, so equal up to rounding
            pair = [np.nan_to_num(x.records[name][x.order].astype(float), neginf=-99) for x in (one, other)]
            np.testing.assert_allclose(*pair, atol=0.02)


def test_labels_of_another_teacher_are_not_added_to(office, tmp_path):
    teacher.label(plan_of(office, tmp_path, most_rows=4))
    teacher.label(plan_of(office, tmp_path, most_rows=2, kept=3))
    assert len(Labels(tmp_path / "labels" / teacher.NAME).records) == len(pairs_of(office, 2))


def test_what_is_no_file_of_labels_or_no_teacher_is_refused(office, labelled, tmp_path):
    with pytest.raises(DataError, match="run `trainer labels` again"):
        Labels(tmp_path / "none.bin")
    cut = tmp_path / "cut.bin"
    cut.write_bytes(labelled.read_bytes()[:-3])
    described(cut).write_text(described(labelled).read_text())
    with pytest.raises(DataError, match="no whole records"):
        Labels(cut)
    with pytest.raises(DataError, match="holds no rows"):
        teacher.label(plan_of(office, tmp_path, rows=[]))
    with pytest.raises(CheckpointError):
        teacher.label(plan_of(office, tmp_path, teacher=str(tmp_path)))


# --- the student's tokens -----------------------------------------------------------------------------------------------


def label_at(starts, ends, evidence=0.0):
    """A label with these chances: {character: chance}."""
    arrays = [
        np.array(x) for x in (list(starts), np.log(list(starts.values())), list(ends), np.log(list(ends.values())))
    ]
    return Label(evidence, *arrays)


def test_chances_of_characters_come_to_the_tokens_that_cover_them(words):
    text = "Visitors return 240 badges before noon. Drivers keep ladders under supervision."
    prompt = chat.render("How many badges?", [Source("Gate", text)], words, limit=200)
    at = text.index("240")
    found = soft.soften(prompt, [label_at({at: 0.75, 0: 0.25}, {at + 10: 1.0}, 2.0)], 1.0)
    spans = {}
    for place, chances in zip(found.places, found.chances, strict=True):
        first, last = prompt.sources[0].offsets[place - prompt.sources[0].first]
        spans[text[first:last]] = chances.tolist()
    starts = {word: pair[0] for word, pair in spans.items() if pair[0]}
    assert starts == pytest.approx(
        {next(w for w in starts if "2" in w): 0.75, next(w for w in starts if "V" in w): 0.25}
    )
    (last,) = [word for word, pair in spans.items() if pair[1]]
    assert text[: at + 10].endswith(last)
    assert found.support == pytest.approx(1 / (1 + np.exp(-2.0)), abs=1e-5)
    warm = soft.soften(prompt, [label_at({at: 0.75, 0: 0.25}, {at + 10: 1.0})], 2.0)
    assert sorted(warm.chances[:, 0])[-1] == pytest.approx(3**0.5 / (1 + 3**0.5), abs=1e-5)  # flatter


def test_what_was_cut_off_goes_to_the_rest_and_sources_count_by_their_evidence(words):
    text = "Ladders are kept at the old mill. " * 12
    sources = [Source("", text), Source("", "Badges cost 4 pounds.")]
    prompt = chat.render("Where?", sources, words, limit=60)
    seen = prompt.sources[0].characters
    far = label_at({4: 0.5, seen + 20: 0.5}, {seen + 30: 1.0}, 1.0)
    found = soft.soften(prompt, [far, label_at({7: 1.0}, {11: 1.0}, 1.0)], 1.0)
    assert found.chances.sum(axis=0) == pytest.approx([1, 1])
    near = found.chances[found.places < prompt.sources[1].mark]
    assert near.sum(axis=0) == pytest.approx([1 / 3, 0], abs=1e-6)  # half of its half is left, its end is gone
    assert soft.soften(prompt, [far, None], 1.0) is None


# --- learning -----------------------------------------------------------------------------------------------------------


def test_weight_decides_between_people_and_teacher(office, labelled, words, model):
    reading = rows.read_rows(office / "rows" / "train.jsonl")

    def terms(weight, labels=labelled, moved=0):
        config = replace(CONFIG, labels=labels, soft_weight=weight)
        batch = RowBatches(reading, words, config).batch(3)
        arrays = {name: torch.from_numpy(array) for name, array in batch.arrays.items()}
        arrays["span"] = torch.where(arrays["span"] < 0, -1, arrays["span"] - moved)  # people marked other words
        with torch.no_grad():
            return {name: float(value) for name, value in losses(model, arrays, "read").items()}

    plain, none, half, whole = terms(0.5, None), terms(0.0), terms(0.5), terms(1.0)
    assert none == pytest.approx(plain, rel=1e-5)
    for name in ("span", "support", "evidence"):
        assert half[name] == pytest.approx((none[name] + whole[name]) / 2, rel=1e-4)
        assert abs(whole[name] - none[name]) > 1e-3
    assert whole["answer"] == pytest.approx(none["answer"])
    assert terms(0.0, moved=2)["span"] != pytest.approx(none["span"], rel=1e-3)
    assert terms(1.0, moved=2)["span"] == pytest.approx(whole["span"], rel=1e-5)


@pytest.mark.slow
def test_a_trunk_learns_what_the_teacher_expects(office, labelled, words, model):
    reading = rows.read_rows(office / "rows" / "train.jsonl")
    config = replace(CONFIG, labels=labelled, soft_weight=1.0, temperature=1.0, withheld=0.0)
    batch = RowBatches(reading, words, config).batch(0)
    arrays = {name: torch.from_numpy(array) for name, array in batch.arrays.items()}
    wanted = arrays["soft_span"][arrays["span"][:, 0] >= 0]  # of rows whose answer was not cut off
    least = float(-torch.xlogy(wanted, wanted).sum()) / 2  # the teacher's own doubt
    optimiser, course = torch.optim.AdamW(model.parameters(), lr=3e-3), []
    for _ in range(40):
        found = losses(model.train(), arrays, "read")
        (found["span"] + found["support"] + found["evidence"]).backward()
        optimiser.step()
        optimiser.zero_grad()
        course.append(float(found["span"].detach()) - least)
    assert course[0] > 0.5  # nats
    assert 0 <= course[-1] < course[0] / 2


def test_the_stage_learns_labels_and_goes_on_with_those_alone(office, labelled, words, sizes, tmp_path):
    out = tmp_path / "out"
    state = {"step": 1, "identity": {"model": checkpoint.describe(sizes)}}
    checkpoint.save(out / "pretrain", Transformer(sizes), [], state, keep=1)
    words.save(out / "tokenizer.json")
    rows.write_rows(rows.read_rows(office / "rows" / "train.jsonl"), out / "rows" / "train.jsonl")
    rows.write_rows(rows.read_rows(office / "rows" / "train.jsonl")[:8], out / "rows" / "dev.jsonl")
    given = {
        "steps": 2, "length": 250, "rows_per_batch": 4, "rows_per_step": 4, "most_sources": 2, "spoken_tokens": 24,
        "shares": {"read": 1.0}, "precision": "fp32", "device": "cpu", "labels": str(labelled), "reading_layers": 1,
        "question_words": True, "more": [str(office / "rows" / "train.jsonl")],
    }  # fmt: skip
    settings = {"finetune": given, "retention": {"text_rows": 0, "reading_rows": 4}}

    def taught(**changes):
        return finetune.finetune(recipe.Recipe("small", out, out, settings | {"finetune": given | changes}))

    with pytest.raises(RecipeError, match="soft_weight"):
        taught(soft_weight=2.0)
    last = taught()
    known = checkpoint.read_state(last)["identity"]
    assert known["labels"]["soft_weight"] == 0.5
    assert known["model"]["reading_layers"] == 1
    assert checkpoint.load(last).config.question_words
    with pytest.raises(CheckpointError, match="labels"):
        taught(steps=3, soft_weight=0.25)


# --- reading layers -----------------------------------------------------------------------------------------------------


def test_new_reading_layers_keep_the_trunk_and_read_as_they_were_taught(office, words, sizes):
    torch.manual_seed(4)
    trunk = Transformer(sizes)
    model = grown(trunk, reading_layers=2, question_words=True).eval()
    assert grown(model, reading_layers=2, question_words=True) is model
    for name, weight in trunk.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight)
    reading = rows.read_rows(office / "rows" / "train.jsonl")
    batches = RowBatches(reading, words, replace(CONFIG, withheld=0.0, most_sources=1))
    arrays = {name: torch.from_numpy(array) for name, array in batches.batch(0).arrays.items()}
    assert len(set(arrays["prompt"].tolist())) > 1  # rows are padded
    row = batches.order.batch(0)[1]
    shown = batches.choose(0, row)[1]
    with torch.no_grad():
        allowed = attention.packed(arrays["documents"], causal=True, prefix=arrays["prompt"])
        states = pointed(model, model(arrays["ids"], allowed=allowed), arrays)[1]
        spans = model.heads.span(states)
    prompt = chat.render(reading[row].question, shown, words, limit=CONFIG.length - CONFIG.spoken_tokens)
    reader = TrunkReader(model, words)
    served = reader.take_in(prompt.ids).states[None]
    asked = torch.tensor([chat.asked(prompt.ids, words)]).long()
    with torch.no_grad():
        again = model.heads.span(model.reading(served, asked)[0])
    torch.testing.assert_close(spans[: len(prompt.ids)], again, atol=2e-4, rtol=2e-3)
    support, found = reader.read(reading[row].question, shown)[1:]
    assert found
    with torch.no_grad():
        model.heads.asked.weight += 3.0 * torch.tensor([[0.0], [1.0]])
    assert reader.read(reading[row].question, shown)[1] != support  # the question's words are told
    with pytest.raises(RecipeError, match="reading_layers"):
        ModelConfig(question_words=True)


def test_words_of_the_question_are_known_again_in_any_case(words):
    prompt = chat.render("Are Badges free?", [Source("", "badges: 3 keys, some Badges.")], words, limit=100)
    said = [
        words.decode([token]) for token, known in zip(prompt.ids, chat.asked(prompt.ids, words), strict=True) if known
    ]
    assert said, "no token was known again"
    assert all(piece.strip().isalnum() for piece in said)
    heard = words.decode(words.encode("Are Badges free?")).lower()
    assert all(piece.strip().lower() in heard for piece in said)
    assert len(chat.asked(prompt.ids, words)) == len(prompt.ids)
