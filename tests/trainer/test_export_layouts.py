"""What other programs open: transformers computes our logits, GGUF holds our tensors, both cut text into our tokens."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tests.trainer.export_run import finished_run, plan_of
from tests.trainer.office import page
from trainer import checkpoint, export, tokenizer
from trainer.errors import CheckpointError, DataError, MissingExtra, RecipeError
from trainer.formats import checksums, gguf_file, huggingface
from trainer.model import Transformer
from trainer.tokenizer import RESERVED, name

TEXTS = [
    page(1), "", " ", "Ünïcödé — naïve 日本語 🙂\u200d🙂", "tabs\tand\n\n  blanks  ", "don't we'll I'm 1234567 x²",
    "<|answer|> 15 days <|end|>", "<|answer|", "\x00\x7f\ufffd", "ＦＵＬＬ ﬁ ﷺ", "a" * 300,
]  # fmt: skip


@pytest.fixture
def model(model):
    """The small model with norms that differ, as training leaves them: fresh ones are all 1 and could be exchanged."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:
                weight += 0.2 * torch.randn_like(weight)
    return model


@pytest.fixture
def run(tmp_path, model, words):
    return finished_run(tmp_path / "run", model, words)


@pytest.fixture
def hugging_face(run):
    pytest.importorskip("transformers")
    return export.export(plan_of(run, to="huggingface", precision="fp32"))


@pytest.fixture
def reader():
    """Opens a GGUF file with the package that defines the format."""
    return pytest.importorskip("gguf").GGUFReader


def test_transformers_loads_the_folder_and_computes_our_logits(hugging_face, model, words):
    from transformers import AutoModelForCausalLM, Qwen3ForCausalLM

    theirs = AutoModelForCausalLM.from_pretrained(hugging_face)
    assert type(theirs) is Qwen3ForCausalLM
    torch.manual_seed(1)
    ids = torch.randint(words.size, (3, model.config.context))
    with torch.inference_mode():
        ours, other = model.logits(model(ids)), theirs(ids).logits
    assert ours.std() > 0.1
    assert float((ours - other).abs().max()) < 2e-5
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in model.parameters()) - heads_of(model)


def heads_of(model: Transformer) -> int:
    return sum(weight.numel() for weight in model.heads.parameters())


def test_transformers_generates_what_our_decoder_says(hugging_face, model, words):
    from transformers import AutoModelForCausalLM

    theirs = AutoModelForCausalLM.from_pretrained(hugging_face)
    ids = torch.tensor([words.encode(page(3))[:40]])
    said = theirs.generate(ids, max_new_tokens=16, attention_mask=torch.ones_like(ids))[0].tolist()
    ours = ids[0].tolist()
    with torch.inference_mode():
        while len(ours) < len(said):
            ours.append(int(model.logits(model(torch.tensor([ours]))[0, -1]).argmax()))
    assert said == ours
    assert theirs.generation_config.eos_token_id == words.end


def test_auto_tokenizer_encodes_and_decodes_as_ours_does(hugging_face, words):
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(hugging_face)
    for text in TEXTS:
        ids = theirs(text)["input_ids"]
        assert ids == words.encode(text), text
        assert theirs.decode(ids, skip_special_tokens=True) == words.decode(ids) == text
    ids = [words.question, *words.encode("When?"), words.answer, words.pad]
    assert theirs.decode(ids, skip_special_tokens=True) == words.decode(ids) == "When?"
    assert theirs.decode(ids) == "<|question|>When?<|answer|><|pad|>"
    cut = words.encode("日")[:1]  # half a character
    assert theirs.decode(cut) == words.decode(cut)


def test_reserved_tokens_are_special_there_and_text_still_reaches_none(hugging_face, words):
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(hugging_face)
    assert set(theirs.all_special_ids) == set(RESERVED.values())
    assert (theirs.eos_token_id, theirs.pad_token_id, theirs.mask_token_id) == (words.end, words.pad, words.mask)
    for role, index in RESERVED.items():
        assert theirs.convert_tokens_to_ids(name(role)) == index
        assert not set(theirs(f"x {name(role)} y")["input_ids"]) & set(RESERVED.values())
    # whoever asks for them gets them, which shows that the line above can fail
    assert theirs("<|end|>", split_special_tokens=False)["input_ids"] == [words.end]


