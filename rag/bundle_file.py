"""The file of a bundle: a ZIP that any program can read, with equal bytes for equal content.

    README.md  manifest.json  rows.train.jsonl  rows.held.jsonl  preferences.*.jsonl  passages.*.jsonl  withdrawn.jsonl

Takes   members, each a name and its rows; what the manifest says.
Gives   the file, readable by its owner only, and its id: the hash of everything in it.
Refuses a place that cannot be written (SettingsError). It is written aside, flushed and renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rag import files
from rag.errors import SettingsError

FORMAT = 1
README = """# Training bundle

Made by `rag export --bundle`; format 1. Every `.jsonl` member is UTF-8, one JSON object a line.

- `manifest.json`: whom it may be shown to, the model it was judged with, counts, hashes of all members.
- `rows.train.jsonl`, `rows.held.jsonl`: `question`; `sources`, each [heading path, text]; `spans`, characters of the
  first source that answer (empty: no source answers); `teaches`; `judgements`, their ids; `people`, how many.
- `preferences.train.jsonl`, `preferences.held.jsonl`: `question`, `sources`, `chosen`, `rejected`; of a single thumb
  one of the two is null.
- `passages.train.jsonl`, `passages.held.jsonl`: every passage: `id`, `document`, `headings`, `text`, `near` (ids of
  passages of the same member that resemble it).
- `withdrawn.jsonl`: judgements and documents that an earlier bundle held and that must not be learnt from any more.

Each row names `document`, `version`, `access` (who may read it; an empty list is everybody) and `sha256` (of the first
source's text, or of the passage's, in UTF-8); `passages` says the same of each source. Learn from `train`, measure with
`held`: they share no document, no near copy of a passage and no question. `docs/judgements.md` says how it is made.
"""
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first moment a ZIP can name: the same content has the same bytes


class BundleFile:
    """Written member by member; `finish` closes it and gives its id, `place` puts it where it belongs."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._aside = file.with_name(f".{file.name}.{os.getpid()}.part")
        self.members: dict[str, dict[str, Any]] = {}
        try:
            handle = os.open(self._aside, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600)  # it holds documents' words
            self._stream = os.fdopen(handle, "w+b")
        except OSError as error:
            raise SettingsError(f"{file}: the bundle cannot be written ({error}). Choose another place") from error
        self._zip = zipfile.ZipFile(self._stream, "w", zipfile.ZIP_DEFLATED, compresslevel=6)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What was not placed leaves nothing behind."""
        with suppress(OSError, ValueError):
            self._zip.close()
        self._stream.close()
        self._aside.unlink(missing_ok=True)

    def add(self, name: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """One member of JSON lines; returns how many."""
        digest, count, size = hashlib.sha256(), 0, 0
        with self._zip.open(_entry(name), "w") as member:
            for row in rows:
                line = json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
                member.write(line)
                digest.update(line)
                count, size = count + 1, size + len(line)
        self.members[name] = {"rows": count, "bytes": size, "sha256": digest.hexdigest()}
        return count

    def finish(self, manifest: Mapping[str, Any]) -> str:
        """Write the manifest and flush; returns the bundle's id."""
        whole = {"format": FORMAT, "kind": "groundling-bundle", **manifest, "members": self.members}
        identity = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:32]
        text = json.dumps({"id": identity, **whole}, ensure_ascii=False, indent=2) + "\n"
        self._zip.writestr(_entry("README.md"), README)
        self._zip.writestr(_entry("manifest.json"), text)
        self._zip.close()
        self._stream.flush()
        os.fsync(self._stream.fileno())  # before it is remembered
        return identity

    def place(self) -> int:
        """Let it appear under its name, whole; returns its size in bytes."""
        try:
            files.place(self._aside, self.file)
        except OSError as error:
            raise SettingsError(
                f"{self.file}: the bundle cannot be put there ({error}). Choose another place"
            ) from error
        return self.file.stat().st_size


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3  # the same bytes on every system
    entry.external_attr = 0o600 << 16
    return entry
