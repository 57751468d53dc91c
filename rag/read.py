"""Open a model folder and read with it.

    models/base/config.json ─► kind "encoder" ─► trainer.encoder_reader ─┐
                               kind "trunk"   ─► trainer.reading ────────┴─► one Reader

Takes   a model folder that `trainer export` or `trainer reader` wrote.
Gives   a `Reader`: passages go in with their heading paths, spans come back as characters of the passages' texts.
Refuses (ModelError) a missing folder, another format, damaged weights; the message names the folder and the next step.
Threads one read uses all cores (workers.py); two at once wait for each other, for together they would be slower.
Limits  a trunk's prompt holds eight passages: those after the first eight have evidence 0 and no spans.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag import workers
from rag.errors import ModelError
from rag.rerank import FEATURES, WEIGHTS
from rag.risk import Measured, measured
from rag.types import Passage, Reader, Reading, Span

if TYPE_CHECKING:
    from trainer.chat import Found, Source
    from trainer.reading import TrunkReader

KINDS = ("encoder", "trunk")


class FolderReader:
    """A `Reader` over one model folder; both kinds of model look the same from here."""

    def __init__(self, folder: Path, *, precision: str | None = None) -> None:
        """`precision`: fp32 or bf16; None: what is faster here."""
        from trainer.chat import Source

        self.folder = folder
        self.trunk: TrunkReader | None = None  # where the model is one: then it can speak too (speak.py)
        config = model_config(folder)
        try:
            if config["kind"] == "encoder":
                from trainer.encoder_reader import EncoderReader

                model = EncoderReader.from_folder(folder)
                self._read, self.threshold = model.read, model.threshold
                pool = workers.apart("read")
                self.precision = precision or workers.precision(_trying(model), on=pool)
                model.bf16, model.compute = self.precision == "bf16", pool.map
            else:
                self.trunk = open_trunk(folder, precision=precision)
                self._read, self.threshold, self.precision = (
                    self._read_prompt,
                    self.trunk.threshold,
                    self.trunk.precision,
                )
        except Exception as error:
            # Damaged weights fail in many ways (safetensors, json, torch): all mean the same to people.
            raise ModelError(
                f"{folder}: the model cannot be opened ({error}). Restore the folder, or choose one with --model"
            ) from error
        self.confidence = weights_of(config, "confidence", ("bias", *FEATURES))
        # Of the confidence, where one was fitted; the model's own is that of its support.
        self.threshold = float(str(config.get("answer_threshold", self.threshold)))
        self.risk: tuple[Measured, ...] = measured(config.get("risk"))
        self.order = weights_of(config, "order", tuple(WEIGHTS))
        self.name = f"{config['name']}-{fingerprint(folder)}"
        self._source = Source
        self._one_at_a_time = threading.Lock()

    def read(self, question: str, passages: Sequence[Passage]) -> Reading:
        """One read. No passages: support 0, no spans."""
        if not passages:
            return Reading((), 0.0, ())
        sources = [self._source(" > ".join(passage.headings), passage.text) for passage in passages]
        with self._one_at_a_time:
            evidence, support, found = self._read(question, sources)
        return Reading(tuple(evidence), support, tuple(Span(*span) for span in found))

    def _read_prompt(self, question: str, sources: Sequence[Source]) -> tuple[list[float], float, list[Found]]:
        """A trunk's reading of the sources that its prompt holds."""
        from trainer.chat import MOST_SOURCES

        assert self.trunk is not None
        evidence, support, found = workers.reading().submit(self.trunk.read, question, sources[:MOST_SOURCES]).result()
        return [*evidence, *[0.0] * (len(sources) - len(evidence))], support, found


def open_reader(folder: Path, *, precision: str | None = None) -> Reader:
    """The reader of a model folder, in the precision that is faster here where none is named. Raises ModelError."""
    return FolderReader(folder, precision=precision)


def model_config(folder: Path) -> dict[str, object]:
    """The folder's config.json, its kind checked. Raises ModelError."""
    path = folder / "config.json"
    try:
        config: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"{folder}: no model here (config.json is missing). Name a model folder with --model or in rag.toml, "
            "or train one: scripts/tiny.sh"
        ) from error
    except ValueError as error:
        raise ModelError(f"{path}: not JSON ({error}); restore the folder") from error
    if config.get("kind") not in KINDS or not isinstance(config.get("name"), str):
        raise ModelError(
            f"{path}: kind {config.get('kind')!r}, name {config.get('name')!r}; need a name and one of {KINDS}"
        )
    return config


def weights_of(config: Mapping[str, object], kind: str, names: Sequence[str]) -> dict[str, float] | None:
    """Fitted weights in a folder's config, or None where the model has none; names that it lacks weigh nothing."""
    found = config.get(kind)
    return {name: float(found.get(name, 0.0)) for name in names} if isinstance(found, dict) else None


def fingerprint(folder: Path) -> str:
    """Eight hex digits that change when the folder's weights or settings do."""
    digest = hashlib.sha256()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:8]


def _trying(model: Any) -> Callable[[bool], object]:
    """A small reading in either precision."""
    from trainer.chat import Source

    def run(bf16: bool) -> object:
        model.bf16 = bf16
        return model.read("Which?", [Source("", "one two three. " * 30)] * 2)

    return run


def open_trunk(folder: Path, *, precision: str | None = None) -> TrunkReader:
    """A trunk with the precision in which it reads fastest here, or the one that is named."""
    from trainer.chat import Source
    from trainer.reading import TrunkReader

    trunk = TrunkReader.from_folder(folder)

    def run(bf16: bool) -> object:
        trunk.precision = "bf16" if bf16 else "fp32"
        return trunk.read("Which?", [Source("", f"one two {bf16}. " * 30)] * 2)

    trunk.precision = precision or workers.precision(run, on=workers.decoding())
    return trunk
