"""The part of the handle that is about how good it is: question sets asked and kept, thumbs over time, distance.

Takes   an open library, of which `Library` is the whole; every argument `person` is the local owner when None.
Gives   `Measurement`s of `rag/quality.py`, a `Trend`, the `Gaps` of the documents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rag.catalogue import Catalogue
from rag.config import Settings
from rag.errors import SettingsError

if TYPE_CHECKING:
    from rag.figures import Outcome as Outcome
    from rag.figures import Point as Point
    from rag.gap import Gaps as Gaps
    from rag.models import Model as Model
    from rag.parts import Parts
    from rag.quality import Measurement as Measurement
    from rag.question_sets import QuestionSet as QuestionSet
    from rag.trend import Trend as Trend


class Measuring:
    """What a library knows of its quality."""

    path: Path
    settings: Settings
    _catalogue: Catalogue

    def question_set(
        self, kind: str, *, collection: str | None = None, learnt: bool = False, person: str | None = None
    ) -> QuestionSet:
        """Questions that the library holds: `pinned` (approved ones) or `judged` (`learnt`: also those learnt from)."""
        from rag import question_sets

        if kind == "pinned":
            return question_sets.of_pinned(self._parts(), collection=collection, person=person)
        if kind == "judged":
            return question_sets.of_judged(self._parts(), collection=collection, learnt=learnt, person=person)
        raise SettingsError(f"question set {kind!r}: use pinned or judged, or give a file")

    def question_file(self, file: Path) -> QuestionSet:
        """The questions of a file. Raises SettingsError where one cannot be asked."""
        from rag import question_sets

        return question_sets.of_file(file)

    def question_rows(self, name: str, rows: Sequence[dict[str, Any]]) -> QuestionSet:
        """Questions that somebody holds, as a set of that name."""
        from rag import question_sets

        return question_sets.of_rows(name, rows)

    def start_measuring(
        self, asked: QuestionSet, *, model: Path | None = None, apart: bool = True, person: str | None = None
    ) -> Measurement:
        """Ask a question set and keep what comes of it: in a process that outlives this one, or here (not `apart`).

        `model` is a folder to measure instead of the library's. Raises SettingsError while another one is going on.
        """
        from rag import quality

        identity = quality.prepare(self._catalogue, self.path, asked, self.settings, person=person)
        if apart:
            quality.spawn(self.path, self.settings, identity, model)
        else:
            self.measure(identity)
        return quality.one(self._catalogue, self.path, identity)

    def measure(self, run: int) -> Measurement:
        """Do the work of a run in this process."""
        from rag import quality

        quality.measure(cast(quality.Measured, self), self._catalogue, run)
        return quality.one(self._catalogue, self.path, run)

    def stop_measuring(self, run: int, *, person: str | None = None) -> None:
        """Ask a run to end after the question it is at; what was asked is kept. Raises NotFound."""
        from rag import quality

        quality.stop(self._catalogue, self.measurement(run, person=person).id)

    def forget_measurement(self, run: int, *, person: str | None = None) -> None:
        """Delete a run's figures and rows. Raises NotFound."""
        from rag import quality

        quality.forget(self._catalogue, self.path, self.measurement(run, person=person).id)

    def measurement(self, run: int, *, person: str | None = None) -> Measurement:
        """One run as it stands now. Raises NotFound."""
        from rag import quality

        return quality.one(self._catalogue, self.path, run, person=person)

    def measurements(self, *, person: str | None = None) -> list[Measurement]:
        """Every run, the latest first."""
        from rag import quality

        return quality.listed(self._catalogue, self.path, person=person)

    def measured_words(self, row: Outcome) -> tuple[str, str] | None:
        """Question and answer of a row of a run; None once they are erased."""
        from rag import quality

        return quality.told(self._catalogue, row)

    def risk_at_coverage(self, run: Measurement) -> list[Point]:
        """How many answers would be wrong if only the surest were given."""
        from rag import figures

        return figures.curve(run.rows)

    def models(self) -> list[Model]:
        """Every model this library could answer with: the base, its versions, candidates that stayed out."""
        from rag import models

        return models.models(self.path, self.settings.model)

    def feedback_trend(self, *, person: str | None = None) -> Trend:
        """Thumbs up and down over time, and by model."""
        from rag import trend

        return trend.trend(self._catalogue, person=person)

    def gaps(
        self,
        *,
        collection: str | None = None,
        person: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Gaps:
        """How far the documents lie from the text that the shipped model knows; each is measured once."""
        from rag import gap

        return gap.measure(
            self._catalogue, self._model_folder(), collection=collection, person=person, progress=progress
        )

    if TYPE_CHECKING:

        def _parts(self) -> Parts:
            """Of `Opening`."""

        def _model_folder(self) -> Path:
            """Of `Opening`."""
