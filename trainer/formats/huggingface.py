"""A trunk in the layout that `transformers` loads: a Qwen3 model with its tokenizer.

    tensors, sizes, tokenizer ─► write(FOLDER) ─► config.json, model.safetensors, tokenizer.json, tokenizer_config.json,
                                                  special_tokens_map.json, generation_config.json,
                                                  reading_heads.safetensors

Takes   the tensors of `checkpoint.weights`, unchanged: our layout is Qwen3's, only the names differ.
Gives   what `AutoModelForCausalLM.from_pretrained` and `AutoTokenizer.from_pretrained` open. Logits are those of the
        causal pass; reading both ways and the heads that point at answers have no place in that class, so the heads
        lie beside it, in a file it does not open.
Tokens  reserved ones are registered as special there, and `split_special_tokens` stays on: a text that holds
        "<|answer|>" is still cut into ordinary tokens. Our own loader refuses such a file all the same.
Source  names of the tensors: transformers 5, models/qwen3.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from trainer import files
from trainer.model import ModelConfig
from trainer.tokenizer import RESERVED, Tokenizer, name

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
LAYER = {  # our name inside a layer -> theirs
    "attention_norm": "input_layernorm",
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.out": "self_attn.o_proj",
    "attention.query_norm": "self_attn.q_norm",
    "attention.key_norm": "self_attn.k_norm",
    "hidden_norm": "post_attention_layernorm",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}
NOTES = """
## In transformers

```python
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer, model = AutoTokenizer.from_pretrained(FOLDER), AutoModelForCausalLM.from_pretrained(FOLDER)
```

A Qwen3 model: its logits are those of the trunk read left to right. The trunk was also trained to read a prompt both
ways and to point at answers; `reading_heads.safetensors` keeps those heads (`evidence`, `support` and `span`, each a
linear map of the last states), but transformers does not use them.

Text never becomes a reserved token such as `<|answer|>` (`split_special_tokens` is on). Take their ids from
`tokenizer.convert_tokens_to_ids("<|answer|>")`; the format of a prompt is in `trainer/chat.py`.
"""


def write(folder: Path, tensors: Mapping[str, Tensor], sizes: ModelConfig, words: Tokenizer, *, precision: str) -> None:
    """Write all files of the layout into a folder that exists."""
    kind = PRECISIONS[precision]
    trunk = {rename(n): t.detach().cpu().to(kind).contiguous() for n, t in tensors.items() if not is_head(n)}
    save_file(trunk, folder / "model.safetensors", metadata={"format": "pt"})
    heads = {n: t.detach().cpu().float().contiguous() for n, t in tensors.items() if is_head(n)}
    note = "linear maps of the last states, read off a pass without causal mask; see trainer/model.py, Heads"
    save_file(heads, folder / "reading_heads.safetensors", metadata={"note": note})
    files.write_json(folder / "config.json", describe(sizes, words, precision))
    ends = {"bos_token_id": None, "eos_token_id": words.end, "pad_token_id": words.pad}
    files.write_json(folder / "generation_config.json", {**ends, "do_sample": False})
    files.write_text(folder / "tokenizer.json", with_special_tokens(words))
    special = special_tokens()
    files.write_json(folder / "special_tokens_map.json", special)
    files.write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": sizes.context,
            "clean_up_tokenization_spaces": False,
            "add_prefix_space": False,
            "split_special_tokens": True,
            **special,
        },
    )


def is_head(tensor: str) -> bool:
    """Whether a tensor belongs to the reading heads."""
    return tensor.startswith("heads.")


def rename(tensor: str) -> str:
    """The name that transformers gives to one of our tensors.

    >>> rename("layers.3.attention.query.weight")
    'model.layers.3.self_attn.q_proj.weight'
    """
    if tensor == "embed.weight":
        return "model.embed_tokens.weight"
    if tensor == "norm.weight":
        return "model.norm.weight"
    _, number, rest = tensor.split(".", 2)
    return f"model.layers.{number}.{LAYER[rest.removesuffix('.weight')]}.weight"


def describe(sizes: ModelConfig, words: Tokenizer, precision: str) -> dict[str, Any]:
    """The config.json of a Qwen3 model of these sizes."""
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": sizes.vocabulary,
        "hidden_size": sizes.width,
        "intermediate_size": sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.key_value_heads,
        "head_dim": sizes.head_width,
        "hidden_act": "silu",
        "max_position_embeddings": sizes.context,
        "rms_norm_eps": sizes.norm_epsilon,
        "rope_theta": sizes.rope_base,  # transformers 4
        "rope_parameters": {"rope_type": "default", "rope_theta": sizes.rope_base},  # transformers 5
        "attention_bias": False,
        "attention_dropout": 0.0,
        "tie_word_embeddings": True,
        "use_cache": True,
        "use_sliding_window": False,
        "bos_token_id": None,
        "eos_token_id": words.end,
        "pad_token_id": words.pad,
        "dtype": str(PRECISIONS[precision]).removeprefix("torch."),
    }


def with_special_tokens(words: Tokenizer) -> str:
    """The tokenizer file with the reserved tokens registered, which `tokenizer.load` refuses."""
    raw = json.loads(words.library.to_str())
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    raw["added_tokens"] = [{"id": index, "content": name(role), **flags} for role, index in RESERVED.items()]
    return json.dumps(raw, ensure_ascii=False)


def special_tokens() -> dict[str, Any]:
    """The reserved tokens by the parts that transformers knows; those it has no part for are listed."""
    parts = {"eos_token": "end", "pad_token": "pad", "mask_token": "mask"}
    others = [name(role) for role in RESERVED if role not in parts.values()]
    return {**{part: name(role) for part, role in parts.items()}, "additional_special_tokens": others}
