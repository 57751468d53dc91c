"""The trunk: one transformer that reads both ways and speaks, its cache, and its reading heads.

    ids ─► embed ─► layers × (attention, SwiGLU) ─► norm ─► states ─┬─► the embedding again ─► logits of the next token
                                     reading layers, if any ◄───────┴─► Heads ─► evidence, support, span start and end

Takes   ids [batch, time] and a mask: causal, full, or what `attention.packed` makes of packed rows; same weights.
Gives   states [batch, time, width]; `logits` and `heads` are asked for separately, where they are needed.
Refuses sizes that do not fit each other, and input longer than the context.
Layout  Qwen3 (arXiv:2505.09388): RoPE (arXiv:2104.09864), RMSNorm (arXiv:1910.07467), QK-norm (arXiv:2010.04245),
        SwiGLU (arXiv:2002.05202), grouped-query attention (arXiv:2305.13245), tied embeddings, no biases.
Two masks, same weights: GPT-BERT, arXiv:2410.24159.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.attention import Mask, PieceAttention, Pieces, allowed_pairs, flex
from trainer.backward import RmsNorm, Rotate, SwiGlu
from trainer.errors import ANY, RecipeError, within

__all__ = ["Cache", "Heads", "ModelConfig", "Transformer", "allowed_pairs", "grown", "parameters"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Sizes of a trunk; the defaults are the main size, about 30 million parameters."""

    vocabulary: int = 8192
    width: int = 512
    layers: int = 10
    heads: int = 8  # of queries
    key_value_heads: int = 4  # each serves heads / key_value_heads queries
    head_width: int = 64
    hidden: int = 1152  # width inside SwiGLU
    context: int = 2048  # tokens
    rope_base: float = 10_000.0
    norm_epsilon: float = 1e-6
    dropout: float = 0.0  # on what each half-layer adds, while training; useful when text is repeated
    reading_layers: int = 0  # further layers below the reading heads alone, which look both ways
    question_words: bool = False  # those layers are told which tokens also stand in the question
    detects: bool = False  # a head of pretraining that tells which tokens were replaced (replaced.py)

    def __post_init__(self) -> None:
        within(self, width=(1, ANY), layers=(1, ANY), heads=(1, ANY), key_value_heads=(1, ANY), head_width=(2, ANY))
        within(self, hidden=(1, ANY), context=(2, ANY), norm_epsilon=(0, 1))
        if self.heads % self.key_value_heads:
            raise RecipeError(f"heads {self.heads} is no multiple of key_value_heads {self.key_value_heads}")
        if self.head_width % 2:
            raise RecipeError(f"head_width is {self.head_width}; rotary positions need an even one")
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"dropout is {self.dropout}; use 0 to less than 1")
        within(self, reading_layers=(0, ANY))
        if self.question_words and not self.reading_layers:
            raise RecipeError("question_words are told to reading layers; set reading_layers to 1 or more")


class Cache:
    """Keys and values of what was read, so that each new token costs one step. One row of text at a time."""

    def __init__(self, config: ModelConfig, *, capacity: int, like: Tensor) -> None:
        shape = (config.layers, 1, config.key_value_heads, capacity, config.head_width)
        self.keys, self.values = like.new_zeros(shape), like.new_zeros(shape)
        self.length = 0  # tokens held; grows once all layers have added theirs
        self.capacity = capacity

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add one layer's keys and values [1, kv heads, new, head width]; give all of them up to here."""
        end = self.length + keys.shape[2]
        self.keys[layer, :, :, self.length : end] = keys
        self.values[layer, :, :, self.length : end] = values
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]


class Pass(NamedTuple):
    """What every layer of one forward pass shares."""

    cosine: Tensor  # [1, time, 1, head width / 2]
    sine: Tensor
    causal: bool
    allowed: Mask | None  # overrides `causal`; a table is [batch, 1, time, keys] bool, true where a query may look
    cache: Cache | None
    kind: torch.dtype  # of what runs between layers: bf16 under autocast, else fp32


class Norm(nn.Module):
    """Root mean square norm; the mean of squares is computed in fp32 whatever autocast made of its input."""

    def __init__(self, size: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x: Tensor, kind: torch.dtype = torch.float32) -> Tensor:
        """x: [..., size] to the same shape, as `kind`."""
        if by_hand(x):
            y: Tensor = RmsNorm.apply(x, self.weight, self.epsilon, kind)  # type: ignore[no-untyped-call]
            return y
        return functional.rms_norm(x.float(), self.weight.shape, self.weight, self.epsilon).to(kind)


