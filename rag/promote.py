"""A candidate answers from now on, or a report says why not.

    examine ─► gate ─► place ─► switch (one rename) + audit row      or      report
    (rag/gate.py)      INDEX/models/<n>/                             `back` switches to any earlier version, audited

Takes   an open library's parts with a model, and the folder of a candidate as `trainer improve` writes it.
Gives   a `GateReport`. Every promotion, refusal and return is in the audit: who, from, to, bundle, figures.
Refuses (ModelError, one line) a folder that is damaged, of another format or embedder, made from a model or a bundle
        that this library does not know, or from documents that were removed or closed since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from rag import lineage as lineages
from rag.audit import Audit
from rag.catalogue import Catalogue
from rag.checked import checked
from rag.config import Settings
from rag.embed import open_embedder
from rag.errors import ModelError
from rag.gate import GateReport, gate
from rag.lineage import Lineage
from rag.parts import Parts
from rag.probing import Asked, Tell
from rag.read import fingerprint, model_config, open_reader
from rag.stoppable import shielded
from rag.versions import Versions

PROMOTED, REFUSED, RETURNED = "promoted", "refused", "returned"  # kinds of audit rows


class Examined(NamedTuple):
    """A candidate that opens and belongs here."""

    folder: Path
    fingerprint: str
    model: Asked
    lineage: Lineage | None


class Switched(NamedTuple):
    """A return to an earlier version."""

    before: int | None  # None: the base
    now: int | None
    model: str
    marks: tuple[str, ...]  # what is wrong with what it learnt from

    def as_dict(self) -> dict[str, Any]:
        """For `rag promote --back --json`."""
        return {"from": self.before, "to": self.now, "model": self.model, "marks": list(self.marks)}


def promote(
    parts: Parts,
    candidate: Path,
    *,
    base: Path,
    questions: Path | None = None,
    person: str | None = None,
    quick: bool = False,
    tell: Tell | None = None,
) -> GateReport:
    """Measure a candidate against the model of `parts`, and let it answer if it passes. `base`: the settings' model."""
    versions = Versions(parts.folder)
    examined = examine(parts, candidate, base=base)
    before = versions.number()
    assert parts.reader is not None, "the library opens it before"
    asked = checked(parts, examined.lineage, questions)
    report = gate(
        parts, (Asked(parts.reader, parts.embedder), examined.model), asked, before=before,
        bundle=_bundle(examined.lineage), notes=_notes(parts, examined), quick=quick, tell=tell,
    )  # fmt: skip
    if not report.promoted:
        Audit(parts.catalogue).record(REFUSED, person, _event(report))
        return report
    with shielded(), versions.held():  # a stop waits until it stands
        if versions.number() != before:
            raise ModelError(f"another model was promoted while {candidate} was measured. Measure it again")
        if _fingerprint(candidate) != examined.fingerprint:
            raise ModelError(f"{candidate}: it was changed while it was measured. Measure it again")
        about = {
            "fingerprint": examined.fingerprint,
            "from": before,
            "bundle": report.bundle,
            "model": report.candidate,
        }
        number = versions.add(candidate, {**about, "figures": _figures(report)})
        if fingerprint(versions.path(number)) != examined.fingerprint:
            raise ModelError(f"{versions.path(number)}: not what was measured. Measure {candidate} again")
        report = replace(report, version=number)
        _switch(parts.catalogue, versions, number, (PROMOTED, person, _event(report)))
    return report


def back(
    parts: Parts, settings: Settings, version: int | None = None, *, to_base: bool = False, person: str | None = None
) -> Switched:
    """Answer with an earlier version again: the named one, the base, or the one that the present one followed."""
    versions = Versions(parts.folder)
    with versions.held():
        before = _readable_number(versions)
        wanted = None if to_base else _before(versions, before) if version is None else version
        folder = settings.model if wanted is None else versions.path(wanted)
        name = open_model(parts, folder).name  # a model that does not open must not answer
        marks = next(
            (one.marks for one in lineages.marked(parts.catalogue, versions) if one.version.number == wanted), ()
        )
        about = {"entry": _named(wanted), "from": before, "to": wanted, "model": name, "marks": list(marks)}
        _switch(parts.catalogue, versions, wanted, (RETURNED, person, about))
    return Switched(before, wanted, name, marks)


def _readable_number(versions: Versions) -> int | None:
    """The version that answers; a damaged pointer names none, and is what a return mends."""
    try:
        return versions.number()
    except ModelError:
        return None


