"""What a teacher makes of (question, source) pairs, kept in few bytes and found again by the pair itself.

    pair ─► key (64 bits of a hash of question, heading, text) ─► evidence, the likeliest starts and ends as characters

Takes   records of one pair each, appended in any order; a pair that comes twice is kept once.
Gives   `Labels.of(question, source)`: the record, or None. The file is mapped into memory, so its size is no limit.
Refuses a file without its description (`NAME.json`), or one that holds half a record.
Format  NAME: records of `kind(kept)`, little-endian, 10 + 8 x kept bytes each. NAME.json: kept, teacher, records.
Why characters: the teacher cuts text into other tokens than the student; both know which characters a token covers.
        Logits are kept as log probabilities in fp16, so a temperature can be chosen when they are learnt from.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trainer.chat import Source
from trainer.errors import DataError

LONGEST = 65_535  # characters of a source whose places fit


class Label(NamedTuple):
    """What the teacher makes of one pair. Arrays are [kept], best first; what is past the text has -inf."""

    evidence: float  # logit against a null of 0: does this source hold the answer?
    start_at: npt.NDArray[np.int64]  # characters at which an answer may begin
    start: npt.NDArray[np.float32]  # their log probability among all tokens of the source
    end_at: npt.NDArray[np.int64]  # one past the character at which an answer may end
    end: npt.NDArray[np.float32]


def kind(kept: int) -> np.dtype[Any]:
    """Layout of one record."""
    places, chances = ("<u2", (kept,)), ("<f2", (kept,))
    return np.dtype(
        [
            ("key", "<u8"),
            ("evidence", "<f2"),
            ("start_at", *places),
            ("start", *chances),
            ("end_at", *places),
            ("end", *chances),
        ]
    )


def key_of(question: str, source: Source) -> int:
    """The pair's name in the file: equal for equal words, whatever file of rows they stand in."""
    words = "\0".join((question, source.heading, source.text)).encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(words, digest_size=8).digest(), "little")


def described(path: Path) -> Path:
    """Where the description of a file of labels lies."""
    return path.with_name(path.name + ".json")


class Labels:
    """The labels of one teacher."""

    def __init__(self, path: Path) -> None:
        try:
            self.about: dict[str, Any] = json.loads(described(path).read_text(encoding="utf-8"))
            layout = kind(int(self.about["kept"]))
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{described(path)} is missing or damaged ({error}); run `trainer labels` again") from error
        if not path.is_file() or path.stat().st_size % layout.itemsize or not path.stat().st_size:
            raise DataError(f"{path} holds no whole records of {layout.itemsize} bytes; run `trainer labels` again")
        self.records = np.memmap(path, dtype=layout, mode="r")
        self.order = np.argsort(self.records["key"], kind="stable")  # [records]
        self.keys = self.records["key"][self.order]

    def of(self, question: str, source: Source) -> Label | None:
        """What the teacher makes of this pair; None where it was not asked."""
        key = np.uint64(key_of(question, source))
        at = int(np.searchsorted(self.keys, key))
        if at == len(self.keys) or self.keys[at] != key:
            return None
        record = self.records[self.order[at]]
        return Label(
            float(record["evidence"]),
            record["start_at"].astype(np.int64),
            record["start"].astype(np.float32),
            record["end_at"].astype(np.int64),
            record["end"].astype(np.float32),
        )
