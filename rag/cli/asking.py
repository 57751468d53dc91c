"""Commands that ask: ask, chat, search, replay.

Takes   a question, and who asks.
Gives   the answer as it is spoken, then its quotations as `[1] document p. N`; with `--json` the contract's object.
Codes   a refusal is an answer: the exit code is 0.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated

import typer

from rag.cli.options import Collection, Index, Json, Model, Person, Strictness, as_json, library, place
from rag.library import Library
from rag.types import Answer, Citation, Done, Message, Searching, Text

Question = Annotated[str, typer.Argument(metavar="QUESTION", help="In quotation marks.")]


def ask(
    question: Question,
    collection: Collection = None,
    person: Person = None,
    model: Model = None,
    strictness: Strictness = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """Answer one question from the documents, with the exact words it rests on."""
    with library(index, model=model, strictness=strictness) as opened:
        if json:
            as_json(opened.ask(question, collection=collection, person=person).as_dict())
        else:
            _speak(opened, question, collection=collection, person=person)


def chat(
    collection: Collection = None,
    person: Person = None,
    model: Model = None,
    strictness: Strictness = None,
    index: Index = None,
    edit: Annotated[
        bool, typer.Option("--edit", help="Show how each follow-up is understood, to be changed before it is searched.")
    ] = False,
) -> None:
    """Ask in turns. A follow-up may lean on what was said before; leave with an empty line or Ctrl-D.

    "Remember that I work in Lisbon" is remembered, "Forget that ..." erased, "What do you remember about me?" listed.
    """
    with contextlib.suppress(
        ImportError
    ):  # the import alone gives `input` its line editing; Windows has no such module
        import readline  # noqa: F401
    history: list[Message] = []
    with library(index, model=model, strictness=strictness) as opened:
        for example in opened.starters(collection=collection, person=person) if sys.stdin.isatty() else ():
            typer.echo(f"  for example: {example}")
        while question := _next_question():
            if told := opened.heed(question, person=person):
                typer.echo(told + "\n")
                continue
            standalone = _understood(opened, question, history) if edit else None
            answer = _speak(opened, question, history, collection=collection, person=person, standalone=standalone)
            history.append(Message(question, answer.text))
            typer.echo()


def _next_question() -> str:
    """The next line a person types; empty at the end."""
    try:
        return input("? " if sys.stdin.isatty() else "").strip()
    except (EOFError, KeyboardInterrupt):
        typer.echo()
        return ""


def _understood(opened: Library, question: str, history: list[Message]) -> str | None:
    """The follow-up as it stands alone, once the person has changed it or left it; None for a full question."""
    rewritten = opened.rewritten(question, history)
    if rewritten == question:
        return None
    with contextlib.suppress(ImportError):  # Windows: what is typed takes its place, an empty line keeps it
        import readline

        readline.set_startup_hook(lambda: readline.insert_text(rewritten))
    try:
        if not sys.stdin.isatty():
            typer.echo(f"(understood as: {rewritten})")
        return input("understood as (Enter keeps it): " if sys.stdin.isatty() else "").strip() or rewritten
    except EOFError:
        return rewritten
    finally:
        with contextlib.suppress(ImportError):
            import readline

            readline.set_startup_hook()


def _speak(
    opened: Library,
    question: str,
    history: list[Message] | None = None,
    *,
    collection: str | None,
    person: str | None,
    standalone: str | None = None,
) -> Answer:
    """Print an answer while it comes, then its quotations or, for a refusal, what was nearest."""
    answer = None
    for event in opened.stream(
        question, history=history or (), collection=collection, person=person, standalone=standalone
    ):
        if isinstance(event, Searching):
            if event.question != question:
                typer.echo(f"(searching: {event.question})")
            for fact in event.remembered:
                typer.echo(f"(remembered: {fact})")
        elif isinstance(event, Text):
            typer.echo(event.text, nl=False)
            sys.stdout.flush()
        elif isinstance(event, Done):
            answer = event.answer
    assert answer is not None, "an answer's events end with Done"
    typer.echo()
    for number, citation in enumerate(answer.citations, start=1):
        _quote(f"[{number}]", citation)
    if answer.abstained:
        if answer.reason:
            typer.echo(answer.reason)
        for citation in answer.nearest:
            _quote("nearest:", citation)
    for notice in answer.notices:
        typer.echo(f"note: {notice}", err=True)
    return answer


def _quote(mark: str, citation: Citation) -> None:
    typer.echo(f"\n{mark} {place(citation.document, citation.page, citation.time)}")
    for line in citation.quote.splitlines():
        typer.echo(f"    {line}")


def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Words or a question.")],
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="At most so many passages.")] = 10,
    collection: Collection = None,
    person: Person = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """Find passages, best first, without answering."""
    with library(index) as opened:
        hits = opened.search(text, k, collection=collection, person=person)
    if json:
        keys = ("document", "version", "page", "start", "end", "text", "score")
        as_json({
            "hits": [
                {key: getattr(hit, key) for key in keys}
                | ({"time": hit.time} if hit.time else {})
                | {"passage": hit.passage.id, "headings": hit.passage.headings, "collection": hit.passage.collection}
                for hit in hits
            ]
        })  # fmt: skip
        return
    for hit in hits:
        typer.echo(f"{hit.score:.2f}  {place(hit.document, hit.page, hit.time)}  {' > '.join(hit.passage.headings)}")
        for line in hit.text.splitlines():
            typer.echo(f"      {line}")
    if not hits:
        typer.echo("Nothing found.")


COMMANDS = (ask, chat, search)
