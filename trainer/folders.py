"""Folders appear whole or not at all, and take the place of nothing but an older one of ours.

    with exported(FOLDER, kind="trunk") as part: ...  ─► .FOLDER.part ─► checksums, flush ─► rename to FOLDER

Takes   the folder that is wanted, and the kind of what will be in it.
Gives   an empty neighbour to write to. When the block ends well it is flushed to the disk and renamed.
Refuses a place that is taken by anything else: another kind of model, a folder that holds a file no export wrote.
After   an error (a full disk, say) the neighbour is gone and what stood at the place stands there untouched.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from trainer import files
from trainer.errors import CheckpointError
from trainer.formats import checksums

MARK = "groundling.json"  # says what a folder is, where `config.json` belongs to another program's layout
WRITTEN = {checksums.NAME, "config.json", "model.safetensors", "tokenizer.json", "README.md"}  # of older exports too
INSIDE = {"query"}  # a folder with checksums of its own: the tuned query side of a candidate


@contextmanager
def exported(folder: Path, *, kind: str) -> Iterator[Path]:
    """Write a folder aside; on success it replaces the older one. Raises CheckpointError, leaving all as it was."""
    refuse_strangers(folder, kind)
    part = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        checksums.write(part)
        for path in (*part.iterdir(), part):
            files.flush(path)
            files.share(path)
        replace(folder, part)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder} cannot be written ({error}); {free(folder) / 1e6:,.0f} MB are free there. "
            "What stood there is unchanged"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)  # after the rename there is nothing left to remove


def replace(folder: Path, part: Path) -> None:
    """Put a finished folder in the place of an older one. Killed in between, the older one waits aside, whole."""
    old = folder.with_name(f".{folder.name}.old")
    if folder.exists():  # else what lies aside is all there is: a run was killed between the two renames
        shutil.rmtree(old, ignore_errors=True)
        folder.replace(old)
    try:
        part.replace(folder)
    except OSError:
        if old.exists():
            old.replace(folder)
        raise
    files.flush(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def refuse_strangers(folder: Path, kind: str) -> None:
    """Raise CheckpointError where something stands that an export of this kind did not write."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    other = "choose another place with [export] folder, or move it away"
    found = kind_of(folder)
    if found != kind:
        what = f"a model of kind {found!r}" if found else "something that no export wrote"
        raise CheckpointError(f"{folder} holds {what}; it is not replaced by one of kind {kind!r}: {other}")
    listed = set(checksums.read(folder)) if (folder / checksums.NAME).is_file() else set()
    foreign = sorted({path.name for path in folder.iterdir()} - listed - WRITTEN - INSIDE)
    if foreign:
        raise CheckpointError(f"{folder} also holds {', '.join(foreign[:5])}, which no export wrote: {other}")


def kind_of(folder: Path) -> str | None:
    """What kind of export a folder holds, None where it is none."""
    for name in (MARK, "config.json"):
        try:
            described = json.loads((folder / name).read_text(encoding="utf-8"))
            return str(described["kind"]) if "format" in described else None
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return None


def free(folder: Path) -> int:
    """Bytes that are free where the folder would stand."""
    return shutil.disk_usage(next(path for path in folder.absolute().parents if path.exists())).free
