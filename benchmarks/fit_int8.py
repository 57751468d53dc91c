"""How large the inputs of MiniLM's linear layers become: `python -m benchmarks.fit_int8` writes rag/int8.safetensors.

Takes   the embedder's weights, and passages of the example handbook (our own words).
Gives   for each input channel of each layer its range, for each output the error that rounding makes on the average
        (taken off again by the bias), and the exact vectors of the sentences that are compared on loading.
Run again only with other weights: the file's hash is part of the embedder's identity.
Source  see `rag.embed_graph`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from rag.embed import MOST_TOKENS, MiniLM, packaged
from rag.embed_graph import GELU_LEAST
from rag.embed_int8 import CHECKS, RANGES
from rag.parse import context, parse
from trainer.encoder import Encoder

SHARE = 0.7  # of a channel's size that its weights take over (alpha of SmoothQuant)
TEXTS = 80
HANDBOOK = Path(__file__).resolve().parent.parent / "examples" / "handbook"
LAYER = {
    "qkv": "attention.self", "out": "attention.output.dense", "up": "intermediate.dense", "down": "output.dense",
}  # fmt: skip


def main() -> None:
    """Measure and write."""
    files = sorted(file for file in HANDBOOK.rglob("*") if file.suffix in (".md", ".html", ".txt"))
    texts = [context(chunk) for file in files for chunk in parse(file, file.stem).chunks]
    texts = texts[:: max(1, len(texts) // TEXTS)]
    found = ranges(texts)
    found["checks"] = torch.from_numpy(MiniLM(precision="fp32").embed(CHECKS))
    save_file(found, RANGES, {"texts": f"{len(texts)} passages of examples/handbook"})
    sys.stdout.write(f"{RANGES}: {len(found)} tensors from {len(texts)} passages\n")


def ranges(texts: list[str]) -> dict[str, Tensor]:
    """Ranges and corrections by the names that `rag.embed_graph` asks for."""
    encoder = Encoder.from_folder(packaged())
    encoder.tokenizer.enable_truncation(MOST_TOKENS)
    linears = {
        f"encoder.layer.{layer}.{theirs}": getattr(block, ours)
        for layer, block in enumerate(encoder.layers) for ours, theirs in LAYER.items()
    }  # fmt: skip
    seen = _inputs(encoder, linears, texts)
    made: dict[str, Tensor] = {}
    for name, linear in linears.items():
        made[f"{name}.range"], error = _measured(seen.pop(name), linear, unsigned=_after_gelu(name))
        if name.endswith(LAYER["qkv"]):
            for part, share in zip(("query", "key", "value"), error.chunk(3), strict=True):
                made[f"{name}.{part}.correction"] = share.contiguous()
        else:
            made[f"{name}.correction"] = error
    return made


def _inputs(encoder: Any, linears: dict[str, Any], texts: list[str]) -> dict[str, Tensor]:
    """What each layer is given for all tokens: [tokens, inputs]."""
    seen: dict[str, list[Tensor]] = {name: [] for name in linears}
    hooks = [
        linear.register_forward_pre_hook(lambda _, given, kept=seen[name]: kept.append(given[0]))
        for name, linear in linears.items()
    ]
    encoded = [encoding.ids for encoding in encoder.tokenizer.encode_batch_fast(texts)]
    with torch.inference_mode():
        for ids in encoded:  # alone: padding would count
            row = torch.tensor([ids])
            encoder(row, torch.ones_like(row))
    for hook in hooks:
        hook.remove()
    return {name: torch.cat([each[0] for each in kept]) for name, kept in seen.items()}


def _after_gelu(name: str) -> bool:
    return name.endswith(LAYER["down"]) and not name.endswith(LAYER["out"])


def _measured(inputs: Tensor, linear: Any, *, unsigned: bool) -> tuple[Tensor, Tensor]:
    """Each channel's range, and the mean error of each output when inputs and weights are rounded by it."""
    weight = linear.weight.detach()
    moved = inputs + GELU_LEAST if unsigned else inputs
    most = moved.abs().amax(0).clamp(min=1e-3)
    shared = most**SHARE / weight.abs().amax(0).clamp(min=1e-5) ** (1 - SHARE)
    high = shared * (most / shared).max()
    scaled = weight * high
    step = scaled.abs().amax(1, keepdim=True) / 127
    rounded = (scaled / step).round() * step
    steps, least = (255, 0) if unsigned else (127, -128)
    coarse = (moved / high * steps).round().clamp(least, steps) / steps
    error = (inputs @ weight.T - coarse @ rounded.T).mean(0)
    return high.contiguous(), error.contiguous()


if __name__ == "__main__":
    main()
