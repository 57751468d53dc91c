"""Weights of a trunk for the disk: eight bits a number for its matrices, or sixteen, or all thirty-two.

    tensors ─► pack("int8") ─► NAME.int8 [rows, columns] + NAME.scale [rows] fp16, the rest fp32 ─► unpack ─► fp32

Takes   the tensors of `checkpoint.weights`.
Gives   tensors for safetensors. "int8": each output row of a matrix (a token's row of the embedding) is stored as whole
        numbers from -127 to 127 times one fp16 scale. Norms and reading heads are a thousandth of the bytes and stay.
Refuses numbers that are not finite, and codes without their scale.
Error   at most half a scale a weight: with the largest number of a row as 1, half of 1/127. What that does to reading
        is measured when a model is exported (`export.check_reading`), never assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from trainer.errors import CheckpointError

CODES, SCALE = ".int8", ".scale"
MOST = 127  # -128 stays unused, so that both signs reach equally far
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "int8": torch.int8}


def matrix(name: str, tensor: Tensor) -> bool:
    """Whether a tensor is one of the trunk's matrices, which hold nearly all of its bytes."""
    return tensor.ndim == 2 and not name.startswith("heads.")


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Codes [rows, columns] int8 and scales [rows] fp16 of a matrix [rows, columns]."""
    weight = weight.float()
    # The scale is rounded first and divided by afterwards, so its own rounding costs nothing.
    scale = (weight.abs().amax(dim=1) / MOST).half()  # [rows]
    divisor = torch.where(scale > 0, scale.float(), 1.0)[:, None]  # a row of zeros, or too small for fp16, stays zero
    codes = (weight / divisor).round().clamp(-MOST, MOST)
    return codes.to(torch.int8), scale


def dequantise(codes: Tensor, scale: Tensor) -> Tensor:
    """The matrix again, fp32."""
    return codes.float() * scale.float()[:, None]


def pack(tensors: Mapping[str, Tensor], precision: str) -> dict[str, Tensor]:
    """What is stored for these tensors. Raises CheckpointError for numbers that are not finite."""
    packed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().float()
        if not bool(torch.isfinite(plain).all()):
            raise CheckpointError(f"{name} holds numbers that are not finite; export an earlier checkpoint")
        if not matrix(name, plain):
            packed[name] = plain.contiguous()
        elif precision == "int8":
            packed[name + CODES], packed[name + SCALE] = quantise(plain)
        else:
            packed[name] = plain.to(PRECISIONS[precision]).contiguous()
    return packed


def unpack(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors in fp32, whatever they were stored as."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in packed.items():
        if name.endswith(SCALE):
            continue
        if not name.endswith(CODES):
            tensors[name] = tensor.float()
            continue
        plain = name.removesuffix(CODES)
        scale = packed.get(plain + SCALE)
        if scale is None or tensor.ndim != 2 or scale.shape != tensor.shape[:1]:
            raise CheckpointError(f"{name} has no scale for each of its rows; export the model again")
        tensors[plain] = dequantise(tensor, scale)
    return tensors


def save(path: Path, packed: Mapping[str, Tensor]) -> None:
    """Write the packed tensors."""
    save_file(dict(packed), path)
