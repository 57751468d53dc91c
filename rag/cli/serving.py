"""Commands that serve: app (pages for a browser), serve (HTTP for programs), mcp (tools for assistants).

Takes   a port; for `app`, the library's folder goes to the pages as GROUNDLING_INDEX.
Gives   the address as a line once it answers, and who may use it. `app` runs Streamlit in a child process that ends
        with this one; `serve` and `mcp` run here until Ctrl-C or SIGTERM, and finish what they have begun.
First   start for other machines (`--address`): a library without accounts gets an administrator, whose password is
        printed once. On this machine alone nobody signs in, unless the library has accounts.
Refuses a port that is taken, before anything starts; `serve` and `mcp` where nobody could say who is asking.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from rag.cli.options import Index, Model, Person, Strictness, library
from rag.config import PREFIX, Settings, shipped
from rag.errors import SettingsError, need
from rag.library import open as open_library

START_S = 90  # a cold disk reads Streamlit and torch for half a minute
POLL_S = 0.1
LOCALHOST = "localhost"
LOCAL = ("localhost", "127.0.0.1", "::1")
OWN = "No accounts: whoever uses this computer is the library's owner. `rag user add NAME` makes people sign in."


def app(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the pages are served.")] = 8501,
    address: Annotated[
        str, typer.Option(help="0.0.0.0 opens them to the network, for people who sign in; see docs/rights.md.")
    ] = "localhost",
    model: Model = None,
    strictness: Strictness = None,
    index: Index = None,
) -> None:
    """Serve the chat and its pages for a browser, until Ctrl-C."""
    settings = Settings(index=index, model=model, strictness=strictness)
    script = shipped("app.py")
    if not script.is_file():
        raise SettingsError(f"{script}: the pages are not there. Install the wheel, or run this in a checkout")
    need("streamlit", extra="app", task="rag app")
    _refuse_taken(address, port, "app")
    accounts = _accounts(settings, address)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` below ends the child too
    child = subprocess.Popen(_command(script, address, port), env=_environment(settings))
    try:
        _wait_until_it_answers(child, port)
        typer.echo(f"\n  Groundling is at http://localhost:{port}  (Ctrl-C ends it)")
        if not accounts:
            typer.echo(f"  {OWN}")
        sys.stdout.flush()
        code = child.wait()
    except KeyboardInterrupt:
        code = 0
    finally:
        child.terminate()
        child.wait()
    raise typer.Exit(code)


def _command(script: Path, address: str, port: int) -> list[str]:
    """Streamlit's options on the command line: its configuration file is looked for in the working folder only."""
    options = {
        "server.port": port, "server.address": address, "server.headless": "true", "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false", "client.toolbarMode": "minimal",
    }  # fmt: skip
    return [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(script),
        *(f"--{name}={value}" for name, value in options.items()),
    ]


def _environment(settings: Settings) -> dict[str, str]:
    """What was given on our command line, for the process that draws the pages."""
    given = {"INDEX": settings.index.resolve(), "MODEL": settings.model.resolve(), "STRICTNESS": settings.strictness}
    if settings.query_side is not None:
        given["QUERY_SIDE"] = settings.query_side.resolve() if settings.query_side.is_dir() else settings.query_side
    return os.environ | {PREFIX + name: str(value) for name, value in given.items()}


