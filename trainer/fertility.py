"""How many tokens does a text cost? Tokens a word and bytes a token, domain by domain.

Takes   the documents on their way to the shards, then the shards' counts.
Gives   `OUT/tokenizer.report.json`, a line a domain on stderr, and meanwhile the pace of tokenizing.
Reading a domain that costs more tokens a word than others is known worse to the tokenizer: it needs more text of its
        kind in the sample, or a larger vocabulary. Words are what stands between blanks.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from trainer import files
from trainer.cleaning.pace import Pace


class Stored(Protocol):
    """What is known of a document on its way."""

    @property
    def domain(self) -> str: ...  # noqa: D102

    @property
    def text(self) -> str: ...  # noqa: D102


class Counted(Protocol):
    """What is known of a shard."""

    @property
    def domain(self) -> str: ...  # noqa: D102

    @property
    def documents(self) -> int: ...  # noqa: D102

    @property
    def tokens(self) -> int: ...  # noqa: D102

    @property
    def bytes(self) -> int: ...  # noqa: D102


Document = TypeVar("Document", bound=Stored)


class Fertility(NamedTuple):
    """One domain; its documents' end tokens are not counted."""

    words: int
    tokens: int
    bytes: int

    def plain(self) -> dict[str, Any]:
        """As it is written down."""
        return {
            **self._asdict(),
            "tokens_per_word": round(self.tokens / max(self.words, 1), 3),
            "bytes_per_token": round(self.bytes / max(self.tokens, 1), 3),
        }


class Meter:
    """Counts the words of documents that pass, and shows how fast they do."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.words: Counter[str] = Counter()
        self.pace = Pace(sum(path.stat().st_size for path in paths), name="tokenizer")
        self.started = time.process_time()

    def passing(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The same documents."""
        for document in documents:
            self.words[document.domain] += len(document.text.split())
            self.pace.before += len(document.text)  # a little less than its line: the time left is an estimate
            self.pace.add(len(document.text), document.domain)
            yield document

    def report(self, shards: Iterable[Counted], path: Path, about: Mapping[str, Any]) -> None:
        """Write down and say what each domain costs."""
        shards = list(shards)
        seconds = time.process_time() - self.started
        domains = {name: self.fertility(name, shards) for name in sorted({shard.domain for shard in shards})}
        whole = Fertility(*(sum(parts) for parts in zip(*domains.values(), strict=True)))
        for name, value in {**domains, "all": whole}.items():
            plain = value.plain()
            sys.stderr.write(
                f"tokenizer  {name}: {value.tokens:,} tokens, {plain['tokens_per_word']} a word, "
                f"{plain['bytes_per_token']} bytes each\n"
            )
        files.write_json(
            path,
            {
                **about,
                "all": whole.plain(),
                "domains": {name: value.plain() for name, value in domains.items()},
                "cpu_seconds": round(seconds, 1),
                "megabytes_per_cpu_second": round(whole.bytes / 1e6 / max(seconds, 1e-9), 2),
            },
        )

    def fertility(self, domain: str, shards: list[Counted]) -> Fertility:
        """The sums of one domain."""
        own = [shard for shard in shards if shard.domain == domain]
        tokens = sum(shard.tokens - shard.documents for shard in own)
        return Fertility(self.words[domain], tokens, sum(shard.bytes for shard in own))
