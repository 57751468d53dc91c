"""A mailbox in one file (.mbox): each message a document.

Takes   the path of an mbox file, of Thunderbird, Apple Mail, Google Takeout, mutt or a server.
Gives   each message as an .eml, named by date and subject. Its identity is its Message-ID, so moving messages about
        changes nothing; what programs write into headers when a message is read or flagged is no change either.
Leaves out messages that a program has marked as deleted and not yet taken out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO

from rag.connect.source import WHOLE, Brought, Event, Kept, Missing, Options, Whole, staged, stamp
from rag.discover import source_of
from rag.errors import LoadError

MESSAGE_BYTES = 100_000_000
_START = re.compile(rb"From \S.*\d{4}(?: .*)?\r?\n?$|From (?:-|\?\?\?@\?\?\?) ")  # an address and a date with its year
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_OF_THE_PROGRAM = re.compile(
    rb"(?:x-mozilla-(?:status2?|keys)|status|x-status|x-keywords|x-uid|x-imapbase|x-gmail-labels|content-length|lines)"
    rb"[ \t]*:",
    re.IGNORECASE,
)
_DELETED = 0x0008  # in X-Mozilla-Status
_UNFIT = re.compile(r"[^\w.,+@ -]+")
_SUBJECT = 60  # characters of it in a name


class Mbox:
    """See the module."""

    alone = True

    def __init__(self, path: Path, options: Options) -> None:
        self.path = path
        self.source = f"{source_of(path.parent)}/{path.name}"
        self.address = self.source
        self.options = options

    def bring(self, known: Mapping[str, str], into: Path) -> Iterator[Event]:
        """Every message."""
        whole = f"{stamp(self.path)} {self.options.only}"
        if known.get(WHOLE) == whole:
            yield Whole(whole, unchanged=True)
            return
        met: set[str] = set()
        try:
            with self.path.open("rb") as file:
                for number, data in enumerate(messages(file), start=1):
                    yield from self._message(number, data, known, into, met)
        except OSError as error:
            reason = error.strerror or str(error)
            raise LoadError(f"{self.path}: cannot be read ({reason}); check that it may be read") from error
        if not met:
            raise LoadError(f"{self.path}: holds no message; is it a mailbox? Its messages begin with `From `")
        yield Whole(whole)

    def _message(
        self, number: int, data: bytes | None, known: Mapping[str, str], into: Path, met: set[str]
    ) -> Iterator[Event]:
        if data is None:
            met.add(str(number))
            yield Missing(f"message {number}", f"message {number}: more than {MESSAGE_BYTES:,} bytes; save it as .eml")
            return
        kept, deleted = without_program_headers(data)
        path = name_of(kept)
        if path in met:  # the same message twice: folders of Takeout repeat them
            return
        met.add(path)
        if deleted or not self.options.wanted(path):
            return
        mark = hashlib.sha256(kept).hexdigest()[:32]
        if known.get(path) == mark:
            yield Kept(path)
            return
        file = staged(into, number, path)
        file.write_bytes(kept)
        yield Brought(path, file, mark)


def messages(file: IO[bytes]) -> Iterator[bytes | None]:
    """The bytes of each message, one in memory at a time; None for one that is too large."""
    lines: list[bytes] | None = None
    size, after_blank = 0, True
    for line in file:
        if after_blank and line.startswith(b"From ") and _START.match(line):
            if lines is not None:
                yield _whole(lines, size)
            lines, size = [], 0
        elif lines is not None:
            size += len(line)
            if size <= MESSAGE_BYTES:
                lines.append(line)
        after_blank = not line.strip(b"\r\n")
    if lines is not None:
        yield _whole(lines, size)


def _whole(lines: list[bytes], size: int) -> bytes | None:
    return _QUOTED.sub(rb"\1", b"".join(lines)) if size <= MESSAGE_BYTES else None


def without_program_headers(data: bytes) -> tuple[bytes, bool]:
    """The message as it was sent, and whether its program has marked it as deleted."""
    lines = data.splitlines(keepends=True)
    end = next((number for number, line in enumerate(lines) if not line.strip(b"\r\n")), len(lines))
    kept: list[bytes] = []
    dropping = deleted = False
    for line in lines[:end]:
        if not line.startswith((b" ", b"\t")):
            dropping = _OF_THE_PROGRAM.match(line) is not None
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"x-mozilla-status":
                flags = value.strip().decode("ascii", "replace")
                deleted = bool(re.fullmatch(r"[0-9a-fA-F]{4}", flags)) and bool(int(flags, 16) & _DELETED)
        if not dropping:
            kept.append(line)
    return b"".join([*kept, *lines[end:]]).rstrip(b"\r\n") + b"\n", deleted


def name_of(data: bytes) -> str:
    """`2026-03-02 Parking on Fridays 1f0c9a2b.eml`: told apart by the Message-ID, where there is none by the bytes."""
    head = data.replace(b"\r\n", b"\n").partition(b"\n\n")[0] + b"\n\n"
    message = message_from_bytes(head, policy=policy.compat32)
    identity = " ".join(str(message.get("Message-ID") or "").split())
    tag = hashlib.sha256(identity.encode("utf-8", "replace") or data).hexdigest()[:8]
    try:
        day = parsedate_to_datetime(str(message.get("Date"))).strftime("%Y-%m-%d")
    except (ValueError, TypeError, IndexError):
        day = "undated"
    subject = " ".join(_UNFIT.sub(" ", _words(head)).split())[:_SUBJECT].strip(" .") or "no subject"
    return f"{day} {subject} {tag}.eml"


def _words(head: bytes) -> str:
    """The subject with its encoded words decoded, whatever was written there."""
    try:
        return str(message_from_bytes(head, policy=policy.default).get("Subject") or "")
    except (ValueError, TypeError, IndexError, AttributeError, LookupError):
        return ""
