"""Commands about judgements: rate, compare, judgements list/show/edit/withdraw/review, export.

Takes   ids of answers as `rag ask --json` prints them, ids of judgements as `rag judgements list` does.
Gives   stored judgements, the reviewers' queue, and what leaves the library: JSONL, or a bundle for training.
"""

from __future__ import annotations

import json as jsonlib
import random
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from rag.cli.options import (
    AnswerId,
    Collection,
    Index,
    Json,
    Model,
    Person,
    Strictness,
    as_json,
    library,
    place,
    table,
)
from rag.errors import SettingsError
from rag.library import REASONS, STATES

JudgementId = Annotated[str, typer.Argument(metavar="ID", help="As `rag judgements list` prints it.")]
Reason = Annotated[str | None, typer.Option(help=", ".join(REASONS))]
Correction = Annotated[str | None, typer.Option(help="What the answer should have said.")]
Document = Annotated[str | None, typer.Option(help="The document in which the right words stand.")]
Words = Annotated[str | None, typer.Option(help="The right words, exactly as they stand in --document.")]
Start = Annotated[int | None, typer.Option(min=0, help="Where they begin, if they stand there more than once.")]

Speaker = Annotated[str | None, typer.Option(help="Make the second one with the words of: span, trunk, endpoint.")]
Temperature = Annotated[float | None, typer.Option(help="... drawn at this temperature, where a model writes them.")]
TopP = Annotated[float | None, typer.Option("--top-p", help="... of the likeliest words with this share alone.")]
Seed = Annotated[int | None, typer.Option(help="... with this seed.")]

judgements = typer.Typer(help="List, show, change, withdraw and review judgements.", no_args_is_help=True)


