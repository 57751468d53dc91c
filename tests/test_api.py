"""The HTTP door, through a real server and the official OpenAI client."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import openai
import pytest

from rag.api import Limits, footer, make
from rag.library import Library
from rag.types import Message, Passage, Reading
from tests.miniature import OverlapReader, put, small_library
from tests.serving import served

QUESTION = "How many cars fit into the yard?"
YARD = "Twelve cars fit into the yard. Bicycles stand beside the gate."
GATE = "The gate opens at seven."


class PatientReader(OverlapReader):
    """Reads when it is told to."""

    def __init__(self) -> None:
        super().__init__("patient-1")
        self.reading, self.go_on = Event(), Event()

    def read(self, question: str, passages: Sequence[Passage]) -> Reading:
        self.reading.set()
        assert self.go_on.wait(30)
        return super().read(question, passages)


def filled(folder: Path) -> Library:
    library = small_library(folder)
    put(library._catalogue, "yard.md", YARD)
    put(library._catalogue, "gate.md", GATE, collection="sites")
    return library


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return filled(tmp_path_factory.mktemp("api") / "index")


@pytest.fixture(scope="module")
def url(library: Library) -> Iterator[str]:
    with served(make(library)) as (address, _):
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as made:
        yield made


def ask(client: openai.OpenAI, question: str = QUESTION, **more: Any) -> Any:
    more.setdefault("model", "groundling")
    more.setdefault("messages", [{"role": "user", "content": question}])
    return client.chat.completions.create(**more)


# --- OpenAI's client, unchanged ---------------------------------------------------------------------------------------


def test_the_openai_client_gets_an_answer_with_its_citations_twice(client: openai.OpenAI, library: Library) -> None:
    completion = ask(client)
    words = completion.choices[0].message.content
    assert words.startswith("Twelve cars fit into the yard.")
    assert "[1] yard.md p. 1: “Twelve cars fit into the yard.”" in words
    told = completion.groundling
    (cited,) = told["citations"]
    text = library.document(cited["document"], cited["version"]).text
    assert text[cited["start"] : cited["end"]] == cited["quote"]
    assert library.audited(told["answer_id"])["question"] == QUESTION
    assert completion.id == f"chatcmpl-{told['answer_id']}"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens > 0


def test_a_stream_says_what_the_whole_answer_says(client: openai.OpenAI) -> None:
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    words = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert words == ask(client).choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert [chunk.groundling["answer"] for chunk in chunks if "groundling" in chunk.model_extra] == [
        "Twelve cars fit into the yard."
    ]
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens > 0
    assert len({chunk.id for chunk in chunks}) == 1


def test_the_footer_can_be_left_out(client: openai.OpenAI) -> None:
    bare = ask(client, extra_body={"groundling": {"footer": False}})
    assert bare.choices[0].message.content == "Twelve cars fit into the yard."
    assert bare.groundling["citations"]


def test_a_refusal_is_an_answer_with_the_nearest_passages(client: openai.OpenAI) -> None:
    refusal = ask(client, "Who paints the cellar blue on Sundays?")
    assert refusal.choices[0].message.content.startswith("The documents do not say.")
    assert refusal.groundling["abstained"]
    assert refusal.groundling["citations"] == []


def test_the_model_names_a_collection(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [
        "groundling", "groundling/default", "groundling/sites", "all-MiniLM-L6-v2",
    ]  # fmt: skip
    assert client.models.retrieve("groundling/sites").id == "groundling/sites"
    assert ask(client, model="groundling/sites").groundling["abstained"]
    assert not ask(client, model="groundling/default").groundling["abstained"]
    assert ask(client, extra_body={"groundling": {"collection": "sites"}}).groundling["abstained"]
    with pytest.raises(openai.NotFoundError, match="GET /v1/models lists them"):
        ask(client, model="gpt-4o")


def test_earlier_messages_are_the_history_without_their_footer(client: openai.OpenAI, library: Library) -> None:
    first = ask(client).choices[0].message.content
    later = ask(
        client,
        messages=[
            {"role": "system", "content": "Be a pirate."},
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": first},
            {"role": "user", "content": [{"type": "text", "text": "And when does the gate open?"}]},
        ],
        temperature=0.2,
    )
    audited = library.audited(later.groundling["answer_id"])
    assert audited["history"] == [[QUESTION, "Twelve cars fit into the yard."]]
    assert audited["question"] == "And when does the gate open?"
    assert later.groundling["ignored"] == ["temperature", "messages of the system"]


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function", "function": {"name": "x"}}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"stop": ["\n"]}, "stop"),
        ({"logprobs": True}, "logprobs"),
        ({"extra_body": {"flavour": 1}}, "flavour"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": "So?"}, {"role": "assistant", "content": "Yes."}]}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": "a" * 8001}]}, "messages"),
    ],
)  # fmt: skip
def test_what_is_not_done_is_refused_by_name(client: openai.OpenAI, more: dict[str, Any], named: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, **more)
    assert refused.value.param == named
    assert named in str(refused.value)


def test_what_asks_for_nothing_is_not_refused(client: openai.OpenAI) -> None:
    ask(client, n=1, tools=[], tool_choice="none", response_format={"type": "text"}, logprobs=False, logit_bias={})


def test_embeddings_are_those_of_the_passages(client: openai.OpenAI, library: Library) -> None:
    texts = ["Twelve cars", "The gate"]
    told = client.embeddings.create(model="all-MiniLM-L6-v2", input=texts)  # the client asks for base64
    assert [row.embedding for row in told.data] == library.embed(texts).tolist()
    plain = client.embeddings.create(model="all-MiniLM-L6-v2", input="The gate", encoding_format="float")
    assert plain.data[0].embedding == told.data[1].embedding
    with pytest.raises(openai.BadRequestError, match="have 512 numbers"):
        client.embeddings.create(model="all-MiniLM-L6-v2", input="x", dimensions=7)
    with pytest.raises(openai.NotFoundError, match="Here it is all-MiniLM-L6-v2"):
        client.embeddings.create(model="text-embedding-3-small", input="x")


# --- our own routes ---------------------------------------------------------------------------------------------------


def test_a_document_comes_in_is_read_found_and_removed(url: str) -> None:
    with httpx.Client(base_url=url, timeout=60) as http:
        added = http.put("/documents/plans/roof.md", content=b"# Roof\n\nThe roof is made of slate.\n")
        assert added.json()["files"][0]["status"] == "added"
        shown = http.get("/documents/plans/roof.md").json()
        (hit, *_) = http.post("/search", json={"text": "roof of slate", "k": 3}).json()["hits"]
        assert hit["document"] == "plans/roof.md"
        assert shown["text"][hit["start"] : hit["end"]] == hit["text"]
        assert "plans/roof.md" in {row["document"] for row in http.get("/documents").json()["documents"]}
        assert http.delete("/documents/plans/roof.md").json()["status"] == "removed"
        gone = http.get("/documents/plans/roof.md")
        assert gone.status_code == 404
        assert "plans/roof.md" in gone.json()["error"]["message"]


def test_a_file_that_cannot_be_read_says_why(url: str) -> None:
    refused = httpx.put(f"{url}/documents/logo.xyz", content=b"?", timeout=60)
    assert refused.status_code == 422
    assert "logo.xyz" in refused.json()["error"]["message"]
    longest = httpx.put(f"{url}/documents/{'é' * 128}.md", content=b"# A")
    assert longest.status_code == 400
    assert "255 bytes" in longest.json()["error"]["message"]


def test_an_answer_is_rated_and_the_rating_withdrawn(url: str, client: openai.OpenAI, library: Library) -> None:
    answer_id = ask(client).groundling["answer_id"]
    with httpx.Client(base_url=f"{url}/answers/{answer_id}", timeout=60) as http:
        assert httpx.get(f"{url}/answers/{answer_id}").json()["answer"] == "Twelve cars fit into the yard."
        rated = http.put("/rating", json={"verdict": "down", "reason": "outdated"})
        assert rated.json()["reason"] == "outdated"
        stored = library.judgement(answer_id)
        assert stored is not None
        assert stored.verdict == "down"
        assert http.delete("/rating").status_code == 204
        assert library.judgement(answer_id) is None
        assert http.delete("/rating").status_code == 404
        assert (
            http.put("/rating", json={"verdict": "down", "reason": "dull"}).json()["error"]["code"] == "invalid_value"
        )


# --- who may call -----------------------------------------------------------------------------------------------------


def test_without_tokens_only_this_machine_is_served(url: str) -> None:
    for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}, {"origin": "null"}):
        assert httpx.get(f"{url}/documents", headers=headers).status_code == 403
    assert httpx.get(f"{url}/documents", headers={"origin": "http://localhost:3000"}).status_code == 200


def test_tokens_decide_what_is_read_and_where_is_written(tmp_path: Path) -> None:
    library = filled(tmp_path / "index")
    put(library._catalogue, "secret.md", "The safe stands behind the yard wall.", access=("ada",))
    tokens = {}
    for name in ("owen", "ada", "bob"):  # the first one is an administrator
        library.add_person(name, identity=f"{name}@example.org")
        tokens[name] = library.make_token(name, scope="read" if name == "ada" else "write")[1]
    library.grant("sites", "bob", writes=True)
    library.grant("sites", "ada")
    with served(make(library)) as (address, _), httpx.Client(base_url=address, timeout=60) as http:

        def as_(name: str) -> dict[str, str]:
            return {"Authorization": f"Bearer {tokens.get(name, name)}"}

        def found(name: str) -> set[str]:
            wanted = {"text": "the safe behind the yard wall"}
            return {hit["document"] for hit in http.post("/search", json=wanted, headers=as_(name)).json()["hits"]}

        assert found("ada") == {"secret.md", "yard.md", "gate.md"}
        assert found("bob") == {"yard.md", "gate.md"}
        assert http.get("/documents/secret.md", headers=as_("bob")).status_code == 404
        for name, collection, status in [
            ("bob", "default", 403), ("ada", "sites", 403), ("bob", "sites", 200), ("owen", "default", 200),
        ]:  # fmt: skip
            body, where = b"# X\n\nYes.\n", {"collection": collection}
            assert (
                http.put(f"/documents/{name}.md", content=body, params=where, headers=as_(name)).status_code == status
            )
        assert http.delete("/documents/secret.md", headers=as_("bob")).status_code == 404
        assert http.delete("/documents/gate.md", headers=as_("ada")).status_code == 403
        for headers in ({}, as_("guess"), {"Authorization": f"Basic {tokens['ada']}"}):
            assert http.get("/v1/models", headers=headers).status_code == 401
        assert http.get("/health").status_code == 200
        with pytest.raises(openai.AuthenticationError):
            ask(openai.OpenAI(base_url=f"{address}/v1", api_key="guess", max_retries=0))
        library.remove_person("bob")
        assert http.get("/documents", headers=as_("bob")).status_code == 401


def test_the_first_account_closes_the_door_at_once(tmp_path: Path) -> None:
    library = filled(tmp_path / "index")
    with served(make(library)) as (address, _):
        assert httpx.get(f"{address}/documents").status_code == 200
        library.add_person("ada", identity="ada@example.org")
        assert httpx.get(f"{address}/documents").status_code == 401


# --- limits and stopping ----------------------------------------------------------------------------------------------


def test_a_body_over_its_limit_is_refused_declared_or_not(tmp_path: Path) -> None:
    limits = Limits(largest_request=1000, largest_upload=3000)
    with served(make(filled(tmp_path / "index"), limits=limits)) as (address, _):

        def pieces(count: int) -> Iterator[bytes]:
            yield from [b"word " * 100] * count

        assert httpx.post(f"{address}/search", json={"text": "a" * 2000}).status_code == 413
        assert httpx.post(f"{address}/search", content=pieces(3), timeout=60).json()["error"]["code"] == "too_large"
        assert (
            httpx.put(f"{address}/documents/a.xyz", content=pieces(4), timeout=60).status_code == 422
        )  # taken in, and no text
        assert httpx.put(f"{address}/documents/a.txt", content=pieces(7), timeout=60).status_code == 413


def test_more_than_can_wait_are_told_to_come_again_and_nothing_begun_is_lost(tmp_path: Path) -> None:
    library = filled(tmp_path / "index")
    assert library._opened is not None
    library._opened.reader = reader = PatientReader()
    with served(make(library, limits=Limits(at_once=1, waiting=1))) as (address, server), ThreadPoolExecutor(2) as pool:
        made = openai.OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)
        whole = pool.submit(ask, made)
        assert reader.reading.wait(10)
        streamed = pool.submit(lambda: list(ask(made, stream=True)))
        refused = None
        while refused is None:  # until the second one waits, a third one is taken
            with contextlib.suppress(httpx.TimeoutException):
                refused = httpx.post(f"{address}/search", json={"text": "x"}, timeout=0.3)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "2"
        assert httpx.get(f"{address}/health").status_code == 200
        server.should_exit = True  # as SIGTERM does
        reader.go_on.set()
        answers = [whole.result().groundling, streamed.result()[-1].groundling]
    assert [answer["answer"] for answer in answers] == ["Twelve cars fit into the yard."] * 2


def test_who_waits_too_long_is_told_so_and_what_was_begun_is_audited(tmp_path: Path) -> None:
    library = filled(tmp_path / "index")
    assert library._opened is not None
    library._opened.reader = reader = PatientReader()
    with served(make(library, limits=Limits(patience_s=0.2))) as (address, _):
        made = openai.OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)
        with pytest.raises(openai.InternalServerError, match=r"within 0.2 s"):
            ask(made)
        with pytest.raises(openai.APIError, match=r"within 0.2 s"):
            list(ask(made, stream=True))
        reader.go_on.set()
    with small_library(tmp_path / "index") as again:
        assert sum(row["kind"] == "answer" for row in again.audit_rows()) == 2


def test_without_a_model_the_server_is_up_and_not_ready(tmp_path: Path) -> None:
    library = filled(tmp_path / "index")
    assert library._opened is not None
    library._opened.reader = None
    (library.settings.model / "config.json").unlink()
    with served(make(library)) as (address, _):
        assert httpx.get(f"{address}/health").json()["status"] == "ok"
        for refused in (
            httpx.get(f"{address}/ready"),
            httpx.post(f"{address}/v1/chat/completions", json={"model": "groundling", "stream": True, "messages": [{"role": "user", "content": "So?"}]}),
        ):  # fmt: skip
            assert refused.status_code == 503
            assert re.search("no model there|being loaded", refused.json()["error"]["message"])


def test_a_fault_of_ours_shows_nothing_of_the_inside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    library = filled(tmp_path / "index")
    assert library._opened is not None
    library._opened.reader = None  # type: ignore[assignment]

    class Broken(OverlapReader):
        def read(self, question: str, passages: Sequence[Passage]) -> Reading:
            raise ZeroDivisionError("secret path")

    library._opened.reader = Broken()
    with served(make(library)) as (address, _):
        body = {"model": "groundling", "messages": [{"role": "user", "content": QUESTION}]}
        failed = httpx.post(f"{address}/v1/chat/completions", json=body)
        assert failed.status_code == 500
        assert "secret" not in failed.text
        streamed = httpx.post(f"{address}/v1/chat/completions", json=body | {"stream": True})
        *_, last = [line for line in streamed.text.splitlines() if line]
        assert json.loads(last.removeprefix("data: "))["error"]["type"] == "server_error"
    assert "secret path" in caplog.text


def test_a_footer_is_taken_off_again(library: Library) -> None:
    answer = library.ask(QUESTION, history=[Message("So?", "Yes.")])
    assert footer.without(answer.text + footer.of(answer)) == answer.text
