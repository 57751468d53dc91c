"""The models of one library: every one that was promoted stays, and a pointer names the one that answers.

    INDEX/models/1/            a model folder as it was promoted, with `version.json`: when, from what, its figures
                 2/
                 current.json  {"format": 1, "version": 2, "audit": ...}, swapped by one rename

Takes   the library's folder; folders that `trainer improve` or `trainer export` wrote.
Gives   numbers from 1, never given twice; None is the model that the settings name, "the base" here.
Refuses (ModelError) a folder that is no model, a version that is not there, a pointer that cannot be read.
A kill at any moment leaves the pointer as it was or as it shall be: versions are copied aside, flushed and renamed, and
        a process that reads the pointer before a question sees a switch without a restart.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag import files
from rag.catalogue import now
from rag.errors import ModelError
from rag.lock import WriterLock

FORMAT = 1
ABOUT = "version.json"
POINTER = "current.json"
NEEDED = ("config.json", "model.safetensors", "tokenizer.json")
PATIENCE_S = 600.0  # a backup of a large library takes minutes
_ASIDE = ".adding."  # and a process id: copies that are not whole yet


@dataclass(frozen=True, slots=True)
class Version:
    """One promoted model."""

    number: int
    folder: Path
    name: str  # config.json's
    current: bool
    about: Mapping[str, Any] = field(default_factory=dict)  # what was written down when it was added


class Versions:
    """The folder `models` of one library; nothing is made before the first version is added."""

    def __init__(self, index: Path) -> None:
        self.folder = index / "models"
        self._pointer = self.folder / POINTER

    def pointer(self) -> dict[str, Any]:
        """What the pointer says: `version`, and `audit`, the row that tells who switched and why. {} before any."""
        try:
            said = json.loads(self._pointer.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{self._pointer}: cannot be read ({error}). `rag promote --back` writes it anew"
            ) from error
        version = said.get("version") if isinstance(said, dict) else said
        if not isinstance(said, dict) or not (version is None or (type(version) is int and version > 0)):
            raise ModelError(
                f"{self._pointer}: version {version!r}, need a number or null. `rag promote --back` mends it"
            )
        return said

    def number(self) -> int | None:
        """The version that answers; None: the base."""
        found: int | None = self.pointer().get("version")
        return found

    def current(self) -> Path | None:
        """The folder of the version that answers; None: the base."""
        number = self.number()
        return None if number is None else self.folder / str(number)

    def path(self, number: int) -> Path:
        """The folder of one version. Raises ModelError where it is not there."""
        found = self.folder / str(number)
        if not (found / "config.json").is_file():
            there = ", ".join(str(one) for one in self._numbers()) or "none"
            raise ModelError(f"version {number}: not there. `rag versions` lists what is: {there}")
        return found

    def history(self) -> list[Version]:
        """Every version that is kept, the oldest first. One that is damaged is listed without a name.

        With a pointer that cannot be read none is current: what is there can be listed, to return to it.
        """
        try:
            current = self.number()
        except ModelError:
            current = None
        found = []
        for number in self._numbers():
            folder = self.folder / str(number)
            name = str(files.read_json(folder / "config.json").get("name", ""))
            found.append(Version(number, folder, name, number == current, files.read_json(folder / ABOUT)))
        return found

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others from switching meanwhile: to switch, or to copy pointer and audit as they belong together."""
        with WriterLock(self.folder, name="promoting", patience_s=PATIENCE_S).held():
            yield

    def add(self, candidate: Path, about: Mapping[str, Any] | None = None) -> int:
        """Copy a model folder in, and return its number; nothing answers with it before `switch`."""
        missing = [name for name in NEEDED if not (candidate / name).is_file()]
        if missing:
            raise ModelError(f"{candidate}: no model there ({missing[0]} is missing). Name the folder of a candidate")
        with WriterLock(self.folder).held():
            for left in self.folder.glob(f"{_ASIDE}*"):  # of a process that was killed: the lock is ours
                shutil.rmtree(left)
            number: int = 1 + max([*self._numbers(), self.pointer().get("last", 0)])
            aside = self.folder / f"{_ASIDE}{os.getpid()}"
            try:
                shutil.copytree(candidate, aside, ignore=_unwanted)
                said = {"format": FORMAT, "version": number, "added_at": now(), **(about or {})}
                files.write_json(aside / ABOUT, said)
                files.place(aside, self.folder / str(number))
            except OSError as error:
                shutil.rmtree(aside, ignore_errors=True)
                raise ModelError(
                    f"{candidate}: cannot be copied to {self.folder} ({error}). Make room there"
                ) from error
        return number

    def switch(self, number: int | None, *, audit: str | None = None) -> None:
        """Answer with this version (None: the base) from the next question on, in every process."""
        if number is not None:
            self.path(number)
        self.folder.mkdir(parents=True, exist_ok=True)
        said = {"format": FORMAT, "version": number, "audit": audit, "at": now(), "last": max([0, *self._numbers()])}
        try:
            files.write_json(self._pointer, said)
        except OSError as error:
            raise ModelError(f"{self._pointer}: cannot be written ({error}). The former model goes on") from error

    def _numbers(self) -> list[int]:
        if not self.folder.is_dir():
            return []
        return sorted(int(one.name) for one in self.folder.iterdir() if one.name.isdecimal() and one.is_dir())


def _unwanted(folder: str, names: list[str]) -> set[str]:
    """What a version does not keep: unfinished work, hidden files, and links, which may lead anywhere."""
    return {name for name in names if name.startswith(".") or (Path(folder) / name).is_symlink()}
