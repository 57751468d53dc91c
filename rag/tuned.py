"""A tuned query side: questions are embedded by a copy of the embedder that learnt from questions, passages never.

    MODEL/query/groundling.json ─► base: the embedder it is valid with, and the hash of its weights
                model.safetensors ─► the tensors that differ from the base

Takes   the base embedder, and a folder that `trainer embedder` wrote.
Gives   an `Embedder` with the base's identity: the index stays valid, and works on without the folder.
Refuses (ModelError) a folder made for another embedder, or one whose weights are not those that were written.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rag import files
from rag.errors import ModelError

NONE = "none"  # as the setting `query_side`: questions are embedded as passages are
MARK = "groundling.json"

Matrix = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Matrix]


class Base(Protocol):
    """What a query side is tuned from: an `Embedder` that can be opened with other weights."""

    @property
    def identity(self) -> str:
        """What the index knows it by."""

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""

    @property
    def precision(self) -> str | None:
        """In which it computes."""

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Unit vectors."""

    def tuned(self, changed: dict[str, Any]) -> Embed:
        """The same embedding with some tensors replaced."""


class Tuned:
    """A base embedder for passages, and a tuned copy of it for questions (a folder of `trainer embedder`)."""

    def __init__(self, base: Base, folder: Path) -> None:
        self.base, self._folder = base, folder
        self._about = _about(folder)
        self.query_side = f"{self._about['name']}/{self._about['weights_sha256'][:12]}"
        self._questions: Embed | None = None
        self._loading = threading.Lock()

    @property
    def identity(self) -> str:
        """Of the base: passages are what an index holds."""
        return self.base.identity

    @property
    def fits(self) -> bool:
        """Whether it was tuned for this base."""
        return bool(self._about["base"] == self.base.identity)

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return self.base.dimension

    @property
    def precision(self) -> str | None:
        """In which passages are embedded."""
        return self.base.precision

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Passages, by the base."""
        return self.base.embed(texts)

    def embed_questions(self, texts: Sequence[str]) -> Matrix:
        """Questions, by the tuned copy. Raises ModelError where it was made for another base."""
        with self._loading:
            if self._questions is None:
                self._questions = self._opened()
        return self._questions(texts)

    def _opened(self) -> Embed:
        """The tuned copy; its vectors end with the small turn of method "adapter", where there is one."""
        if not self.fits:
            raise ModelError(
                f"{self._folder}: tuned for the embedder {self._about['base']}, but this one is "
                f"{self.identity}. Tune one for this embedder, or go without: GROUNDLING_QUERY_SIDE={NONE}"
            )
        file = self._folder / "model.safetensors"
        if not file.is_file() or files.sha256(file) != self._about["weights_sha256"]:
            raise ModelError(
                f"{file}: missing, or not the file that was tuned. Copy the folder again, or go without: "
                f"GROUNDLING_QUERY_SIDE={NONE}"
            )
        from safetensors.numpy import load_file
        from safetensors.torch import load_file as load_tensors

        changed = load_tensors(file)
        changed.pop("turn", None)
        turn = load_file(file).get("turn")  # [dimension, dimension]
        try:
            embed = self.base.tuned({name: tensor.float() for name, tensor in changed.items()})
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{self._folder}: does not fit its base ({error}). Tune it again") from error
        if turn is None:
            return embed
        matrix = turn.astype(np.float32)
        return lambda texts: _unit(_plus(embed(texts), matrix))


def _plus(rows: Matrix, turn: Matrix) -> Matrix:
    moved: Matrix = rows + rows @ turn.T
    return moved


def _unit(rows: Matrix) -> Matrix:
    lengths: Matrix = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / lengths


def _about(folder: Path) -> dict[str, Any]:
    """What a tuned folder says of itself. Raises ModelError."""
    file = folder / MARK
    try:
        about: dict[str, Any] = dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(
            f"{folder}: no tuned query side there ({error}). Name the folder that `trainer embedder` wrote, or go "
            f"without: GROUNDLING_QUERY_SIDE={NONE}"
        ) from error
    texts = all(isinstance(about.get(name), str) for name in ("name", "base", "weights_sha256"))
    if about.get("kind") != "query-side" or about.get("format") != 1 or not texts:
        raise ModelError(
            f"{file}: kind {about.get('kind')!r}, format {about.get('format')!r}; need 'query-side', 1, a name, "
            "base and weights_sha256. Name the folder that `trainer embedder` wrote"
        )
    return about
