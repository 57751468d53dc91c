"""A training bundle is opened: every byte is checked before any is believed.

    BUNDLE.zip ─► names, sizes, SHA-256 of every member, the id over all ─► meant for this base? ─► WORK/bundle/*.jsonl

Takes   a file of `rag export --bundle` and the model folder that is to be improved.
Gives   a `Bundle`: the manifest, and its members as plain files.
Refuses (DataError, with the next step) what is no bundle or was changed: another set of members, a member twice, a name
        with a path, more bytes than the manifest says, another hash; and a base that the judgements were not about.
Format  docs/judgements.md, "The bundle". Nothing outside the folder is ever written, whatever the file says.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer import files, jsonl
from trainer.errors import DataError
from trainer.reading import read_config

FORMAT = 1
KIND = "groundling-bundle"
SIDES = ("train", "held")
MEMBERS = tuple(f"{kind}.{side}.jsonl" for kind in ("rows", "preferences", "passages") for side in SIDES)
ALL = (*MEMBERS, "withdrawn.jsonl")
MOST_MANIFEST = 16 << 20  # bytes
AT_ONCE = 1 << 20  # bytes
IDENTITY = ("config.json", "model.safetensors", "tokenizer.json")  # of a model folder


@dataclass(frozen=True)
class Bundle:
    """What was unpacked."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The hash of everything in it."""
        return str(self.manifest["id"])

    def rows(self, member: str) -> list[dict[str, Any]]:
        """The objects of one member, such as `rows.train.jsonl`."""
        return list(jsonl.objects(self.folder / member))


def unpack(file: Path, base: Path, folder: Path) -> Bundle:
    """Check a bundle against itself and against the base, and write its members. Raises DataError."""
    try:
        with zipfile.ZipFile(file) as opened:
            manifest = _manifest(opened, file)
            check_base(manifest, base, file)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for name in ALL:
                _member(opened, name, manifest["members"][name], folder, file)
    except FileNotFoundError as error:
        raise DataError(f"{file}: no such file; make one with `rag export --bundle {file.name}`") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the disk's own words are the useful ones
        raise DataError(f"{file} cannot be unpacked ({error}); {AGAIN}") from error
    files.write_json(folder / "manifest.json", manifest)
    return Bundle(folder, manifest)


def opened(folder: Path) -> Bundle:
    """What `unpack` left."""
    return Bundle(folder, json.loads((folder / "manifest.json").read_text(encoding="utf-8")))


AGAIN = "copy it again from where it was made, or export it again with `rag export --bundle`"


def _manifest(opened: zipfile.ZipFile, file: Path) -> dict[str, Any]:
    """The manifest, once the file holds exactly the members of a bundle and the manifest fits its own id."""
    names = [entry.filename for entry in opened.infolist()]
    wanted = {"README.md", "manifest.json", *ALL}
    if sorted(names) != sorted(wanted):
        odd = sorted(set(names) ^ wanted) or sorted({name for name in names if names.count(name) > 1})
        raise DataError(
            f"{file} is no bundle of format {FORMAT}: {odd[0][:80]!r} is missing, twice or foreign; {AGAIN}"
        )
    entry = opened.getinfo("manifest.json")
    if entry.file_size > MOST_MANIFEST:
        raise DataError(f"{file}: its manifest has {entry.file_size:,} bytes, at most {MOST_MANIFEST:,}; {AGAIN}")
    try:
        with opened.open(entry) as stream:
            manifest = dict(json.loads(stream.read(MOST_MANIFEST + 1)))
        members = {name: dict(manifest["members"][name]) for name in ALL}
        said = (manifest["format"], manifest["kind"])
        sizes = {name: (int(about["bytes"]), str(about["sha256"])) for name, about in members.items()}
        fingerprint = str(manifest["base_model"]["fingerprint"])
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{file}: its manifest cannot be read ({type(error).__name__}: {error}); {AGAIN}") from error
    if said != (FORMAT, KIND):
        raise DataError(f"{file} is {said[1]!r} of format {said[0]!r}; this release reads {KIND!r} of format {FORMAT}")
    whole = {key: value for key, value in manifest.items() if key != "id"}
    if hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:32] != manifest.get("id"):
        raise DataError(f"{file}: its manifest was changed after it was written; {AGAIN}")
    assert sizes
    assert fingerprint
    return manifest


def _member(opened: zipfile.ZipFile, name: str, about: Mapping[str, Any], folder: Path, file: Path) -> None:
    """Write one member, its bytes counted and hashed on the way."""
    digest, left = hashlib.sha256(), int(about["bytes"])
    with opened.open(name) as stream, files.aside(folder / name) as part, part.open("wb") as out:
        while block := stream.read(AT_ONCE):
            left -= len(block)
            if left < 0:
                raise DataError(f"{file}: {name} holds more bytes than its manifest says; {AGAIN}")
            digest.update(block)
            out.write(block)
    if left or digest.hexdigest() != about["sha256"]:
        raise DataError(f"{file}: {name} is not what was exported (its SHA-256 differs); {AGAIN}")


def check_base(manifest: Mapping[str, Any], base: Path, file: Path) -> None:
    """Raise DataError where the bundle was made beside another model than `base`."""
    read_config(base)
    wanted, found = manifest["base_model"], fingerprint(base)
    if found != wanted["fingerprint"]:
        raise DataError(
            f"{file} was made beside the model {wanted.get('name')}-{wanted['fingerprint']}, {base} is {found}: people "
            "judged the other one's answers. Name that folder with --base, or export again where this one serves"
        )


def fingerprint(folder: Path) -> str:
    """Eight hex digits by which a library knows a model folder; they change with its weights and settings."""
    digest = hashlib.sha256()
    for name in IDENTITY:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:8]
