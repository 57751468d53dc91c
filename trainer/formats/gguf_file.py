"""A trunk as one GGUF file, for llama.cpp and what is built on it.

    tensors, sizes, tokenizer ─► write(FILE) ─► architecture qwen3, byte-level BPE of the kind "gpt-2"

Takes   the tensors of `checkpoint.weights`, unchanged. Rotary pairs are (i, i + half) here as in llama.cpp's Qwen3, so
        no row of queries or keys has to move (its Llama wants them interleaved, and converters permute for that).
Gives   fp32, fp16, bf16, or int8 as Q8_0: blocks of 32 numbers with one fp16 scale each. Norms stay fp32, which
        llama.cpp asks for. The reading heads have no place in the format and are left out.
Tokens  reserved ones have the type "control": text reaches them only where a caller asks for special tokens.
Refuses int8 for a matrix whose rows are no multiple of 32 numbers.
Source  the format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.errors import RecipeError, need
from trainer.formats.huggingface import is_head
from trainer.model import ModelConfig
from trainer.tokenizer import RESERVED, Tokenizer

PRECISIONS = {"fp32": "F32", "fp16": "F16", "bf16": "BF16", "int8": "Q8_0"}
LAYER = {  # our name inside a layer -> theirs
    "attention_norm": "attn_norm",
    "attention.query": "attn_q",
    "attention.key": "attn_k",
    "attention.value": "attn_v",
    "attention.out": "attn_output",
    "attention.query_norm": "attn_q_norm",
    "attention.key_norm": "attn_k_norm",
    "hidden_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}
NOTES = """
## In llama.cpp

One file of architecture qwen3; it speaks left to right. The heads that point at answers and the reading of a prompt
both ways are not in it: GGUF has no place for them. Text never becomes a reserved token such as `<|answer|>` unless the
caller asks the tokenizer for special tokens; the format of a prompt is in `trainer/chat.py`.
"""


def write(
    path: Path,
    tensors: Mapping[str, Tensor],
    sizes: ModelConfig,
    words: Tokenizer,
    *,
    precision: str,
    about: Mapping[str, str],
) -> None:
    """Write the file. `about` holds name, licence and description. Raises MissingExtra without the package gguf."""
    gguf = need("gguf", extra="train", task="writing a GGUF file")
    writer = gguf.GGUFWriter(path, "qwen3")
    try:
        writer.add_name(about["name"])
        writer.add_license(about["licence"])
        writer.add_description(about["description"])
        add_sizes(writer, sizes)
        writer.add_file_type(getattr(gguf.LlamaFileType, file_type(precision)))
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        add_tokenizer(writer, words, gguf)
        for name, tensor in tensors.items():
            if not is_head(name):
                add_tensor(writer, gguf, name, tensor, precision=precision)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def file_type(precision: str) -> str:
    """The name of a file whose matrices are mostly of this precision."""
    return "ALL_F32" if precision == "fp32" else f"MOSTLY_{PRECISIONS[precision]}"


def add_sizes(writer: Any, sizes: ModelConfig) -> None:
    """The model's sizes, as llama.cpp names them."""
    writer.add_context_length(sizes.context)
    writer.add_embedding_length(sizes.width)
    writer.add_block_count(sizes.layers)
    writer.add_feed_forward_length(sizes.hidden)
    writer.add_head_count(sizes.heads)
    writer.add_head_count_kv(sizes.key_value_heads)
    writer.add_key_length(sizes.head_width)
    writer.add_value_length(sizes.head_width)
    writer.add_rope_dimension_count(sizes.head_width)
    writer.add_rope_freq_base(sizes.rope_base)
    writer.add_layer_norm_rms_eps(sizes.norm_epsilon)
    writer.add_vocab_size(sizes.vocabulary)


def add_tokenizer(writer: Any, words: Tokenizer, gguf: Any) -> None:
    """Vocabulary, merges and the parts that tokens play; nothing is put before or behind a text."""
    model = json.loads(words.library.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"]]
    reserved = set(RESERVED.values())
    kinds = [gguf.TokenType.CONTROL if index in reserved else gguf.TokenType.NORMAL for index in range(len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(words.end)  # never added; without it llama.cpp takes GPT-2's, which is another token here
    writer.add_eos_token_id(words.end)
    writer.add_pad_token_id(words.pad)
    writer.add_mask_token_id(words.mask)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)


def add_tensor(writer: Any, gguf: Any, name: str, tensor: Tensor, *, precision: str) -> None:
    """One tensor under its new name: a matrix in the chosen precision, a norm in fp32."""
    plain: np.ndarray = tensor.detach().cpu().to(torch.float32).contiguous().numpy()
    if plain.ndim < 2 or precision == "fp32":
        writer.add_tensor(rename(name), plain)
        return
    kind = getattr(gguf.GGMLQuantizationType, PRECISIONS[precision])
    block, _ = gguf.GGML_QUANT_SIZES[kind]
    if plain.shape[-1] % block:
        raise RecipeError(f"{name} has rows of {plain.shape[-1]} numbers; int8 needs a multiple of {block}; use fp16")
    writer.add_tensor(rename(name), gguf.quants.quantize(plain, kind), raw_dtype=kind)


def rename(tensor: str) -> str:
    """The name that llama.cpp gives to one of our tensors.

    >>> rename("layers.3.attention.query.weight")
    'blk.3.attn_q.weight'
    """
    if tensor == "embed.weight":
        return "token_embd.weight"
    if tensor == "norm.weight":
        return "output_norm.weight"
    _, number, rest = tensor.split(".", 2)
    return f"blk.{number}.{LAYER[rest.removesuffix('.weight')]}.weight"
