"""An outside model words the answer: any server that speaks OpenAI's protocol, asked with our passages.

    question, passages ─► POST {url}/chat/completions ─► words as they come ─► Footnotes ─► numbers of our quotations

Takes   the address, model, key and limits of the settings; how its words are to be chosen (`Generation`).
Gives   text in stretches; what it cites as [n] becomes a quotation of that passage.
Refuses a server that is silent, too slow, unreachable, breaks off, runs on, or answers with an error, without words or
        with anything but a chat completion: EndpointError. Its message never holds the key.
Waiting the request runs in a thread of its own, so that no server can hold an answer longer than the settings allow,
        whatever it does: hang while its name is looked up, send headers by the byte, drip for ever.
"""

from __future__ import annotations

import codecs
import json
import queue
import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag import prompt, quote
from rag.config import Generation
from rag.errors import EndpointError
from rag.generate import CITED
from rag.quote import Quotation
from rag.types import Passage, Span
from rag.wording import stems

if TYPE_CHECKING:
    from rag.config import Endpoint

RUNS_ON = 100_000  # characters: no answer is so long
CUT = {"length": "reached its limit of length", "content_filter": "was stopped by that server's filter"}
OK = 200
GREEDY = Generation()
_MARK = re.compile(r"(\s?)\[(\d{1,2})\]")
_STREAM = ("data:", "event:", "id:", "retry:", ":")


@dataclass(frozen=True, slots=True)
class EndpointSpeaker:
    """An outside model, asked with our passages."""

    url: str  # up to and including /v1
    model: str
    key: str = ""
    timeout: float = 60.0  # seconds it may be silent
    longest: float = 300.0  # seconds for all of it
    generation: Generation = GREEDY

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
        request: dict[str, Any] = {
            "model": self.model,
            "messages": prompt.messages(question, passages),
            "temperature": self.generation.temperature,
            "stream": True,
        }
        if self.generation.temperature:
            request |= {"top_p": self.generation.top_p, "seed": self.generation.seed}
        if not (self.key.isascii() and self.key.isprintable()):
            raise EndpointError("the key holds characters that no request can carry. Copy it again into the settings")
        said = 0
        try:
            for piece in _pieces(_Request(self, request).received()):
                said += len(piece)
                if said > RUNS_ON:
                    raise EndpointError(f"{self.url} came to no end after {RUNS_ON} characters")
                yield piece
        except EndpointError as error:
            raise EndpointError(self._without_key(str(error))) from None  # the cause may hold the key too
        if not said:
            raise EndpointError(f"{self.url} answered without words. Does it know the model {self.model!r}?")

    def _without_key(self, text: str) -> str:
        return text.replace(self.key, "…") if self.key else text


class _Request:
    """One request, in a thread of its own."""

    def __init__(self, speaker: EndpointSpeaker, body: dict[str, Any]) -> None:
        self._speaker, self._body = speaker, body
        self._came: queue.SimpleQueue[bytes | EndpointError | None] = queue.SimpleQueue()
        self._given_up = threading.Event()

    def received(self) -> Iterator[bytes]:
        """What the server sends. Raises EndpointError when it is silent or takes too long."""
        threading.Thread(target=self._send, name="endpoint", daemon=True).start()
        speaker = self._speaker
        deadline = time.monotonic() + speaker.longest
        try:
            while (left := deadline - time.monotonic()) > 0:
                try:
                    part = self._came.get(timeout=min(left, speaker.timeout))
                except queue.Empty:
                    if left > speaker.timeout:
                        raise self._silent() from None
                    continue
                if part is None:
                    return
                if isinstance(part, EndpointError):
                    raise part
                yield part
            raise EndpointError(f"{speaker.url} was not done after {speaker.longest:g} s")
        finally:
            self._given_up.set()

    def _silent(self) -> EndpointError:
        speaker = self._speaker
        return EndpointError(f"{speaker.url} was silent for {speaker.timeout:g} s. Is the model loaded there?")

    def _send(self) -> None:
        import httpx  # a tenth of a second, and only those who plug in a server need it

        speaker, began = self._speaker, False
        headers = {"Authorization": f"Bearer {speaker.key}"} if speaker.key else {}
        try:
            address = f"{speaker.url}/chat/completions"
            with httpx.stream("POST", address, json=self._body, headers=headers, timeout=speaker.timeout) as response:
                if response.status_code != OK:
                    response.read()
                    raise EndpointError(f"{speaker.url} answered {response.status_code}: {_reason(response.text)}")
                for part in response.iter_bytes():
                    began = True
                    if self._given_up.is_set():
                        return
                    self._came.put(part)
            self._came.put(None)
        except EndpointError as error:
            self._came.put(error)
        except httpx.TimeoutException:
            self._came.put(self._silent())
        except Exception as error:  # noqa: BLE001  whatever fails there must not cost the answer
            what = "broke off" if began else "cannot be reached"
            cure = "" if began else ". Check the address in the settings"
            self._came.put(EndpointError(f"{speaker.url} {what} ({error}){cure}"))