def test_our_own_loader_refuses_the_tokenizer_file_of_that_layout(hugging_face, run):
    with pytest.raises(DataError, match="text could produce its added tokens"):
        tokenizer.load(hugging_face / "tokenizer.json")
    assert not set(tokenizer.load(run / "tokenizer.json").encode("<|answer|><|end|>")) & set(RESERVED.values())


def test_the_reading_heads_lie_beside_the_trunk_with_a_note(hugging_face, model):
    heads = load_file(hugging_face / "reading_heads.safetensors")
    assert {f"heads.{n}" for n in model.heads.state_dict()} == set(heads)
    assert torch.equal(heads["heads.span.weight"], model.heads.span.weight)
    with safe_open(hugging_face / "reading_heads.safetensors", "pt") as opened:
        assert "without causal mask" in opened.metadata()["note"]
    checksums.verify(hugging_face, needed=("model.safetensors", "tokenizer_config.json", "groundling.json"))
    assert "pipeline_tag: text-generation" in (hugging_face / "README.md").read_text()


def test_a_base_trunk_can_be_exported_for_other_programs_without_scores(run):
    (run / "evaluation.json").unlink()
    folder = export.export(plan_of(run, to="huggingface", precision="bf16", stage="pretrain"))
    assert load_file(folder / "model.safetensors")["model.norm.weight"].dtype == torch.bfloat16
    card = (folder / "README.md").read_text()
    assert "Not measured." in card
    assert "was not taught to answer" in card


def test_the_place_of_one_layout_is_not_taken_by_another(hugging_face, run):
    with pytest.raises(CheckpointError, match="holds a model of kind 'huggingface'"):
        export.export(plan_of(run, folder=str(hugging_face)))
    assert (hugging_face / "generation_config.json").is_file()


@pytest.mark.parametrize(("precision", "kind"), [("fp32", "F32"), ("fp16", "F16"), ("bf16", "BF16"), ("int8", "Q8_0")])
def test_a_gguf_file_holds_every_tensor_of_the_trunk(run, model, reader, precision, kind):
    from gguf.quants import dequantize

    folder = export.export(plan_of(run, to="gguf", precision=precision))
    found = {tensor.name: tensor for tensor in reader(folder / f"mini-{kind}.gguf").tensors}
    ours = {n: t for n, t in checkpoint.weights(model).items() if not n.startswith("heads.")}
    assert set(found) == {gguf_file.rename(n) for n in ours}
    error = {"fp32": 0.0, "fp16": 2**-11, "bf16": 2**-8, "int8": 1 / 127}[precision]
    for n, weight in ours.items():
        tensor = found[gguf_file.rename(n)]
        assert tensor.tensor_type.name == (kind if weight.ndim == 2 else "F32")
        assert tensor.shape.tolist() == list(weight.shape)[::-1]  # the format counts the innermost first
        values = dequantize(tensor.data, tensor.tensor_type).reshape(weight.shape)
        limit = error * float(weight.abs().max()) if weight.ndim == 2 else 0.0
        assert float(np.abs(values - weight.numpy()).max()) <= limit, n
    checksums.verify(folder, needed=(f"mini-{kind}.gguf", "README.md", "groundling.json"))


def test_names_are_those_of_the_architecture(run, model, reader):
    import gguf

    known = gguf.MODEL_TENSORS[gguf.MODEL_ARCH.QWEN3]
    names = {gguf.TENSOR_NAMES[kind].format(bid=bid) + ".weight" for kind in known for bid in range(2)}
    ours = [n for n in checkpoint.weights(model) if not n.startswith("heads.")]
    table = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, 2)  # from transformers' names, which equal logits prove
    for n in ours:
        assert gguf_file.rename(n) == table.get_name(huggingface.rename(n), (".weight",))
    written = {gguf_file.rename(n) for n in ours}
    assert written <= names
    # all but a second output matrix (ours is tied) and a table of angles (ours are computed)
    assert names - written == {"output.weight", "rope_freqs.weight"}


