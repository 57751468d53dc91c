"""Which embedder a library belongs to, and what happens where the settings name another one.

    settings name ─► the one of the vectors ───────────────────────────────────► it answers
                 └─► another: the one of the vectors answers on, and a `Choice` is open: move (reembed.py), or keep

Takes   a catalogue and settings.
Gives   the embedder that answers, with settings that name it; the open `Choice`, for the doors to tell.
Keeps   in the catalogue the identity of the embedder whose vectors count (table `state`), and beside each identity the
        setting that opened it (`embedders`).
Never   compares a question of one embedder with passages of another. Where the library's own embedder cannot be had any
        more, the named one is opened, and searching and adding are refused with the cure (`commit.check_embedder`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rag import commit
from rag.catalogue import Catalogue
from rag.config import Settings
from rag.embed import NAME, MiniLM, open_embedder
from rag.errors import GroundlingError
from rag.tuned import Tuned

if TYPE_CHECKING:
    from rag.types import Embedder


@dataclass(frozen=True, slots=True)
class Choice:
    """The settings name another embedder than the one that the library's vectors belong to."""

    current: str  # the library's, as the setting that opened it, else its identity
    wanted: str  # as the settings name it
    kept: bool  # somebody decided to stay with the current one
    answers: bool  # the current one can be opened; as long as nothing was opened, this is believed

    def __str__(self) -> str:
        """One line for people."""
        if self.answers:
            return f"the library answers with the embedder {self.current}; the settings name {self.wanted}"
        return (
            f"the library's vectors belong to the embedder {self.current}, which is not here any more; the settings "
            f"name {self.wanted}, and nothing can be searched before the library has moved there"
        )


def named(settings: Settings) -> str:
    """What the settings name, as it is written down: a folder in full, since the working folder changes."""
    folder = Path(settings.embedder)
    return str(folder.resolve()) if folder.is_dir() else settings.embedder


def note(catalogue: Catalogue, identity: str, name: str) -> None:
    """Write down which setting opened the embedder of this identity."""
    if _noted(catalogue, identity) != name:
        with catalogue.atomic() as db:
            db.execute("insert or replace into embedders values (?, ?)", (identity, name))


def name_of(catalogue: Catalogue, identity: str) -> str:
    """The setting that opens the embedder of this identity; "" where nobody has written it down."""
    return _noted(catalogue, identity) or (NAME if identity == MiniLM.identity else "")


def open_answering(catalogue: Catalogue, settings: Settings) -> tuple[Settings, Embedder]:
    """The embedder whose vectors the library holds, and the settings with its name; else the one that is named."""
    identity, wanted = catalogue.embedder, named(settings)
    name = name_of(catalogue, identity)
    if identity and name not in ("", wanted) and catalogue.counts()[1]:
        try:
            former = settings.but(embedder=name)
            embedder = _without_strange_questions(open_embedder(former))
            if embedder.identity == identity:
                return former, embedder
        except GroundlingError:
            pass  # its folder is gone, or what it needs is not installed: see `Choice.answers`
    embedder = open_embedder(settings)
    if identity not in ("", embedder.identity) and not catalogue.counts()[1]:
        commit.set_embedder(catalogue, embedder.identity)  # nothing was embedded: nothing has to move
    note(catalogue, embedder.identity, wanted)
    return settings, embedder


def choice(catalogue: Catalogue, settings: Settings, opened: Embedder | None = None) -> Choice | None:
    """What is to be decided; None where the settings name the library's embedder. Loads nothing."""
    identity, wanted = catalogue.embedder, named(settings)
    name = name_of(catalogue, identity)
    answers = opened is None or opened.identity == identity
    settled = answers and name in (
        "",
        wanted,
    )  # unknown: of a library that nobody has opened since this is written down
    if not identity or settled or not catalogue.counts()[1]:
        return None
    current = name if name not in ("", wanted) else identity
    return Choice(current, wanted, kept=answers and _keeps(catalogue) == wanted, answers=answers)


def keep(catalogue: Catalogue, settings: Settings) -> None:
    """Stay with the library's embedder while the settings name this other one; the choice is told no more."""
    with catalogue.atomic() as db:
        db.execute("update state set keeps = ?", (named(settings),))


def fill(catalogue: Catalogue, embedder: Embedder, ids: Sequence[int]) -> None:
    """Give these passages a vector of this embedder, whether it counts already or not."""
    hashes, passages = catalogue.hashes(ids), catalogue.passages(ids)
    texts = {hashes[passage.id]: passage.context for passage in passages if passage.id in hashes}
    if not texts:
        return
    rows = embedder.embed(list(texts.values()))
    with catalogue.atomic():
        there = set(catalogue.hashes(ids).values())  # a text that was removed meanwhile leaves no vector behind
        made = {text: row for text, row in zip(texts, rows, strict=True) if text in there}
        commit.write_vectors(catalogue, made, embedder.identity)


def _keeps(catalogue: Catalogue) -> str:
    return str(catalogue.db.execute("select keeps from state").fetchone()[0])


def _noted(catalogue: Catalogue, identity: str) -> str:
    row = catalogue.db.execute("select name from embedders where identity = ?", (identity,)).fetchone()
    return str(row[0]) if row else ""


def _without_strange_questions(embedder: Embedder) -> Embedder:
    """A query side that the settings name belongs to the embedder that they name, and not to this one."""
    own: Embedder = embedder.base if isinstance(embedder, Tuned) and not embedder.fits else embedder  # type: ignore[assignment]
    return own
