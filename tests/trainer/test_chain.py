"""The whole chain on a small text: raw text in, a model folder out that reads, points, refuses and speaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.trainer.office import page, question, write_jsonl
from trainer import (
    checkpoint,
    corpus,
    data,
    evaluate,
    export,
    finetune,
    mixture,
    pretrain,
    reader,
    recipe,
    rows,
    tokenizer,
)
from trainer.chat import Source
from trainer.errors import CheckpointError, DataError, RecipeError
from trainer.formats import checksums
from trainer.reading import TrunkReader
from trainer.scoring import curve
from trainer.synthesis import cutting, synthetic_rows
from trainer.teaching import examined, retention, teacher

ROOT = Path(__file__).resolve().parents[2]
SMALL = [
    "corpus.workers=1", "corpus.bytes_per_domain=0", "corpus.held_share=0.1", "tokenizer.vocabulary=512",
    "model.width=64", "model.layers=2", "model.head_width=16", "model.hidden=96", "model.context=384",
    "pretrain.steps=6", "pretrain.length=64", "pretrain.rows=4", "pretrain.tokens_per_step=512",
    "rows.misses=2", "rows.dev_one_in=6", "rows.caps={}",
    "finetune.steps=10", "finetune.length=384", "finetune.spoken_tokens=32", "finetune.peak_learning_rate=4e-3",
    "finetune.talk_length=128", "finetune.text_length=64",
    "retention.reading_rows=10", "retention.rewriting_rows=2", "retention.text_rows=2",
    "evaluate.most_rows=40", "evaluate.text_rows=4", "evaluate.length=64",
]  # fmt: skip


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Raw text in the layout of the data folder, and all six stages run on it."""
    folder = tmp_path_factory.mktemp("chain")
    raw = folder / "data"
    for name, seeds in (("rules", range(120)), ("notes", range(1000, 1060))):
        texts = [{"text": page(s), "source": f"{name}/{s}", "licence": "CC0"} for s in seeds]
        write_jsonl(raw / "pretrain" / f"{name}.jsonl", texts)
    write_jsonl(raw / "qa" / "train" / "office.jsonl", [question(seed) for seed in range(2000, 2160)])
    write_jsonl(raw / "qa" / "eval" / "unseen.jsonl", [question(seed) for seed in range(9000, 9010)])
    plan = recipe.load(ROOT / "configs" / "tiny.toml", data=raw, out=folder / "out", overrides=SMALL)
    for stage in (corpus.corpus, data.tokenize, pretrain.pretrain, finetune.finetune, evaluate.evaluate, export.export):
        result = stage(plan)
        assert result.exists(), stage
    return plan


def test_the_exported_folder_reads_and_speaks(chain):
    reader = TrunkReader.from_folder(chain.out / "model")
    asked = question(2001)
    sources = [Source("Limits", page(1, 3)), Source("Limits", asked["context"])]
    evidence, support, spans = reader.read(asked["question"], sources)
    assert len(evidence) == 2
    assert all(0 <= value <= 1 for value in [*evidence, support])
    assert spans == sorted(spans, key=lambda span: -span.score)
    for span in spans:
        said = sources[span.source].text[span.start : span.end]
        assert said
        assert said == said.strip()
    assert isinstance(reader.say(asked["question"], sources, spans[:1]), str)
    modes = {file.stat().st_mode for file in (chain.out / "model").iterdir()}
    assert modes == {(chain.out / "clean" / "report.json").stat().st_mode}  # whoever serves may read all of it


def test_text_of_every_domain_is_measured_in_bits_per_byte(chain):
    bits = json.loads((chain.out / "evaluation.json").read_text())["bits_per_byte"]
    assert set(bits) == {"rules", "notes"}
    assert all(0 < value < 8 for value in bits.values())


@pytest.mark.slow  # 90 steps are what a model of this size needs to read at all
def test_it_learns_to_point_at_answers_it_never_saw(chain, tmp_path):
    for name in ("shards", "rows", "pretrain", "tokenizer.json"):
        (tmp_path / name).symlink_to(chain.out / name)
    longer = [*SMALL, "finetune.steps=90"]
    plan = recipe.load(ROOT / "configs" / "tiny.toml", data=chain.data, out=tmp_path, overrides=longer)
    finetune.finetune(plan)
    scores = json.loads(evaluate.evaluate(plan).read_text())["reading"]
    assert scores["f1"] > 60  # a limit is a number and "pieces"; guessing gives less than 5


