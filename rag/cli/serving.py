"""The command that serves the pages: app.

Takes   a port; the library's folder goes to the pages as GROUNDLING_INDEX.
Gives   Streamlit in a child process that ends with this one; the address as the last line once it answers.
Refuses a port that is taken, before anything starts.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from rag.cli.options import Index, Model, Strictness
from rag.config import PREFIX, Settings, shipped
from rag.errors import SettingsError, need

START_S = 90  # a cold disk reads Streamlit and torch for half a minute
POLL_S = 0.1


def app(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the pages are served.")] = 8501,
    address: Annotated[
        str, typer.Option(help="0.0.0.0 opens them to the network; see SECURITY.md first.")
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
    _refuse_taken(address, port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` below ends the child too
    child = subprocess.Popen(_command(script, address, port), env=_environment(settings))
    try:
        _wait_until_it_answers(child, port)
        typer.echo(f"\n  Groundling is at http://localhost:{port}  (Ctrl-C ends it)")
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


def _refuse_taken(address: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind((address, port))
        except OSError as error:
            raise SettingsError(
                f"port {port} on {address} cannot be used ({error.strerror}). "
                f"Stop the program that holds it, or choose another: rag app --port {port + 1}"
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


COMMANDS = (app,)
