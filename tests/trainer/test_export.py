"""The model folder: what is stored, that it reads the same, and everything that must stop an export."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from tests.trainer.export_run import finished_run, plan_of
from tests.trainer.office import page
from trainer import checkpoint, cli, export, tokenizer
from trainer.chat import Source
from trainer.encoder_reader import EncoderReader
from trainer.errors import CheckpointError, DataError, RecipeError
from trainer.formats import checksums, quantise
from trainer.model import Transformer
from trainer.reading import TrunkReader

BASE = Path(__file__).resolve().parents[2] / "models" / "base"


@pytest.fixture
def sharp(model):
    """The small model with heads loud enough that its likeliest span stands out."""
    with torch.no_grad():
        model.heads.span.weight *= 20
    return model


@pytest.fixture
def run(tmp_path, sharp, words):
    return finished_run(tmp_path / "run", sharp, words)


def test_int8_stores_every_matrix_of_the_trunk_and_its_error_is_at_most_half_a_scale(sharp):
    tensors = checkpoint.weights(sharp)
    packed = quantise.pack(tensors, "int8")
    back = quantise.unpack(packed)
    assert set(back) == set(tensors)
    for name, tensor in tensors.items():
        if quantise.matrix(name, tensor):
            codes, scale = packed[name + ".int8"], packed[name + ".scale"]
            assert (codes.dtype, scale.dtype, scale.shape) == (torch.int8, torch.float16, tensor.shape[:1])
            assert codes.shape == tensor.shape
            # fp16 may round the scale down, so that the largest number of a row is cut by that much more
            most = scale.float()[:, None] / 2 + tensor.abs().amax(1, keepdim=True) * 2**-10
            assert ((back[name] - tensor).abs() <= most).all()
        else:
            assert torch.equal(back[name], tensor)
    matrices = sum(tensor.numel() for name, tensor in tensors.items() if quantise.matrix(name, tensor))
    assert sum(t.numel() for t in packed.values() if t.dtype == torch.int8) == matrices


def test_rows_of_zeros_stay_zero_and_numbers_that_are_none_are_refused():
    codes, scale = quantise.quantise(torch.tensor([[0.0, 0.0], [1e-9, 0.0], [-2.0, 1.0]]))
    assert quantise.dequantise(codes, scale).isfinite().all()
    assert codes[:2].eq(0).all()
    assert codes[2].tolist() == [-127, 64]
    with pytest.raises(CheckpointError, match=r"embed\.weight holds numbers that are not finite"):
        quantise.pack({"embed.weight": torch.tensor([[1.0, float("nan")]])}, "int8")


@pytest.mark.parametrize("precision", ["int8", "bf16", "fp32"])
def test_each_precision_is_opened_again_and_reads_alike(run, sharp, words, precision):
    folder = export.export(plan_of(run, precision=precision))
    reader, full = TrunkReader.from_folder(folder), TrunkReader(sharp, words)
    assert (reader.name, reader.threshold) == ("mini", 0.4)
    sources = [Source("Rules", page(7)), Source("", page(8))]
    ours, theirs = (r.read("What is rule 7?", sources) for r in (reader, full))
    tolerance = 1e-6 if precision == "fp32" else 0.02
    assert ours[0] == pytest.approx(theirs[0], abs=tolerance)
    assert ours[1] == pytest.approx(theirs[1], abs=tolerance)
    check = json.loads((folder / "config.json").read_text())["precision_check"]
    assert check == ({} if precision == "fp32" else {"f1_full": 100.0, "f1": 100.0, "answerable": 12})


def test_the_product_serves_from_the_folder_and_names_a_damaged_one(run):
    from rag.errors import ModelError
    from rag.read import open_reader
    from rag.types import Passage

    folder = export.export(plan_of(run))
    passage = Passage(0, 0, "rules", 1, 0, len(page(7)), page(7), None)
    reading = open_reader(folder).read("What is rule 7?", [passage])
    assert reading.spans
    assert passage.text[reading.spans[0].start : reading.spans[0].end].strip()
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"model\.safetensors is not the file that was exported"):
        open_reader(folder)


def test_a_smaller_precision_makes_a_smaller_file(run):
    sizes = []
    for precision in ("fp32", "bf16", "int8"):
        folder = export.export(plan_of(run, precision=precision))
        sizes.append((folder / "model.safetensors").stat().st_size)
    assert sizes[1] < 0.6 * sizes[0]
    assert sizes[2] < 0.65 * sizes[1]


def test_weights_that_int8_ruins_are_refused_with_both_scores(tmp_path, sharp, words):
    with torch.no_grad():  # the same function in full precision; in int8 one column leaves no codes for the others
        for layer in sharp.layers:
            for norm, maps in (
                (layer.attention_norm, (layer.attention.query, layer.attention.key, layer.attention.value)),
                (layer.hidden_norm, (layer.gate, layer.up)),
            ):
                norm.weight[0] = 1e-4
                for linear in maps:
                    linear.weight[:, 0] *= 1e4
    out = finished_run(tmp_path / "run", sharp, words)
    with pytest.raises(
        CheckpointError, match=r"12 held-out questions is 100\.00 .* and \d+\.\d+ stored as int8; at most 0\.2"
    ):
        export.export(plan_of(out))
    assert not (out / "model").exists()
    assert export.export(plan_of(out, precision="fp32")).is_dir()


def test_a_folder_above_its_limit_is_refused_with_numbers(run):
    with pytest.raises(
        CheckpointError, match=r"would be 0\.\d MB \(model\.safetensors alone .*most_megabytes allows 0\.1;"
    ):
        export.export(plan_of(run, most_megabytes=0.1))
    assert not list(run.glob("*model*"))


@pytest.mark.slow  # makes and writes 30 million weights
def test_a_30m_trunk_fits_in_34_megabytes_as_int8(tmp_path):
    from trainer import recipe
    from trainer.model import ModelConfig

    plan = recipe.load(Path(__file__).resolve().parents[2] / "configs" / "30m.toml")
    limit = plan.section("export", export.ExportConfig).most_megabytes
    model = Transformer(recipe.build(ModelConfig, {**plan.sections["model"], "vocabulary": 8192}, where="30m"))
    quantise.save(tmp_path / "model.safetensors", quantise.pack(checkpoint.weights(model), "int8"))
    size = (tmp_path / "model.safetensors").stat().st_size / 1e6
    assert limit == 34
    assert size < limit - 1  # tokenizer and card come on top


def test_the_card_opens_with_a_header_that_is_yaml(run):
    yaml = pytest.importorskip("yaml")
    card = (export.export(plan_of(run, name="mini: a #1")) / "README.md").read_text()
    header = yaml.safe_load(card.split("---\n")[1])
    assert (header["license"], header["language"], header["model_name"]) == ("apache-2.0", ["en"], "mini: a #1")
    assert "Weights stored as int8" in card
    assert "with the full weights 100.00" in card


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "README.md"])
def test_a_file_that_was_changed_after_the_export_is_named_when_the_folder_is_opened(run, name):
    folder = export.export(plan_of(run))
    path = folder / name
    path.write_bytes(path.read_bytes()[:-1] + b"\t")
    with pytest.raises((CheckpointError), match=rf"{name} is not the file that was exported"):
        TrunkReader.from_folder(folder)
    checksums.write(folder)
    if name in ("README.md", "config.json"):  # a change on purpose is accepted by writing the list again
        assert TrunkReader.from_folder(folder).name == "mini"


def test_a_folder_without_its_list_of_checksums_is_refused(run):
    folder = export.export(plan_of(run))
    sums = (folder / checksums.NAME).read_text()
    (folder / checksums.NAME).write_text("\n".join(line for line in sums.splitlines() if "tokenizer" not in line))
    with pytest.raises(CheckpointError, match=r"SHA256SUMS does not list tokenizer\.json"):
        TrunkReader.from_folder(folder)
    (folder / checksums.NAME).unlink()
    with pytest.raises(CheckpointError, match=r"no readable SHA256SUMS .*python -m trainer\.formats\.checksums"):
        TrunkReader.from_folder(folder)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum here")
def test_the_program_sha256sum_accepts_the_list(run):
    folder = export.export(plan_of(run))
    subprocess.run(["sha256sum", "--check", "--strict", checksums.NAME], cwd=folder, check=True, capture_output=True)


def test_an_encoder_reader_is_verified_when_it_is_opened(untrained_reader, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(untrained_reader, folder)
    EncoderReader.from_folder(folder)
    words = (folder / "tokenizer.json").read_bytes()
    (folder / "tokenizer.json").write_bytes(words.replace(b"the", b"and", 1))
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is not the file that was exported"):
        EncoderReader.from_folder(folder)


def test_an_encoder_reader_takes_the_place_of_an_older_one_whole_or_not_at_all(untrained_reader, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(untrained_reader, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    reader, words = EncoderReader.from_folder(folder), folder / "tokenizer.json"
    settings = {"name": "second", "threshold": 0.2, "length": 384}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(CheckpointError, match="What stood there is unchanged"):
            reader.export(folder, settings, words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    reader.export(folder, settings, words)
    assert EncoderReader.from_folder(folder).name == "second"
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"also holds notes\.txt"):
        reader.export(folder, settings, words)


@pytest.mark.skipif(not (BASE / "config.json").is_file(), reason="models/base is not there")
def test_the_shipped_model_is_as_it_was_exported():
    checksums.verify(BASE, needed=("config.json", "model.safetensors", "tokenizer.json", "README.md"))


def test_weights_of_other_sizes_than_config_says_are_named(run):
    folder = export.export(plan_of(run))
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, "norm.weight": torch.ones(3)}, folder / "model.safetensors")
    checksums.write(folder)
    with pytest.raises(CheckpointError, match=r"norm\.weight is \(3,\), config\.json asks for \(64,\)"):
        TrunkReader.from_folder(folder)
    del tensors["layers.0.gate.weight.scale"]
    save_file(tensors, folder / "model.safetensors")
    checksums.write(folder)
    with pytest.raises(CheckpointError, match=r"layers\.0\.gate\.weight\.int8 has no scale"):
        TrunkReader.from_folder(folder)


def test_an_unfinished_run_is_exported_only_on_request(tmp_path, sharp, words):
    out = finished_run(tmp_path / "run", sharp, words, step=400, steps=1000)
    with pytest.raises(CheckpointError, match=r"is step 400 of 1,000; run `trainer finetune` again"):
        export.export(plan_of(out))
    assert export.export(plan_of(out, unfinished=True)).is_dir()


def test_a_missing_or_foreign_tokenizer_is_refused(run):
    (run / "tokenizer.json").rename(run / "kept.json")
    with pytest.raises(DataError, match="run `trainer tokenizer` first"):
        export.export(plan_of(run))
    tokenizer.train(iter([page(1)]), vocabulary=300).save(run / "tokenizer.json")
    with pytest.raises(CheckpointError, match=r"knows 512 tokens, .*tokenizer\.json 300"):
        export.export(plan_of(run))
    tokenizer.train((page(seed) for seed in range(900, 960)), vocabulary=512).save(run / "tokenizer.json")
    with pytest.raises(CheckpointError, match="was trained with tokenizer"):
        export.export(plan_of(run))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"to": "onnx"}, r"\[export\] to is 'onnx'; it takes model, huggingface, gguf"),
        ({"precision": "int4"}, r"precision 'int4' cannot be stored for model; choose one of fp32, bf16, int8"),
        ({"to": "huggingface", "precision": "int8"}, "'int8' cannot be stored for huggingface"),
        ({"stage": "pretrain"}, "heads cannot point at answers; use finetune"),
    ],
)
def test_a_wrong_setting_is_named(run, settings, message):
    with pytest.raises(RecipeError, match=message):
        export.export(plan_of(run, **settings))


def test_an_older_export_is_replaced_and_nothing_else(run, tmp_path):
    folder = export.export(plan_of(run, precision="fp32", folder=str(run / "chosen")))
    assert "chosen" not in (folder / "config.json").read_text()  # where it lies is nobody else's business
    assert export.export(plan_of(run, precision="int8", folder=str(folder))) == folder
    assert not list(run.glob(".*"))
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"also holds notes\.txt, which no export wrote"):
        export.export(plan_of(run, folder=str(folder)))
    assert (folder / "notes.txt").read_text() == "mine"
    strange = tmp_path / "letters"
    strange.mkdir()
    (strange / "letter.txt").write_text("dear")
    with pytest.raises(CheckpointError, match="letters holds something that no export wrote"):
        export.export(plan_of(run, folder=str(strange)))
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text('{"format": 1, "kind": "encoder"}')
    with pytest.raises(CheckpointError, match="holds a model of kind 'encoder'"):
        export.export(plan_of(run, folder=str(base)))
    assert [path.name for path in (*strange.iterdir(), *base.iterdir())] == ["letter.txt", "config.json"]


def test_a_full_disk_leaves_the_older_export_as_it_was(run):
    folder = export.export(plan_of(run, precision="int8"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # no file may grow beyond that, as on a full disk
    try:
        with pytest.raises(
            CheckpointError, match=r"cannot be written .* MB are free there\. What stood there is unchanged"
        ):
            export.export(plan_of(run, precision="fp32"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not list(run.glob(".*"))


def test_the_command_takes_the_layout_as_an_option(run, tmp_path):
    config = tmp_path / "mini.toml"
    config.write_text('name = "mini"\n[export]\nprecision = "int8"\n')
    command = ["export", "--config", str(config), "--out", str(run), "--to", "huggingface"]
    failed = CliRunner().invoke(cli.app, command)
    assert failed.exit_code == 1
    assert "'int8' cannot be stored for huggingface" in failed.output
    done = CliRunner().invoke(cli.app, [*command, "--set", "export.precision=fp32"])
    assert done.exit_code == 0, done.output
    assert done.output.strip() == str(run / "huggingface")


def test_speaking_goes_on_from_what_was_just_read(sharp, words, monkeypatch):
    sources = [Source("Rules", page(7)), Source("", page(8))]
    alone = TrunkReader(sharp, words).say("What is rule 7?", sources)
    reader, sizes = TrunkReader(sharp, words), []
    forward = sharp.forward
    monkeypatch.setattr(sharp, "forward", lambda ids, **more: sizes.append(ids.shape[1]) or forward(ids, **more))
    read = reader.read("What is rule 7?", sources)
    whole = len(reader.prompt("What is rule 7?", sources).ids)
    assert sizes == [whole]
    assert reader.say("What is rule 7?", sources) == alone
    assert reader.say("What is rule 7?", sources) == alone  # what was spoken left no trace in the cache
    assert set(sizes[1:]) == {1}
    assert len(sizes) > 2
    assert reader.read("What is rule 7?", sources) == read
    assert sizes.count(whole) == 1
    only = [span for span in read[2] if span.source == 1][:1] or [read[2][0]._replace(source=1)]
    assert reader.say("What is rule 7?", sources, only) == TrunkReader(sharp, words).say("What is rule 7?", sources[1:])
