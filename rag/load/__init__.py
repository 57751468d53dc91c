"""A file becomes pages of plain text: `pages(path)` picks the reader by suffix and keeps hostile input out.

    path ─► limits ─► READERS[suffix].pages ─► Page, Page, ...

Takes   the path of one file.
Gives   `Page`s in reading order, lazily. `number` counts from 1 in formats that have pages (PDF, slides, images),
        else it is None. The text follows one convention, whatever the format:
            headings      lines that begin with `# ` to `###### `
            list items    `- ` or `1. `, two spaces of indentation a level
            table rows    one line each, `Header: value | Header: value`; a caption is a line above
            code          verbatim, indented by four spaces
            the rest      paragraphs, separated by a blank line, inline markup reduced to its visible words
Refuses with UnknownFormat (no reader for the suffix), LoadError (damaged, protected, empty, hostile) or MissingExtra
        (a package is not installed). Nothing else leaves this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from zipfile import BadZipFile

from rag.errors import GroundlingError, LoadError, UnknownFormat
from rag.load import limits
from rag.types import Page

SOUND = "rag.load.sound"
READERS: dict[str, str] = {
    ".pdf": "rag.load.pdf",
    **dict.fromkeys((".docx", ".docm"), "rag.load.office"),
    **dict.fromkeys((".pptx", ".pptm"), "rag.load.slides"),
    **dict.fromkeys((".xlsx", ".xlsm", ".xls", ".csv", ".tsv"), "rag.load.table"),
    **dict.fromkeys((".odt", ".ods", ".odp"), "rag.load.opendocument"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "rag.load.html"),
    **dict.fromkeys((".md", ".markdown", ".mdx", ".erb"), "rag.load.markdown"),
    **dict.fromkeys((".txt", ".text", ".log", ".rst", ".rtf", ".yaml", ".yml"), "rag.load.text"),
    **dict.fromkeys((".json", ".jsonl", ".xml"), "rag.load.data"),
    ".eml": "rag.load.mail",
    ".epub": "rag.load.epub",
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".tif", ".tiff"), "rag.load.image"),
    **dict.fromkeys((".wav", ".mp3", ".m4a", ".flac", ".ogg", ".opus"), SOUND),
}

# Formats that people do have and that no reader here opens: the message says what to do instead.
SAVE_AS = {
    ".doc": "open it in a word processor and save it as .docx",
    ".dot": "open it in a word processor and save it as .docx",
    ".ppt": "open it in a presentation program and save it as .pptx",
    ".msg": "open it in the mail program and save it as .eml",
    ".pages": "export it as .docx or .pdf",
    ".numbers": "export it as .xlsx or .csv",
    ".key": "export it as .pptx or .pdf",
    ".xlsb": "open it in a spreadsheet program and save it as .xlsx",
    ".heic": "export it as .jpg or .png",
    ".bmp": "save it as .png",
    ".gif": "save it as .png",
    ".webp": "save it as .png",
    ".zip": "unpack it and add the folder",
    ".mobi": "convert it to .epub",
}

# What the first bytes of a file promise. A zip or OLE container can be several things; its reader looks inside.
SIGNATURES = ((b"%PDF-", ".pdf"), (b"PK\x03\x04", "zip"), (b"\xd0\xcf\x11\xe0", "ole"), (b"{\\rtf", ".rtf"))
ZIPPED = frozenset({".docx", ".docm", ".pptx", ".pptm", ".xlsx", ".xlsm", ".odt", ".ods", ".odp", ".epub"})
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})


def pages(path: Path, *, sound_model: Path | None = None) -> Iterator[Page]:
    """Read one file. Raises LoadError, UnknownFormat or MissingExtra, while iterating too.

    `sound_model` is the folder of the speech model that reads recordings.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise UnknownFormat(_unknown(path.name, suffix))
    try:
        _check(path, suffix)
        total = 0
        reader = import_module(READERS[suffix])
        for page in reader.pages(path, sound_model) if READERS[suffix] == SOUND else reader.pages(path):
            total += len(page.text)
            limits.check_text(path.name, total)
            yield page
    except LoadError as error:
        if str(error).startswith(path.name):
            raise
        raise type(error)(f"{path.name}: {error}") from error
    except GroundlingError:
        raise
    except BadZipFile as error:
        raise LoadError(f"{path.name}: the file is damaged ({error}); get a fresh copy and add it again") from error
    except RecursionError as error:
        raise LoadError(f"{path.name}: nested too deeply to be a document; save it again from its program") from error
    except OSError as error:
        if error.filename is None and not isinstance(error, PermissionError):  # a parser's complaint, not the disk's
            raise LoadError(_damaged(path.name, suffix, error)) from error
        reason = error.strerror or str(error)
        raise LoadError(f"{path.name}: cannot be opened ({reason}); check that it exists and may be read") from error
    except Exception as error:  # parsers raise anything on damaged input; the cause stays attached
        raise LoadError(_damaged(path.name, suffix, error)) from error


def _unknown(name: str, suffix: str) -> str:
    if suffix in SAVE_AS:
        return f"{name}: no reader for '{suffix}'; {SAVE_AS[suffix]}"
    readable = ", ".join(sorted(READERS))
    return f"{name}: no reader for '{suffix}'. Readable: {readable}"


def _damaged(name: str, suffix: str, error: Exception) -> str:
    said = " ".join(str(error).split())[:120]
    detail = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return f"{name}: damaged, or not really a {suffix} file ({detail}); open it in its program and save it again"


def _check(path: Path, suffix: str) -> None:
    """Refuse what is empty, too large, or something else than its suffix says."""
    if not path.is_file():
        raise LoadError(f"{path.name}: not a file; give the path of a document or of a folder")
    limits.check_file(path)
    with path.open("rb") as file:
        head = file.read(1024)
    kind = next((kind for start, kind in SIGNATURES if head.startswith(start)), None)
    if suffix in ZIPPED:
        if kind == "ole":
            raise LoadError(
                f"{path.name}: protected by a password, or an old binary format under a new name; "
                f"open it, remove the password and save it as {suffix}"
            )
        if kind != "zip":
            raise LoadError(_not_what_it_says(path.name, suffix, kind))
        limits.check_zip(path)
    elif suffix == ".pdf":
        if b"%PDF-" not in head:
            raise LoadError(_not_what_it_says(path.name, suffix, kind))
    elif kind is not None and suffix not in PICTURES | {".xls", ".rtf", ".eml"}:
        raise LoadError(_not_what_it_says(path.name, suffix, kind))


def _not_what_it_says(name: str, suffix: str, kind: str | None) -> str:
    if kind in (".pdf", ".rtf"):
        return f"{name}: not a {suffix} file but a {kind}; rename it to end in {kind} and add it again"
    return f"{name}: not a {suffix} file (its first bytes say otherwise); save it as {suffix} from its program"
