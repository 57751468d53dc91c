"""OpenAI's chat completions over our documents, whole or as a stream.

    messages ─► question and history ─► library.stream ─► words as they are spoken ─► footer ─► `groundling`

Takes   OpenAI's request (asked.py). The last message is the question, those before it the history.
Gives   OpenAI's answer. Its extra field `groundling` is the object of `rag ask --json`, with `ignored`: what the
        request asked for and had no effect. Clients that do not know it get the citations as a footer under the words.
Refuses what would change the answer and is not done here, by name (asked.py).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from rag.api import footer, problem
from rag.api.asked import ChatRequest, Understood, understood
from rag.api.door import AtDoor, Held
from rag.api.own import collections
from rag.api.problem import Problem
from rag.library import Library
from rag.types import Answer, Done, Event, Text

MODEL = "groundling"
routes = APIRouter(prefix="/v1", tags=["OpenAI"])


class Reply(BaseModel):
    """What the assistant says."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class Choice(BaseModel):
    """There is always one."""

    index: Literal[0] = 0
    message: Reply
    finish_reason: Literal["stop"] = "stop"
    logprobs: None = None


class Usage(BaseModel):
    """An estimate, four bytes a token: nothing here is paid by the token."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Completion(BaseModel):
    """OpenAI's answer, and our extra field."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    groundling: dict[str, Any] = Field(description="The object of `rag ask --json`, and `ignored`: see docs/api.md.")


class Model(BaseModel):
    """One name that `model` may have."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "groundling"


class Models(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[Model]


@routes.get("/models")
def models(door: AtDoor, library: Held) -> Models:
    """What can be asked: all documents, one collection, and the embedder."""
    return Models(data=[Model(id=name, created=door.started) for name in _names(library)])


@routes.get("/models/{model:path}")
def model(model: str, door: AtDoor, library: Held) -> Model:
    """One of them."""
    if model not in _names(library):
        raise _unknown(model)
    return Model(id=model, created=door.started)


@routes.post(
    "/chat/completions",
    response_model=Completion,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def complete(request: ChatRequest, door: AtDoor, library: Held) -> Any:
    """Answer the last message from the documents."""
    asked = understood(request)
    events = door.desk.events(
        lambda: library.stream(
            asked.question,
            history=asked.history,
            collection=_collection(library, request),
            standalone=request.groundling.standalone_question if request.groundling else None,
        )
    )
    if request.stream:
        first = await anext(events)  # what cannot be asked at all is answered with its status, not inside a stream
        return StreamingResponse(_chunks(first, events, asked, request), media_type="text/event-stream")
    async with aclosing(events):
        *_, last = [event async for event in events]
    assert isinstance(last, Done), "an answer's events end with Done"
    answer = last.answer
    words = answer.text + (footer.of(answer) if asked.footer else "")
    return Completion(
        id=_id(answer),
        created=int(time.time()),
        model=request.model,
        choices=[Choice(message=Reply(content=words))],
        usage=_usage(asked, words),
        groundling=_extra(answer, asked),
    )


async def _chunks(
    first: Event, events: AsyncGenerator[Event], asked: Understood, request: ChatRequest
) -> AsyncIterator[str]:
    """Server-sent events as OpenAI sends them; an error on the way is one of them, which its clients raise."""
    head = {"id": _id(None), "object": "chat.completion.chunk", "created": int(time.time()), "model": request.model}
    said: list[str] = []

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        said.append(delta.get("content", ""))
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event({**head, "choices": [choice], **more})

    try:
        async with aclosing(events):
            yield chunk({"role": "assistant", "content": ""})
            async for event in _with(first, events):
                if isinstance(event, Text):
                    yield chunk({"content": event.text})
                elif isinstance(event, Done):
                    if asked.footer and (under := footer.of(event.answer)):
                        yield chunk({"content": under})
                    yield chunk({}, "stop", groundling=_extra(event.answer, asked))
        if request.stream_options and request.stream_options.include_usage:
            yield _event({**head, "choices": [], "usage": _usage(asked, "".join(said)).model_dump()})
        yield "data: [DONE]\n\n"
    except Exception as error:  # noqa: BLE001 - the status is sent already: it is told in the stream, and logged
        yield _event(problem.body(problem.told(error)))


async def _with(first: Event, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    yield first
    async for event in events:
        yield event


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def _extra(answer: Answer, asked: Understood) -> dict[str, Any]:
    return answer.as_dict() | {"ignored": list(asked.ignored)}


def _id(answer: Answer | None) -> str:
    """A stream begins before its answer has an id: `groundling.answer_id` has it at the end."""
    return f"chatcmpl-{answer.answer_id if answer else time.time_ns():}"


def _usage(asked: Understood, words: str) -> Usage:
    given, said = tokens(asked.prompt), tokens(words)
    return Usage(prompt_tokens=given, completion_tokens=said, total_tokens=given + said)


def tokens(text: str) -> int:
    """An estimate."""
    return math.ceil(len(text.encode("utf-8", "surrogatepass")) / 4)


def _names(library: Library) -> list[str]:
    held = collections(library)
    return [MODEL, *(f"{MODEL}/{name}" for name in held), library.embedder_name]


def _collection(library: Library, request: ChatRequest) -> str | None:
    """The collection that the model's name says, or the field `groundling`; None for all."""
    named, _, collection = request.model.partition("/")
    chosen = collection or (request.groundling.collection if request.groundling else None)
    if named != MODEL or (collection and collection not in collections(library)):
        raise _unknown(request.model)
    return chosen


def _unknown(name: str) -> Problem:
    message = f"{name}: no such model. GET /v1/models lists them; {MODEL} asks all documents"
    return Problem(404, message, code="model_not_found", param="model")