def _pieces(received: Iterator[bytes]) -> Iterator[str]:
    """The words in a stream of server-sent events, or in the one JSON object of a server that does not stream."""
    lines = _lines(received)
    first = next((line for line in lines if line.strip()), "")
    if not first.startswith(_STREAM):
        yield from _words("\n".join([first, *lines]), kind="message")[0]
        return
    for line in _and_rest(first, lines):
        body = line.removeprefix("data:").strip()
        if not body or line.startswith(_STREAM[1:]):
            continue
        if body == "[DONE]":
            return
        words, finished = _words(body, kind="delta")
        yield from words
        if finished:
            return
    raise EndpointError("the outside model broke off in the middle of its answer")


def _and_rest(first: str, lines: Iterator[str]) -> Iterator[str]:
    yield first
    yield from lines


def _lines(received: Iterator[bytes]) -> Iterator[str]:
    """Lines of UTF-8, the last one too."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    held = ""
    for part in received:
        *ended, held = (held + decoder.decode(part)).split("\n")
        yield from ended
        if len(held) > RUNS_ON:
            raise EndpointError(f"a line of more than {RUNS_ON} characters is no chat completion")
    yield held + decoder.decode(b"", final=True)


def _words(body: str, *, kind: str) -> tuple[list[str], bool]:
    """The words of one JSON object ("delta" of a stream, or a whole "message"), and whether it says to be the last."""
    try:
        event: dict[str, Any] = json.loads(body) if body.strip() else {}
        if event.get("error"):
            raise EndpointError(f"the outside model gave up: {_reason(body)}")
        found, finished = [], False
        for choice in event.get("choices", [])[:1]:
            content = (choice.get(kind) or choice.get("message") or {}).get("content") or ""
            finish = choice.get("finish_reason")
            if not isinstance(content, str):
                raise TypeError("words that are no text")
            if finish in CUT:
                raise EndpointError(f"the outside model's answer {CUT[finish]}")
            found += [content] if content else []
            finished = finished or bool(finish)
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise EndpointError(f"no chat completion in {body[:80]!r}. Is the address that of the API?") from error
    return found, finished


def _reason(body: str) -> str:
    """The message of an error answer, one line."""
    try:
        error = json.loads(body)["error"]
        body = str(error["message"]) if isinstance(error, dict) else str(error)
    except (ValueError, KeyError, TypeError, RecursionError):
        body = re.sub(r"<[^>]+>", " ", body)
    return " ".join(body.split())[:200] or "no reason given"


class Footnotes:
    """The [n] of an outside model name passages; each becomes a quotation, in the order they are spoken."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages
        self.quotations: list[Quotation] = []

    def renumber(self, sentence: str) -> str:
        """The sentence with the numbers of the quotations; marks that lead to no quotation go."""
        mine = stems(_MARK.sub("", sentence))
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
        shared = {unit: len(mine & stems(text[unit[0] : unit[1]])) for unit in quote.candidates(text)}
        best = max(shared, key=shared.__getitem__, default=None)
        if best is None or not shared[best]:
            return None
        return Quotation(source - 1, *quote.expand(text, *best), shared[best] / len(mine))


def open_endpoint(endpoint: Endpoint, generation: Generation) -> EndpointSpeaker:
    """The outside model of the settings. Raises EndpointError where they name none."""
    if not endpoint:
        raise EndpointError("no address given. Write one like http://localhost:11434/v1")
    key = endpoint.key.get_secret_value()
    return EndpointSpeaker(endpoint.url, endpoint.model, key, endpoint.timeout, endpoint.longest, generation)


def try_out(endpoint: Endpoint) -> str:
    """The endpoint's answer to one small question, for the settings: a few words that show whether all is right."""
    speaker = open_endpoint(endpoint, GREEDY)
    text = "The office opens at nine."
    return "".join(speaker.say("When does the office open?", [], [Passage(0, 0, "test", 1, 0, len(text), text, None)]))