def test_the_folder_names_format_kind_threshold_and_card(chain):
    config = json.loads((chain.out / "model" / "config.json").read_text())
    scores = json.loads((chain.out / "evaluation.json").read_text())
    assert (config["format"], config["kind"]) == (1, "trunk")
    assert config["name"] == "tiny"
    assert config["threshold"] == scores["reading"]["threshold"]
    assert config["tasks"] == sorted(
        config["trainer_config"]["recipe"]["finetune"].get("shares", ["ask", "read", "rewrite", "talk"])
    )
    assert set(checksums.read(chain.out / "model")) == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "README.md",
    }
    card = (chain.out / "model" / "README.md").read_text()
    for word in ("CC0", "kWh", "Apache-2.0", "| rules |", "evidence top1", "| finetune | 10 |"):
        assert word in card
    assert str(ROOT) not in card + json.dumps(config)


def test_an_exported_model_is_scored_by_the_same_command(chain):
    before = json.loads((chain.out / "evaluation.json").read_text())["reading"]
    overrides = [*SMALL, f"evaluate.folder={json.dumps(str(chain.out / 'model'))}", "evaluate.most_rows=10"]
    dev = f"evaluate.rows={json.dumps(str(chain.out / 'rows' / 'dev.jsonl'))}"
    plan = recipe.load(
        ROOT / "configs" / "tiny.toml", data=chain.data, out=chain.out / "again", overrides=[*overrides, dev]
    )
    scores = json.loads(evaluate.evaluate(plan).read_text())["reading"]
    assert scores["threshold"] == before["threshold"]
    assert scores["answerable"] + scores["unanswerable"] == 10


def test_rows_are_split_so_that_no_text_is_in_both(chain):
    lines = {name: (chain.out / "rows" / f"{name}.jsonl").read_text().splitlines() for name in ("train", "dev")}
    train, dev = ({json.loads(line)["sources"][0][1] for line in lines[name]} for name in ("train", "dev"))
    assert train
    assert dev
    assert not train & dev


def test_stages_without_what_they_need_say_which_stage_is_missing(chain, tmp_path):
    empty = recipe.load(ROOT / "configs" / "tiny.toml", data=chain.data, out=tmp_path, overrides=SMALL)
    with pytest.raises(DataError, match="run `trainer corpus` first"):
        data.tokenize(empty)
    with pytest.raises(DataError, match="run `trainer tokenizer` first"):
        pretrain.pretrain(empty)
    with pytest.raises(CheckpointError, match="run `trainer finetune` first"):
        export.export(empty)


def test_a_checkpoint_is_not_exported_before_it_is_evaluated(chain, tmp_path):
    (tmp_path / "finetune").symlink_to(chain.out / "finetune")
    (tmp_path / "tokenizer.json").symlink_to(chain.out / "tokenizer.json")
    plan = recipe.load(ROOT / "configs" / "tiny.toml", data=chain.data, out=tmp_path, overrides=SMALL)
    with pytest.raises(CheckpointError, match="run `trainer evaluate` first"):
        export.export(plan)