def _before(versions: Versions, current: int | None) -> int | None:
    """What answered before the present version was promoted, as it is written beside that."""
    found = next((one for one in versions.history() if one.number == current), None)
    if current is not None and found is None:
        return None  # it is gone, and with it what stood beside it: the base is always there
    if found is None:
        there = ", ".join(str(one.number) for one in versions.history()) or "none"
        raise ModelError(f"the base answers, and nothing before it. Name a version to return to: {there}")
    earlier = found.about.get("from")
    return earlier if isinstance(earlier, int) and (versions.folder / str(earlier)).is_dir() else None


def _switch(
    catalogue: Catalogue, versions: Versions, number: int | None, row: tuple[str, str | None, Mapping[str, Any]]
) -> None:
    """Pointer and audit row together: the rename is the last step before the row is committed.

    A process killed between the two has switched without a row; `rag verify` tells, for the pointer names the row.
    """
    with catalogue.atomic():
        entry = Audit(catalogue).record(*row)
        versions.switch(number, audit=entry)


def problems(catalogue: Catalogue, folder: Path) -> list[str]:
    """What is wrong with the models of a library, for `rag verify`."""
    versions = Versions(folder)
    try:
        said = versions.pointer()
        if said.get("version") is not None:
            versions.path(said["version"])
    except ModelError as error:
        return [f"{error}"]
    known = catalogue.db.execute("select 1 from audit where id = ?", (said.get("audit"),)).fetchone()
    if said and not known:
        now = _named(said.get("version"))
        return [
            f"models/current.json: {now} answers, and no row of the audit says why. `rag promote --back` records it"
        ]
    return []


# --- examining --------------------------------------------------------------------------------------------------------


def examine(parts: Parts, candidate: Path, *, base: Path) -> Examined:
    """Open a candidate as the library would. Raises ModelError with the reason why it can not be measured at all."""
    model_config(candidate)
    versions = Versions(parts.folder)
    learnt = lineages.lineage(parts.catalogue, candidate, versions)
    model = open_model(parts, candidate)
    if learnt is not None:
        _check_origin(parts, learnt, candidate, base)
    return Examined(candidate, _fingerprint(candidate), model, learnt)


def open_model(parts: Parts, folder: Path) -> Asked:
    """Reader and query side of a folder, both tried. Raises ModelError."""
    reader, settings, query = open_reader(folder), parts.settings.but(model=folder), folder / "query"
    if settings.query_side is None and query.is_dir():  # by name: one for another embedder is told, not passed over
        settings = settings.but(query_side=query)
    embedder = open_embedder(settings, base=parts.embedder)
    embedder.embed_questions(["Does it open, and belong to this embedder?"])
    return Asked(reader, embedder)


def _check_origin(parts: Parts, learnt: Lineage, candidate: Path, base: Path) -> None:
    """Made from a model of this library, with a bundle of this library, of documents that are still open."""
    wanted = str(learnt.base.get("fingerprint", ""))
    if wanted != _fingerprint(base) and lineages.made_by(Versions(parts.folder), wanted) is None:
        raise ModelError(
            f"{candidate}: made from {learnt.base.get('name')}-{wanted}, which never answered in this library. "
            "Train it from the model that answers here: trainer improve --base"
        )
    bundle = _bundle(learnt)
    if bundle and not parts.catalogue.db.execute("select 1 from bundles where id = ?", (bundle,)).fetchone():
        raise ModelError(
            f"{candidate}: made with the bundle {bundle[:12]}, which this library did not write. "
            "Make one here: rag export --bundle FILE"
        )
    lines, removed = lineages.marks(parts.catalogue, learnt)
    if removed:
        raise ModelError(f"{candidate}: {lines[0]}. Make a new bundle and train again: rag improve")


def _fingerprint(folder: Path) -> str:
    try:
        return fingerprint(folder)
    except OSError as error:
        raise ModelError(f"{folder}: the model cannot be read ({error}). Restore the folder") from error


def _bundle(learnt: Lineage | None) -> str | None:
    return learnt.bundles[0] if learnt and learnt.bundles else None


def _notes(parts: Parts, examined: Examined) -> list[str]:
    """What the reader of a report has to know beside the figures."""
    if examined.lineage is None:
        return [f"{lineages.UNKNOWN}; every judged question counts as held out"]
    lines, _ = lineages.marks(parts.catalogue, examined.lineage)
    return lines


def _named(version: int | None) -> str:
    return "the base" if version is None else f"version {version}"


def _figures(report: GateReport) -> dict[str, Any]:
    return {
        one.name: {"n": one.n, "current": one.current, "candidate": one.candidate, "interval": list(one.interval)}
        for one in report.figures
    }


def _event(report: GateReport) -> dict[str, Any]:
    """For the audit: numbers and ids, no words."""
    return {
        "entry": report.verdict, "from": report.before, "to": report.version, "candidate": report.candidate,
        "current": report.current, "bundle": report.bundle, "figures": _figures(report),
        "failed": [one.name for one in report.failed],
    }  # fmt: skip
