"""Mail becomes plain text.

Takes   a path (.eml).
Gives   one Page without a number: the subject as heading, the lines From, To, Cc and Date, then the words, without
        what a reply repeats of the mails before it (`quoted.py`); attachments that a reader knows follow under a
        heading of their own, the others are named in the note.
Refuses files that hold neither headers nor a body (LoadError).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

from rag import load
from rag.errors import GroundlingError, LoadError
from rag.load import html, limits, quoted
from rag.load.text import decode, unwrap
from rag.types import Page

_HEADERS = ("From", "To", "Cc", "Date")
_ATTACHMENT_DEPTH = 3  # a mail in a mail in a mail
_FEWEST_WORDS = 20  # a plain part shorter than this often says "this mail needs HTML"


def pages(path: Path) -> Iterator[Page]:
    """Read one mail."""
    data = path.read_bytes()
    message = message_from_bytes(data, policy=policy.default)
    if not any(message.get(name) for name in (*_HEADERS, "Subject", "Content-Type")):
        raise LoadError(f"{path.name}: has no mail headers; save it from the mail program as .eml")
    yield from _pages(message, 0)


def _pages(message: EmailMessage, depth: int) -> Iterator[Page]:
    subject = _header(message, "Subject")
    head = [f"{name}: {value}" for name in _HEADERS if (value := _header(message, name))]
    note = None
    try:
        body = _body(message)
    except LoadError as error:
        body, note = "", str(error)
    blocks = [f"# {subject}" if subject else "", "\n".join(head), body]
    yield Page(None, "\n\n".join(block for block in blocks if block), note=note)
    for part in _attachments(message):
        yield from _attached(part, depth)


def _header(message: EmailMessage, name: str) -> str:
    try:
        value = " ".join(str(message.get(name, "")).split())
        return parsedate_to_datetime(value).strftime("%Y-%m-%d %H:%M") if name == "Date" and value else value
    except (
        ValueError,
        TypeError,
        IndexError,
        AttributeError,
        LookupError,
    ):  # a malformed header stays as it was written
        raw = next((value for key, value in message.raw_items() if key.lower() == name.lower()), "")
        return " ".join(str(raw).split())


def _body(message: EmailMessage) -> str:
    kind = message.get_content_type()
    if kind in ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"):
        raise LoadError("the mail is encrypted: only its headers were read; save it decrypted")
    written = _text(message.get_body(("plain",)))
    marked = _text(message.get_body(("html",)))
    reply = quoted.repeats(message)
    if marked and len(written.split()) < _FEWEST_WORDS:
        text = html.to_text(marked, without=quoted.MARKUP if reply else "") or html.to_text(marked)
        if len(text) >= len(written) or not written:
            return quoted.without(text) if reply else text
    return unwrap(quoted.without(written) if reply else written)


def _text(part: object) -> str:
    """The words of a part, whatever its headers claim about their encoding."""
    if not isinstance(part, EmailMessage) or part.is_multipart():
        return ""
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return ""
    return decode(data, "mail body", declared=part.get_content_charset())


def _attachments(message: EmailMessage) -> Iterator[EmailMessage]:
    """Parts that are files, also where they stand inside nested multiparts."""
    if message.get_content_type() == "message/rfc822":
        return
    for part in message.walk():
        is_body = part is message and (part.is_multipart() or part.get_content_maintype() == "text")
        if is_body or (part.is_multipart() and part.get_content_type() != "message/rfc822"):
            continue
        if part.get_filename() or part.get_content_disposition() == "attachment":
            yield part


def _attached(part: EmailMessage, depth: int) -> Iterator[Page]:
    name = Path(str(part.get_filename() or "attachment").replace("\\", "/")).name.replace("\0", "") or "attachment"
    suffix = Path(name).suffix.lower()
    data = part.get_payload(decode=True)
    if depth >= _ATTACHMENT_DEPTH or suffix not in load.READERS or not isinstance(data, bytes):
        readable = "no reader for it" if depth < _ATTACHMENT_DEPTH else "mails inside mails go too deep"
        yield Page(
            None,
            f"Attachment: {name}",
            note=f"attachment {name} was not read ({readable}); save it and add it by itself",
        )
        return
    with tempfile.TemporaryDirectory(prefix="groundling-") as folder:
        copy = Path(folder) / f"attachment{suffix}"
        copy.write_bytes(data)
        try:
            limits.check_file(copy)
            inner = list(_nested(copy, depth) if suffix == ".eml" else load.pages(copy))
        except GroundlingError as error:
            reason = str(error).replace(copy.name, name)
            yield Page(None, f"Attachment: {name}", note=f"attachment not read: {reason}")
            return
    yield Page(None, f"## Attachment: {name}")
    for page in inner:
        yield Page(
            None,
            page.text.replace("\n# ", "\n### ") if not page.text.startswith("# ") else "##" + page.text,
            page.ocr,
            page.note,
        )


def _nested(copy: Path, depth: int) -> Iterator[Page]:
    message = message_from_bytes(copy.read_bytes(), policy=policy.default)
    yield from _pages(message, depth + 1)
