"""Raw sources become items: lines of JSONL, whole files, rows of a data set on the Hugging Face hub.

    pattern or folder or hf:NAME ─► places ─► items (bytes, not yet looked at) ─► raw_of(item) in a worker ─► Raw

Takes   JSONL with `text`, `source`, `licence` (also `.xz`, `.gz`), text files, HTML, XML, zipped office files, PDF;
        `hf:owner/name?split=train&column=text&config=NAME&licence=...` where `datasets` and a network are at hand.
Gives   items in their order; memory holds one at a time. An item longer than `longest` bytes arrives without its bytes.
Refuses a packed file that is damaged, a JSONL line that is no JSON or has no `text`, bytes that are no UTF-8 (unless
        told to drop or to replace them), naming file and line.
"""

from __future__ import annotations

import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from glob import escape
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast
from urllib.parse import parse_qs

from trainer.cleaning import plain
from trainer.errors import DataError, RecipeError, need

LONGEST = 16_000_000  # bytes of one line or file
HUB = "hf:"
TOO_LONG, UNREADABLE, INVALID = "too long to be one document", "no text inside", "invalid UTF-8"  # reasons


class Raw(NamedTuple):
    """A document as found."""

    text: str
    source: str
    licence: str


class Item(NamedTuple):
    """One document before anybody looked inside."""

    data: bytes  # a line, or a file's bytes; empty when `size` is above the limit
    place: str  # file and line, for messages
    file: str  # path of a whole file; empty for a line
    size: int  # bytes


class Hub(NamedTuple):
    """A data set on the Hugging Face hub."""

    name: str
    config: str | None
    split: str
    column: str
    licence: str


Place = Path | Hub


def find_sources(data: Path, sources: Mapping[str, str]) -> dict[str, list[Place]]:
    """Domain -> places. Raises DataError where a pattern finds nothing."""
    found = {domain: find(data, pattern) for domain, pattern in sources.items()}
    if not sources:
        for path in sorted((data / "pretrain").glob("[!.]*")):  # books.1.jsonl and books.2.jsonl are both of books
            found.setdefault(path.name.split(".")[0], []).extend(find(data, f"pretrain/{escape(path.name)}"))
    empty = [domain for domain, places in found.items() if not places]
    if empty or not found:
        raise DataError(f"{data} holds no files for {empty or 'pretrain/*'}; give --data or correct [corpus] sources")
    return found


def find(data: Path, pattern: str) -> list[Place]:
    """The places of one pattern: files, everything below a folder, or a data set."""
    if pattern.startswith(HUB):
        return [hub(pattern)]
    if (data / pattern).is_dir():
        pattern = f"{pattern}/**/*"
    return sorted(p for p in data.glob(pattern) if p.is_file() and not p.name.startswith("."))


def hub(pattern: str) -> Hub:
    """A data set from its line in the recipe.

    >>> hub("hf:owner/name?column=content").column
    'content'
    """
    name, _, options = pattern.removeprefix(HUB).partition("?")
    given = {key: values[-1] for key, values in parse_qs(options).items()}
    unknown = sorted(set(given) - {"config", "split", "column", "licence"})
    if unknown or not name:
        raise RecipeError(
            f"{pattern}: say hf:OWNER/NAME?config=…&split=…&column=…&licence=…, not {unknown or 'no name'}"
        )
    return Hub(name, given.get("config"), given.get("split", "train"), given.get("column", "text"),
               given.get("licence", ""))  # fmt: skip


def size_of(place: Place) -> int:
    """Bytes on the disk; 0 for a data set elsewhere."""
    return place.stat().st_size if isinstance(place, Path) else 0


def items(place: Place, *, longest: int = LONGEST, at: Callable[[int], object] = int) -> Iterator[Item]:
    """The items of one place; `at` hears how many bytes of its file are behind."""
    if isinstance(place, Hub):
        yield from hub_items(place)
    elif ".jsonl" in place.suffixes:
        yield from lines(place, longest, at)
    else:
        size = place.stat().st_size
        if size > longest:
            yield Item(b"", str(place), str(place), size)
        else:
            yield Item(place.read_bytes(), str(place), str(place), size)
        at(size)


