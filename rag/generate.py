"""Who gives the words: rules over the best span, or an outside model.

    SpanSpeaker       words taken from the quotation itself (wording.py); what is shown by default
    EndpointSpeaker   any OpenAI-compatible server: POST {url}/chat/completions, streamed

Takes   the question, spans of passages (best first) and the passages.
Gives   text in stretches; `compose` also gives the ranges that the words rest on.
Refuses an endpoint that is silent, unreachable, or answers with an error or without words: EndpointError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from rag import prompt, quote, spoken, wording
from rag.errors import EndpointError
from rag.quote import Quotation
from rag.types import Passage, Span
from rag.units import strip
from rag.wording import Said

if TYPE_CHECKING:
    from rag.config import Endpoint

CITED = 3  # most quotations of one answer
_MARK = re.compile(r"(\s?)\[(\d{1,2})\]")
CLOSE = 0.6  # a further quotation needs this share of the best span's score
ALSO = 0.5  # a span that is at least so likely beside the best one is said too: neither is clearly the answer


class Spoken(NamedTuple):
    """The words of an answer, and what they rest on: the first `said` quotations hold them, others stand beside."""

    words: str
    quotations: tuple[Quotation, ...]
    said: int = 1


@dataclass(frozen=True, slots=True)
class SpanSpeaker:
    """Words by rules: the sentence, list, steps or row around the best span."""

    policy: wording.Policy = "sentence"
    close: float = CLOSE

    @property
    def name(self) -> str:
        """For the audit."""
        return f"span:{self.policy}"

    def compose(
        self, question: str, spans: Sequence[Span], passages: Sequence[Passage], *, shares: Sequence[float] = ()
    ) -> Spoken:
        """The answer of the best span that has words, and up to three quotations.

        shares: how likely each span is, in their order. Where the second is nearly as likely as the first, both are
        said, a line each, if that is brief enough; a yes or no stays alone.
        """
        told: list[Said] = []
        found: list[Quotation] = []
        likely = 0.0  # share of what is said first
        for number, span in enumerate(spans):
            if len(found) == CITED:
                break
            also = len(told) == 1 and bool(shares) and shares[number] >= ALSO * likely > 0
            if found and not also and span.score < self.close * spans[0].score:
                continue
            text = passages[span.passage].text
            start, end = strip(text, max(0, span.start), min(span.end, len(text)))
            beside = [other for other in found if other.passage == span.passage]
            if start >= end or (beside and (not also or any(start < o.end and end > o.start for o in beside))):
                continue
            headings = " > ".join(passages[span.passage].headings)
            said = wording.say(question, text, (start, end), policy=self.policy, about=headings)
            said = said._replace(words=spoken.kept(said.words, [text[said.start : said.end]]))
            if not said.words or any(said.start < o.end and said.end > o.start for o in beside):
                continue
            quotation = Quotation(span.passage, said.start, said.end, span.score)
            if not told:
                told, likely = [said], shares[number] if shares else 0.0
                found.append(quotation)
            elif also and wording.together(question, told[0].words, said.words):
                told.append(said)
                found.insert(1, quotation)
            elif not beside and span.score >= self.close * spans[0].score:
                found.append(quotation)
        return Spoken("\n".join(said.words for said in told), tuple(found), max(1, len(told)))

    def say(self, question: str, spans: Sequence[Span], passages: Sequence[Passage]) -> Iterator[str]:
        """The words in stretches of a line or a sentence, which join to `compose(...).words`."""
        yield from stretches(self.compose(question, spans, passages).words)


def stretches(words: str) -> list[str]:
    """Lines, and sentences of prose, each with the space after it: they join to `words`."""
    return re.findall(r".+?(?:\n+|(?<=[.!?])\s+(?=[A-Z\"“])|\Z)", words, re.DOTALL)


def whole(pieces: Iterator[str]) -> Iterator[str]:
    """The same text, cut where sentences and lines end: a sentence is checked before it is shown."""
    held = ""
    for piece in pieces:
        *ended, held = stretches(held + piece) or [""]
        yield from ended
    if held:
        yield held


@dataclass(frozen=True, slots=True)
class EndpointSpeaker:
    """An outside model, asked with our passages. `timeout` is how long it may be silent, in seconds."""

    url: str  # up to and including /v1
    model: str
    key: str = ""
    timeout: float = 60.0
    temperature: float = 0.0

    @property
    def name(self) -> str:
        """For the audit and the status line."""
        return f"{self.model} at {self.url}"

    def say(
        self,
        question: str,
        spans: Sequence[Span],  # noqa: ARG002  the protocol's; a chat completion has no place for them
        passages: Sequence[Passage],
    ) -> Iterator[str]:
        """The answer as it comes. Raises EndpointError, also in the middle of an answer."""
        import httpx  # a tenth of a second, and only those who plug in a server need it

        request = {
            "model": self.model,
            "messages": prompt.messages(question, passages),
            "temperature": self.temperature,
            "stream": True,
        }
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        spoke = False
        try:
            with httpx.stream(
                "POST", f"{self.url}/chat/completions", json=request, headers=headers, timeout=self.timeout
            ) as response:
                if response.status_code != httpx.codes.OK:
                    response.read()
                    raise EndpointError(f"{self.url} answered {response.status_code}: {_reason(response.text)}")
                for piece in _pieces(response.iter_lines()):
                    spoke = True
                    yield piece
        except httpx.TimeoutException as error:
            raise EndpointError(f"{self.url} was silent for {self.timeout:g} s. Is the model loaded there?") from error
        except httpx.HTTPError as error:
            raise EndpointError(f"{self.url} cannot be reached ({error}). Check the address in the settings") from error
        if not spoke:
            raise EndpointError(f"{self.url} answered without words. Does it know the model {self.model!r}?")


def _pieces(lines: Iterator[str]) -> Iterator[str]:
    """The words in a stream of server-sent events, or in the one JSON object of a server that does not stream."""
    for line in lines:
        body = line.removeprefix("data:").strip()
        if not body or line.startswith((":", "event:", "id:", "retry:")):
            continue
        if body == "[DONE]":
            return
        try:
            event: dict[str, Any] = json.loads(body)
            if "error" in event:
                raise EndpointError(f"the outside model gave up: {_reason(body)}")
            for choice in event.get("choices", [])[:1]:
                words = (choice.get("delta") or choice.get("message") or {}).get("content")
                if words:
                    yield str(words)
        except (ValueError, AttributeError, TypeError) as error:
            raise EndpointError(f"no chat completion in {body[:80]!r}. Is the address that of the API?") from error


def _reason(body: str) -> str:
    """The message of an error answer, one line."""
    try:
        error = json.loads(body)["error"]
        body = error["message"] if isinstance(error, dict) else str(error)
    except (ValueError, KeyError, TypeError):
        body = re.sub(r"<[^>]+>", " ", body)
    return " ".join(body.split())[:200] or "no reason given"


class Footnotes:
    """The [n] of an outside model name passages; each becomes a quotation, in the order they are spoken."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages
        self.quotations: list[Quotation] = []

    def renumber(self, sentence: str) -> str:
        """The sentence with the numbers of the quotations; marks that lead to no quotation go."""
        mine = wording.stems(_MARK.sub("", sentence))
        shown = _MARK.sub(lambda mark: self._number(mark, mine), sentence)
        return re.sub(r"(\[\d\])(?:\s*\1)+", r"\1", shown)

    def _number(self, mark: re.Match[str], mine: frozenset[str]) -> str:
        quotation = self._quotation(int(mark.group(2)), mine)
        if quotation is None:
            return ""
        for number, other in enumerate(self.quotations, start=1):
            if other[:2] == quotation[:2]:
                return f"{mark.group(1)}[{number}]"
        if len(self.quotations) == CITED:
            return ""
        self.quotations.append(quotation)
        return f"{mark.group(1)}[{len(self.quotations)}]"

    def _quotation(self, source: int, mine: frozenset[str]) -> Quotation | None:
        """In the named source, what is most like the sentence; None where nothing is."""
        if not 1 <= source <= len(self._passages):
            return None
        text = self._passages[source - 1].text
        shared = {unit: len(mine & wording.stems(text[unit[0] : unit[1]])) for unit in quote.candidates(text)}
        best = max(shared, key=shared.__getitem__, default=None)
        if best is None or not shared[best]:
            return None
        return Quotation(source - 1, *quote.expand(text, *best), shared[best] / len(mine))


def open_speaker(endpoint: Endpoint) -> EndpointSpeaker | None:
    """The speaker that the settings ask for; None for our own words."""
    if not endpoint:
        return None
    key = endpoint.key.get_secret_value()
    return EndpointSpeaker(endpoint.url, endpoint.model, key, endpoint.timeout)


def try_out(endpoint: Endpoint) -> str:
    """The endpoint's answer to one small question, for the settings: a few words that show whether all is right."""
    speaker = open_speaker(endpoint)
    if speaker is None:
        raise EndpointError("no address given. Write one like http://localhost:11434/v1")
    text = "The office opens at nine."
    return "".join(speaker.say("When does the office open?", [], [Passage(0, 0, "test", 1, 0, len(text), text, None)]))