def test_a_tokenizer_that_does_not_fit_the_weights_is_refused(chain, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for path in (chain.out / "model").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    tokenizer.train(iter([page(1)]), vocabulary=300).save(folder / "tokenizer.json")
    checksums.write(folder)
    with pytest.raises(CheckpointError, match=r"the weights know 512 tokens, tokenizer\.json 300"):
        TrunkReader.from_folder(folder)


def test_a_folder_of_another_format_is_refused(chain, tmp_path):
    (tmp_path / "config.json").write_text('{"format": 9, "kind": "trunk"}')
    with pytest.raises(CheckpointError, match="has format 9, this release reads 1"):
        TrunkReader.from_folder(tmp_path)


def test_damaged_weights_are_refused(chain, tmp_path):
    newest = checkpoint.latest(chain.out / "pretrain")
    copy = tmp_path / newest.name
    copy.mkdir()
    for path in newest.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    tensors = load_file(copy / "model.safetensors")
    save_file({**tensors, "norm.weight": torch.ones(3)}, copy / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"norm\.weight is \(3,\), the model wants \(64,\)"):
        checkpoint.load(copy)
    (copy / "model.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(copy)


def test_withheld_rows_teach_refusal_and_never_show_the_gold_source(chain):
    plan = chain.section("finetune", finetune.FinetuneConfig)
    words = tokenizer.load(chain.out / "tokenizer.json")
    examples = rows.read_rows(chain.out / "rows" / "train.jsonl")
    batches = finetune.RowBatches(examples, words, plan)
    seen = [batch for number in range(12) for batch in batches.step(number)]
    gold = sum(float((batch.arrays["evidence"] == 1).sum()) for batch in seen)
    shown = sum(batch.counts["support"] for batch in seen)
    assert 0.5 < gold / shown < 0.9  # `withheld` is 0.3
    for batch in seen:
        assert batch.counts["span"] == (batch.arrays["evidence"] == 1).sum()
        for row, (start, end) in enumerate(batch.arrays["span"]):
            said = words.decode(batch.arrays["ids"][row, start : end + 1].tolist()) if start >= 0 else "pieces"
            assert "pieces" in said
    again = finetune.RowBatches(examples, words, plan)
    late, early = again.batch(11), again.batch(2)
    assert (late.arrays["ids"] == seen[11].arrays["ids"]).all()
    assert (early.arrays["ids"] == seen[2].arrays["ids"]).all()


BARE = """
import sys
import trainer.pretrain, trainer.finetune, trainer.evaluate, trainer.export, trainer.data, trainer.recipe
standard = set(sys.stdlib_module_names)
print(sorted({name.partition(".")[0] for name in sys.modules} - standard - {"trainer", "__main__"}))
"""


def test_training_imports_nothing_that_a_bare_machine_lacks():
    loaded = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    foreign = {"typer", "rensa", "rag", "faiss", "tantivy", "transformers", "sentence_transformers", "pydantic"}
    assert not foreign & set(json.loads(loaded.replace("'", '"')))


def test_the_plain_command_line_runs_a_stage_and_reports_errors_in_one_line(chain, tmp_path):
    command = [sys.executable, "-m", "trainer.evaluate", "--config", "configs/tiny.toml", "--out", str(tmp_path)]
    failed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith("DataError: ")
    assert failed.stderr.count("\n") == 1


@pytest.mark.parametrize("program", ["trainer.cli corpus", "trainer.corpus"])
def test_a_place_that_cannot_be_written_is_an_error_in_one_line(program, tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.txt").write_text(page(1))
    recipe_file = tmp_path / "own.toml"
    recipe_file.write_text('[corpus]\nsources = { own = "raw" }\nworkers = 1\n')
    taken = tmp_path / "raw" / "a.txt" / "run"
    command = [sys.executable, "-m", *program.split(), "--config", recipe_file, "--data", tmp_path, "--out", taken]
    failed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"NotADirectoryError: {taken}")
    assert "see that the place exists and may be read or written" in failed.stderr
    assert failed.stderr.count("\n") == 1


@pytest.mark.parametrize("name", [".", "latin.toml"])
def test_a_recipe_that_cannot_be_read_is_named(name, tmp_path):
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'")
    with pytest.raises(RecipeError, match=r"such as configs/tiny\.toml"):
        recipe.load(tmp_path / name)


@pytest.mark.parametrize("name", ["tiny", "12m", "12m-cpu", "30m", "58m"])
def test_every_recipe_has_only_keys_its_stages_know(name):
    plan = recipe.load(ROOT / "configs" / f"{name}.toml")
    sections = {
        "corpus": corpus.CorpusConfig, "tokenizer": data.TokenizerConfig, "pretrain": pretrain.PretrainConfig,
        "rows": mixture.RowsConfig, "finetune": finetune.FinetuneConfig, "evaluate": evaluate.EvaluateConfig,
        "export": export.ExportConfig, "model": pretrain.ModelConfig,
    }  # fmt: skip
    assert set(sections) - {"rows"} <= set(plan.sections)
    sections |= {
        "passages": cutting.PassagesConfig, "synthesize": synthetic_rows.SynthesizeConfig, "curve": curve.CurveConfig,
        "labels": teacher.LabelsConfig, "examined": examined.ExaminedConfig,
        "retention": retention.RetentionConfig,
    }  # fmt: skip
    for section, kind in ((name, sections[name]) for name in plan.sections):
        plan.section(section, kind)


def test_sizes_of_the_recipes_are_what_their_names_say():
    for name, least, most in (("tiny", 0.5e6, 2e6), ("12m", 11e6, 13e6), ("30m", 28e6, 32e6), ("58m", 55e6, 61e6)):
        plan = recipe.load(ROOT / "configs" / f"{name}.toml")
        vocabulary = plan.section("tokenizer", data.TokenizerConfig).vocabulary
        values = {**plan.sections["model"], "vocabulary": vocabulary}
        with torch.device("meta"):
            model = pretrain.Transformer(recipe.build(pretrain.ModelConfig, values, where=name))
        assert least < sum(weight.numel() for weight in model.parameters()) < most


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("pretrain.stepz=3", r"\[pretrain\] has unknown keys \['stepz'\]"),
        ("pretrain.steps=many", r"\[pretrain\] steps is 'many'; it takes int"),
        ("pretrain.peak_learning_rate=nan", r"\[pretrain\] peak_learning_rate is nan; it takes float"),
        ("pretrain.keep=0", "keep is 0; use 1 or more"),
        ("pretrain.log_every=0", "log_every is 0; use 1 or more"),
        ("pretrain.checkpoint_every=0", "checkpoint_every is 0; use 1 or more"),
        ("pretrain.rows=0", "rows is 0; use 1 or more"),
        ("pretrain.masked_share=2", "masked_share is 2.0; use 0 to 1"),
        ("pretrain.peak_learning_rate=-1", "peak_learning_rate is -1.0; use 0 or more"),
        ("pretrain.domain_weights={books=-1}", "domain_weights are .*; use 0"),
        ("pretrain.late_weights={books=-1}", "late_weights are .*; use 0"),
        ("finetune.rows_per_batch=0", "rows_per_batch is 0; use 1 or more"),
        ("finetune.most_sources=0", "most_sources is 0; use 1 or more"),
        ("reader.sources=0", "sources is 0; use 1 or more"),
        ("model.layers=0", "layers is 0; use 1 or more"),
        ("steps=3", "write an override as section.key=value"),
        ("name.steps=3", "name is no section"),
        ("pretrian.steps=3", r"unknown sections \['pretrian'\]; known are .*'pretrain'"),
    ],
)
def test_a_wrong_setting_is_named(override, message):
    with pytest.raises(RecipeError, match=message):
        read_sections(override)


