"""What was answered and changed, in a chain that shows tampering.

    row n: seq, id, kind, at, person, payload_hash, seal of row n-1  ─► sha256 ─► seal of row n

Takes   a payload (JSON) for each event; for an answer it holds what is needed to replay it.
Gives   an id to come back with; `verify()` names every row that was changed, inserted or taken out of the middle.
Erasing a payload keeps the chain whole: the seal covers the payload's hash, and a nonce stored with the payload keeps
        short payloads from being guessed by that hash.
Limits  rows cut off at the end leave no gap. Keep `head()` somewhere else from time to time, and compare.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rag.catalogue import Catalogue, now
from rag.errors import NotFound
from rag.types import LOCAL_OWNER

ASKED = "asked"  # the purpose of an answer to a person; others measure: evaluated, replayed
_COLUMNS = "seq, id, kind, at, person, payload_hash, previous_seal, seal, payload"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row. `payload` is None once erased."""

    seq: int
    id: str
    kind: str  # answer, added, replaced, removed, access, erased
    at: str
    person: str
    payload: dict[str, Any] | None
    seal: str


class Audit:
    """The chain in `catalogue`. Threads and processes may share it: each append is one write transaction."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def record(self, kind: str, person: str | None, payload: Mapping[str, Any]) -> str:
        """Append one event and return its id; inside `catalogue.atomic()` it belongs to that transaction."""
        stored = _dump({"nonce": secrets.token_hex(8), "payload": payload})
        with self._catalogue.atomic() as db:  # the write lock is taken before the last seal is read: no forks
            last = db.execute("select seq, seal from audit order by seq desc limit 1").fetchone()
            seq, previous = (last[0] + 1, last[1]) if last else (1, self._catalogue.library_id)
            entry = secrets.token_hex(8)
            sealed = (seq, entry, kind, now(), person or LOCAL_OWNER, _sha256(stored), previous)
            db.execute("insert into audit values (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*sealed, _seal(sealed), stored))
        return entry

    def load(self, entry: str) -> dict[str, Any]:
        """The payload of one event. Raises NotFound for an unknown id and for an erased payload."""
        row = self._catalogue.db.execute("select payload, at from audit where id = ?", (entry,)).fetchone()
        if row is None:
            raise NotFound(f"answer {entry}: no such id; `rag audit` lists what is there")
        if row[0] is None:
            raise NotFound(f"answer {entry} of {row[1]}: its content was erased; only its seal is kept")
        payload: dict[str, Any] = json.loads(row[0])["payload"]
        return payload

    def entries(self, *, kind: str | None = None, newest_first: bool = False, limit: int = -1) -> Iterator[Entry]:
        """Rows in order, all or of one kind; `limit` -1 means all."""
        order = "desc" if newest_first else "asc"
        select = f"select {_COLUMNS} from audit where kind = coalesce(?, kind)"  # noqa: S608 - constants only
        for row in self._catalogue.db.execute(f"{select} order by seq {order} limit ?", (kind, limit)):
            payload = json.loads(row[8])["payload"] if row[8] is not None else None
            seq, entry, what, at, person = row[:5]
            yield Entry(seq, entry, what, at, person, payload, seal=row[7])

    def erase(self, entry: str, *, person: str | None = None) -> None:
        """Overwrite one event's content; that it was erased, when and by whom, becomes an event itself."""
        self.load(entry)  # says so where there is nothing to erase
        with self._catalogue.atomic() as db:
            db.execute("update audit set payload = null where id = ?", (entry,))
            self.record("erased", person, {"entry": entry})

    def erase_all(self, entries: Collection[str], *, person: str | None = None, why: str) -> None:
        """Overwrite the contents of several events; one event says how many there were, and why."""
        if not entries:
            return
        with self._catalogue.atomic() as db:
            db.executemany("update audit set payload = null where id = ?", [(entry,) for entry in entries])
            self.record("erased", person, {"entries": sorted(entries), "why": why})

    def head(self) -> str:
        """The newest seal: whoever keeps it can show later that nothing before it was cut off."""
        row = self._catalogue.db.execute("select seal from audit order by seq desc limit 1").fetchone()
        return str(row[0]) if row else self._catalogue.library_id

    def verify(self) -> list[str]:
        """One line for each fault; an empty list means that the chain is whole."""
        faults: list[str] = []
        with self._catalogue.snapshot() as db:
            expected, previous = 1, self._catalogue.library_id
            select = f"select {_COLUMNS} from audit order by seq"  # noqa: S608 - constants only
            for row in db.execute(select):
                faults += _faults(row, expected, previous)
                expected, previous = row[0] + 1, row[7]
        return faults


def _faults(row: tuple[Any, ...], expected: int, previous: str) -> list[str]:
    """What is wrong with one row, given where the row before it ended."""
    name = f"audit row {row[0]} ({row[1]})"
    faults = []
    if row[0] != expected:
        faults.append(f"{name}: row {expected} should stand here; rows were taken out")
    if row[6] != previous:
        faults.append(f"{name}: does not continue the row before it")
    if row[7] != _seal(row[:7]):
        faults.append(f"{name}: its columns do not fit its seal; it was changed")
    if row[8] is not None and _sha256(row[8]) != row[5]:
        faults.append(f"{name}: its content does not fit its hash; it was changed")
    return faults


def _seal(columns: tuple[Any, ...]) -> str:
    """Over a JSON list: no two different rows can give the same bytes."""
    return _sha256(_dump(list(columns)))


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
