"""Commands about what is kept: remember, memory, forget; retention; pinned, pin, unpin.

Takes   sentences about a person, days, questions, ids as the lists print them.
Gives   what is kept now. Everything about a person is that person's alone (`--person`).
Codes   `pinned --run` exits with 1 where a question dropped.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from rag.cli.options import Collection, Index, Json, Model, Person, as_json, library, table
from rag.errors import SettingsError
from rag.library import Library, Pinned

FOR_EVER = "for ever"
SAYS = {
    "same": "holds", "kept": "holds", "changed": "answered from other words", "lost": "refused now",
    "answered": "answered now, a refusal was approved",
}  # fmt: skip


def remember(
    text: Annotated[str, typer.Argument(metavar="TEXT", help='Such as "I work in Lisbon".')],
    instead_of: Annotated[str | None, typer.Option(help="Id of what it replaces; those words are erased.")] = None,
    person: Person = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """Remember a sentence about a person, and use it for that person's questions alone."""
    with library(index) as opened:
        if instead_of:
            kept = opened.edit_remembered(instead_of, text, person=person)
        else:
            kept = opened.remember(text, person=person)
    if json:
        as_json(asdict(kept))
    else:
        typer.echo(f"{kept.id}  {kept.text}")


def memory(person: Person = None, index: Index = None, json: Json = False) -> None:
    """List what a person asked to be remembered."""
    with library(index) as opened:
        found = opened.remembered(person=person)
    if json:
        as_json({"remembered": [asdict(fact) for fact in found]})
    else:
        table([(fact.id, fact.text, (fact.edited_at or fact.at)[:10]) for fact in found], ("id", "remembered", "since"))


def forget(
    fact: Annotated[str | None, typer.Argument(metavar="ID", help="As `rag memory` prints it.")] = None,
    everything: Annotated[bool, typer.Option("--everything", help="Erase all that this person asked for.")] = False,
    person: Person = None,
    index: Index = None,
) -> None:
    """Erase what was remembered, at once: the words are overwritten in the file."""
    if bool(fact) == everything:
        raise SettingsError("name one ID of `rag memory`, or --everything")
    with library(index) as opened:
        if fact:
            opened.forget(fact, person=person)
        count = 1 if fact else opened.forget_everything(person=person)
    typer.echo(f"{count} erased")


def retention(
    days: Annotated[
        int | None, typer.Option(help="Keep conversations so long after their last turn; 0: for ever.")
    ] = None,
    purge: Annotated[bool, typer.Option("--purge", help="Delete now what is over its time, for everybody.")] = False,
    person: Person = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """Say how long a person's conversations are kept, change it, or delete now what is over its time."""
    with library(index) as opened:
        done = opened.keep_conversations(days, person=person) if days is not None else None
        done = opened.purge_all() if purge else done
        rule, due = opened.retention(person=person), opened.due(person=person)
    gone = {"conversations": done.conversations, "answers": done.answers} if done else None
    if json:
        as_json({"days": rule.days, **asdict(rule), "due": due._asdict(), "purged": gone})
        return
    limit = f" (the library's limit is {_days(rule.limit)})" if rule.limit else ""
    typer.echo(f"Conversations are kept {_days(rule.days)}{limit}.")
    if done:
        typer.echo(f"Deleted: {done.conversations} conversations; words of {done.answers} answers left the audit.")


def _days(days: int) -> str:
    return f"{days} days" if days else FOR_EVER


def pinned(
    run: Annotated[bool, typer.Option("--run", help="Ask again what is due, and wait for it.")] = False,
    collection: Collection = None,
    person: Person = None,
    model: Model = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """List the questions people approved, and how each fares with the documents and the model of now."""
    with library(index, model=model) as opened:
        if run:
            opened.warm()
            opened.recheck_pinned()
        found = opened.pinned(collection=collection, person=person)
    if json:
        as_json({"pinned": [one.as_dict() for one in found]})
    else:
        tell_pinned(found, every=True)
        waiting = sum(one.waiting for one in found)
        if waiting:
            typer.echo(f"{waiting} were not asked yet with the documents and model of now: rag pinned --run")
    if run and not all(one.holds for one in found):
        raise typer.Exit(1)


def tell_pinned(found: list[Pinned], *, every: bool = False) -> None:
    """One line of sums, and a row for each question that dropped, or for `every` one."""
    if not found:
        typer.echo("No pinned questions. A thumb up pins a question, and so does: rag pin QUESTION")
        return
    rows = [
        (one.id, SAYS[one.result.outcome] if one.result else "not asked yet", one.question, "; ".join(one.because))
        for one in found
        if every or not one.holds
    ]
    table(rows, ("id", "now", "question", "since"))
    typer.echo(f"{sum(one.holds for one in found)} of {len(found)} pinned questions hold.")


def recheck_after(opened: Library, seconds: float) -> list[str]:
    """After a change of documents: wait so long for the pinned questions, and say in lines how they fare."""
    asked = opened.recheck_pinned(seconds)
    found = opened.pinned()
    if not found:
        return []
    if not asked:
        return ["pinned questions: not all were asked again; `rag pinned --run` goes on"]
    dropped = [one for one in found if one.result and not one.holds]
    said = [f"dropped   {one.question} ({SAYS[one.result.outcome]})" for one in dropped if one.result]
    return [f"pinned questions: {len(found) - len(dropped)} of {len(found)} hold", *said]


def pin(
    question: Annotated[str | None, typer.Argument(metavar="QUESTION", help="Asked now; its answer is pinned.")] = None,
    answer: Annotated[str | None, typer.Option(help="Id of an answer that was given already.")] = None,
    expect: Annotated[list[str] | None, typer.Option(help="Words of which one must occur; repeat it.")] = None,
    instead_of: Annotated[str | None, typer.Option(help="Id of the pinned question it replaces.")] = None,
    collection: Collection = None,
    person: Person = None,
    model: Model = None,
    index: Index = None,
) -> None:
    """Pin a question: it is asked again whenever documents or the model change."""
    if bool(question) == bool(answer):
        raise SettingsError("give a QUESTION, or --answer with the id of one that was answered")
    if instead_of and not answer:
        raise SettingsError("--instead-of goes with --answer: look at the new answer first, then pin it")
    with library(index, model=model) as opened:
        if answer:
            made = opened.pin(answer, expected=expect or (), instead_of=instead_of, person=person)
        else:
            made = opened.pin_question(question or "", collection=collection, expected=expect or (), person=person)
        found = next(one for one in opened.pinned(person=person) if one.id == made)
    typer.echo(f"{found.id}  {found.question}\n{'':12}  {found.answer}")
    if not found.holds:
        typer.echo(f"note: what must occur is not in this answer: {', '.join(map(str, found.expected))}", err=True)


def unpin(
    pinned: Annotated[str, typer.Argument(metavar="ID", help="As `rag pinned` prints it.")],
    person: Person = None,
    index: Index = None,
) -> None:
    """Ask a pinned question no more."""
    with library(index) as opened:
        opened.unpin(pinned, person=person)
    typer.echo(f"unpinned  {pinned}")


COMMANDS = (remember, memory, forget, retention, pinned, pin, unpin)
