"""The part of the handle that is about improving the model: what it would learn, runs, stopping and resuming them.

Takes   an open library, of which `Library` is the whole; every argument `person` is the local owner when None.
Gives   an `Outlook` before the start; `Run`s, each as it stands at this moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rag import runs
from rag.catalogue import Catalogue
from rag.config import Settings
from rag.outlook import Outlook as Outlook
from rag.runs import STAGES as STAGES
from rag.runs import Loss as Loss
from rag.runs import Run as Run
from rag.types import LOCAL_OWNER

if TYPE_CHECKING:
    from rag.parts import Parts


class Improving:
    """What a library knows of its model's improvement."""

    path: Path
    settings: Settings
    _catalogue: Catalogue

    def outlook(self, *, person: str | None = None) -> Outlook:
        """What an improvement would learn from now, about how long it would take, and what is missing."""
        from rag import outlook

        return outlook.outlook(self._parts(), runs.Runs(self.path), person=person)

    def improve(
        self,
        *,
        overrides: Sequence[str] = (),
        config: Path | None = None,
        questions: Path | None = None,
        quick: bool = False,
        anyway: bool = False,
        person: str | None = None,
    ) -> Run:
        """Start to improve the model, in a process of its own that outlives this one. Raises SettingsError.

        `overrides` and `config` go to `trainer improve`; `questions` is a file of questions that people checked, for
        the gate; `quick` is a rehearsal, in which the gate measures a part and promotes nothing. It is refused where a
        run is going on, and where nothing could show a gain, unless `anyway`.
        """
        seen = self.outlook(person=person)
        if not anyway:
            seen.refuse_hopeless(questions=questions is not None)
        asked = runs.Asked(
            person=person or LOCAL_OWNER,
            overrides=tuple(overrides),
            config=str(config.resolve()) if config else None,
            questions=str(questions.resolve()) if questions else None,
            quick=quick,
        )
        return runs.Runs(self.path).start(asked, self.settings, seen.as_dict())

    def improvement(self, number: int | None = None) -> Run | None:
        """One run as it stands now, without a number the latest; None while there was none. Raises NotFound."""
        return runs.Runs(self.path).get(number)

    def improvements(self) -> list[Run]:
        """All runs, the latest first."""
        return runs.Runs(self.path).history()

    def improvement_losses(self, number: int) -> list[Loss]:
        """The points of a run's loss curves so far."""
        return runs.Runs(self.path).losses(number)

    def stop_improving(self) -> Run:
        """Ask the run that is going on to save and stop. Raises NotFound where none is."""
        return runs.Runs(self.path).stop()

    def resume_improving(self, number: int | None = None, *, again: str | None = None) -> Run:
        """Go on with a run that stopped, was interrupted or failed; `again` names a stage to do once more from."""
        return runs.Runs(self.path).resume(self.settings, number, again=again)

    def run_improvement(self, number: int) -> Run:
        """Do the work of a run in this process, which is made for it: see `rag/improve.py`."""
        from rag import improve, leashed

        leashed.lower_priority()
        return improve.improve(cast(improve.Improvable, self), number, base=self._model_folder())

    def _forget_spoilt(self) -> None:
        """Documents' words leave the bundles of resting runs when they leave the library; such a run begins anew."""
        every = runs.Runs(self.path)
        for folder, identity in every.bundles_at_rest() if every.folder.is_dir() else ():
            from rag import bundle

            if bundle.taken_back(self._catalogue, identity):
                runs.forget(folder, ("candidate", *runs.WORDS))

    if TYPE_CHECKING:

        def _parts(self) -> Parts:
            """Of `Opening`."""

        def _model_folder(self) -> Path:
            """Of `Opening`."""
