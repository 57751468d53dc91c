"""The command that says what people asked and what the documents leave open: insight.

Takes   a number of days, a collection, who looks.
Gives   counts, gaps, documents never cited and documents with signs of age; the same as the Insight page.
"""

from __future__ import annotations

from typing import Annotated

import typer

from rag.cli.options import Collection, Index, Json, Person, as_json, library, table

Days = Annotated[int, typer.Option(min=0, help="So many days, today included; 0 looks at everything.")]
LISTED = 20  # gaps and documents printed for people; --json prints all


def insight(
    days: Days = 30, collection: Collection = None, person: Person = None, index: Index = None, json: Json = False
) -> None:
    """Say what was asked and refused, what is missing from the documents, which are never cited or out of date."""
    with library(index) as opened:
        found = opened.insight(days or None, collection=collection, person=person)
    if json:
        as_json(found.as_dict())
        return
    totals = found.totals
    typer.echo(
        f"{totals.asked} asked by {totals.people}, {totals.answered} answered, {totals.refused} refused, "
        f"{totals.down} judged down, {totals.up} up"
    )
    if found.gaps:
        typer.echo("\nNot answered")
        table(
            [(len(gap.questions), gap.people, gap.about, gap.advice) for gap in found.gaps[:LISTED]],
            ("questions", "people", "about", "what to do"),
        )
    if found.outdated:
        typer.echo("\nSigns of age")
        rows = [(use.document, use.cited, "; ".join(sign.words for sign in use.signs)) for use in found.outdated]
        table(rows[:LISTED], ("document", "cited", "signs"))
    if found.never_cited:
        typer.echo("\nNever cited")
        rows = [(use.document, use.read, use.added_at[:10]) for use in found.never_cited]
        table(rows[:LISTED], ("document", "read", "added"))


COMMANDS = (insight,)
