"""The fast way to the same vectors, nearly: MiniLM in 8 bits, for those who have much to read (`pip install .[fast]`).

    texts ─► tokens ─► batches of like length ─► a stream a core (OpenVINO) ─► rows

Takes   the setting `embedder = "all-MiniLM-L6-v2-int8"`, and texts as `rag.embed` takes them.
Gives   passages' vectors within a cosine of about .997 of the exact ones; questions are embedded exactly, by `MiniLM`.
Identity names weights and ranges: vectors of another way of rounding never stand in one index.
Refuses a machine whose 8-bit arithmetic is too coarse: on loading, a few sentences are compared with exact vectors.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rag import workers
from rag.embed import NAME, Matrix, MiniLM, batches, check_weights, packaged, tokenizer
from rag.errors import ModelError, need

FAST = f"{NAME}-int8"
RANGES = Path(__file__).with_name("int8.safetensors")  # made by `benchmarks.fit_int8`
LEAST_COSINE = 0.99  # of a check sentence with its exact vector; here .995 and more
CHECKS = (
    "Full-time employees accrue 15 days of paid vacation per year.",
    "| Item | Price |\n| Torque wrench WR-204 | 148.50 EUR |",
    "To reset the password, open Settings > Account, choose Reset and follow the link that is sent to you.",
    "def main() -> None:\n    print('hello')",
    "The quarter's revenue rose by 8% to 3.2 billion, while operating costs fell. " * 8,
)


class Int8MiniLM:
    """all-MiniLM-L6-v2 with 8-bit linear layers. Threads may share it."""

    dimension = MiniLM.dimension
    query_side = ""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` replaces the package's; its weights must be the same."""
        self._folder = folder
        self._exact = MiniLM(folder)
        self._loading = threading.Lock()
        self._own = threading.local()  # a request a thread
        self._model: Any = None
        self._tokenizer: Any = None
        self._workers: Any = None

    @cached_property
    def identity(self) -> str:
        """The exact embedder's, and how it is rounded."""
        return f"{MiniLM.identity}/int8-{hashlib.sha256(RANGES.read_bytes()).hexdigest()[:12]}"

    @property
    def precision(self) -> str | None:
        """int8 once the weights are loaded, None before."""
        return "int8" if self._model is not None else None

    def embed(self, texts: Sequence[str]) -> Matrix:
        """[texts, dimension], in the order of `texts`."""
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        with self._loading:
            if self._model is None:
                self._load()
        return self._rows(texts)

    def embed_questions(self, texts: Sequence[str]) -> Matrix:
        """In full precision."""
        return self._exact.embed_questions(texts)

    def tuned(self, changed: dict[str, Any]) -> Callable[[Sequence[str]], Matrix]:
        """The exact embedding with other weights."""
        return self._exact.tuned(changed)

    def _load(self) -> None:
        openvino = need("openvino", extra="fast", task=f"the embedder {FAST}")
        folder = self._folder or packaged()
        check_weights(folder / "model.safetensors")
        from safetensors.numpy import load_file

        from rag.embed_graph import Graph

        self._tokenizer = tokenizer(folder)
        self._workers = workers.apart("embed")
        ranges = load_file(RANGES)
        core = openvino.Core()
        count = self._workers._max_workers
        bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        how = {
            "NUM_STREAMS": count, "INFERENCE_NUM_THREADS": count, "ENABLE_CPU_PINNING": False,  # others compute too
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",  # of what is not rounded to 8 bits
        }  # fmt: skip
        self._model = core.compile_model(Graph(folder, ranges).build(), "CPU", how)
        least = float((self._rows(CHECKS) * ranges["checks"]).sum(1).min())
        if least < LEAST_COSINE:
            self._model = None
            raise ModelError(
                f"{FAST}: this machine's 8-bit vectors have a cosine of {least:.3f} with the exact ones; at least "
                f"{LEAST_COSINE} is needed. Use the exact embedder: GROUNDLING_EMBEDDER={NAME}"
            )

    def _rows(self, texts: Sequence[str]) -> Matrix:
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]
        rows = np.empty((len(texts), self.dimension), dtype=np.float32)

        def fill(batch: list[int]) -> None:
            rows[batch] = self._forward([encoded[place] for place in batch])

        for _ in self._workers.map(fill, batches([len(ids) for ids in encoded])):
            pass  # an error in a worker is raised here
        return rows

    def _forward(self, encoded: Sequence[Sequence[int]]) -> Matrix:
        """Unit vectors of token ids, the longest first."""
        if getattr(self._own, "model", None) is not self._model:
            self._own.model, self._own.request = self._model, self._model.create_infer_request()
        ids = np.zeros((len(encoded), len(encoded[0])), dtype=np.int64)
        mask = np.zeros(ids.shape, dtype=np.float32)
        for row, tokens in enumerate(encoded):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        self._own.request.infer([ids, mask], share_inputs=True)
        rows: Matrix = self._own.request.get_output_tensor(0).data.copy()
        return rows
