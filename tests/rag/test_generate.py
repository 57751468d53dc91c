"""Who gives the words: our rules, or an outside model behind a real local server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rag.config import Endpoint
from rag.errors import EndpointError
from rag.generate import EndpointSpeaker, Footnotes, SpanSpeaker, open_speaker, stretches, whole
from rag.types import Passage, Span

LEAVE = "Full-time employees accrue 15 days of paid vacation per year. Ask your manager."
SICK = "Sick leave is 10 days. It needs a note."
PASSAGES = [
    Passage(1, 1, "leave.md", 1, 0, len(LEAVE), LEAVE, None),
    Passage(2, 2, "sick.md", 1, 0, len(SICK), SICK, None),
]


def span(passage: int, words: str, score: float) -> Span:
    start = PASSAGES[passage].text.index(words)
    return Span(passage, start, start + len(words), score)


def test_the_best_span_gives_the_words_and_close_ones_of_other_passages_stand_beside() -> None:
    spoken = SpanSpeaker().compose("How many days?", [span(0, "15 days", 0.9), span(1, "10 days", 0.8)], PASSAGES)
    assert spoken.words == "Full-time employees accrue 15 days of paid vacation per year."
    quoted = [PASSAGES[q.passage].text[q.start : q.end] for q in spoken.quotations]
    assert quoted == ["Full-time employees accrue 15 days of paid vacation per year.", "Sick leave is 10 days."]


def test_a_span_far_behind_the_best_is_not_cited() -> None:
    spoken = SpanSpeaker().compose("How many days?", [span(0, "15 days", 0.9), span(1, "10 days", 0.2)], PASSAGES)
    assert [q.passage for q in spoken.quotations] == [0]


def test_empty_spans_are_passed_over() -> None:
    spoken = SpanSpeaker().compose("How many days?", [Span(0, 5, 5, 0.9), span(1, "10 days", 0.8)], PASSAGES)
    assert spoken.words == "Sick leave is 10 days."
    assert SpanSpeaker().compose("How many?", [], PASSAGES).words == ""


def test_where_two_spans_are_about_equally_likely_both_are_said_and_quoted() -> None:
    spans = [span(0, "15 days", 0.9), span(1, "10 days", 0.1)]
    spoken = SpanSpeaker().compose("How many days?", spans, PASSAGES, shares=[0.5, 0.3])
    assert spoken.words == "Full-time employees accrue 15 days of paid vacation per year.\nSick leave is 10 days."
    assert spoken.said == 2
    assert [q.passage for q in spoken.quotations] == [0, 1]
    clear = SpanSpeaker().compose("How many days?", spans, PASSAGES, shares=[0.7, 0.2])
    assert (clear.words.count("\n"), clear.said, len(clear.quotations)) == (0, 1, 1)


def test_two_sentences_of_one_passage_may_both_be_said() -> None:
    spans = [span(1, "10 days", 0.9), span(1, "a note", 0.9)]
    spoken = SpanSpeaker().compose("What about sick leave?", spans, PASSAGES, shares=[0.4, 0.4])
    assert spoken.said == len(spoken.quotations) == 2
    assert [SICK[q.start : q.end] for q in spoken.quotations] == ["Sick leave is 10 days.", "It needs a note."]


def test_a_yes_or_no_is_never_followed_by_a_second_answer() -> None:
    spans = [span(0, "15 days", 0.9), span(1, "10 days", 0.9)]
    spoken = SpanSpeaker().compose("Can I take 15 days?", spans, PASSAGES, shares=[0.5, 0.5])
    assert spoken.said == 1
    assert len(spoken.quotations) == 2


def test_stretches_join_to_the_words() -> None:
    for words in ("One. Two! Three?", "You need:\n- a\n- b", "", "no end", "A.\n\nB."):
        assert "".join(stretches(words)) == words
    assert stretches("One. Two!") == ["One. ", "Two!"]
    speaker = SpanSpeaker()
    assert "".join(speaker.say("How?", [span(0, "15 days", 0.9)], PASSAGES)) == LEAVE.split(" Ask")[0]


def test_pieces_of_a_stream_become_whole_sentences() -> None:
    assert list(whole(iter(["On", "e. T", "wo! Thr", "ee", ""]))) == ["One. ", "Two! ", "Three"]
    assert list(whole(iter([]))) == []


# --- an outside model -------------------------------------------------------------------------------------------------

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
        (plain(200, 'data: {"error": {"message": "out of memory"}}\n\n'), "gave up: out of memory"),
    ],
)
def test_errors_of_the_server_are_told_with_their_reason(server: Server, answering: Answering, message: str) -> None:
    server.answering = answering
    with pytest.raises(EndpointError, match=message):
        list(EndpointSpeaker(url(server), "m", timeout=5).say("Q?", [], PASSAGES))


def test_a_silent_server_is_given_up(server: Server) -> None:
    released = threading.Event()
    server.answering = lambda _: released.wait(10) and None
    try:
        with pytest.raises(EndpointError, match=r"silent for 0\.2 s"):
            list(EndpointSpeaker(url(server), "m", timeout=0.2).say("Q?", [], PASSAGES))
    finally:
        released.set()


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
    assert open_speaker(Endpoint()) is None
    speaker = open_speaker(Endpoint(url="http://h/v1/", model="m", key="k", timeout=3))  # type: ignore[arg-type]
    assert speaker == EndpointSpeaker("http://h/v1", "m", "k", 3)
    assert speaker is not None
    assert "k" not in speaker.name.split()
