"""What became of the probes with one model, kept: the model that answers need not be asked again for each candidate.

    INDEX/models/measured.json   the last few models, by everything that could change an outcome

Takes   the library's folder, a model, the settings it was asked with.
Gives   its `Outcomes`, where exactly this model was asked exactly these probes by exactly this release; else None.
A file that is missing or damaged is no fault: everything is asked again.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rag import files, probes
from rag.parts import Parts
from rag.probing import Asked, Outcomes

KEPT = 4  # models
FILE = "measured.json"
COMPUTES = ("rag", "trainer")  # packages whose source decides what is answered
COUNTED = (".py", ".gz")  # and general questions are packed


def load(parts: Parts, model: Asked) -> Outcomes | None:
    """The outcomes of this model, or None."""
    said = _read(parts.folder).get(_key(parts, model))
    if not isinstance(said, dict):
        return None
    return Outcomes(said["rows"], Counter(said["quotations"]))


def keep(parts: Parts, model: Asked, found: Outcomes) -> None:
    """Keep the outcomes of a model that was asked everything."""
    rows = _read(parts.folder)
    rows.pop(_key(parts, model), None)
    rows[_key(parts, model)] = {"rows": found.rows, "quotations": dict(found.quotations)}
    last = dict(list(rows.items())[-KEPT:])
    folder = parts.folder / "models"
    folder.mkdir(exist_ok=True)
    files.write_json(folder / FILE, {"format": 1, "models": last})


def _read(index: Path) -> dict[str, Any]:
    try:
        said = json.loads((index / "models" / FILE).read_text(encoding="utf-8"))
        return dict(said["models"]) if said["format"] == 1 else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _key(parts: Parts, model: Asked) -> str:
    settings = parts.settings
    precision = (getattr(model.reader, "precision", ""), getattr(model.embedder, "precision", ""))
    asked = (model.name, model.embedder.identity, *precision, settings.strictness, settings.fusion_weight)
    return hashlib.sha256(json.dumps([*asked, probes.edition(), _release()]).encode()).hexdigest()


@cache
def _release() -> str:
    """A hash of our source and of the questions with it: a change of either may change an outcome."""
    digest = hashlib.sha256()
    for package in COMPUTES:
        spec = find_spec(package)
        found = sorted(Path(str(spec.origin)).parent.rglob("*")) if spec and spec.origin else ()
        for file in (one for one in found if one.suffix in COUNTED):
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()
