"""Checksums of a model folder: a file that was damaged or exchanged is named before it is used.

    FOLDER/* ─► write ─► FOLDER/SHA256SUMS ─► verify, each time the folder is opened

    python -m trainer.formats.checksums FOLDER      after a change on purpose, of the card say

Takes   a folder of files (no folders inside).
Gives   `SHA256SUMS` in the layout of the program of that name: `sha256sum -c SHA256SUMS` checks it too.
Refuses a folder without it, a listed file that is missing or differs. What is not listed is not looked at.
Cost    0.15 s for a folder of 34 MB, on one core of a busy machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

from trainer import files
from trainer.errors import CheckpointError

NAME = "SHA256SUMS"


def write(folder: Path) -> None:
    """List every file of the folder."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != NAME)
    files.write_text(folder / NAME, "".join(f"{files.sha256(folder / name)}  {name}\n" for name in names))


def read(folder: Path) -> dict[str, str]:
    """Name of each listed file, and its checksum. Raises CheckpointError where there is no readable list."""
    try:
        lines = (folder / NAME).read_text(encoding="utf-8").splitlines()
        return {name: value for value, name in (line.split("  ", 1) for line in lines)}
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{folder}: no readable {NAME} ({error}); export the model again, or accept the files as they are: "
            f"python -m trainer.formats.checksums {folder}"
        ) from error


def verify(folder: Path, *, needed: tuple[str, ...] = ()) -> None:
    """Compare every listed file with its checksum; the `needed` ones must be listed. Raises CheckpointError."""
    listed = read(folder)
    absent = sorted(set(needed) - set(listed))
    if absent:
        raise CheckpointError(f"{folder}/{NAME} does not list {', '.join(absent)}; export the model again")
    for name, wanted in listed.items():
        path = folder / name
        if not path.is_file():
            raise CheckpointError(f"{path} is missing, but {NAME} lists it; copy the folder again")
        found = files.sha256(path)
        if found != wanted:
            raise CheckpointError(
                f"{path} is not the file that was exported: its SHA-256 is {found[:12]}..., {NAME} says "
                f"{wanted[:12]}...; copy the folder again, or after a change on purpose: "
                f"python -m trainer.formats.checksums {folder}"
            )


if __name__ == "__main__":
    for given in sys.argv[1:]:
        write(Path(given))
