"""Our own trunk writes the words, from the passages alone.

    question, best passages ─► one reading, all cores ─► its cache ─► answer ─► quotations ─► checked ─► Spoken
                               each token sees all others            one token a step, one core, looking back

Takes   the question, spans of passages (best first) and the passages; temperature, top-p and seed.
Gives   words, and the quotations they rest on. A quotation is decoded with `Quoting.allow`: token by token nothing but
        what stands in the named passage, so it is exact by construction. Of the words only sentences stay whose
        figures, dates, names and negations stand in those quotations, and half of all content words must stand there
        too; where that fails there are no words.
Refuses (ModelError, SettingsError) a folder that holds no trunk.
Chance  only the answer's words are drawn; the same seed, question and passages give the same words again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag import quote, spoken, workers
from rag.config import Generation, Settings
from rag.endpoint import GREEDY, open_endpoint
from rag.errors import EndpointError, ModelError, SettingsError
from rag.generate import CITED, Spoken, stretches
from rag.quote import Quotation, Quoting
from rag.read import fingerprint, model_config, open_trunk
from rag.types import Passage, Reader, Span, Speaker
from rag.wording import stems

if TYPE_CHECKING:
    from torch import Tensor

    from trainer.reading import TrunkReader
    from trainer.tokenizer import Tokenizer

TOKENS = 1000  # of the prompt: passages that fit whole, the best first
LEAST = 0.5  # share of the words' stems that the quotations must hold
LONGEST = 48  # tokens of the answer before its quotations must begin


@dataclass(frozen=True, slots=True)
class TrunkSpeaker:
    """A trunk that words answers."""

    trunk: TrunkReader
    model: str  # name of its folder, with its hash
    generation: Generation = GREEDY

    @property
    def name(self) -> str:
        """For the audit."""
        return f"trunk:{self.model}"

    def say(self, question: str, spans: Sequence[Span], passages: Sequence[Passage]) -> Iterator[str]:
        """The words in stretches of a line or a sentence, which join to `compose(...).words`."""
        yield from stretches(self.compose(question, spans, passages).words)

    def compose(self, question: str, spans: Sequence[Span], passages: Sequence[Passage]) -> Spoken:
        """The answer in the trunk's words with up to three quotations; no words where it refuses or says too much."""
        from trainer.chat import Source

        shown = self._shown(question, spans, passages)
        if not shown:
            return Spoken("", ())
        sources = [Source(" > ".join(passages[at].headings), passages[at].text) for at in shown]
        prompt = self.trunk.prompt(question, sources)
        told = Telling(self.trunk.words, [source.text for source in sources], self.generation)
        read = workers.reading().submit(self.trunk.take_in, prompt.ids).result()
        workers.decoding().submit(self.trunk.speak, read, told.choose).result()
        evidence = {span.passage: span.score for span in reversed(spans)}
        found: list[Quotation] = []
        for source, start, end in told.quoted[:CITED]:
            at = shown[source]
            stretch = quote.expand(passages[at].text, start, end)
            if all((at, *stretch) != other[:3] for other in found):
                found.append(Quotation(at, *stretch, evidence.get(at, 0.0)))
        quoted = [passages[one.passage].text[one.start : one.end] for one in found]
        words = spoken.kept(self.trunk.words.decode(told.said).strip(), quoted) if quoted else ""
        return Spoken(words, tuple(found)) if words and rests(words, quoted) else Spoken("", ())

    def _shown(self, question: str, spans: Sequence[Span], passages: Sequence[Passage]) -> list[int]:
        """Which passages are read: those of the best spans first, then the others, as many as fit whole."""
        from trainer.chat import MOST_SOURCES

        order = list(dict.fromkeys([*(span.passage for span in spans), *range(len(passages))]))
        room, kept = TOKENS - len(self.trunk.words.encode(question)), list[int]()
        for at in order[:MOST_SOURCES]:
            room -= len(self.trunk.words.encode(passages[at].context)) + 4  # its marks and number
            if room < 0 and kept:
                break
            kept.append(at)
        return sorted(kept)


def rests(words: str, quoted: Sequence[str]) -> bool:
    """Do half of the content words stand in the quotations? Fluent words about nothing are no answer.

    >>> rests("You get 15 days.", ["Employees get 15 days."]), rests("The following steps.", ["Employees get 15 days."])
    (True, False)
    """
    said = stems(words)
    return bool(said) and len(said & stems(" ".join(quoted))) >= LEAST * len(said)


