"""E-books become plain text.

Takes   a path (.epub).
Gives   one Page without a number for each part of the book, in the order of its spine; its title heads the first.
Refuses damaged files and books under copy protection (LoadError).
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from rag.errors import LoadError, need
from rag.load import html, limits, rows
from rag.load.text import decode
from rag.types import Page

_CONTAINER = "META-INF/container.xml"
_RIGHTS = "META-INF/rights.xml"
_CONTENT = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


def pages(path: Path) -> Iterator[Page]:
    """Read one e-book."""
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        if _RIGHTS in names:
            raise LoadError(f"{path.name}: under copy protection; ask its publisher for an open copy")
        title, parts = _spine(path, archive, names)
        for number, part in enumerate(parts):
            if part not in names:
                yield Page(None, "", note=f"part {part} is missing in the book; get a fresh copy")
                continue
            text = html.to_text(decode(limits.member(archive, part), path.name))
            yield Page(None, f"# {title}\n\n{_below(text, title)}" if title and number == 0 else text)


def _below(text: str, title: str) -> str:
    """The first part without a heading that repeats the title."""
    first, _, rest = text.partition("\n")
    return rest.lstrip("\n") if first.lstrip("# ").casefold() == title.casefold() else text


def _spine(path: Path, archive: zipfile.ZipFile, names: set[str]) -> tuple[str, list[str]]:
    """The book's title, and its parts in reading order."""
    etree = need("defusedxml.ElementTree", extra="formats", task="Reading .epub")
    if _CONTAINER not in names:
        raise LoadError(f"{path.name}: has no {_CONTAINER}, so it is no e-book; get a fresh copy")
    rootfile = etree.fromstring(limits.member(archive, _CONTAINER)).find(".//{*}rootfile")
    package = "" if rootfile is None else unquote(rootfile.get("full-path", ""))
    if package not in names:
        raise LoadError(f"{path.name}: its package file '{package}' is missing; get a fresh copy")
    root = etree.fromstring(limits.member(archive, package))
    found = root.find(".//{http://purl.org/dc/elements/1.1/}title")
    folder = posixpath.dirname(package)
    files = {
        item.get("id"): posixpath.normpath(posixpath.join(folder, unquote(item.get("href", ""))))
        for item in root.iterfind(".//{*}manifest/{*}item")
        if item.get("media-type") in _CONTENT and "nav" not in item.get("properties", "").split()
    }
    order = [item.get("idref") for item in root.iterfind(".//{*}spine/{*}itemref")]
    return rows.cell((found.text or "") if found is not None else ""), [files[key] for key in order if key in files]
