"""A file is read, cleaned and cut into passages, in a child process that may die without harm.

    pool.submit(path) ─► python -m rag.parse ─► load ─► clean ─► chunk ─► near keys ─► Parsed

Takes   the path of one file and a title for documents that name none.
Gives   `Parsed`: the draft, its chunks, and for each chunk its hash and the keys of near copies.
Refuses with LoadError: what the loaders refuse, a parser that crashed or ran out of memory, and one that is silent for
        SILENT_S. Exactly the file that was being read fails; the next one gets a new child.
Why own children: a process pool of the standard library starts by importing the caller's main script again, which a
        script without a `__main__` guard does not survive, and cannot tell which file killed a worker.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rag import clean, files, load
from rag.chunk import chunk
from rag.errors import GroundlingError, LoadError
from rag.load import unlock
from rag.types import Chunk, Draft, PageSpan

SILENT_S = 300.0  # seconds a parser may spend on one page; OCR of a page takes 4
HASH_CHARACTERS = 32  # of a sha256 in hexadecimal: 128 bits name a text


@dataclass(frozen=True)
class Parsed:
    """One file, ready to be embedded and written."""

    sha256: str  # of the bytes that were read
    draft: Draft
    chunks: tuple[Chunk, ...]
    hashes: tuple[str, ...]  # per chunk: of `context(chunk)`
    near_keys: tuple[tuple[str, ...], ...]  # per chunk


def context(chunk: Chunk) -> str:
    """What is embedded: the heading path and the words, as in `Passage.context`."""
    return " > ".join(chunk.headings) + "\n" + chunk.text if chunk.headings else chunk.text


def parse(
    path: Path, title: str, *, sound_model: Path | None = None, on_page: Callable[[], None] | None = None
) -> Parsed:
    """Read one file in this process; `on_page` is called as pages come in."""
    sha256, before = digest(path), _stamp(path)

    def counted() -> Any:
        for page in load.pages(path, sound_model=sound_model):
            if on_page:
                on_page()
            yield page

    draft = clean.draft(counted(), title=title)
    chunks = tuple(chunk(draft))
    if _stamp(path) != before:
        raise LoadError(f"{path.name}: was changed while it was read; add it again")
    hashes = tuple(hashlib.sha256(context(part).encode()).hexdigest()[:HASH_CHARACTERS] for part in chunks)
    return Parsed(sha256, draft, chunks, hashes, tuple(clean.near_keys([part.text for part in chunks])))


def digest(path: Path) -> str:
    """sha256 of a file's bytes. Raises LoadError where it cannot be opened."""
    try:
        return files.sha256(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise LoadError(f"{path.name}: cannot be opened ({reason}); check that it exists and may be read") from error


def _stamp(path: Path) -> tuple[int, int]:
    """Changes when the file is written to."""
    state = path.stat()
    return state.st_mtime_ns, state.st_size


class Pool:
    """Children that parse, each started when first needed. With 0 workers files are read in this process."""

    def __init__(self, workers: int, *, sound_model: Path | None = None) -> None:
        """`sound_model`: the folder of the model that reads recordings."""
        self._sound_model = sound_model
        self._free: queue.SimpleQueue[_Child] = queue.SimpleQueue()
        self._children = [_Child(sound_model) for _ in range(workers)]
        for child in self._children:
            self._free.put(child)
        self._threads = ThreadPoolExecutor(max(1, workers), thread_name_prefix="parse")
        self._passwords = unlock.given()  # of the run that starts the pool; threads do not inherit them

    def submit(self, path: Path, title: str) -> Future[Parsed]:
        """Read this file as soon as a worker is free."""
        return self._threads.submit(self._run, path, title)

    def close(self) -> None:
        """End the children, whatever they are doing."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for child in self._children:
            child.kill()
        self._threads.shutdown(wait=True)

    def _run(self, path: Path, title: str) -> Parsed:
        if not self._children:
            try:
                with unlock.using(self._passwords):
                    return parse(path, title, sound_model=self._sound_model)
            except GroundlingError:
                raise
            except Exception as error:  # as a child would die of it: this file fails, the others go on
                what = f"{type(error).__name__}: {error}"
                raise LoadError(f"{path.name}: its parser failed ({what}); please report it") from error
        child = self._free.get()
        try:
            return child.parse(path, title, self._passwords)
        finally:
            self._free.put(child)


class _Child:
    """One child process, used by one thread at a time; a dead one is replaced at the next file."""

    def __init__(self, sound_model: Path | None) -> None:
        self._sound_model = str(sound_model or "")
        self._process: subprocess.Popen[str] | None = None
        self._ended = False
        self._starting = threading.Lock()

    def parse(self, path: Path, title: str, passwords: Sequence[str]) -> Parsed:
        process = self._started()
        timed_out = threading.Event()
        try:
            task = {"path": str(path), "title": title, "sound_model": self._sound_model, "passwords": passwords}
            answer = self._ask(process, task, timed_out)
        except (OSError, ValueError):  # a broken pipe or half an answer: the child died while writing
            answer = None
        if answer is None:
            code = process.wait()
            self._process = None
            _close(process)
            if timed_out.is_set():
                cure = "split the file or save it in another format"
                raise LoadError(f"{path.name}: no page was read for {SILENT_S:g} s; {cure}")
            what = f"signal {-code}" if code < 0 else f"exit code {code}"
            cure = "the file is damaged, save it again from its program"
            raise LoadError(f"{path.name}: its parser crashed ({what}); {cure}")
        if "error" in answer:
            raise LoadError(answer["error"])
        return _from_json(answer)

    def _ask(
        self, process: subprocess.Popen[str], task: dict[str, Any], timed_out: threading.Event
    ) -> dict[str, Any] | None:
        """The child's answer, or None when it ended without one."""
        assert process.stdin is not None
        assert process.stdout is not None

        def give_up() -> None:
            timed_out.set()
            process.kill()

        process.stdin.write(json.dumps(task) + "\n")
        process.stdin.flush()
        while True:
            timer = threading.Timer(SILENT_S, give_up)
            timer.daemon = True
            timer.start()
            line = process.stdout.readline()
            timer.cancel()
            if not line:
                return None
            answer: dict[str, Any] = json.loads(line)
            if "page" not in answer:
                return answer

    def _started(self) -> subprocess.Popen[str]:
        with self._starting:
            if self._ended:
                raise LoadError("reading was stopped; add the files again")
            if self._process is None:
                home = str(Path(__file__).resolve().parent.parent)
                paths = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH", "")]))
                alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1"}
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "rag.parse"],  # -P: nothing is imported from the working folder
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                    text=True, encoding="utf-8", env={**os.environ, **alone, "PYTHONPATH": paths},
                )  # fmt: skip
            return self._process

    def kill(self) -> None:
        with self._starting:
            self._ended = True
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                _close(self._process)


