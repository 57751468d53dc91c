"""Synthesis end to end: passages in, reading rows out, with the real embedder and a reader that can be read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.trainer.office import page
from trainer import recipe, rows, synthesize
from trainer.chat import Found, Source
from trainer.encoder import Encoder, packaged_encoder
from trainer.errors import DataError, RecipeError
from trainer.formats import checksums
from trainer.reading import TrunkReader
from trainer.synthesis import passages, roundtrip
from trainer.synthesis.asking.written import Writer, can_ask, candidates, draw

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "models" / "base"
TOPICS = {
    "travel": ("Travel", ["Employees must submit receipts within 30 days of the trip.", "The travel desk must approve flights over $900.",
               "If your flight is cancelled, call the travel desk.", "To book a hotel room, open the booking page in the portal."]),
    "leave": ("Leave", ["You can carry over up to five days of leave.", "Interns may not take unpaid leave in December.",
              "Managers must approve leave requests within three days.", "The Paid Time Off (PTO) calendar is kept in the shared drive."]),
    "security": ("Security", ["Passwords must be changed every 90 days.", "Never share your badge with visitors.",
                 "If you lose your laptop, tell the security team.", "The security team reviews access logs every month."]),
    "kitchen": ("Kitchen", ["The kitchen opens at 7:30 am.", "There are four fridges in the kitchen.",
                "Office managers empty the fridges every Friday.", "To report a broken dishwasher, send a photo to the facilities team."]),
}  # fmt: skip


def write(path: Path, lines: list[dict]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    """Two passages a document, each with two rules and some filling."""
    lines = []
    for name, (title, said) in TOPICS.items():
        for part in range(2):
            text = (
                " ".join(said[2 * part : 2 * part + 2])
                + f"\n\nAsk on the {name} page of the intranet for older versions."
            )
            lines.append({
                "id": f"{name}.md#{part}", "document": f"{name}.md", "title": title, "headings": [title, f"Part {part + 1}"],
                "text": text, "version": 2, "access": ["board" if name == "leave" else "staff"], "hash": f"h{part}", "shelfmark": name, "licence": "CC0",
            })  # fmt: skip
    return write(tmp_path_factory.mktemp("passages") / "passages.jsonl", lines)


@pytest.fixture(scope="module")
def made_rows(texts, tmp_path_factory) -> Path:
    return synthesize.make(settings(texts, tmp_path_factory.mktemp("out")))


def settings(texts: Path, folder: Path) -> synthesize.SynthesizeConfig:
    """Two shelves; loose limits, for a shelf of four texts gives hardly a near miss."""
    return synthesize.SynthesizeConfig(
        passages=texts, rows=folder / "rows.jsonl", model=BASE, unanswerable=0.6, least_f1=0.3, most_support=0.95,
        most_sources=3, shelf=4, per_passage=2,
    )  # fmt: skip


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_answer_stands_in_its_source_to_the_character(made_rows):
    found = lines(made_rows)
    assert sum(row["answerable"] for row in found) >= 4
    for row in found:
        assert row["answerable"] == bool(row["spans"])
        for start, end in row["spans"]:
            assert row["sources"][0][1][start:end] == row["answer"]


def test_rows_open_where_training_opens_them(made_rows):
    opened = rows.read_rows(made_rows)
    assert len(opened) == len(lines(made_rows))
    assert {row.licence for row in opened} == {"CC0"}
    assert all(1 <= len(row.sources) <= 3 for row in opened)


def test_near_misses_hold_no_answer_and_orders_are_shuffled(made_rows):
    found = lines(made_rows)
    for row in found:
        assert sorted(row["order"]) == list(range(len(row["sources"])))
        if row["answerable"]:
            wanted = f" {rows.normalise(row['answer'])} "
            assert not any(wanted in f" {rows.normalise(text)} " for _, text in row["sources"][1:])
    assert any(row["order"] != sorted(row["order"]) for row in found)


def test_what_nothing_answers_says_how_it_was_made(made_rows):
    refusals = [row for row in lines(made_rows) if not row["answerable"]]
    assert refusals
    for row in refusals:
        assert row["kind"].startswith("unanswerable: ")
        assert row["made"]["from"]


def test_keys_of_the_passage_go_with_its_rows(made_rows):
    for row in lines(made_rows):
        assert row["access"] == ["board" if row["document"] == "leave.md" else "staff"]
        assert row["version"] == 2
        assert row["shelfmark"] == row["document"].removesuffix(".md")
        assert len(row["passages"]) == len(row["sources"])


def test_the_report_counts_what_was_kept_and_refused(made_rows):
    report = json.loads(made_rows.with_suffix(".report.json").read_text())
    assert sum(report["kept_by_kind"].values()) == report["rows"]["written"] == len(lines(made_rows))
    assert sum(report["made_by_kind"].values()) >= report["rows"]["written"]
    assert "encoder" in report["model_questions"]
    assert 0 < report["diversity"]["distinct_opening_share"] <= 1
    page = made_rows.with_suffix(".report.html").read_text()
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_a_stopped_run_goes_on_and_gives_the_bytes_of_an_unbroken_one(made_rows, texts, tmp_path, monkeypatch):
    config = settings(texts, tmp_path)
    done = []
    real = synthesize.shelved

    def stops(number, *rest):
        done.append(number)
        if done == [0, 1]:
            raise KeyboardInterrupt
        return real(number, *rest)

    monkeypatch.setattr(synthesize, "shelved", stops)
    with pytest.raises(KeyboardInterrupt):
        synthesize.make(config)
    assert not config.rows.exists()
    synthesize.make(config)
    assert done == [0, 1, 1]
    assert config.rows.read_bytes() == made_rows.read_bytes()
    assert not config.rows.with_name("rows.jsonl.work").exists()


def test_a_passage_that_holds_the_answer_or_repeats_the_source_is_no_near_miss():
    said = (
        "Guests sign in at the front desk within five minutes and wear a badge all day long in every part of the house."
    )
    texts = [
        said,
        said + " Thank you.",  # a copy
        "Interns hand in their badges Within five Minutes.",  # holds the answer
        "Guests of the canteen pay at the front desk.",
        "Guests park behind the house.",
    ]
    found = [passages.Passage(str(i), "one.md" if i < 4 else "two.md", (), text) for i, text in enumerate(texts)]
    shelf = roundtrip.Shelf(found, Encoder.from_folder(packaged_encoder()), bf16=False)
    (near,) = shelf.look(["How soon must guests sign in at the front desk?"], [0], ["within five minutes"])
    assert set(near.near) == {3, 4}
    assert near.beside == (3,)
    assert near.by_words in (1, 2)
    assert near.by_vector in (1, 2)


def test_the_round_trip_asks_for_the_words_and_for_silence():
    class Points:
        def read(self, question, sources):
            at = sources[1].text.index("30 days")
            return [0.1, 0.9], 0.8, [Found(1, at, at + 7, 0.9)]

    sources = [Source("", "Nothing here."), Source("", "Send it within 30 days.")]
    limits = roundtrip.Limits()
    assert roundtrip.answerable(Points(), "?", sources, gold=1, span=(8, 22), limits=limits).reason == ""
    assert (
        roundtrip.answerable(Points(), "?", sources, gold=1, span=(0, 7), limits=limits).reason == "reader: other words"
    )
    assert (
        roundtrip.answerable(Points(), "?", sources, gold=0, span=(0, 7), limits=limits).reason == "reader: other words"
    )
    assert roundtrip.unanswerable(Points(), "?", sources, limits).reason == "reader: sees an answer"
    assert roundtrip.unanswerable(Points(), "?", sources, roundtrip.Limits(most_support=0.9)).reason == ""


def test_passages_that_other_people_may_read_never_share_a_row(made_rows):
    found = lines(made_rows)
    assert any(row["document"] == "leave.md" for row in found)
    for row in found:
        assert len({name.startswith("leave.md") for name in row["passages"]}) == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"id": "a", "document": "d", "text": "x"}', "line 2: .*headings"),
        ("[1, 2]", "line 2: a JSON object is needed, not list"),
        ('{"id": "first", "document": "d", "headings": [], "text": "x"}', "line 2: the id 'first' stands on an earlier line"),
        ("{", "line 2"),
        ('{"id": "a", "document": "d", "headings": "x", "text": "x"}', "headings a list of strings"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named_and_nothing_is_written(tmp_path, line, says):
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "first", "document": "d", "headings": [], "text": "x"}\n' + line + "\n")
    with pytest.raises(DataError, match=says):
        passages.count(path)
    with pytest.raises(DataError):
        synthesize.make(synthesize.SynthesizeConfig(passages=path, rows=tmp_path / "r.jsonl", model=BASE))
    assert not (tmp_path / "r.jsonl").exists()


@pytest.mark.parametrize(
    ("setting", "says"),
    [({"most_sources": 9}, "1 to 8"), ({"least_f1": 2.0}, "share from 0 to 1"), ({"per_passage": 0}, "at least 1"), ({"model": Path("nowhere")}, "no model")],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(texts, tmp_path, setting, says):
    with pytest.raises(RecipeError, match=says):
        synthesize.make(
            synthesize.SynthesizeConfig(passages=texts, rows=tmp_path / "r.jsonl", **{"model": BASE, **setting})
        )


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="no passages"):
        synthesize.make(
            synthesize.SynthesizeConfig(passages=write(tmp_path / "p.jsonl", []), rows=tmp_path / "r.jsonl", model=BASE)
        )


def test_the_command_line_stands_above_the_recipe(texts, tmp_path):
    plan = recipe.Recipe("x", Path(), tmp_path, {"synthesize": {"seed": 3, "model": "nowhere"}})
    with pytest.raises(RecipeError, match="per_passage is 0"):
        synthesize.of_command(plan, {"passages": texts, "model": BASE, "seed": None}, ["per_passage=0"])
    with pytest.raises(RecipeError, match="key=value"):
        synthesize.of_command(plan, {}, ["per_passage"])


@pytest.mark.slow  # starts two processes that each load torch and the models
def test_the_command_with_two_workers_gives_the_rows_of_one(texts, tmp_path):
    outputs = []
    for workers in ("1", "2"):
        out = tmp_path / f"rows{workers}.jsonl"
        command = [
            sys.executable,
            "-m",
            "trainer.cli",
            "synthesize",
            str(texts),
            "--out",
            str(out),
            "--model",
            str(BASE),
        ]
        command += ["--workers", workers, "--set", "shelf=4", "--seed", "7"]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == str(out)
        assert "passages/s" in done.stderr
        outputs.append(out.read_bytes())
    assert outputs[0] == outputs[1]


# --- questions --------------------------------------------------------------------------------------------------------


def test_sampling_keeps_to_the_likeliest_tokens():
    logits = torch.tensor([3.0, 2.9, -4.0, -5.0])
    drawn = {draw(logits, 1.0, 0.9, torch.Generator().manual_seed(seed)) for seed in range(60)}
    assert drawn == {0, 1}
    assert draw(logits, 0.0, 0.9, torch.Generator()) == 0
    assert {draw(logits, 50.0, 1.0, torch.Generator().manual_seed(seed)) for seed in range(60)} == {0, 1, 2, 3}


def test_a_trunk_writes_the_same_words_for_the_same_seed(model, words):
    writer = Writer(TrunkReader(model, words), temperature=1.2, top_p=0.95)
    source = Source("Limits", page(4))
    spans = candidates(source.text)
    assert spans
    said = [writer.write(source, *spans[0], seed=seed) for seed in (1, 2, 3, 1)]
    assert said[0] == said[3]
    assert len(set(said)) > 1


def test_a_trunk_that_was_taught_to_ask_has_its_questions_judged_like_the_others(model, words, texts, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    save_file(model.state_dict(), folder / "model.safetensors")
    words.save(folder / "tokenizer.json")
    config = {"format": 1, "kind": "trunk", "name": "untrained", "threshold": 0.5, "tasks": ["ask"]}
    config["trainer_config"] = {"model": asdict(model.config)}
    (folder / "config.json").write_text(json.dumps(config))
    checksums.write(folder)
    path = synthesize.make(
        synthesize.SynthesizeConfig(
            passages=texts, rows=tmp_path / "rows.jsonl", model=folder, per_passage=1, most_sources=1
        )
    )
    report = json.loads(path.with_suffix(".report.json").read_text())
    assert report["model_questions"] == "used"
    wording = sum(times for name, times in report["refused_by_kind_and_reason"].items() if name.startswith("wording"))
    assert (
        wording + report["made_by_kind"].get("written", 0) > 4
    )  # an untrained trunk babbles; none of it may pass unseen


def test_an_encoder_writes_no_questions_and_says_why():
    assert "encoder" in can_ask({"kind": "encoder"})
    assert "not taught to ask" in can_ask({"kind": "trunk"})
    assert can_ask({"kind": "trunk", "tasks": ["ask"]}) == ""