def rate(
    answer_id: AnswerId,
    verdict: Annotated[str, typer.Argument(metavar="up|down")],
    reason: Reason = None,
    correction: Correction = None,
    document: Document = None,
    words: Words = None,
    start: Start = None,
    person: Person = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """Say whether an answer was good. What a reviewer accepts trains the next model: see `rag export`."""
    marked = _marked(document, words, start)
    with library(index) as opened:
        made = opened.rate(answer_id, verdict, reason=reason, correction=correction, marked=marked, person=person)
    if json:
        as_json(asdict(made))
    else:
        typer.echo(f"{made.verdict}: stored for {made.answer_id}, as judgement {made.id}")


def compare(
    answer_id: AnswerId,
    other: Annotated[str | None, typer.Argument(metavar="OTHER_ID", help="Another answer to the question.")] = None,
    winner: Annotated[str | None, typer.Option(metavar="a|b|equal", help="Of ANSWER_ID (a) and OTHER_ID (b).")] = None,
    speaker: Speaker = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    seed: Seed = None,
    strictness: Strictness = None,
    person: Person = None,
    model: Model = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """Choose the better of two answers without knowing how they were made. Without OTHER_ID a second one is made."""
    if winner is not None and other is None:
        raise SettingsError("--winner needs OTHER_ID: name both answers, or leave it out and be asked")
    wanted = _wanted(speaker, strictness, {"temperature": temperature, "top_p": top_p, "seed": seed})
    if wanted and other is not None:
        raise SettingsError("OTHER_ID is an answer already: leave it out to have one made with these settings")
    with library(index, model=model) as opened:
        if other is None:
            second = opened.second_answer(answer_id, settings=wanted, person=person)
            if second is None:
                typer.echo("Every way of answering says the same.", err=True)
                raise typer.Exit(1)
            other = second.answer_id
        pair = [answer_id, other]
        if winner is None:
            random.shuffle(pair)  # which one is new must not be seen
            for name, identity in zip("ab", pair, strict=True):
                _show_answer(name, opened.answered(identity, person=person))
            winner = _asked()
        made = opened.choose(pair[0], pair[1], winner, person=person)
    if json:
        as_json(asdict(made))
    else:
        typer.echo(f"{made.verdict}: stored as judgement {made.id}")


def _wanted(speaker: str | None, strictness: str | None, drawing: dict[str, float | None]) -> dict[str, Any]:
    """The settings of the second answer that were given."""
    generation = {name: value for name, value in drawing.items() if value is not None}
    given = {"speaker": speaker, "strictness": strictness, "generation": generation or None}
    return {name: value for name, value in given.items() if value is not None}


def _asked() -> str:
    typer.echo("Which is better: a, b or equal? ", nl=False, err=True)
    return {"": "equal"}.get(said := sys.stdin.readline().strip().lower(), said)


def _show_answer(name: str, answer: dict[str, Any]) -> None:
    typer.echo(f"{name}: {answer['answer']}")
    for cited in answer["citations"]:
        typer.echo(
            f"     {place(cited['document'], cited['page'], cited.get('time'))}: {' '.join(cited['quote'].split())}"
        )


@judgements.command("list")
def list_(
    state: Annotated[str, typer.Option(help=f"{', '.join(STATES)} or all.")] = "new",
    reason: Annotated[str | None, typer.Option(help="One reason, a verdict, or choice.")] = None,
    collection: Collection = None,
    text: Annotated[str | None, typer.Option(help="Words in question, answer or correction.")] = None,
    person: Person = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """List the judgements that wait for a review, the oldest first, or those in another state."""
    with library(index) as opened:
        rows = opened.judgement_queue(
            state=None if state == "all" else state, reason=reason, collection=collection, text=text, person=person
        )
    if json:
        as_json({"judgements": [row.as_dict() for row in rows]})
        return
    cells = [
        (row.judgement.id, row.judgement.state, row.judgement.verdict, row.judgement.reason, row.judgement.person,
         f"{row.agreement.alike}:{row.agreement.otherwise}", ", ".join(row.route), row.question)
        for row in rows
    ]  # fmt: skip
    table(cells, ("id", "state", "verdict", "reason", "who", "alike", "becomes", "question"))


@judgements.command()
def show(identity: JudgementId, person: Person = None, index: Index = None, json: Json = False) -> None:
    """Show one judgement with its question, answer, passages, and what will become of it."""
    with library(index) as opened:
        row = opened.judgement_row(identity, person=person)
    if json:
        as_json(row.as_dict())
        return
    made = row.judgement
    typer.echo(f"question: {row.question}")
    _show_answer("answer", row.answer)
    if row.other:
        _show_answer("not chosen", row.other)
    told = {"verdict": made.verdict, "reason": made.reason, "better": made.better, "state": made.state,
            "note": made.note, "becomes": ", ".join(row.route) or "nothing"}  # fmt: skip
    for name, value in told.items():
        if value:
            typer.echo(f"{name}: {value}")
    if made.marked:
        typer.echo(
            f"right words: {made.marked.document}, {made.marked.start} to {made.marked.end}: {made.marked.quote}"
        )
    typer.echo(f"other people: {row.agreement.alike} alike, {row.agreement.otherwise} otherwise")
    for passage in row.passages:
        typer.echo(f"\n{passage['document']}: {' '.join(passage['text'].split())}")


@judgements.command()
def edit(
    identity: JudgementId,
    verdict: Annotated[str | None, typer.Option(metavar="up|down")] = None,
    reason: Reason = None,
    correction: Correction = None,
    document: Document = None,
    words: Words = None,
    start: Start = None,
    person: Person = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """Change one's own judgement; it waits for a review again."""
    changes = _changes(verdict, reason, correction, _marked(document, words, start))
    with library(index) as opened:
        made = opened.edit_judgement(identity, person=person, **changes)
    if json:
        as_json(asdict(made))
    else:
        typer.echo(f"{identity}: changed, waits for a review")


@judgements.command()
def withdraw(identity: JudgementId, person: Person = None, index: Index = None) -> None:
    """Take one's judgement back, named by its own id or the answer's; the next bundle lists it as withdrawn."""
    with library(index) as opened:
        opened.withdraw(identity, person=person)
    typer.echo(f"{identity}: withdrawn")


@judgements.command()
def review(
    identity: JudgementId,
    decision: Annotated[str, typer.Argument(metavar="accepted|rejected|new")],
    note: Annotated[str | None, typer.Option(help="Why, for other reviewers.")] = None,
    verdict: Annotated[str | None, typer.Option(metavar="up|down", help="Correct it first.")] = None,
    reason: Reason = None,
    correction: Correction = None,
    document: Document = None,
    words: Words = None,
    start: Start = None,
    person: Person = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """Accept or reject a judgement, or put it back into the queue; only what is accepted trains a model."""
    edits = _changes(verdict, reason, correction, _marked(document, words, start), needed=False)
    with library(index) as opened:
        made = opened.review(identity, decision, note=note, edits=edits, person=person)
    if json:
        as_json(asdict(made))
    else:
        typer.echo(f"{identity}: {made.state}")


def export(
    out: Annotated[Path | None, typer.Option(help="A file instead of the screen.", show_default="stdout")] = None,
    bundle: Annotated[Path | None, typer.Option(metavar="FILE", help="A bundle for training: one ZIP.")] = None,
    audience: Annotated[
        list[str] | None,
        typer.Option(help="Bundle what these persons may read.", show_default="what everybody may read"),
    ] = None,
    collection: Collection = None,
    influence: Annotated[
        float | None, typer.Option(help="Most of a bundle from one person.", show_default="0.25")
    ] = None,
    held_out: Annotated[
        float | None, typer.Option(help="Share of the documents kept to measure models.", show_default="0.2")
    ] = None,
    passages: Annotated[bool, typer.Option(help="Bundle passages nobody judged too.")] = True,
    model: Model = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """Write the judgements as JSONL, or with --bundle what was accepted, with passages, as one file for training."""
    with library(index, model=model, influence=influence, held_out=held_out) as opened:
        if bundle is not None:
            made = opened.bundle(bundle, audience=audience or (), collection=collection, passages=passages)
            if json:
                as_json(made.as_dict())
                return
            typer.echo(f"{bundle}: {made.judgements} judgements of {made.people} people, bundle {made.id}")
            table([*made.rows.items()], ("member", "rows"))
            for reason, count in made.left_out.items():
                typer.echo(f"left out: {count} ({reason})", err=True)
            return
        lines = [jsonlib.dumps(row, ensure_ascii=False) for row in opened.judgements()]
    if out is None:
        typer.echo("\n".join(lines), nl=bool(lines))
        return
    out.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    typer.echo(f"{out}: {len(lines)} judgements", err=True)


def _marked(document: str | None, words: str | None, start: int | None) -> dict[str, Any] | None:
    """The right words as `Library.rate` takes them."""
    if document is None and words is None and start is None:
        return None
    if not (document and words):
        raise SettingsError("--document and --words belong together: which document, and the words as they stand in it")
    return {"document": document, "quote": words, "start": start}


def _changes(
    verdict: str | None, reason: str | None, correction: str | None, marked: dict[str, Any] | None, needed: bool = True
) -> dict[str, Any]:
    given = {"verdict": verdict, "reason": reason, "better": correction, "marked": marked}
    changes = {name: value for name, value in given.items() if value is not None}
    if needed and not changes:
        raise SettingsError("nothing to change: name --verdict, --reason, --correction, or --document and --words")
    return changes


COMMANDS = (rate, compare, export)
