"""The part of the handle that is about which model answers: promoting one, going back, what each learnt from.

Takes   an open library, of which `Library` is the whole; every argument `person` is the local owner when None.
Gives   `GateReport`, `Switched`, and the versions as plain rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.catalogue import Catalogue
from rag.config import Settings
from rag.errors import ModelError
from rag.types import FileReport
from rag.versions import Versions

if TYPE_CHECKING:
    from rag.gate import Figure as Figure
    from rag.gate import GateReport as GateReport
    from rag.parts import Parts
    from rag.probing import Tell
    from rag.promote import Switched as Switched


BASE = "base"  # what people call the settings' model


class Promoting:
    """What a library knows of its models."""

    path: Path
    settings: Settings
    _catalogue: Catalogue

    def promote(
        self,
        folder: str | Path,
        *,
        questions: Path | None = None,
        quick: bool = False,
        tell: Tell | None = None,
        person: str | None = None,
    ) -> GateReport:
        """Measure a candidate against the model that answers, and let it answer if it is better (docs/gate.md).

        `questions` is a file as `evaluate` takes it, which people checked; `quick` measures a part and promotes
        nothing. Raises ModelError where the folder cannot be measured at all.
        """
        from rag.promote import promote

        report = promote(
            self._model_parts(), Path(folder), base=self.settings.model, questions=questions, person=person,
            quick=quick, tell=tell,
        )  # fmt: skip
        if report.promoted:
            self.recheck_pinned(0)
        return report

    def promote_back(self, version: int | None = None, *, to_base: bool = False, person: str | None = None) -> Switched:
        """Return to the model before, to a named version, or to the base; running answers end as they began."""
        from rag.promote import back

        switched = back(self._mended_parts(), self.settings, version, to_base=to_base, person=person)
        self.recheck_pinned(0)
        return switched

    def versions(self) -> list[dict[str, Any]]:
        """The base and every promoted model: which answers, since when, its figures, what is wrong with its origin."""
        from rag import lineage

        versions = Versions(self.path)
        try:
            base_answers = versions.number() is None
        except ModelError:  # a damaged pointer: nothing answers until somebody returns to one of these
            base_answers = False
        clean = lineage.last_clean(self._catalogue, versions)
        rows: list[dict[str, Any]] = [
            {"version": None, "name": self.settings.model.name, "current": base_answers, "added_at": None,
             "from": None, "bundle": None, "figures": {}, "rows": 0, "documents": 0, "judgements": 0, "marks": [],
             "last_clean": clean is None}
        ]  # fmt: skip
        for one in lineage.marked(self._catalogue, versions):
            about, learnt = one.version.about, one.lineage
            rows.append(
                {"version": one.version.number, "name": about.get("model") or one.version.name,
                 "current": one.version.current, "added_at": about.get("added_at"), "from": about.get("from"),
                 "bundle": about.get("bundle"), "figures": about.get("figures") or {},
                 "rows": learnt.rows if learnt else None, "documents": len(learnt.documents) if learnt else None,
                 "judgements": len(learnt.judgements) if learnt else None, "marks": list(one.marks),
                 "last_clean": one.version.number == clean}
            )  # fmt: skip
        return rows

    def models_that_saw(self, document: str, *, collection: str | None = None, person: str | None = None) -> list[int]:
        """The versions of the model that learnt from this document, in whatever version of it. Raises NotFound."""
        found = self._catalogue.document(document, collection=collection, person=person)
        return self._saw([found.id])

    def _model_problems(self) -> list[str]:
        from rag.promote import problems

        return problems(self._catalogue, self.path)

    def _with_models(self, report: FileReport, collection: str) -> FileReport:
        """The report of a removal, with the models that learnt from the document."""
        if report.status != "removed":
            return report
        rows = self._catalogue.db.execute(
            "select id from documents where name = ? and collection = ?", (report.document, collection)
        )
        versions, saw = Versions(self.path), self._saw([row[0] for row in rows])
        if not saw:
            return report
        from rag import lineage

        answers = next((one.number for one in versions.history() if one.current), None)
        clean = lineage.last_clean(self._catalogue, versions)
        back = "" if answers not in saw else BASE if clean is None else str(clean)
        return replace(report, models=tuple(saw), back=back)

    def _saw(self, documents: Sequence[int]) -> list[int]:
        versions = Versions(self.path)
        if not versions.history():
            return []
        from rag import lineage

        return lineage.saw(self._catalogue, versions, documents)

    if TYPE_CHECKING:

        def recheck_pinned(self, seconds: float | None = None) -> bool:
            """Of `Keeping`."""

        def _model_parts(self) -> Parts:
            """Of `Opening`."""

        def _mended_parts(self) -> Parts:
            """Of `Opening`."""
