"""Adapters: they alone learn, they are saved alone, and merging them changes nothing."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from tests.trainer.bert import bert_folder
from tests.trainer.office import question
from trainer import lora, reader, recipe, rows
from trainer.encoder import Encoder, EncoderConfig
from trainer.encoder_reader import EncoderReader
from trainer.errors import CheckpointError, RecipeError
from trainer.lora import Adapted, LoraConfig
from trainer.model import Transformer
from trainer.rows import Example

CONFIG = LoraConfig(rank=4, alpha=8.0)


def encoder_reader() -> EncoderReader:
    torch.manual_seed(4)
    sizes = EncoderConfig(vocabulary=60, width=32, layers=2, heads=4, inner=64, positions=24, dropout=0.0)
    return EncoderReader(Encoder(sizes)).eval()


def outputs(model):
    """Everything that a model of either kind says about a few ids."""
    ids = torch.arange(36).reshape(3, 12)
    with torch.no_grad():
        if isinstance(model, EncoderReader):
            return torch.stack(model(ids, torch.ones_like(ids), ids % 2)[:2])
        states = model(ids)
        return torch.cat([model.logits(states), model.heads.span(states)], dim=-1)


def taught(model, config=CONFIG):
    """A model with adapters, after a few steps of real training."""
    lora.add(model, config)
    model.train()
    optimiser = torch.optim.AdamW([w for w in model.parameters() if w.requires_grad], lr=1e-2)
    ids = torch.arange(24).reshape(2, 12)
    for _ in range(4):
        if isinstance(model, EncoderReader):
            start, end, evidence = model(ids, torch.ones_like(ids), ids % 2)
            loss = start.softmax(1)[:, 3].sum() + end.softmax(1)[:, 5].sum() + evidence.sum()
        else:
            states = model(ids)
            logits = model.logits(states[:, :-1]).flatten(0, 1)
            loss = nn.functional.cross_entropy(logits, ids[:, 1:].flatten()) + model.heads.span(states).square().mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    return model.eval()


@pytest.fixture(params=["trunk", "encoder reader"])
def base(request, sizes):
    torch.manual_seed(3)
    return Transformer(sizes).eval() if request.param == "trunk" else encoder_reader()


def test_new_adapters_change_nothing(base):
    before = outputs(base)
    names = lora.add(base, CONFIG)
    assert len(names) == (14 if isinstance(base, Transformer) else 8)
    assert torch.equal(outputs(base), before)


def test_only_adapters_and_heads_learn(base):
    before = {name: weight.clone() for name, weight in base.state_dict().items()}
    after = taught(base).state_dict()
    moved = {name for name, weight in before.items() if not torch.equal(weight, after[name])}
    assert moved
    assert all(lora.is_whole(name) for name in moved)
    assert all(after[name].any() for name in after if name.endswith("lora_up"))
    assert set(before) < set(after)  # plain names stay as they are


def test_merged_weights_say_exactly_what_the_adapters_said(base):
    plain = outputs(base)
    names = set(base.state_dict())
    with_adapters = outputs(taught(base))
    assert not torch.allclose(with_adapters, plain, atol=1e-3)
    served = {name: module.merged() for name, module in base.named_modules() if isinstance(module, Adapted)}
    lora.merge(base)
    assert served
    assert all(torch.equal(base.get_parameter(f"{name}.weight"), weight) for name, weight in served.items())
    assert torch.allclose(outputs(base), with_adapters, atol=1e-6)
    assert set(base.state_dict()) == names
    assert not any(isinstance(module, Adapted) for module in base.modules())
    assert all(weight.requires_grad for weight in base.parameters())


def test_training_and_serving_compute_the_same_map(base):
    taught(base)
    served = outputs(base)
    assert torch.allclose(outputs(base.train()), served, atol=1e-5)


def test_dropout_acts_on_the_adapter_alone_and_only_while_training(sizes):
    model = Transformer(sizes).eval()
    taught(model, LoraConfig(rank=4, alpha=8.0, dropout=0.5))
    served = outputs(model)
    assert torch.equal(outputs(model), served)
    model.train()
    assert not torch.allclose(outputs(model), outputs(model))


def test_an_adapter_is_saved_alone_and_comes_back(base, tmp_path):
    said = outputs(taught(base))
    folder = lora.save(base, tmp_path / "adapter", CONFIG, about={"rows": 7})
    assert json.loads((folder / "adapter.json").read_text())["rows"] == 7
    assert sorted(path.name for path in folder.iterdir()) == ["adapter.json", "adapter.safetensors"]
    whole = sum(tensor.numel() for tensor in base.state_dict().values())
    assert (folder / "adapter.safetensors").stat().st_size < 4 * whole / 2
    lora.merge(base)
    other = Transformer(base.config) if isinstance(base, Transformer) else encoder_reader()
    with pytest.raises(CheckpointError, match="name the base it was trained on"):
        lora.load(base, folder)  # these weights hold the change already
    if isinstance(base, Transformer):
        torch.manual_seed(3)
        other = Transformer(base.config)
    assert lora.load(other.eval(), folder) == CONFIG
    assert torch.allclose(outputs(other), said, atol=1e-6)


def test_a_damaged_adapter_is_refused(sizes, tmp_path):
    torch.manual_seed(3)
    folder = lora.save(taught(Transformer(sizes)), tmp_path, CONFIG)
    torch.manual_seed(3)
    fresh = Transformer(sizes)
    stored = json.loads((folder / "adapter.json").read_text())
    (folder / "adapter.json").write_text(json.dumps({**stored, "rank": 8}))
    with pytest.raises(CheckpointError, match=r"lora_down is \(4, 64\), the model wants \(8, 64\)"):
        lora.load(fresh, folder)
    (folder / "adapter.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="no readable adapter"):
        lora.load(fresh, folder)


def test_chosen_targets_get_adapters_and_unknown_ones_are_named(sizes):
    model = Transformer(sizes)
    names = lora.add(model, LoraConfig(rank=2, targets=("query", "value")))
    assert {name.rpartition(".")[2] for name in names} == {"query", "value"}
    with pytest.raises(RecipeError, match=r"\['qkv'\] name no linear; this model has \['down', 'evidence', 'gate'"):
        lora.add(Transformer(sizes), LoraConfig(targets=("query", "qkv")))
    with pytest.raises(RecipeError, match="use at least 1"):
        LoraConfig(rank=0)


# --- the encoder reader's stage ----------------------------------------------------------------------------------------


def test_the_encoder_reader_learns_by_adapters_and_serves_without_them(tmp_path):
    base = bert_folder(tmp_path / "bert")
    made = []
    for seed in range(30):
        raw = question(seed)
        start = raw["answers"][0]["start"]
        span = (start, start + len(raw["answers"][0]["text"]))
        made.append(Example(raw["question"], "", raw["context"], (span,), "office", "CC0"))
    found = list(rows.with_near_misses(made, misses=1, seed=1))
    rows.write_rows(found[:24], tmp_path / "rows" / "train.jsonl")
    rows.write_rows(found[24:], tmp_path / "rows" / "dev.jsonl")
    settings = {"base": str(base), "steps": 3, "questions_per_step": 4, "lora_rank": 2, "precision": "fp32",
                "device": "cpu", "peak_learning_rate": 1e-2}  # fmt: skip
    plan = recipe.Recipe("small", tmp_path, tmp_path, {"reader": settings})
    folder = reader.reader(plan)
    served = EncoderReader.from_folder(folder)
    card = (folder / "README.md").read_text()
    assert "Licences of the rows: CC0 (24)." in card
    assert "kWh" in card
    plain, own = Encoder.from_folder(base).state_dict(), served.encoder.state_dict()
    assert plain.keys() == own.keys()
    assert not torch.allclose(own["layers.0.qkv.weight"], plain["layers.0.qkv.weight"], atol=1e-3)
    assert torch.allclose(own["layers.0.norm_feed.weight"], plain["layers.0.norm_feed.weight"], atol=1e-3)
    again = EncoderReader(Encoder.from_folder(base))
    lora.load(again, tmp_path / "adapter")
    lora.merge(again)
    for name, weight in again.encoder.state_dict().items():  # the folder holds fp16 and int8
        assert torch.allclose(weight, own[name], atol=0.02 if name == "words.weight" else 2e-3), name
