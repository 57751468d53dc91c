"""What this machine has, what is missing, and the line that mends it.

Takes   settings.
Gives   findings: a name, what was found, and for what is wrong the next step.
Refuses nothing: a part that cannot be examined is itself a finding. Nothing is created or changed.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata

from rag.config import Settings
from rag.errors import GroundlingError

PACKAGES = ("groundling", "torch", "faiss-cpu", "tantivy", "tokenizers", "pypdfium2", "streamlit")
LEAST_DISK_GB = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    name: str
    found: str
    fix: str = ""  # empty: nothing to mend

    @property
    def ok(self) -> bool:
        """Nothing to mend."""
        return not self.fix


def examine(settings: Settings) -> list[Finding]:
    """Everything that an answer depends on, cheapest first."""
    found = [Finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")]
    found += [_package(name) for name in PACKAGES]
    found += [_tesseract(), _disk(settings), _index(settings)]
    for name, look, fix in (
        ("embedder", _embedder, "pip install -c constraints.txt -e ."),
        ("query side", _query_side, "tune one anew: trainer embedder, or go without: GROUNDLING_QUERY_SIDE=none"),
        ("model", _model, "train one by the recipe in models/README.md, or name a model folder with --model"),
    ):
        found.append(_guarded(name, look, settings, fix))
    return [*found, *_endpoint(settings)]


def _guarded(name: str, look: Callable[[Settings], str], settings: Settings, fix: str) -> Finding:
    try:
        return Finding(name, look(settings))
    except (GroundlingError, ImportError, OSError) as error:
        return Finding(name, str(error), fix)


def _package(name: str) -> Finding:
    try:
        return Finding(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        extra = "[app]" if name == "streamlit" else ""
        return Finding(name, "not installed", f'pip install -c constraints.txt -e ".{extra}"')


def _tesseract() -> Finding:
    program = shutil.which("tesseract")
    if program is None:
        fix = "apt-get install tesseract-ocr (macOS: brew install tesseract), then add the files again"
        return Finding("tesseract", "not installed: scanned pages stay without text", fix)
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    return Finding("tesseract", (said.stdout or said.stderr).partition("\n")[0].removeprefix("tesseract ").strip())


def _disk(settings: Settings) -> Finding:
    folder = settings.index.resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    fix = f"make room on the disk that holds {folder}" if free < LEAST_DISK_GB else ""
    return Finding("disk", f"{free:.0f} GB free at {folder}", fix)


def _index(settings: Settings) -> Finding:
    from rag.catalogue import Catalogue

    file = settings.index / "catalogue.db"
    if not file.is_file():
        return Finding("index", f"none at {settings.index}", f"rag add FOLDER --index {settings.index}")
    try:
        catalogue = Catalogue(file)
        documents, passages = catalogue.counts()
        found = f"{settings.index}: {documents} documents, {passages} passages, generation {catalogue.generation}"
        catalogue.close()
    except GroundlingError as error:
        return Finding("index", str(error), f"rag restore BACKUP --index {settings.index}, or move the folder away")
    return Finding("index", found, "" if documents else f"rag add FOLDER --index {settings.index}")


def _embedder(settings: Settings) -> str:
    from rag.embed import open_embedder

    embedder = open_embedder(settings)
    embedder.embed(["The weights load, and the precision is chosen, with the first text."])
    precision = getattr(embedder, "precision", "unknown precision")
    return f"{settings.embedder}, {embedder.dimension} numbers, {precision} on {os.cpu_count()} cores"


def _query_side(settings: Settings) -> str:
    from rag.embed import open_embedder

    embedder = open_embedder(settings)
    embedder.embed_questions(["Does it open, and belong to this embedder?"])
    return embedder.query_side or "the embedder itself"


def _model(settings: Settings) -> str:
    from rag.read import open_reader

    reader = open_reader(settings.model)
    return f"{reader.name} at {settings.model}, answers from a support of {reader.threshold:.2f}"


def _endpoint(settings: Settings) -> Iterator[Finding]:
    """Named, not called: a doctor sends nothing out of the house."""
    if settings.endpoint:
        fix = "" if settings.endpoint.model else "name its model: GROUNDLING_ENDPOINT__MODEL, or in rag.toml"
        yield Finding("endpoint", f"{settings.endpoint.model or 'no model named'} at {settings.endpoint.url}", fix)
