"""Mail becomes plain text.

Takes   a path (.eml).
Gives   one Page without a number: the subject as heading, the lines From, To, Cc and Date, then the words, without
        what a reply repeats of the mails before it (`quoted.py`); attachments follow (`attached.py`).
Refuses files that hold neither headers nor a body (LoadError).
"""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

from rag.errors import LoadError
from rag.load import attached, html, quoted
from rag.load.text import decode, unwrap
from rag.types import Page

_HEADERS = ("From", "To", "Cc", "Date")
_FEWEST_WORDS = 20  # a plain part shorter than this often says "this mail needs HTML"


def pages(path: Path) -> Iterator[Page]:
    """Read one mail."""
    data = path.read_bytes()
    message = message_from_bytes(data, policy=policy.default)
    if not any(message.get(name) for name in (*_HEADERS, "Subject", "Content-Type")):
        raise LoadError(f"{path.name}: has no mail headers; save it from the mail program as .eml")
    yield from _pages(message)


def _pages(message: EmailMessage) -> Iterator[Page]:
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
        yield from _attached(part)


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


def _attached(part: EmailMessage) -> Iterator[Page]:
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload()
        message = inner[0] if isinstance(inner, list) and inner else None
        data = message.as_bytes() if isinstance(message, EmailMessage) else None
        yield from attached.pages(f"{Path(part.get_filename() or 'message').stem}.eml", data)
    else:
        yield from attached.pages(str(part.get_filename() or "attachment"), part.get_payload(decode=True))
