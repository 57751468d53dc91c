"""JSON and XML become lines that name their values.

Takes   a path (.json, .jsonl, .xml).
Gives   one Page without a number. A list of objects is a table, a line each; other values are `name: value` lines under
        headings for the names above them. XML likewise; feeds (RSS, Atom) give a heading an entry.
Refuses damaged files, entity declarations and nesting beyond `limits.DEPTH` (LoadError).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rag.errors import LoadError, need
from rag.load import html, limits, rows
from rag.load.text import decode
from rag.types import Page

_TITLES = ("title", "name", "heading", "subject", "headline")
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>")


def pages(path: Path) -> Iterator[Page]:
    """Read one JSON or XML file."""
    data = path.read_bytes()
    if path.suffix.lower() == ".xml":
        yield Page(None, "\n".join(_xml(path.name, data)))
        return
    text = decode(data, path.name)
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        value = _lines_of_json(path, text, error)
    except ValueError as error:  # a number of thousands of digits
        raise LoadError(f"{path.name}: not readable as JSON ({error})") from error
    yield Page(None, "\n".join(_json(value, (), path.name)).strip())


def _lines_of_json(path: Path, text: str, error: json.JSONDecodeError) -> list[Any]:
    """JSON Lines, whatever the suffix says."""
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        raise LoadError(
            f"{path.name}: not valid JSON (line {error.lineno}, column {error.colno}: {error.msg}); correct it there"
        ) from error


def _json(value: Any, names: tuple[str, ...], file: str) -> Iterator[str]:
    if len(names) > limits.DEPTH:
        raise LoadError(f"{file}: values nested more than {limits.DEPTH} deep; flatten it")
    if isinstance(value, dict):
        plain = {name: child for name, child in value.items() if not isinstance(child, (dict, list))}
        for name, child in plain.items():
            if child not in (None, ""):
                yield f"{name}: {_scalar(child)}"
        for name, child in value.items():
            if isinstance(child, (dict, list)) and child:
                yield from ("", f"{'#' * min(len(names) + 2, 6)} {rows.cell(str(name))}", "")
                yield from _json(child, (*names, str(name)), file)
    elif isinstance(value, list):
        if value and all(isinstance(child, dict) for child in value):
            yield from _objects(value, names, file)
        else:
            for child in value:
                if isinstance(child, (dict, list)):
                    yield ""
                    yield from _json(child, (*names, ""), file)
                elif child not in (None, ""):
                    yield f"- {_scalar(child)}"
    elif value not in (None, ""):
        yield _scalar(value)


def _objects(value: list[dict[str, Any]], names: tuple[str, ...], file: str) -> Iterator[str]:
    """Flat objects are rows; an object that holds others gets its own stretch."""
    for item in value:
        flat = {name: _flat(child) for name, child in item.items()}
        if all(text is not None for text in flat.values()):
            yield " | ".join(f"{name}: {text}" for name, text in flat.items() if text)
            continue
        title = next((str(item[name]) for name in _TITLES if isinstance(item.get(name), str)), "")
        yield ""
        if title:
            yield from (f"{'#' * min(len(names) + 2, 6)} {rows.cell(title)}", "")
        yield from _json(item, (*names, title), file)


def _flat(value: Any) -> str | None:
    """A value on one line, or None where it needs several."""
    if isinstance(value, list) and not any(isinstance(child, (dict, list)) for child in value):
        return ", ".join(_scalar(child) for child in value)
    return None if isinstance(value, (dict, list)) and value else "" if value in ({}, [], None) else _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return rows.cell(html.to_text(text)) if len(_MARKUP.findall(text)) > 1 else rows.cell(text)


def _xml(name: str, data: bytes) -> Iterator[str]:
    limits.check_xml(name, data[:1_000_000])
    etree = need("defusedxml.ElementTree", extra="formats", task="Reading .xml")
    try:
        root = etree.fromstring(data)
    except etree.ParseError as error:
        raise LoadError(f"{name}: not well-formed XML ({error}); correct it there, or save it again") from error
    yield from _element(root, 0, name)


def _element(element: Any, depth: int, file: str) -> Iterator[str]:
    if depth > limits.DEPTH:
        raise LoadError(f"{file}: elements nested more than {limits.DEPTH} deep; flatten it")
    tag = _tag(element)
    children = [child for child in element if isinstance(child.tag, str)]
    words = rows.cell("".join(element.itertext()))
    running = bool((element.text or "").strip()) or any((child.tail or "").strip() for child in children)
    if not children or running:  # a value, or text with marks inside it
        if words:
            yield f"{tag}: {_scalar(words)}"
        return
    title = next((child for child in children if _tag(child).lower() in _TITLES and not len(child)), None)
    if title is not None and (title.text or "").strip():
        yield from ("", f"{'#' * min(depth + 1, 6)} {_scalar(title.text)}", "")
    if title is None and _is_record(children):
        names = [_tag(child) for child in children]
        values = [rows.cell("".join(child.itertext())) for child in children]
        named = len(set(names)) == len(names) > 1
        line = [f"{name}: {value}" if named else value for name, value in zip(names, values, strict=True) if value]
        yield " | ".join(line)
        return
    for child in children:
        if child is not title:
            yield from _element(child, depth + 1, file)
    if title is None and depth:
        yield ""


def _is_record(children: list[Any]) -> bool:
    """Short values side by side: one line."""
    return len(children) > 1 and all(not len(child) and len(child.text or "") < 200 for child in children)


def _tag(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]
