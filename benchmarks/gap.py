"""How far sets of real documents lie from what the shipped table counted (docs/quality.md).

    python -m benchmarks.gap --data ../shared/data

Takes   folders and files below the data folder; documents are read as the product reads them.
Gives   a line a set: documents, bits per byte (all text, and the 5th, 50th, 95th percentile of documents), tokens per
        word, and how many documents lie beyond the band of ordinary ones; the last line is one JSON object.
Leaves  out pictures, and of the office files PDFs, many of which are scans: OCR's text is a guess. Files that cannot be
        read, or say too little, are counted.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rag import clean, load
from rag.config import Settings
from rag.errors import GroundlingError
from rag.gap import LEAST, LONGEST, Meter
from rag.types import Page

SETS = {
    "examples/handbook": "examples/handbook",
    "18F": "documents/handbooks/18F",
    "sourcegraph": "documents/handbooks/sourcegraph",
    "alphagov": "documents/handbooks/alphagov",
    "filings": "documents/filings",
    "office": "documents/office",
}
PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".zip", ".mbox"}
LEFT = {"office": PICTURES | {".pdf"}}  # many of its PDFs are scans


def texts(folder: Path) -> Iterator[str | None]:
    """The beginning of each document's text; None for one that cannot be read or says too little."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix.lower() in LEFT.get(folder.name, PICTURES):
            continue
        if path.name.endswith("questions.jsonl"):
            continue
        try:
            text = clean.draft(beginning(path), title=path.stem).text
        except GroundlingError:
            text = ""
        yield text if len(text.encode("utf-8", "replace")) >= LEAST else None


def beginning(path: Path) -> Iterator[Page]:
    """Pages until there is more text than is measured."""
    read = 0
    for page in load.pages(path):
        read += len(page.text)
        yield page
        if read > 2 * LONGEST:
            return


def measured(meter: Meter, some: Iterator[str | None]) -> dict[str, Any]:
    """The figures of one set."""
    found = list(some)
    rows = [meter.read(text) for text in found if text]
    if not rows:
        return {"documents": 0, "left_out": len(found)}
    size, bits, words, tokens = np.array(rows, dtype=np.float64).T
    far = meter.ordinary().bits[2]
    return {
        "documents": len(rows),
        "left_out": len(found) - len(rows),
        "bits_per_byte": round(float(bits.sum() / size.sum()), 3),
        "percentiles": [round(float(one), 2) for one in np.percentile(bits / size, (5, 50, 95))],
        "tokens_per_word": round(float(tokens.sum() / max(words.sum(), 1)), 3),
        "beyond_percent": round(100 * float(np.mean(bits / size > far)), 1),
    }


def main() -> None:
    """Measure every set that is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", action="append", choices=SETS, help="only this set; repeat it")
    given = parser.parse_args()
    data = given.data
    meter = Meter(Settings().model / "tokenizer.json")
    figures = {}
    for name, place in ((name, place) for name, place in SETS.items() if name in (given.only or SETS)):
        folder = Path(place) if place.startswith("examples") else data / place
        figures[name] = measured(meter, texts(folder))
        print(f"{name:18} {json.dumps(figures[name])}", flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