def hub_items(place: Hub) -> Iterator[Item]:
    """The rows of a data set, streamed."""
    datasets = need("datasets", extra="hub", task=f"reading {place.name} from the Hugging Face hub")
    try:
        rows = datasets.load_dataset(place.name, place.config, split=place.split, streaming=True)
        for number, row in enumerate(rows, 1):
            where = f"hf:{place.name}, row {number}"
            if place.column not in row:
                raise DataError(f"{where}: no column {place.column!r}; there are {sorted(row)}; name one with ?column=")
            value = {"text": row[place.column], "source": str(row.get("source", place.name)),
                     "licence": str(row.get("licence") or row.get("license") or place.licence)}  # fmt: skip
            data = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
            yield Item(data, where, "", len(data))
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(
            f"hf:{place.name} cannot be read ({error}); is there a network, and is the name right?"
        ) from error


def lines(path: Path, longest: int, at: Callable[[int], object] = int) -> Iterator[Item]:
    """The lines of a file, unpacked where its name ends in .xz or .gz; one that is too long is read past, not held."""
    number = 0
    try:
        with path.open("rb") as disk, unpacked(path, disk) as stream:
            while line := stream.readline(longest + 1):
                number += 1
                size = len(line)
                while size > longest and not line.endswith(b"\n"):
                    line = stream.readline(1 << 20)
                    size += len(line)
                    if not line:
                        break
                if size > longest or line.strip():  # a blank line is no document
                    yield Item(b"" if size > longest else line, f"{path}, line {number}", "", size)
                at(disk.tell())
    except (lzma.LZMAError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: damaged after line {number} ({error}); copy it again") from error


def unpacked(path: Path, disk: BinaryIO) -> BinaryIO:
    """A stream of the file's text in bytes."""
    if path.suffix == ".xz":
        return io.BufferedReader(cast(io.RawIOBase, lzma.open(disk)), 1 << 18)
    if path.suffix == ".gz":
        return io.BufferedReader(cast(io.RawIOBase, gzip.open(disk)), 1 << 18)
    return disk


def raw_of(item: Item, *, invalid: str = "refuse") -> Raw | str:
    """The document of an item, or the reason why there is none. `invalid`: refuse, drop or replace broken UTF-8."""
    if not item.data and item.size:
        return TOO_LONG
    path = Path(item.file)
    if item.file and path.suffix.lower() in plain.PACKED:
        text = plain.packed_text(path)
        return UNREADABLE if text is None else Raw(text, path.name, "")
    try:
        text = item.data.decode("utf-8", "replace" if invalid == "replace" else "strict")
    except UnicodeDecodeError as error:
        if invalid == "drop":
            return INVALID
        raise DataError(
            f"{item.place}: byte {error.start:,} is no UTF-8 ({error.object[error.start : error.start + 8]!r}); "
            'convert the file, or set invalid_utf8 in [corpus] to "drop" or "replace"'
        ) from error
    if item.file:
        return UNREADABLE if "\0" in text else Raw(plain.unmarked(path, text), path.name, "")
    try:
        row = json.loads(text)
        name = item.place.rpartition(", ")[0].rpartition("/")[2]
        return Raw(str(row["text"]), str(row.get("source", name)), str(row.get("licence", "")))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{item.place}: no object with a text ({error}); mend it") from error


def documents(places: Iterable[Place]) -> Iterator[Raw]:
    """The documents of places, read here and now."""
    for place in places:
        for item in items(place):
            raw = raw_of(item)
            if isinstance(raw, Raw):
                yield raw


def objects(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file of lines. Raises DataError at a line that is none."""
    for item in lines(path, LONGEST):
        try:
            row = json.loads(item.data)
        except ValueError as error:
            raise DataError(f"{item.place}: no JSON object ({error}); mend it") from error
        if not isinstance(row, dict):
            raise DataError(f"{item.place}: no JSON object; mend it")
        yield row