def _refuse_taken(address: str, port: int, command: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind((address, port))
        except OSError as error:
            raise SettingsError(
                f"port {port} on {address} cannot be used ({error.strerror}). "
                f"Stop the program that holds it, or choose another: rag {command} --port {port + 1}"
            ) from error


def _wait_until_it_answers(child: subprocess.Popen[bytes], port: int) -> None:
    import httpx  # a tenth of a second that no other command has to pay

    deadline = time.monotonic() + START_S
    while child.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/_stcore/health", timeout=1, trust_env=False).is_success:
                return
        except httpx.HTTPError:
            pass  # not listening yet
        time.sleep(POLL_S)
    if child.poll() is None:
        raise SettingsError(f"the pages did not answer on port {port} within {START_S} s. Its messages stand above")
    raise SettingsError(f"Streamlit ended at once (code {child.returncode}). Its messages stand above")


# --- for programs -----------------------------------------------------------------------------------------------------


def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where programs reach it.")] = 8000,
    address: Annotated[str, typer.Option(help="Of a library without accounts, this machine only.")] = LOCALHOST,
    at_once: Annotated[int, typer.Option(min=1, max=64, help="Answers made at the same time.")] = 4,
    waiting: Annotated[
        int, typer.Option(min=0, max=1000, help="Requests that wait; more are told to come again.")
    ] = 16,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that a request waits for its answer.")] = 120.0,
    largest_upload: Annotated[int, typer.Option(min=1, max=2048, help="MiB of a document.")] = 64,
    model: Model = None,
    strictness: Strictness = None,
    index: Index = None,
) -> None:
    """Serve OpenAI's API and our own over HTTP, until Ctrl-C. What has begun is answered before it ends."""
    need("fastapi", extra="serve", task="rag serve")
    uvicorn = need("uvicorn", extra="serve", task="rag serve")
    if not (Settings(index=index).index / "catalogue.db").is_file():
        _refuse_strangers(address)  # before a library is made, which would have no accounts
    _refuse_taken(address, port, "serve")
    from rag import api  # FastAPI takes half a second, which no other command has to pay
    from rag.api.guard import MIB

    opened = library(index, model=model, strictness=strictness, existing=False)
    if not opened.accounts():
        _refuse_strangers(address)
    limits = api.Limits(at_once, waiting, timeout, largest_upload=largest_upload * MIB)
    config = uvicorn.Config(
        api.make(opened, limits=limits),
        host=address,
        port=port,
        log_level="warning",
        server_header=False,
        lifespan="on",
    )
    _until_stopped(uvicorn.Server(config), f"\n  OpenAI's API is at http://localhost:{port}/v1  (Ctrl-C ends it)")


def mcp(
    http: Annotated[bool, typer.Option("--http", help="Over HTTP instead of stdin and stdout.")] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="With --http: where.")] = 8765,
    person: Person = None,
    model: Model = None,
    strictness: Strictness = None,
    index: Index = None,
) -> None:
    """Serve search, ask and read to an assistant by the Model Context Protocol, over stdin and stdout."""
    need("mcp", extra="mcp", task="rag mcp")
    if http:
        _refuse_taken(LOCALHOST, port, "mcp --http")
    from rag import mcp as door

    with library(index, model=model, strictness=strictness) as opened:
        if http and person is None and opened.accounts():
            raise SettingsError("this library has accounts: say whose rights count, with --person NAME")
        server = door.make(opened, person=person)
        if not http:
            server.run("stdio")
            return
        import uvicorn  # comes with the SDK

        app = server.streamable_http_app(host=LOCALHOST)
        config = uvicorn.Config(app, host=LOCALHOST, port=port, log_level="warning", server_header=False)
        _until_stopped(uvicorn.Server(config), f"\n  MCP is at http://localhost:{port}/mcp  (Ctrl-C ends it)")


def _until_stopped(server: Any, line: str) -> None:
    """Run a uvicorn server; the first Ctrl-C or SIGTERM lets it finish, and is no failure."""

    async def run() -> None:
        serving = asyncio.create_task(server.serve())
        while not server.started and not serving.done():
            await asyncio.sleep(POLL_S)
        if server.started:
            typer.echo(line)
            sys.stdout.flush()
        await serving

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises the signal again when it has finished
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())


def _accounts(settings: Settings, address: str) -> bool:
    """Has the library accounts? For other machines than this one it gets its first, and its password is told here."""
    with open_library(settings.index, settings) as opened:
        if opened.accounts() or address in LOCAL:
            return opened.accounts()
        made = opened.set_up()
        if made:
            first, password = made
            typer.echo(
                f"Other machines can reach these pages, so people sign in from now on. The first administrator:\n"
                f"  name      {first.name}\n  password  {password}\n"
                "The password is shown this once and changed at the first sign-in. `rag user` makes further people."
            )
        return True


def _refuse_strangers(address: str) -> None:
    if address not in LOCAL:
        raise SettingsError(
            f"--address {address}: without accounts everybody who reaches the server would be its owner, so it serves "
            "this machine only. Leave --address out, or make an account (rag user add NAME) and tokens for programs "
            "(rag user token make NAME)"
        )


COMMANDS = (app, serve, mcp)
