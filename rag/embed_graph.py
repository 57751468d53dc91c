"""MiniLM as a graph of OpenVINO whose linear layers multiply 8-bit numbers.

    ids, mask ─► embeddings ─► 6 × (attention, feed-forward) ─► mean of the tokens ─► unit vectors

Takes   the embedder's folder (BERT in Hugging Face's layout), and for each linear layer the range of each input channel
        and a correction of its bias (`int8.safetensors`, made by `benchmarks.fit_int8`).
Gives   a graph with inputs `ids` and `mask` [batch, time] and one output [batch, width].
How     an input channel is divided by its own range while it is rounded to 8 bits, and the weights are multiplied by
        it, so that a few large channels do not cost the small ones their digits. Attention, norms and GELU are not
        rounded. No converter is asked: the graph is written down here, without torch, in a second.
Source  SmoothQuant: Xiao et al., arXiv:2211.10438; bias correction: Nagel et al., arXiv:1906.04721.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino
from openvino import opset13 as ops

Array = npt.NDArray[np.float32]
HIDDEN = -1e4  # added to the score of a token that is padding
LEAST = 1.0 / 127  # an 8-bit number from -128 to 127, as a share of its range
GELU_LEAST = 0.17  # added after GELU, which is nowhere below -.17: unsigned numbers spend no bit on the sign


class Graph:
    """The layers, one method each; every node is [batch, time, width] unless it says otherwise."""

    def __init__(self, folder: Path, ranges: Mapping[str, Array]) -> None:
        from safetensors.numpy import load_file

        self.about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.tensors = {
            name.removeprefix("bert."): each for name, each in load_file(folder / "model.safetensors").items()
        }
        self.ranges = ranges

    def build(self) -> Any:
        """The whole."""
        ids = ops.parameter([-1, -1], np.int64, name="ids")
        mask = ops.parameter([-1, -1], np.float32, name="mask")
        unseen = ops.multiply(ops.subtract(mask, _one(1)), _one(-HIDDEN))
        unseen = ops.unsqueeze(unseen, ops.constant([1, 2], np.int64))  # [batch, 1, 1, time]
        states = self.embedded(ids)
        for layer in range(self.about["num_hidden_layers"]):
            states = self.layer(states, unseen, f"encoder.layer.{layer}.")
        counted = ops.multiply(states, ops.unsqueeze(mask, ops.constant([2], np.int64)))
        pooled = ops.reduce_sum(counted, ops.constant([1], np.int64))  # [batch, width]
        unit = ops.normalize_l2(pooled, ops.constant([1], np.int64), 1e-12, "max")
        return openvino.Model([unit], [ids, mask], "minilm")

    def embedded(self, ids: Any) -> Any:
        """Words, places and the one segment."""
        names = ("word", "position", "token_type")
        words, places, segments = (self.tensors[f"embeddings.{name}_embeddings.weight"] for name in names)
        zero, one = ops.constant([0], np.int64), ops.constant([1], np.int64)
        time = ops.gather(ops.shape_of(ids), one, ops.constant(0, np.int64))
        placed = ops.slice(ops.constant(places + segments[:1]), zero, time, one, zero)  # [time, width]
        found = ops.gather(ops.constant(words), ids, ops.constant(0, np.int64))
        return self.norm(ops.add(found, placed), "embeddings.LayerNorm")

    def layer(self, states: Any, unseen: Any, name: str) -> Any:
        """Attention and feed-forward, each followed by a residual and a norm."""
        heads = self.about["num_attention_heads"]
        apart = ops.constant([0, 0, heads, self.about["hidden_size"] // heads], np.int64)
        turned = ops.constant([0, 2, 1, 3], np.int64)
        rounded = self.rounded(states, f"{name}attention.self")
        query, key, value = (
            ops.transpose(ops.reshape(self.linear(rounded, f"{name}attention.self", part), apart, True), turned)
            for part in (".query", ".key", ".value")
        )  # each [batch, heads, time, width / heads]
        mixed = ops.transpose(ops.scaled_dot_product_attention(query, key, value, unseen), turned)
        mixed = ops.reshape(mixed, ops.constant([0, 0, self.about["hidden_size"]], np.int64), True)
        out, up, down = f"{name}attention.output.dense", f"{name}intermediate.dense", f"{name}output.dense"
        added = ops.add(self.linear(self.rounded(mixed, out), out), states)
        states = self.norm(added, f"{name}attention.output.LayerNorm")
        fed = ops.gelu(self.linear(self.rounded(states, up), up), "ERF")
        added = ops.add(self.linear(self.unsigned(fed, down), down), states)
        return self.norm(added, f"{name}output.LayerNorm")

    def rounded(self, states: Any, name: str) -> Any:
        """Each channel as a share of its range, in 256 steps."""
        shares = ops.multiply(states, ops.constant(1 / self.ranges[f"{name}.range"]))
        edges = [_one(-1 - LEAST), _one(1)]
        return ops.fake_quantize(shares, *edges, *edges, 256)

    def unsigned(self, states: Any, name: str) -> Any:
        """The same after GELU; what was added is taken off by the bias's correction."""
        shares = ops.multiply(ops.add(states, _one(GELU_LEAST)), ops.constant(1 / self.ranges[f"{name}.range"]))
        edges = [_one(0), _one(1)]
        return ops.fake_quantize(shares, *edges, *edges, 256)

    def linear(self, rounded: Any, name: str, part: str = "") -> Any:
        """Weights in 8 bits, a scale for each output."""
        weight = self.tensors[f"{name}{part}.weight"] * self.ranges[f"{name}.range"]  # [outputs, inputs]
        most = np.abs(weight).max(axis=1, keepdims=True)
        steps = ops.fake_quantize(
            ops.constant(weight), ops.constant(-most), ops.constant(most), ops.constant(-most), ops.constant(most), 255
        )
        bias = self.tensors[f"{name}{part}.bias"] + self.ranges[f"{name}{part}.correction"]
        return ops.add(ops.matmul(rounded, steps, False, True), ops.constant(bias))

    def norm(self, states: Any, name: str) -> Any:
        """Mean 0 and variance 1 over the width, then the learnt scale and shift."""
        epsilon = self.about["layer_norm_eps"]
        even = ops.mvn(states, ops.constant([-1], np.int64), True, epsilon, "inside_sqrt")
        scaled = ops.multiply(even, ops.constant(self.tensors[f"{name}.weight"]))
        return ops.add(scaled, ops.constant(self.tensors[f"{name}.bias"]))


def _one(number: float) -> Any:
    return ops.constant(np.float32(number))
