"""Three readers of the same files: ours, pypdf (PDF only) and markitdown in its own pinned environment.

Takes   the paths of files.
Gives   per reader and path a `Read`; None where the reader does not say it reads such files at all.
        A file that a reader refuses is a `Read` without text and with the reason.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from benchmarks.parsing.score import Read
from rag import parse
from rag.errors import GroundlingError

HERE = Path(__file__).resolve().parent
HOME = HERE.parent.parent / "runs" / "peers" / "markitdown"
REASON_CHARACTERS = 160
_CHILD = """
import json, sys, time
from markitdown import MarkItDown
reader = MarkItDown(enable_plugins=False)
for line in sys.stdin:
    path, began, text, failed = json.loads(line), time.monotonic(), "", ""
    try:
        text = reader.convert(path).markdown
    except Exception as error:
        failed = f"{type(error).__name__}: {error}"
    print(json.dumps({"text": text, "failed": failed, "seconds": time.monotonic() - began}), flush=True)
"""


def ours(paths: Sequence[Path]) -> Iterator[Read | None]:
    """The product: loaded, cleaned and cut into passages as when a file is added."""
    for path in paths:
        began = time.monotonic()
        try:
            parsed = parse.parse(path, path.stem)
        except GroundlingError as error:
            yield Read("", failed=str(error)[:REASON_CHARACTERS], seconds=time.monotonic() - began)
            continue
        yield Read(parsed.draft.text, [one.text for one in parsed.chunks], seconds=time.monotonic() - began)


def pypdf(paths: Sequence[Path]) -> Iterator[Read | None]:
    """Each page by `extract_text()`."""
    import pypdf as library

    for path in paths:
        if path.suffix.lower() != ".pdf":
            yield None
            continue
        began = time.monotonic()
        try:
            pages = [page.extract_text() for page in library.PdfReader(path).pages]
        except Exception as error:  # noqa: BLE001 - a measured library may raise anything; that is its result
            yield Read("", failed=f"{type(error).__name__}: {error}"[:REASON_CHARACTERS])
            continue
        yield Read("\n".join(pages), pages, seconds=time.monotonic() - began)


def markitdown(paths: Sequence[Path]) -> Iterator[Read | None]:
    """One process, its first file's imports not counted."""
    python = prepare()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [str(python), "-W", "ignore", "-P", "-c", _CHILD]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for path in paths:
            child.stdin.write(json.dumps(str(path)) + "\n")
            child.stdin.flush()
            said = child.stdout.readline()
            if not said:
                raise RuntimeError(f"markitdown ended at {path.name}")
            told = json.loads(said)
            yield Read(told["text"], failed=told["failed"][:REASON_CHARACTERS], seconds=told["seconds"])
        child.stdin.close()


def prepare() -> Path:
    """The Python of markitdown's environment, made at first use (a minute) and again when its pins change."""
    pins, python, stamp = HERE / "markitdown.txt", HOME / "bin" / "python", HOME / "pins.sha256"
    wanted = sha256(pins.read_bytes()).hexdigest()
    if python.exists() and stamp.is_file() and stamp.read_text(encoding="ascii") == wanted:
        return python
    sys.stderr.write(f"installing markitdown into {HOME} ...\n")
    venv.create(HOME, clear=True, with_pip=True)
    install = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "-r", str(pins)]
    subprocess.run(install, check=True)
    stamp.write_text(wanted, encoding="ascii")
    return python


READERS = {"ours": ours, "pypdf": pypdf, "markitdown": markitdown}