class Attention(nn.Module):
    """Grouped-query attention with normalised queries and keys."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.config, self.layer = config, layer
        inner, shared = config.heads * config.head_width, config.key_value_heads * config.head_width
        self.query = nn.Linear(config.width, inner, bias=False)
        self.key = nn.Linear(config.width, shared, bias=False)
        self.value = nn.Linear(config.width, shared, bias=False)
        self.out = nn.Linear(inner, config.width, bias=False)
        self.query_norm = Norm(config.head_width, config.norm_epsilon)
        self.key_norm = Norm(config.head_width, config.norm_epsilon)

    def forward(self, x: Tensor, shared: Pass) -> Tensor:
        """x: [batch, time, width] to the same shape."""
        batch, time, _ = x.shape
        size = self.config.head_width
        q = self.query(x).view(batch, time, -1, size)  # [batch, time, heads, head width]
        k = self.key(x).view(batch, time, -1, size)  # [batch, time, kv heads, head width]
        v = self.value(x).view(batch, time, -1, size)  # [batch, time, kv heads, head width]
        scale = size**-0.5  # of the scores, put into the queries' rotation
        q = rotate(self.query_norm(q, shared.kind), shared.cosine * scale, shared.sine * scale)
        k = rotate(self.key_norm(k, shared.kind), shared.cosine, shared.sine)
        y = self.mix(q, k.to(v.dtype), v, shared)  # [batch, time, heads, head width]
        out: Tensor = self.out(y.reshape(batch, time, -1))  # [batch, time, width]
        return out

    def mix(self, q: Tensor, k: Tensor, v: Tensor, shared: Pass) -> Tensor:
        """Each query's mean of the values it may see: [batch, time, heads, head width]."""
        allowed = shared.allowed
        if isinstance(allowed, Pieces):
            return PieceAttention.apply(q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1), allowed).view(q.shape)  # type: ignore[no-untyped-call,no-any-return]
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))  # [batch, heads or kv heads, time, head width]
        if shared.cache is not None:
            k, v = shared.cache.extend(self.layer, k, v)  # [batch, kv heads, keys, head width]
        if allowed is None or isinstance(allowed, Tensor):
            group = self.config.heads // self.config.key_value_heads
            causal = shared.causal and allowed is None
            k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)  # [batch, heads, keys, ...]
            y = functional.scaled_dot_product_attention(q, k, v, attn_mask=allowed, is_causal=causal, scale=1.0)
        else:
            y = flex(q, k, v, allowed)
        return y.transpose(1, 2)


class Layer(nn.Module):
    """Attention, then SwiGLU; each reads a normalised copy and adds to the stream."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = Norm(config.width, config.norm_epsilon)
        self.attention = Attention(config, layer)
        self.hidden_norm = Norm(config.width, config.norm_epsilon)
        self.gate = nn.Linear(config.width, config.hidden, bias=False)
        self.up = nn.Linear(config.width, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, shared: Pass) -> Tensor:
        """x: [batch, time, width] to the same shape."""
        x = x + self.dropout(self.attention(self.attention_norm(x, shared.kind), shared))
        y = self.hidden_norm(x, shared.kind)
        gate, up = self.gate(y), self.up(y)  # [batch, time, hidden] each
        y = SwiGlu.apply(gate, up) if by_hand(gate) else functional.silu(gate) * up  # type: ignore[no-untyped-call]
        out: Tensor = x + self.dropout(self.down(y))  # [batch, time, width]
        return out


class Heads(nn.Module):
    """What is read off the prompt's states: each is one linear map to a logit, perhaps above layers of its own."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.width
        self.evidence = nn.Linear(width, 1)  # at <|source|>: does this source hold the answer?
        self.support = nn.Linear(width, 1)  # at <|answer|>: do the sources together hold one?
        self.span = nn.Linear(width, 2)  # at text tokens: does the answer start here, end here?
        if config.detects:
            self.replaced = nn.Linear(width, 1)  # at any token: is it another than the text had?
        if config.question_words:
            self.asked = nn.Embedding(2, width)  # does this token also stand in the question?
        if config.reading_layers:
            self.layers = nn.ModuleList(Layer(config, index) for index in range(config.reading_layers))
            self.norm = Norm(width, config.norm_epsilon)


