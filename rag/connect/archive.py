"""A ZIP file as a folder: each document in it, also in archives inside it.

Takes   the path of a .zip. The archive is the source, a document's path the one inside it (`inner.zip/notes/a.md`).
Gives   what is new or has another checksum since it was unpacked last. An unchanged archive costs one look at its date.
Refuses what limits.check_zip refuses (passwords that were not given, bombs); entries that are links are left out.
        Nothing is written under a name from the archive, so no entry can lead out of it.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from rag.connect.source import WHOLE, Brought, Event, Kept, Missing, Options, Whole, staged, stamp
from rag.discover import is_litter, source_of, upload_path
from rag.errors import LoadError
from rag.load import limits

DEPTH = 3  # archives inside archives
ZIP = ".zip"


class Archive:
    """See the module."""

    alone = True

    def __init__(self, path: Path, options: Options) -> None:
        self.path = path
        self.source = f"{source_of(path.parent)}/{path.name}"
        self.address = self.source
        self.options = options
        self._number = 0

    def bring(self, known: Mapping[str, str], into: Path) -> Iterator[Event]:
        """Every document of the archive."""
        whole = f"{stamp(self.path)} {self.options.only}"
        if known.get(WHOLE) == whole:
            yield Whole(whole, unchanged=True)
            return
        yield from self._unpack(self.path, "", known, into)
        yield Whole(whole)

    def _unpack(self, file: Path, above: str, known: Mapping[str, str], into: Path) -> Iterator[Event]:
        """Errors of the outermost archive are its own; those of one inside are that entry's."""
        try:
            limits.check_file(file)
            limits.check_zip(file)
        except zipfile.BadZipFile as error:
            raise LoadError(f"{file.name}: damaged, or no ZIP file ({error}); get a fresh copy") from error
        with zipfile.ZipFile(file) as archive:
            for entry in sorted(archive.infolist(), key=lambda one: one.filename):
                if entry.is_dir() or stat.S_ISLNK(entry.external_attr >> 16):
                    continue
                path = above + upload_path(entry.filename)
                if not any(is_litter(part) for part in PurePosixPath(path).parts):
                    yield from self._entry(archive, entry, path, known, into)

    def _entry(
        self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: str, known: Mapping[str, str], into: Path
    ) -> Iterator[Event]:
        nested = path.lower().endswith(ZIP)
        if not nested and not self.options.wanted(path):
            return
        mark = f"{entry.CRC:08x}:{entry.file_size}"
        if not nested and known.get(path) == mark:
            yield Kept(path)
            return
        self._number += 1
        file = staged(into, self._number, path)
        try:
            file.write_bytes(limits.member(archive, entry.filename))
        except RuntimeError as error:
            yield Missing(path, f"{path}: {error}")
            return
        except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
            yield Missing(path, f"{path}: damaged in the archive ({error}); pack it again")
            return
        if not nested:
            yield Brought(path, file, mark)
        elif path.lower().count(f"{ZIP}/") + 1 > DEPTH:
            yield Missing(f"{path}/", f"{path}: archives inside archives go too deep; unpack it and add the folder")
        else:
            try:
                yield from self._unpack(file, f"{path}/", known, into)
            except LoadError as error:
                yield Missing(f"{path}/", str(error))