def test_a_gguf_file_holds_the_sizes_and_the_tokenizer_token_by_token(run, model, words, reader):
    folder = export.export(plan_of(run, to="gguf", precision="fp32"))
    fields = {key: field.contents() for key, field in reader(folder / "mini-F32.gguf").fields.items()}
    sizes = model.config
    wanted = {
        "general.architecture": "qwen3", "general.name": "mini", "general.license": "Apache-2.0",
        "qwen3.context_length": sizes.context, "qwen3.embedding_length": sizes.width,
        "qwen3.block_count": sizes.layers, "qwen3.feed_forward_length": sizes.hidden,
        "qwen3.attention.head_count": sizes.heads, "qwen3.attention.head_count_kv": sizes.key_value_heads,
        "qwen3.attention.key_length": sizes.head_width, "qwen3.attention.value_length": sizes.head_width,
        "qwen3.rope.dimension_count": sizes.head_width, "qwen3.rope.freq_base": sizes.rope_base,
        "qwen3.vocab_size": sizes.vocabulary,
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2", "tokenizer.ggml.eos_token_id": words.end,
        "tokenizer.ggml.padding_token_id": words.pad, "tokenizer.ggml.mask_token_id": words.mask,
        "tokenizer.ggml.add_bos_token": False, "tokenizer.ggml.add_eos_token": False,
    }  # fmt: skip
    assert {key: fields.get(key) for key in wanted} == wanted
    assert fields["qwen3.attention.layer_norm_rms_epsilon"] == pytest.approx(sizes.norm_epsilon)
    tokens, kinds = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    assert len(tokens) == len(kinds) == words.size
    for index, (token, kind) in enumerate(zip(tokens, kinds, strict=True)):
        assert token == words.library.id_to_token(index)
        assert kind == (3 if index in RESERVED.values() else 1), token  # control, normal
    merges = json.loads(words.library.to_str())["model"]["merges"]
    assert [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]] == [tuple(pair) for pair in merges]


def test_the_tokenizer_in_a_gguf_file_cuts_text_as_ours_does(run, words, reader):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder = export.export(plan_of(run, to="gguf", precision="fp32"))
    fields = {key: field.contents() for key, field in reader(folder / "mini-F32.gguf").fields.items()}
    vocabulary = {token: index for index, token in enumerate(fields["tokenizer.ggml.tokens"])}
    rebuilt = Tokenizer(models.BPE(vocabulary, [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]))
    rebuilt.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rebuilt.decoder = decoders.ByteLevel()
    for text in TEXTS:
        assert rebuilt.encode(text).ids == words.encode(text)


def test_rows_that_fill_no_block_of_32_are_refused_for_int8(tmp_path, words):
    from trainer.model import ModelConfig

    odd = Transformer(ModelConfig(vocabulary=words.size, width=40, layers=1, heads=2, key_value_heads=1, head_width=16,
                                  hidden=48, context=256))  # fmt: skip
    out = tmp_path / "run"
    with torch.no_grad():
        odd.heads.span.weight *= 20
    finished_run(out, odd, words)
    with pytest.raises(
        RecipeError, match=r"embed\.weight has rows of 40 numbers; int8 needs a multiple of 32; use fp16"
    ):
        export.export(plan_of(out, to="gguf", precision="int8"))
    assert not list(out.glob("*gguf*"))
    assert export.export(plan_of(out, to="gguf", precision="fp16")).is_dir()


def test_without_the_package_gguf_the_message_names_the_line_that_installs_it(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)  # as if it were not installed
    with pytest.raises(MissingExtra, match=r'writing a GGUF file needs gguf: pip install "groundling\[train\]"'):
        export.export(plan_of(run, to="gguf", precision="fp32"))
    assert not (run / "gguf").exists()
