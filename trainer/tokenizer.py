"""Text becomes token ids and back: byte-level BPE with reserved tokens that no text can produce.

Takes   any string. A lone surrogate (broken input) is read as U+FFFD; everything else comes back byte for byte.
Gives   ids, and for each id the characters it came from, so that a span of tokens is a span of the text.
Refuses a tokenizer file in which text could produce a reserved token.
How     the reserved tokens are entries of the vocabulary that no merge leads to, and none is registered as an "added
        token": the library matches added tokens inside any input, so a document holding "<|answer|>" could pose as us.
Source  Sennrich et al., arXiv:1508.07909; the byte alphabet and the splitting pattern are GPT-2's (a pattern of our own
        would break other runners' converters).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, pre_tokenizers, trainers

from trainer.errors import DataError, RecipeError
from trainer.files import write_text
from trainer.pieces import Pieces

ROLES = ("pad", "end", "mask", "question", "source", "text", "answer", "quote", "none", "user", "assistant", "system")
SPARE = tuple(f"spare{number}" for number in range(4))  # for later tasks, so that ids of a trained model never move
RESERVED = {role: index for index, role in enumerate((*ROLES, *SPARE))}  # role -> id
LEAST = len(RESERVED) + 256  # reserved tokens and one token a byte

SURROGATE = re.compile("[\ud800-\udfff]")


class Tokenizer:
    """Byte-level BPE. `tokenizer.end`, `.mask`, ... are the ids of the reserved tokens."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.size: int = library.get_vocab_size()
        self.pad, self.end, self.mask = RESERVED["pad"], RESERVED["end"], RESERVED["mask"]
        self.question, self.source, self.text = RESERVED["question"], RESERVED["source"], RESERVED["text"]
        self.answer, self.quote, self.none = RESERVED["answer"], RESERVED["quote"], RESERVED["none"]
        self._bytes = {symbol: byte for byte, symbol in byte_symbols()}
        self._pieces = Pieces(library)

    @property
    def identity(self) -> str:
        """Hash of the whole tokenizer: shards and models made with another one do not fit."""
        return hashlib.sha256(self.library.to_str().encode()).hexdigest()[:16]

    def encode(self, text: str) -> list[int]:
        """Ids of a text; never a reserved one."""
        ids: list[int] = self.library.encode(SURROGATE.sub("\ufffd", text)).ids
        return ids

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of many texts, much faster than one by one."""
        return self._pieces.encode([SURROGATE.sub("\ufffd", text) for text in texts])

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids, and for each the characters [start, end) of `text` it covers; half a character covers all of it."""
        encoding = self.library.encode(SURROGATE.sub("\ufffd", text))
        return encoding.ids, encoding.offsets

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; reserved ones are left out, bytes that are no UTF-8 become U+FFFD."""
        return b"".join(self.token_bytes(i) for i in ids if i >= len(RESERVED)).decode("utf-8", errors="replace")

    def token_bytes(self, token: int) -> bytes:
        """The bytes of one ordinary token: quotation masks work on bytes, as a token may begin inside a character."""
        symbols = self.library.id_to_token(token)
        if symbols is None:
            raise DataError(f"token {token} is not in the vocabulary of {self.size}")
        return bytes(self._bytes[symbol] for symbol in symbols)

    @cached_property
    def folds(self) -> list[int]:
        """For each token the number of its letters whatever their case and blanks; 0 for those without any."""
        numbers: dict[str, int] = {}
        found = []
        for token in range(self.size):
            letters = "" if token < len(RESERVED) else self.decode([token]).strip().lower()
            known = letters.isalnum()
            found.append(numbers.setdefault(letters, len(numbers) + 1) if known else 0)
        return found

    def save(self, path: Path) -> None:
        """Write `tokenizer.json`, aside and renamed."""
        write_text(path, self.library.to_str(pretty=True))


def load(path: Path) -> Tokenizer:
    """Open a `tokenizer.json`. Raises DataError when text could reach a reserved token or an id has moved."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; run `trainer tokenizer` first")
    return checked(path.read_text(encoding="utf-8"), str(path))


def train(texts: Iterator[str], *, vocabulary: int) -> Tokenizer:
    """Learn merges from texts until there are `vocabulary` tokens (fewer where the texts hold no more pairs)."""
    if not LEAST <= vocabulary <= 65_536:
        raise RecipeError(f"vocabulary is {vocabulary}; use {LEAST} to 65536 (ids are stored in 16 bits)")
    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[name(role) for role in RESERVED],
        initial_alphabet=[symbol for _, symbol in byte_symbols()],
        show_progress=False,
    )
    library.train_from_iterator((SURROGATE.sub("\ufffd", text) for text in texts), trainer)
    raw = json.loads(library.to_str())
    raw["added_tokens"] = []  # they stay in the vocabulary, where only their id leads to them
    return checked(json.dumps(raw), "the trained tokenizer")


def checked(serialised: str, origin: str) -> Tokenizer:
    """The tokenizer, once it is sure that reserved ids are in place and out of reach."""
    try:
        raw = json.loads(serialised)
        vocabulary, merges = raw["model"]["vocab"], raw["model"]["merges"]
        library = Library.from_str(serialised)
    except Exception as error:  # the library raises bare Exception for whatever it cannot parse
        raise DataError(f"{origin}: not a tokenizer file ({error}); train it again or copy it again") from error
    moved = [role for role, index in RESERVED.items() if vocabulary.get(name(role)) != index]
    if moved:
        raise DataError(f"{origin}: reserved tokens {moved} are not at their ids; this is another program's tokenizer")
    made = {"".join(pair) if isinstance(pair, list) else pair.replace(" ", "") for pair in merges}
    reachable = sorted(made & {name(role) for role in RESERVED})
    if raw["added_tokens"] or reachable:
        which = reachable or "its added tokens"
        raise DataError(f"{origin}: text could produce {which}; reserved tokens must be unreachable")
    return Tokenizer(library)


def name(role: str) -> str:
    """How a reserved token is written in the vocabulary."""
    return f"<|{role}|>"


def byte_symbols() -> Iterator[tuple[int, str]]:
    """GPT-2's alphabet: each byte and the printable character that stands for it.

    >>> dict(byte_symbols())[ord("a")], dict(byte_symbols())[ord(" ")]
    ('a', 'Ġ')
    """
    shifted = 256
    for byte in range(256):
        if 33 <= byte <= 126 or 161 <= byte <= 172 or 174 <= byte <= 255:
            yield byte, chr(byte)
        else:
            yield byte, chr(shifted)
            shifted += 1
