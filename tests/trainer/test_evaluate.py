"""`trainer evaluate` on any model and any question file: the JSON that others read, the page, and what it refuses."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from tests.trainer.export_run import finished_run, plan_of
from tests.trainer.office import page, write_jsonl
from trainer import checkpoint, cli, evaluate, export, recipe
from trainer.chat import Source
from trainer.errors import CheckpointError, DataError
from trainer.reading import TrunkReader
from trainer.scoring import bits, opening

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "models" / "base"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, words):
    """A finished run with its exported model, and questions whose first half the model answers as it should."""
    from trainer.model import ModelConfig, Transformer

    torch.manual_seed(3)
    sizes = ModelConfig(
        vocabulary=words.size, width=64, layers=2, heads=4, key_value_heads=2, head_width=16, hidden=96, context=256
    )
    model = Transformer(sizes).eval()
    with torch.no_grad():
        model.heads.span.weight *= 20
    run = finished_run(tmp_path_factory.mktemp("evaluate") / "run", model, words)
    export.export(plan_of(run, precision="fp32"))
    reader, rows = TrunkReader(model, words), []
    for seed in range(16):
        text = page(seed, 3)
        question = {"question": f"What is rule {seed}?", "context": text, "title": "Rules"}
        _, _, spans = reader.read(question["question"], [Source("Rules", text)])
        start = spans[0].start if seed < 8 else spans[-1].start
        end = spans[0].end if seed < 8 else spans[-1].end
        answers = [{"text": text[start:end], "start": start}, {"text": "something else", "start": -1}]
        rows.append({**question, "answers": answers, "answerable": True})
    rows += [{"question": f"Who may {seed}?", "context": page(seed, 3), "title": "", "answers": [], "answerable": False} for seed in range(4)]  # fmt: skip
    write_jsonl(run.parent / "questions.jsonl", rows)
    return run.parent


def called(*arguments):
    """The command, in this process: exit code, stdout, stderr."""
    done = CliRunner().invoke(cli.app, ["evaluate", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def test_the_json_is_one_object_with_what_others_rely_on(folder):
    code, said, _ = called("--model", folder / "run" / "model", "--questions", folder / "questions.jsonl", "--json")
    assert code == 0
    found = json.loads(said)
    assert (found["n"], found["answerable"], found["unanswerable"]) == (20, 16, 4)
    assert 50 <= found["em"] <= found["f1"] < 100  # eight are what it says, eight what it says last
    assert found["threshold"] == 0.4
    assert 0 <= found["auc_risk_coverage"] <= 1
    assert found["balanced_accuracy"] == pytest.approx((found["answered"] + found["refused"]) / 2, abs=0.01)
    assert found["quotations"]["spans"] == {
        "given": found["quotations"]["spans"]["given"],
        "literal": 100.0,
        "failures": [],
    }
    assert found["quotations"]["spans"]["given"] > 30
    assert "spoken" in found["quotations"]
    assert set(found["spoken"]) == {"both_ways", "looking_back"}
    low, high = found["intervals"]["f1"]
    assert low < found["f1"] < high
    assert not [edges for edges in found["intervals"].values() if None in edges]
    assert found["evidence"]["n"] == 16
    assert "bits_per_byte" not in found
    assert found["speed"]["questions_per_second"] > 0


def test_without_unanswerable_questions_nothing_is_said_about_refusing(folder, tmp_path):
    lines = (folder / "questions.jsonl").read_text().splitlines()[:8]
    (tmp_path / "answerable.jsonl").write_text("\n".join(lines))
    code, said, _ = called(
        "--model", folder / "run" / "model", "--questions", tmp_path / "answerable.jsonl", "--json", "--evidence", 0
    )
    found = json.loads(said)
    assert (code, found["em"], found["f1"]) == (0, 100.0, 100.0)
    assert not {"balanced_accuracy", "refused", "auc_risk_coverage_refusals", "evidence"} & set(found)


def test_a_runs_checkpoint_reads_as_its_exported_folder_does(folder):
    run = folder / "run"
    places = [run / "model", run, run / "finetune", checkpoint.latest(run / "finetune")]
    opened = [opening.open_model(place) for place in places]
    sources = [Source("Rules", page(1, 3))]
    read = [one.reader.read("What is rule 1?", sources) for one in opened]
    assert all(one == read[0] for one in read)
    assert {one.threshold for one in opened} == {0.4}
    assert [one.threshold_from for one in opened] == ["the model folder", *["evaluation.json of the run"] * 3]
    scored = (run / "evaluation.json").read_text()
    (run / "evaluation.json").write_text(scored.replace("step-00000010", "step-00000005"))  # of an earlier checkpoint
    unknown = opening.open_model(run)
    (run / "evaluation.json").write_text(scored)
    assert (unknown.threshold, unknown.threshold_from) == (0.5, "no place: none is stored")


@pytest.mark.slow
def test_a_second_model_is_compared_on_the_same_questions(folder, tmp_path):
    worse = TrunkReader.from_folder(folder / "run" / "model").model
    with torch.no_grad():
        worse.heads.span.weight.neg_()
    state = checkpoint.read_state(checkpoint.latest(folder / "run" / "finetune"))
    checkpoint.save(tmp_path / "worse" / "finetune", worse, [], state, keep=1)
    (tmp_path / "worse" / "tokenizer.json").write_bytes((folder / "run" / "tokenizer.json").read_bytes())
    texts = tmp_path / "rules.jsonl"
    write_jsonl(texts, [{"text": page(seed)} for seed in range(40)])
    _, said, _ = called(
        "--model", folder / "run" / "model", "--against", tmp_path / "worse", "--questions", folder / "questions.jsonl",
        "--text", texts, "--json", "--evidence", 0, "--html", tmp_path / "page.html",
    )  # fmt: skip
    found = json.loads(said)
    f1 = found["against"]["measures"]["f1"]
    assert f1["difference"] == pytest.approx(found["f1"] - f1["value"], abs=0.011)
    assert f1["interval"][0] > 0  # eight of the questions are what the first model says
    assert 0 < found["bits_per_byte"]["rules"] == found["against"]["bits_per_byte"]["rules"] < 12
    shown = (tmp_path / "page.html").read_text()
    for words in ("Evaluation of mini", "questions.jsonl", "Bits per byte", "Wrong answers", "Against", "<svg"):
        assert words in shown


@pytest.mark.slow
def test_the_stage_of_a_recipe_writes_figures_and_a_page(folder):
    run = folder / "run"
    (run / "pretrain" / "metrics.jsonl").write_text(
        '{"step": 1, "causal": 5.0, "z": 55.0, "tokens": 512}\n{"step": 2, "cau'
    )
    settings = {"folder": str(run / "model"), "rows": str(run / "rows" / "dev.jsonl"), "sources": 1, "withheld": 0.0}
    plan = recipe.Recipe(
        "mini", folder, folder / "scored", {"evaluate": {**settings, "questions": [str(folder / "questions.jsonl")]}}
    )
    (plan.out / "pretrain").mkdir(parents=True)
    (plan.out / "pretrain" / "metrics.jsonl").write_bytes((run / "pretrain" / "metrics.jsonl").read_bytes())
    path = evaluate.evaluate(plan)
    found = json.loads(path.read_text())
    assert found["reading"]["f1"] == 100.0
    assert None not in found["reading"].values()
    assert found["questions"]["questions.jsonl"]["n"] == 20
    shown = path.with_suffix(".html").read_text()
    for words in ("Reading", "questions.jsonl", "Losses: pretrain", "causal"):
        assert words in shown
    assert ">z<" not in shown  # the squares that hold the logits are no loss: beside one they flatten it
    assert str(ROOT) not in shown


def test_errors_are_one_line_and_nothing_is_printed_on_stdout(folder, tmp_path):
    model, bad = folder / "run" / "model", tmp_path / "bad.jsonl"
    bad.write_text('{"question": "Why?", "context": "So.", "answers": [{"text": "So", "start": 1}]}\n')
    for arguments, message in (
        (["--model", tmp_path / "gone", "--questions", bad], "CheckpointError: "),
        (["--model", tmp_path, "--questions", bad], "holds neither config.json nor a checkpoint"),
        (["--model", model, "--questions", tmp_path / "gone.jsonl"], "gone.jsonl is missing"),
        (["--model", model, "--questions", bad], "bad.jsonl, line 1: answers[0]: 'So' should be characters 1 to 3"),
        (["--model", model, "--text", bad], "line 1: no text"),
    ):
        code, said, told = called(*arguments, "--json")
        assert (code, said, told.count("\n")) == (1, "", 1)
        assert message in told
    for arguments in (["--model", model], [], ["--model", model, "--config", bad]):
        assert called(*arguments)[0] == 2


def test_a_folder_whose_files_were_exchanged_is_not_scored(folder, tmp_path):
    for path in (folder / "run" / "model").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = bytearray((tmp_path / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    with pytest.raises(CheckpointError, match=r"model\.safetensors is not the file that was exported"):
        opening.open_model(tmp_path)
    (tmp_path / "config.json").write_text('{"format": 1, "kind": "speaker"}')
    with pytest.raises(CheckpointError, match="of kind 'speaker'; readers are of kind 'trunk' or 'encoder'"):
        opening.open_model(tmp_path)


def test_bits_per_byte_are_those_of_the_loss_and_rows_must_be_full(folder, words, tmp_path):
    reader = TrunkReader.from_folder(folder / "run" / "model")
    path = tmp_path / "rules.jsonl"
    write_jsonl(path, [{"text": page(1)}])
    ids = [*words.encode(page(1)), words.end]
    found = bits.of_file(reader.model, path, words, rows=1, length=64)
    row = torch.tensor([ids[:65]])
    with torch.no_grad():
        logits = reader.model.logits(reader.model(row[:, :-1]))
        nats = torch.nn.functional.cross_entropy(logits[0], row[0, 1:], reduction="sum")
    size = sum(len(words.token_bytes(int(i))) for i in row[0, 1:])
    assert found == pytest.approx(float(nats) / math.log(2) / size, rel=1e-4)
    with pytest.raises(DataError, match="less than a row of 100000"):
        bits.of_file(reader.model, path, words, rows=1, length=100_000)


def test_a_page_without_matplotlib_is_left_out_and_the_figures_are_kept(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, said, told = called(
        "--model", folder / "run" / "model", "--questions", folder / "questions.jsonl", "--json", "--evidence", 0,
        "--limit", 3, "--html", tmp_path / "page.html",
    )  # fmt: skip
    assert code == 0
    assert json.loads(said)["n"] == 3
    assert 'pip install "groundling[train]"' in told
    assert not (tmp_path / "page.html").exists()


@pytest.mark.skipif(not BASE.is_dir(), reason="models/base is not here")
def test_the_shipped_reader_answers_plain_questions_and_writes_no_text(tmp_path):
    text = "The north depot opens at nine o'clock. Badges are returned to the front desk each evening."
    rows = [
        {"question": "When does the north depot open?", "answers": [{"text": "nine o'clock", "start": 25}]},
        {"question": "Where are badges returned to?", "answers": [{"text": "the front desk", "start": 62}]},
        {"question": "What does a ladder cost?", "answers": []},
    ]
    write_jsonl(tmp_path / "q.jsonl", [{**row, "context": text, "answerable": bool(row["answers"])} for row in rows])
    code, said, _ = called("--model", BASE, "--questions", tmp_path / "q.jsonl", "--json")
    found = json.loads(said)
    assert code == 0
    assert found["kind"] == "encoder"
    assert found["f1"] > 60
    assert found["balanced_accuracy"] == 100
    with pytest.raises(CheckpointError, match="an encoder, which predicts no text"):
        evaluate.bits_of_text(opening.open_model(BASE), [tmp_path / "q.jsonl"], evaluate.EvaluateConfig())