def _close(process: subprocess.Popen[str]) -> None:
    """The pipes of a child that is dead."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what was still buffered for it
                pipe.close()


def _from_json(answer: dict[str, Any]) -> Parsed:
    draft = answer["draft"]
    draft["pages"] = tuple(PageSpan(*span) for span in draft["pages"])
    for name in ("pages_without_text", "ocr_pages", "notes"):
        draft[name] = tuple(draft[name])
    text = draft["text"]
    chunks = tuple(
        Chunk(start, end, text[start:end], page, tuple(headings), at)
        for start, end, page, headings, at in answer["chunks"]
    )
    return Parsed(
        answer["sha256"], Draft(**draft), chunks, tuple(answer["hashes"]), tuple(tuple(k) for k in answer["near_keys"])
    )


def main() -> None:
    """The child: a task a line on standard input, `{"page": true}` lines and one answer a task on standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not stand between our lines

    def say(answer: dict[str, Any]) -> None:
        out.write(json.dumps(answer) + "\n")
        out.flush()

    for line in sys.stdin:
        task = json.loads(line)
        try:
            model = Path(task["sound_model"]) if task["sound_model"] else None
            path, title = Path(task["path"]), task["title"]
            with unlock.using(task["passwords"]):
                parsed = parse(path, title, sound_model=model, on_page=lambda: say({"page": True}))
        except GroundlingError as error:
            say({"error": str(error)})
        except MemoryError:
            say({"error": f"{Path(task['path']).name}: needs more memory than there is; split it into smaller files"})
        else:
            say({
                "sha256": parsed.sha256, "draft": asdict(parsed.draft), "hashes": parsed.hashes,
                "near_keys": parsed.near_keys,
                "chunks": [(c.start, c.end, c.page, c.headings, c.at) for c in parsed.chunks],
            })  # fmt: skip


if __name__ == "__main__":
    main()