@dataclass
class Telling:
    """What may be said next: an answer, then quotations, each of them a stretch of one source."""

    words: Tokenizer
    sources: Sequence[str]
    generation: Generation
    said: list[int] = field(default_factory=list)  # tokens of the answer
    quoted: list[tuple[int, int, int]] = field(default_factory=list)  # source, first character, one past the last
    _quoting: Quoting | None = None
    _numbers: dict[int, int] = field(default_factory=dict)  # token -> source, where a number is due
    _source: int | None = None  # whose words are due, from its number on
    _drawing: Any = None

    def choose(self, logits: Tensor) -> int | None:
        """The next token, from logits [vocabulary]; None ends what is said."""
        if self._numbers:
            token = _likeliest(logits, sorted(self._numbers))
            self._source, self._numbers = self._numbers[token], {}
            return token
        if self._source is not None and self._quoting is None:
            self._quoting = Quoting([self.sources[self._source]], vocabulary(self.words))
            return self.words.text
        return self._answer(logits) if self._quoting is None else self._quote(logits, self._quoting)

    def _answer(self, logits: Tensor) -> int | None:
        from trainer.tokenizer import RESERVED

        ends = [self.words.quote, self.words.end] if self.said else [self.words.quote, self.words.none]
        open_ = logits.clone()
        open_[: len(RESERVED)] = float("-inf")
        open_[ends] = logits[ends]
        token = self.words.quote if len(self.said) >= LONGEST else self._drawn(open_)
        if token in (self.words.none, self.words.end):
            return None
        if token != self.words.quote:
            self.said.append(token)
            return token
        return self._next_quotation()

    def _next_quotation(self) -> int:
        """A quotation begins: next comes the number of its source."""
        self._quoting, self._source = None, None
        self._numbers = {self.words.encode(str(at + 1))[0]: at for at in range(len(self.sources))}
        return self.words.quote

    def _quote(self, logits: Tensor, quoting: Quoting) -> int | None:
        place = quoting.range()
        allowed = set() if place and place[2] - place[1] >= quote.PROSE_LIMIT else set(quoting.allow())
        ends = {self.words.quote, self.words.end} if place else set()
        if not allowed | ends:
            return None  # the source has no words
        token = _likeliest(logits, sorted(allowed | ends))
        if token not in ends:
            quoting.say(token)
            return token
        assert place is not None
        assert self._source is not None
        self.quoted.append((self._source, place[1], place[2]))
        return self._next_quotation() if token == self.words.quote and len(self.quoted) < CITED else None

    def _drawn(self, logits: Tensor) -> int:
        """A token by temperature and top-p; the likeliest one at temperature 0."""
        import torch

        how = self.generation
        if not how.temperature:
            return int(logits.argmax())
        if self._drawing is None:
            self._drawing = torch.Generator().manual_seed(how.seed)
        shares, order = (logits.double() / how.temperature).softmax(-1).sort(descending=True)  # [vocabulary] each
        shares[shares.cumsum(-1) - shares >= how.top_p] = 0.0  # what the likelier ones leave no room for
        return int(order[torch.multinomial(shares, 1, generator=self._drawing)])


def _likeliest(logits: Tensor, allowed: Sequence[int]) -> int:
    """The likeliest of the allowed tokens."""
    return allowed[int(logits[list(allowed)].argmax())]


@lru_cache(maxsize=2)
def vocabulary(words: Tokenizer) -> list[bytes]:
    """Every token as bytes; none for the reserved ones."""
    from trainer.tokenizer import RESERVED

    return [words.token_bytes(token) if token >= len(RESERVED) else b"" for token in range(words.size)]


def open_speaker(settings: Settings, reader: Reader | None = None) -> Speaker | None:
    """The speaker that the settings ask for; None for words by rules. Raises SettingsError, ModelError."""
    wanted = settings.speaker
    if wanted == "endpoint" or (wanted == "auto" and settings.endpoint):
        try:
            return open_endpoint(settings.endpoint, settings.generation)
        except EndpointError as error:
            raise SettingsError(f"speaker is 'endpoint', but {error}, or choose another speaker") from error
    if wanted != "trunk":
        return None
    folder = settings.trunk or settings.model
    return TrunkSpeaker(_trunk(folder, reader), f"{folder.name}-{fingerprint(folder)}", settings.generation)


def _trunk(folder: Path, reader: Reader | None) -> TrunkReader:
    """The trunk in a folder: the reader's own where it is the same."""
    kind = model_config(folder)["kind"]
    if kind != "trunk":
        raise SettingsError(
            f"speaker is 'trunk', but {folder} holds a model of kind {kind!r}, which only reads. Name a trunk's folder "
            'with the setting `trunk`, or choose speaker = "span"'
        )
    if getattr(reader, "folder", None) == folder and (own := getattr(reader, "trunk", None)) is not None:
        shared: TrunkReader = own
        return shared
    try:
        return open_trunk(folder)
    except Exception as error:
        # Damaged weights fail in many ways (safetensors, json, torch): all mean the same to people.
        raise ModelError(f"{folder}: the trunk cannot be opened ({error}). Restore the folder") from error