class Transformer(nn.Module):
    """The trunk with its heads."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocabulary, config.width)
        self.layers = nn.ModuleList(Layer(config, index) for index in range(config.layers))
        self.norm = Norm(config.width, config.norm_epsilon)
        self.heads = Heads(config)
        angles = rope_angles(config)  # [context, head width / 2]
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)
        self.cosine: Tensor
        self.sine: Tensor
        self.initialise()

    def initialise(self) -> None:
        """Normal with deviation .02; what writes to the stream is smaller, so that depth does not add up (GPT-2)."""
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                quieter = (2 * self.config.layers) ** -0.5 if name.endswith(("out.weight", "down.weight")) else 1.0
                nn.init.normal_(weight, std=0.02 * quieter)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

    def forward(
        self, ids: Tensor, *, causal: bool = True, allowed: Mask | None = None, cache: Cache | None = None
    ) -> Tensor:
        """States [batch, time, width] of ids [batch, time].

        With a cache the ids follow what it holds: they see all of it, and each other by `causal`.
        """
        past, time = (cache.length if cache else 0), ids.shape[1]
        limit = min(self.config.context, cache.capacity) if cache else self.config.context
        if past + time > limit:
            raise RecipeError(f"{past + time} tokens do not fit the context of {limit}; send fewer or shorter sources")
        if past and causal and time > 1 and allowed is None:
            allowed = torch.ones(time, past + time, dtype=torch.bool, device=ids.device).tril(past)[None, None]
        lone = causal and not (past and time == 1)  # a single new token sees all that came before it
        kind = stream(ids.device)
        cosine, sine = (x[None, past : past + time, None].to(kind) for x in (self.cosine, self.sine))
        shared = Pass(cosine, sine, lone, allowed, cache, kind)
        x: Tensor = self.embed(ids).to(kind)  # [batch, time, width]
        for layer in self.layers:
            x = layer(x, shared)
        if cache is not None:
            cache.length += time
        states: Tensor = self.norm(x, kind)  # [batch, time, width]
        return states

    def reading(self, states: Tensor, asked: Tensor, *, allowed: Mask | None = None) -> Tensor:
        """What the heads are to look at: states [batch, time, width], through the reading layers where there are any.

        asked: [batch, time], 1 where a token also stands in the question. allowed: None lets all see all.
        """
        if not self.config.reading_layers:
            return states
        kind, time = stream(states.device), states.shape[1]
        cosine, sine = (x[None, :time, None].to(kind) for x in (self.cosine, self.sine))
        shared = Pass(cosine, sine, False, allowed, None, kind)
        x = states
        if self.config.question_words:
            x = x + self.heads.asked(asked).to(x.dtype)
        for layer in self.heads.layers:
            x = layer(x, shared)
        read: Tensor = self.heads.norm(x, kind)
        return read

    def logits(self, states: Tensor) -> Tensor:
        """Scores of the next token: [..., width] to [..., vocabulary]."""
        return functional.linear(states, self.embed.weight)


def grown(model: Transformer, *, reading_layers: int, question_words: bool) -> Transformer:
    """The same trunk with new reading layers below its heads; itself where it has just those."""
    sizes = replace(model.config, reading_layers=reading_layers, question_words=question_words)
    if sizes == model.config:
        return model
    larger = Transformer(sizes)
    larger.load_state_dict(model.state_dict(), strict=False)
    return larger


def rope_angles(config: ModelConfig) -> Tensor:
    """Angle of each position and pair of dimensions: [context, head width / 2], in radians."""
    pairs = torch.arange(0, config.head_width, 2, dtype=torch.float64) / config.head_width  # [head width / 2]
    positions = torch.arange(config.context, dtype=torch.float64)  # [context]
    return torch.outer(positions, config.rope_base**-pairs).float()


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn each pair (i, i + half) of x [batch, time, heads, head width] by its position's angle [1, time, 1, half]."""
    if by_hand(x):
        y: Tensor = Rotate.apply(x, cosine, sine)  # type: ignore[no-untyped-call]
        return y
    first, second = x.chunk(2, dim=-1)  # [batch, time, heads, head width / 2] each
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)


def by_hand(x: Tensor) -> bool:
    """Whether the backward passes of `backward.py` pay: training on a CPU without a compiler."""
    return x.requires_grad and x.device.type == "cpu" and not torch.compiler.is_compiling()


def stream(device: torch.device) -> torch.dtype:
    """What autocast computes in on this device; fp32 without autocast."""
    if torch.is_autocast_enabled(device.type):
        return torch.get_autocast_dtype(device.type)
    return torch.float32


def parameters(model: nn.Module) -> int:
    """How many numbers the model learns."""
    return sum(weight.numel() for weight in model.parameters())
