"""What a chat request asks for: OpenAI's fields, which of them count here, and the question in its messages.

Takes   OpenAI's request and our own extra field `groundling`.
Gives   `Understood`: the question, the turns before it, and what had no effect.
Counts  model, messages, stream, stream_options, groundling.
Ignored IGNORED, and messages of the system: answers come from the documents, the same ones each time. They are named in
        the answer's `groundling.ignored`.
Refuses UNSUPPORTED (400): whoever asks for tools, JSON or two choices and gets prose has been misled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from rag.api import footer
from rag.api.problem import Problem
from rag.types import Message

LONGEST = 8_000  # characters of a question
MOST_MESSAGES = 1_000
IGNORED = (
    "temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "max_tokens", "max_completion_tokens",
    "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
    "reasoning_effort", "verbosity", "parallel_tool_calls",
)  # fmt: skip
# name: (the values that ask for nothing, what to do instead)
UNSUPPORTED: dict[str, tuple[tuple[Any, ...], str]] = {
    "n": ((1,), "there is one answer; leave it out or send 1"),
    "tools": (([],), "documents are searched for every question; leave it out"),
    "tool_choice": (("none", "auto"), "documents are searched for every question; leave it out"),
    "functions": (([],), "documents are searched for every question; leave it out"),
    "function_call": (("none", "auto"), "documents are searched for every question; leave it out"),
    "response_format": (({"type": "text"},), "the field `groundling` of the answer is JSON already"),
    "stop": ((), "answers end by themselves; leave it out"),
    "logprobs": ((False,), "`groundling.confidence` says how sure an answer is"),
    "top_logprobs": ((0,), "`groundling.confidence` says how sure an answer is"),
    "logit_bias": (({},), "words come from the documents; leave it out"),
    "modalities": ((["text"],), "answers are text"),
    "audio": ((), "answers are text"),
    "prediction": ((), "answers come from the documents; leave it out"),
    "web_search_options": ((), "only the documents are searched; leave it out"),
}


class Part(BaseModel):
    """One part of a message. Only text can be asked; other parts are refused by name."""

    model_config = ConfigDict(extra="allow")

    type: str
    text: str = ""


class ChatMessage(BaseModel):
    """One turn, as OpenAI's clients send it."""

    model_config = ConfigDict(extra="allow")  # what an assistant's message carries besides its words comes back

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None


class StreamOptions(BaseModel):
    """How a stream ends."""

    include_usage: bool = False
    include_obfuscation: bool = False


class Wishes(BaseModel):
    """Our own extra field."""

    model_config = ConfigDict(extra="forbid")

    footer: bool = Field(default=True, description="Citations under the words; the field `groundling` has them anyway.")
    collection: str | None = Field(default=None, description="Only this collection of documents.")
    standalone_question: str | None = Field(
        default=None,
        max_length=LONGEST,
        description="How the last question is to be understood, instead of our rewriting.",
    )


class ChatRequest(BaseModel):
    """OpenAI's request. Fields that are refused are taken in here, so that they can be named in the answer."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, StringConstraints(min_length=1, max_length=500)] = Field(
        description="`groundling`, or `groundling/COLLECTION`."
    )
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MOST_MESSAGES)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    groundling: Wishes | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    user: str | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    parallel_tool_calls: bool | None = None
    n: int | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    functions: list[Any] | None = None
    function_call: Any = None
    response_format: Any = None
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, Any] | None = None
    modalities: list[str] | None = None
    audio: Any = None
    prediction: Any = None
    web_search_options: Any = None


@dataclass(frozen=True)
class Understood:
    """A request in our own nouns."""

    question: str
    history: tuple[Message, ...]
    ignored: tuple[str, ...]
    footer: bool
    prompt: str  # everything that was said, for the estimate of its length


def understood(request: ChatRequest) -> Understood:
    """The question of a request. Raises Problem for what is not done here."""
    for name, (harmless, instead) in UNSUPPORTED.items():
        value = getattr(request, name)
        if value is not None and value not in harmless:
            raise Problem(400, f"{name} is not supported: {instead}", code="unsupported_parameter", param=name)
    spoken = [(message.role, _words(number, message)) for number, message in enumerate(request.messages)]
    question, history = _turns(spoken)
    ignored = [name for name in IGNORED if getattr(request, name) is not None]
    if any(role in ("system", "developer") for role, _ in spoken):
        ignored.append("messages of the system")
    wishes = request.groundling or Wishes()
    return Understood(question, history, tuple(ignored), wishes.footer, "\n".join(words for _, words in spoken))


def _words(number: int, message: ChatMessage) -> str:
    """The text of a message."""
    param = f"messages.{number}"
    if message.role in ("tool", "function"):
        raise Problem(400, f"{param}: results of tools are not used here", code="unsupported_parameter", param=param)
    if not isinstance(message.content, list):
        return message.content or ""
    for part in message.content:
        if part.type not in ("text", "refusal"):
            raise Problem(
                400, f"{param}: a part of type {part.type!r} cannot be asked, only text", param=param,
                code="unsupported_parameter",
            )  # fmt: skip
    return "\n".join(part.text for part in message.content)


def _turns(spoken: Sequence[tuple[str, str]]) -> tuple[str, tuple[Message, ...]]:
    """The last message of the user, and the questions before it that were answered."""
    history: list[Message] = []
    waiting = ""
    for role, words in spoken:
        if role == "user":
            waiting = words.strip()
        elif role == "assistant" and waiting:
            history.append(Message(waiting, footer.without(words).strip()))
            waiting = ""
    if not waiting:
        raise Problem(
            400, "messages: the last one must be the user's, with words", code="invalid_value", param="messages"
        )
    if len(waiting) > LONGEST:
        message = (
            f"messages: the question has {len(waiting)} characters, the most is {LONGEST}: add long texts as documents"
        )
        raise Problem(400, message, code="invalid_value", param="messages")
    return waiting, tuple(history)
