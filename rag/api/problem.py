"""What is answered when something cannot be done: one shape for every error, the one that OpenAI's clients read.

    {"error": {"message": "...", "type": "invalid_request_error", "param": "messages", "code": "invalid_value"}}

Takes   `Problem` raised by a route, the errors of `rag/errors.py`, a request that does not fit its schema.
Gives   a status and that object. `message` names the value, the rule and the next step.
Hides   what went wrong inside: a fault of ours is logged with its traceback, the client learns only that it happened.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from rag import errors

log = logging.getLogger("groundling.api")

# The first that fits: a child stands before its parent.
STATUS = (
    (errors.NotFound, 404, "not_found"),
    (errors.NotAllowed, 403, "not_allowed"),
    (errors.SettingsError, 400, "invalid_value"),
    (errors.LoadError, 422, "unreadable_file"),
    (errors.MissingExtra, 501, "not_installed"),
    (errors.ModelError, 503, "no_model"),
    (errors.IndexDamaged, 503, "index_not_available"),
    (errors.EndpointError, 502, "outside_model_failed"),
    (errors.GroundlingError, 500, "internal_error"),
)
CODES = {401: "unknown_token", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


class Fault(BaseModel):
    """What happened."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class FaultBody(BaseModel):
    """The body of every answer that is not a success."""

    error: Fault


DOCUMENTED: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": FaultBody, "description": "The request cannot be served; `message` says why and what to do."},
    "5XX": {"model": FaultBody, "description": "The server cannot serve it now."},
}


class Problem(Exception):  # noqa: N818 - as rag/errors.py names its own
    """A request that a route refuses."""

    def __init__(self, status: int, message: str, *, code: str, param: str | None = None, retry_s: int = 0) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param
        self.headers = {"Retry-After": str(retry_s)} if retry_s else {}


def told(error: Exception) -> Problem:
    """Any error as a problem."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, errors.TooMany):
        return Problem(429, str(error), code="too_many_questions", retry_s=error.wait_s)
    for kind, status, code in STATUS:
        if isinstance(error, kind):
            return Problem(status, str(error), code=code)
    log.error("a request failed", exc_info=error)
    return Problem(500, "The server failed; its log says where. Asking again may help.", code="internal_error")


def body(problem: Problem) -> dict[str, Any]:
    """The object that goes to the client, also in the middle of a stream."""
    kind = "server_error" if problem.status >= 500 else "invalid_request_error"
    kind = "rate_limit_error" if problem.status == 429 else kind
    return {"error": {"message": str(problem), "type": kind, "param": problem.param, "code": problem.code}}


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The whole response."""
    return JSONResponse(body(problem), problem.status, headers={**problem.headers, **(headers or {})})


def install(app: FastAPI) -> None:
    """Every error of the app is answered in this shape."""

    async def ours(_: Request, error: Exception) -> JSONResponse:
        return answer(told(error))

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code = CODES.get(error.status_code, "invalid_request")
        headers = {**(error.headers or {}), **(_allowed(request) if error.status_code == 405 else {})}
        return answer(Problem(error.status_code, str(error.detail), code=code), headers)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return answer(_misfit(error.errors()[0]))

    for kind in (Problem, errors.GroundlingError, Exception):
        app.add_exception_handler(kind, ours)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)


def _allowed(request: Request) -> dict[str, str]:
    """All methods that a path knows; the router names those of its first route."""
    known: set[str] = set()
    for path, methods in request.app.openapi()["paths"].items():
        if compile_path(_with_slashes(path))[0].match(request.url.path):
            known.update(method.upper() for method in methods)
    return {"Allow": ", ".join(sorted(known))}


def _with_slashes(path: str) -> str:
    """OpenAPI cannot say that a name may hold slashes; names of documents and models, which end their path, may."""
    return path.replace("{name}", "{name:path}").replace("{model}", "{model:path}")


def _misfit(row: Mapping[str, Any]) -> Problem:
    """The first thing that does not fit the schema, in a sentence."""
    place = [str(part) for part in row["loc"] if part not in ("body", "query", "path")]
    name = ".".join(place) or "the body"
    if row["type"] == "extra_forbidden":
        message = f"{name}: no such field. docs/api.md lists those that are known"
        return Problem(400, message, code="unknown_parameter", param=name)
    if row["type"] == "json_invalid":
        return Problem(400, f"the body is not valid JSON: {row['ctx']['error']}", code="invalid_json")
    rule = str(row["msg"]).removeprefix("Value error, ")
    return Problem(400, f"{name}: {rule[:1].lower()}{rule[1:]}", code="invalid_value", param=name)