def read_sections(override):
    plan = recipe.load(ROOT / "configs" / "tiny.toml", overrides=[override])
    for name, kind in LEARNT.items():
        plan.section(name, kind)


LEARNT = {
    "pretrain": pretrain.PretrainConfig, "finetune": finetune.FinetuneConfig, "reader": reader.ReaderConfig,
    "model": pretrain.ModelConfig,
}  # fmt: skip


TRAVEL = """## Travel

Employees must submit receipts within {n} days of the trip. The travel desk must approve flights over ${n}. If your flight
is cancelled, call the travel desk. To book a hotel room, open the booking page in the portal."""


@pytest.mark.slow  # every stage as a person runs them, in fewer steps: two minutes
@pytest.mark.skipif(not (ROOT / "models" / "base" / "config.json").is_file(), reason="models/base is not there")
def test_the_script_takes_raw_text_to_a_model_in_three_layouts(tmp_path):
    raw, out = tmp_path / "data", tmp_path / "out"
    for name, seeds in (("handbooks", range(300)), ("manuals", range(1000, 1200))):
        texts = [f"# Rules {s}\n\n{page(s)}\n\n## Limits\n\n{page(s + 7000, 5)}\n\n{TRAVEL.format(n=s)}" for s in seeds]
        write_jsonl(
            raw / "pretrain" / f"{name}.jsonl", [{"text": t, "source": name, "licence": "CC0-1.0"} for t in texts]
        )
    write_jsonl(raw / "qa" / "train" / "new_wiki.jsonl", [question(seed) for seed in range(2000, 2160)])
    write_jsonl(raw / "qa" / "eval" / "unseen.jsonl", [question(seed) for seed in range(9000, 9010)])
    environment = {**os.environ, "QUICK": "1", "PYTHON": sys.executable}
    command = ["sh", str(ROOT / "scripts" / "tiny.sh"), str(raw), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    for made in ("model/model.safetensors", "huggingface/config.json", "gguf/README.md", "evaluation.html"):
        assert (out / made).is_file(), made
    assert TrunkReader.from_folder(out / "model").threshold > 0
    assert [row for row in rows.read_rows(out / "rows" / "synthetic.jsonl") if row.spans]
