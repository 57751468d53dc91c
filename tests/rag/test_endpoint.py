"""An outside model behind a real local server: whatever that does, an answer comes within its time."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rag.config import Endpoint, Generation, Settings
from rag.endpoint import EndpointSpeaker, Footnotes, open_endpoint, try_out
from rag.errors import EndpointError, SettingsError
from rag.speak import open_speaker
from rag.types import Passage
from tests.miniature import small_library

LEAVE = "Full-time employees accrue 15 days of paid vacation per year. Ask your manager."
SICK = "Sick leave is 10 days. It needs a note."
PASSAGES = [
    Passage(1, 1, "leave.md", 1, 0, len(LEAVE), LEAVE, None),
    Passage(2, 2, "sick.md", 1, 0, len(SICK), SICK, None),
]

Answering = Callable[[BaseHTTPRequestHandler], None]


class Server(ThreadingHTTPServer):
    """A local server that speaks the protocol of chat completions; each test says how it answers."""

    answering: Answering
    requests: list[tuple[str, dict[str, str], dict[str, Any]]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, dict(self.headers), body))
        self.server.answering(self)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.requests = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/v1"


def streaming(*pieces: str, end: bool = True) -> Answering:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        handler.wfile.write(b": keep-alive\n\n")
        for piece in pieces:
            event = {"choices": [{"index": 0, "delta": {"content": piece}}]}
            handler.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        if end:
            handler.wfile.write(b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n')

    return answer


def plain(status: int, body: str) -> Answering:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.end_headers()
        handler.wfile.write(body.encode())

    return answer


def test_an_outside_model_is_asked_with_our_passages_and_streams(server: Server) -> None:
    server.answering = streaming("You get ", "15 days [1].")
    speaker = EndpointSpeaker(url(server), "some-model", "secret", timeout=5)
    assert list(speaker.say("How many days?", [], PASSAGES)) == ["You get ", "15 days [1]."]
    path, headers, body = server.requests[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret"
    assert (body["model"], body["stream"], body["temperature"]) == ("some-model", True, 0.0)
    assert LEAVE in body["messages"][-1]["content"]
    assert body["messages"][-1]["content"].endswith("Question: How many days?")


def test_no_key_sends_no_authorization(server: Server) -> None:
    server.answering = streaming("Yes.")
    list(EndpointSpeaker(url(server), "m", timeout=5).say("Q?", [], PASSAGES))
    assert "Authorization" not in server.requests[0][1]


def test_a_server_that_does_not_stream_is_understood(server: Server) -> None:
    server.answering = plain(200, json.dumps({"choices": [{"message": {"content": "15 days [1]."}}]}))
    assert list(EndpointSpeaker(url(server), "m", timeout=5).say("Q?", [], PASSAGES)) == ["15 days [1]."]


@pytest.mark.parametrize(
    ("answering", "message"),
    [
        (plain(404, '{"error": {"message": "no such model"}}'), "answered 404: no such model"),
        (plain(500, "<html>Oops</html>"), "answered 500: Oops"),
        (plain(200, "<html>a login page</html>"), "Is the address that of the API"),
        (plain(200, "[1, 2]"), "Is the address that of the API"),
        (streaming(), "without words"),
        (streaming("You get 15", end=False), "broke off"),
        (plain(200, ""), "without words"),
        (plain(200, '{"choices": [{"message": {"content": ["parts"]}}]}'), "no chat completion"),
        (plain(200, '{"choices": [{"message": {"content": "You ge"}, "finish_reason": "length"}]}'), "limit of length"),
        (plain(200, 'data: {"choices": [{"delta": {"content": "You"}\n\n'), "no chat completion"),
        (plain(200, "[" * 100_000), "no chat completion|no chat"),
        (plain(200, "x" * 200_000), "no chat completion"),
        (plain(401, '{"error": {"message": "wrong key secret"}}'), "answered 401: wrong key …"),
        (plain(200, 'data: {"error": {"message": "out of memory"}}\n\n'), "gave up: out of memory"),
    ],
)
def test_errors_of_the_server_are_told_with_their_reason(server: Server, answering: Answering, message: str) -> None:
    server.answering = answering
    with pytest.raises(EndpointError, match=message):
        list(EndpointSpeaker(url(server), "m", "secret", timeout=5).say("Q?", [], PASSAGES))


def test_a_silent_server_is_given_up(server: Server) -> None:
    released = threading.Event()
    server.answering = lambda _: released.wait(10) and None
    try:
        with pytest.raises(EndpointError, match=r"silent for 0\.2 s"):
            list(EndpointSpeaker(url(server), "m", timeout=0.2).say("Q?", [], PASSAGES))
    finally:
        released.set()


def test_a_pretty_printed_answer_is_understood(server: Server) -> None:
    body = json.dumps({"choices": [{"message": {"content": "15 days."}, "finish_reason": "stop"}]}, indent=2)
    server.answering = plain(200, body)
    assert list(EndpointSpeaker(url(server), "m", timeout=5).say("Q?", [], PASSAGES)) == ["15 days."]


def test_a_server_that_drips_for_ever_is_given_up_after_the_whole_time(server: Server) -> None:
    left = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not left.wait(0.02):
            handler.wfile.write(b":")  # never silent, and never a word

    server.answering = drip
    began = time.monotonic()
    try:
        with pytest.raises(EndpointError, match=r"not done after 0\.3 s"):
            list(EndpointSpeaker(url(server), "m", timeout=5, longest=0.3).say("Q?", [], PASSAGES))
        assert time.monotonic() - began < 4
    finally:
        left.set()


@contextmanager
def raw(*sent: bytes) -> Iterator[str]:
    """A server below HTTP: it takes one request, sends these bytes and hangs up."""

    def serve() -> None:
        with closing(listening), closing(listening.accept()[0]) as connection:
            connection.recv(1 << 20)
            for part in sent:
                connection.sendall(part)

    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    thread.join()


def test_a_connection_that_is_cut_in_the_middle_is_told() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    event = b'data: {"choices": [{"delta": {"content": "You get 15"}}]}\n\n'
    with raw(head, b"%x\r\n%s\r\n" % (len(event), event)) as address:
        spoken = EndpointSpeaker(address, "m", timeout=5).say("Q?", [], PASSAGES)
        assert next(spoken) == "You get 15"
        with pytest.raises(EndpointError, match="broke off"):
            list(spoken)


def test_what_is_no_http_at_all_is_told_with_the_address() -> None:
    with raw(b"SSH-2.0-OpenSSH\r\n") as address, pytest.raises(EndpointError, match="cannot be reached"):
        list(EndpointSpeaker(address, "m", timeout=5).say("Q?", [], PASSAGES))


def test_a_key_that_no_header_can_hold_is_not_shown(server: Server) -> None:
    with pytest.raises(EndpointError) as raised:
        list(EndpointSpeaker(url(server), "m", "sk-geheim\n", timeout=5).say("Q?", [], PASSAGES))
    assert "geheim" not in str(raised.value)


def test_how_words_are_chosen_is_sent_where_it_is_not_greedy(server: Server) -> None:
    server.answering = streaming("Yes.")
    drawn = Generation(temperature=0.7, top_p=0.9, seed=3)
    list(EndpointSpeaker(url(server), "m", timeout=5, generation=drawn).say("Q?", [], PASSAGES))
    list(EndpointSpeaker(url(server), "m", timeout=5).say("Q?", [], PASSAGES))
    sent, greedy = (body for _, _, body in server.requests)
    assert (sent["temperature"], sent["top_p"], sent["seed"]) == (0.7, 0.9, 3)
    assert greedy["temperature"] == 0.0
    assert not {"top_p", "seed"} & set(greedy)


def test_a_server_that_is_not_there_is_told_with_its_address(server: Server) -> None:
    gone = url(server).replace(str(server.server_port), "1")
    with pytest.raises(EndpointError, match="cannot be reached"):
        list(EndpointSpeaker(gone, "m", timeout=5).say("Q?", [], PASSAGES))


def test_marks_become_the_numbers_of_quotations() -> None:
    footnotes = Footnotes(PASSAGES)
    assert footnotes.renumber("Sick leave is 10 days [2]. ") == "Sick leave is 10 days [1]. "
    assert footnotes.renumber("Employees accrue 15 days [1][2].") == "Employees accrue 15 days [2][1]."
    assert footnotes.renumber("Nonsense [7], unlike anything [1].") == "Nonsense, unlike anything."
    quoted = [PASSAGES[q.passage].text[q.start : q.end] for q in footnotes.quotations]
    assert quoted == ["Sick leave is 10 days.", LEAVE.split(" Ask")[0]]


def test_settings_name_the_speaker() -> None:
    assert open_speaker(Settings()) is None
    endpoint = Endpoint(url="http://h/v1/", model="m", key="k", timeout=3)  # type: ignore[arg-type]
    speaker = open_speaker(Settings(endpoint=endpoint))
    assert speaker == EndpointSpeaker("http://h/v1", "m", "k", 3)
    assert speaker is not None
    assert "k" not in speaker.name.split()
    assert open_speaker(Settings(endpoint=endpoint, speaker="span")) is None
    with pytest.raises(SettingsError, match="no address given"):
        open_speaker(Settings(speaker="endpoint"))


def test_an_endpoint_is_tried_out_with_one_small_question(server: Server) -> None:
    server.answering = streaming("At nine ", "[1].")
    assert try_out(Endpoint(url=url(server), model="m")) == "At nine [1]."
    with pytest.raises(EndpointError, match="no address"):
        open_endpoint(Endpoint(), Generation())


QUESTION = "How many days of annual leave do full-time employees have?"


@pytest.mark.parametrize(
    "answering", [plain(503, "busy"), streaming("You get 99 days.", end=False), plain(200, "{"), streaming()]
)
def test_a_failing_server_costs_a_notice_and_our_own_words_answer(
    server: Server, answering: Answering, tmp_path: Path
) -> None:
    server.answering = answering
    (tmp_path / "leave.md").write_text("Full-time employees have 27 days of annual leave.\n", "utf-8")
    with small_library(tmp_path / "index", endpoint={"url": url(server), "model": "m"}) as library:
        library.add(tmp_path / "leave.md")
        given = library.ask(QUESTION)
        assert "27 days" in given.text
        assert "99" not in given.text
        assert "so our own model answered" in given.notices[0]
        assert [cited.quote for cited in given.citations] == ["Full-time employees have 27 days of annual leave."]
        kept = library.audited(given.answer_id)
        assert kept["speaker"].startswith("span")
        assert kept["settings"]["generation"] == {"temperature": 0.0, "top_p": 1.0, "seed": 0}


def test_an_outside_answer_is_quoted_marked_and_audited_with_its_speaker(server: Server, tmp_path: Path) -> None:
    server.answering = streaming("Full-time staff have 27 days ", "of annual leave [1]. Interns have 40 days.")
    (tmp_path / "leave.md").write_text("Full-time employees have 27 days of annual leave.\n", "utf-8")
    with small_library(tmp_path / "index", endpoint={"url": url(server), "model": "m"}) as library:
        library.add(tmp_path / "leave.md")
        given = library.ask(QUESTION)
        assert (
            given.text == "Full-time staff have 27 days of annual leave [1]. Interns have 40 days. [not in the sources]"
        )
        assert [cited.quote for cited in given.citations] == ["Full-time employees have 27 days of annual leave."]
        assert library.audited(given.answer_id)["speaker"] == f"m at {url(server)}"


@pytest.mark.slow  # the server of the product itself takes a second to start
def test_rag_serve_is_an_endpoint_like_any_other(tmp_path: Path) -> None:
    from rag.api import make
    from tests.serving import served

    (tmp_path / "leave.md").write_text("Full-time employees have 27 days of annual leave.\n", "utf-8")
    with small_library(tmp_path / "peer", strictness=0.0) as peer:
        peer.add(tmp_path / "leave.md")
        with served(make(peer)) as (address, _):
            speaker = EndpointSpeaker(f"{address}/v1", "groundling", timeout=20)
            assert "27 days" in "".join(speaker.say(QUESTION, [], PASSAGES))
