"""The process in which one peer works: `python -P child.py NAME TASK.json RESULT.json`.

Takes   a task as `benchmarks.peers` writes it, and the class `Peer` of the program NAME.py beside this file.
Gives   the figures of one step, build or use. Starting, importing and loading the model's weights are never timed:
        every peer embeds a line before its clock starts.
Runs in the peers' environments: nothing but the standard library is imported here.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Protocol


class Peer(Protocol):
    """What a program NAME.py offers. `__init__` takes the folder of the model and the options, and loads the model."""

    def add_files(self, files: Sequence[Path], index: Path) -> tuple[int, int]:
        """Read, cut, embed, index and save; how many passages, of how many characters."""

    def add_texts(self, texts: Sequence[tuple[str, str]], vectors: Any, index: Path) -> None:
        """Embed (unless `vectors` are given), index and save passages (id, text) as they are."""

    def open(self, index: Path) -> None:
        """Open what was saved."""

    def search(self, query: str, k: int, method: str) -> list[str]:
        """Ids (of texts) or texts (of files), best first."""

    def change(self, identity: str, text: str, index: Path) -> None:
        """Replace one passage, and save."""


def main() -> None:
    """One step of one task."""
    name, given, out = sys.argv[1:]
    task = json.loads(Path(given).read_text(encoding="utf-8"))
    peer = program(name)(Path(task["model"]), task["options"])
    told = (build if task["step"] == "build" else use)(peer, task)
    Path(out).write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")


def program(name: str) -> Any:
    """The class `Peer` of a program; loaded by path, because its file bears the name of the package it imports."""
    spec = importlib.util.spec_from_file_location(f"peer_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.Peer


def build(peer: Peer, task: dict[str, Any]) -> dict[str, Any]:
    """From files or texts to an index on disk."""
    index = Path(task["index"])
    index.mkdir(parents=True, exist_ok=True)
    texts = [(identity, text) for identity, text in task["texts"]]
    vectors = loaded(task["vectors"])
    clock, cpu = time.perf_counter(), time.process_time()
    if task["files"]:
        passages, characters = peer.add_files([Path(file) for file in task["files"]], index)
    else:
        peer.add_texts(texts, vectors, index)
        passages, characters = len(texts), sum(len(text) for _, text in texts)
    seconds, cpu = time.perf_counter() - clock, time.process_time() - cpu
    return {
        "passages": passages, "characters": characters, "seconds": round(seconds, 3), "cpu_seconds": round(cpu, 3),
        "passages_per_s": round(passages / seconds, 2), "versions": versions(),
    }  # fmt: skip


def use(peer: Peer, task: dict[str, Any]) -> dict[str, Any]:
    """Reopen, search, change one passage."""
    index, k, method = Path(task["index"]), task["k"], task["method"]
    queries = list(task["queries"].items())
    first = queries[0][1] if queries else "a query"
    clock = time.perf_counter()
    peer.open(index)
    peer.search(first, k, method)
    told: dict[str, Any] = {"reopen_s": round(time.perf_counter() - clock, 4)}
    told["memory_before_queries_mb"] = resident_mb()
    ranking: dict[str, list[str]] = {}
    times = []
    for number in range(max(len(queries), task["searches"] if queries else 0)):
        identity, text = queries[number % len(queries)]
        clock = time.perf_counter()
        found = peer.search(text, k, method)
        times.append(1000 * (time.perf_counter() - clock))
        ranking[identity] = found
    if times:
        times.sort()
        told["query_p50_ms"] = round(times[len(times) // 2], 2)
        told["query_p95_ms"] = round(times[min(len(times) - 1, int(0.95 * len(times)))], 2)
    told["memory_after_queries_mb"] = resident_mb()
    told["ranking"] = ranking
    if task["change"]:
        told["changed_document_s"] = changed(peer, task["change"], index)
    return told


def changed(peer: Peer, change: Sequence[str], index: Path) -> float:
    """Seconds until a changed passage is on disk and found by its new words."""
    identity, text = change
    clock = time.perf_counter()
    peer.change(identity, text, index)
    found = peer.search(text, 10, "both")
    seconds = time.perf_counter() - clock
    if identity not in found:
        raise RuntimeError(f"{identity} was changed, but is not found by its new words: {found[:3]}")
    return round(seconds, 4)


def loaded(path: str | None) -> Any:
    """A matrix, where there is one."""
    if path is None:
        return None
    import numpy as np

    return np.load(path)


def resident_mb() -> float:
    """Memory of this process now."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def versions() -> dict[str, str]:
    """Of the packages that matter."""
    wanted = ("langchain", "llama-index-core", "txtai", "haystack-ai", "sentence-transformers", "torch", "faiss-cpu")
    return {each.name: each.version for each in distributions() if each.name in (*wanted, "groundling", "openvino")}


if __name__ == "__main__":
    main()
