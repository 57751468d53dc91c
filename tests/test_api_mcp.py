"""The door for assistants, through the official SDK's client over HTTP and stdio."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from rag import mcp as door
from rag.library import Library
from tests.miniature import put, small_library
from tests.serving import served

ROOT = Path(__file__).resolve().parent.parent
QUESTION = "How many cars fit into the yard?"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = small_library(tmp_path / "index")
    put(library._catalogue, "yard.md", "Twelve cars fit into the yard.", "The gate opens at seven. " * 2000)
    put(library._catalogue, "safe.md", "The safe stands behind the yard.", access=("ada",))
    return library


async def called(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


def told(result: Any) -> str:
    assert result.is_error
    return str(result.content[0].text)


def test_an_assistant_searches_asks_and_reads_over_http(library: Library) -> None:
    async def session(url: str) -> None:
        async with Client(f"{url}/mcp") as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert sorted(tools) == ["ask", "read", "search"]
            assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools.values())
            answer = await called(client, "ask", question=QUESTION)
            assert answer["answer"] == "Twelve cars fit into the yard."
            (cited,) = answer["citations"]
            page = await called(client, "read", document=cited["document"], version=cited["version"])
            assert page["text"][cited["start"] : cited["end"]] == cited["quote"]
            whole = page["text"]
            while page["next"] is not None:
                page = await called(client, "read", document="yard.md", start=page["next"])
                whole += page["text"]
            assert whole == library.document("yard.md").text
            hits = (await called(client, "search", text="the gate", k=1))["hits"]
            assert [hit["document"] for hit in hits] == ["yard.md"]

    with served(door.make(library).streamable_http_app()) as (url, _):
        asyncio.run(session(url))


def test_an_assistant_has_the_rights_of_its_person_and_is_told_what_is_wrong(library: Library) -> None:
    async def session(person: str) -> list[str]:
        async with Client(door.make(library, person=person)) as client:
            missing = told(await client.call_tool("read", {"document": "nothing.md"}))
            assert "nothing.md" in missing
            assert "k" in told(await client.call_tool("search", {"text": "x", "k": 0}))
            hits = (await called(client, "search", text="the safe behind the yard"))["hits"]
            return [hit["document"] for hit in hits]

    assert "safe.md" in asyncio.run(session("ada"))
    assert "safe.md" not in asyncio.run(session("bob"))


@pytest.mark.slow
def test_an_assistant_starts_the_command_and_speaks_over_stdio(shared_library: Library, untrained_reader: Path) -> None:
    command = StdioServerParameters(
        command=str(Path(sys.executable).with_name("rag")),
        args=["mcp", "--index", str(shared_library.path), "--model", str(untrained_reader)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"},
    )

    async def session() -> None:
        async with Client(command, read_timeout_seconds=120) as client:
            hits = (await called(client, "search", text="How many days of annual leave?", k=2))["hits"]
            assert hits[0]["document"] == "leave.md"
            answer = await called(client, "ask", question="How many days of annual leave do I have?")
            assert answer["citations"]

    asyncio.run(session())
