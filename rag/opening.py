"""The part of the handle that opens what is heavy, once and late, and follows a switch of models.

    models/current.json ─► a promoted version, else settings.model ─► reader, query side ─► Parts

Takes   an open library, of which `Library` is the whole.
Gives   its `Parts`, for the model that answers now. The pointer is read before each question: after a switch, in any
        process, the next question gets the new reader, and answers that are running end with the one they began with.
Refuses to open a model where there is none: ModelError says where one comes from.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rag.config import Settings
from rag.errors import ModelError
from rag.versions import Versions

if TYPE_CHECKING:
    from rag.parts import Parts


class Opening:
    """Parts and model of a library."""

    path: Path
    settings: Settings
    _promoted: bool  # False: the model that the settings name answers, whichever was promoted
    _opened: Parts | None
    _opening: threading.RLock

    def warm(self) -> None:
        """Load what the first question needs, ahead of it. Raises ModelError where there is no model.

        Pinned questions that another model or changed documents have made due are then asked in the background.
        """
        self._model_parts()
        self.recheck_pinned(0)

    def risk(self) -> list[tuple[float, float, float]]:
        """What each least confidence did where the model was measured: (confidence, % refused, % wrong); or nothing."""
        from rag.read import model_config
        from rag.risk import measured

        folder = self._model_folder()
        if not (folder / "config.json").is_file():
            return []  # no model: nothing was measured, and the page where one is chosen must open
        return [(row.threshold, row.refused, row.wrong) for row in measured(model_config(folder).get("risk"))]

    def _model_folder(self) -> Path:
        """Where the model lies that answers now."""
        return (Versions(self.path).current() if self._promoted else None) or self.settings.model

    def _has_model(self) -> bool:
        return (self._model_folder() / "config.json").is_file()

    def _parts(self) -> Parts:
        """Catalogue, copies and embedder."""
        return self._parts_for(self._model_folder())

    def _mended_parts(self) -> Parts:
        """The same, also where the promoted model or the pointer to it is damaged: to look at, and to return."""
        try:
            return self._parts()
        except ModelError:
            return self._parts_for(self.settings.model)

    def _parts_for(self, folder: Path) -> Parts:
        with self._opening:
            if self._opened is not None and self._opened.settings.model == folder:
                return self._opened
            from rag.embed import open_embedder
            from rag.parts import open_parts

            settings = self.settings if folder == self.settings.model else self.settings.but(model=folder)
            if self._opened is None:
                self._opened = open_parts(self.path, settings, open_embedder(settings))
            else:  # a copy: an answer that is running keeps the parts it began with
                embedder = open_embedder(settings, base=self._opened.embedder)
                self._opened = replace(self._opened, settings=settings, embedder=embedder, reader=None)
            return self._opened

    def _model_parts(self) -> Parts:
        """The same, with a reader, and a speaker where an endpoint is set."""
        with self._opening:
            parts = self._parts()
            if parts.reader is None:
                folder = parts.settings.model
                if not (folder / "config.json").is_file():
                    raise ModelError(f"{folder}: no model there. {self._cure(folder)}")
                from rag.read import open_reader
                from rag.speak import open_speaker

                reader = open_reader(folder)
                parts.speaker = open_speaker(parts.settings, reader)
                parts.reader = reader
            return parts

    def _cure(self, folder: Path) -> str:
        if folder != self.settings.model:
            return "It was promoted and is gone: `rag promote --back` returns to the model before it"
        return "Name a model folder with --model or GROUNDLING_MODEL, or train one (models/README.md)"

    def _model_name(self) -> str:
        """As the reader names itself once it is loaded; until then the folder's name, or that there is none."""
        folder = self._model_folder()
        opened = self._opened
        if opened is not None and opened.reader is not None and opened.settings.model == folder:
            return opened.reader.name
        return folder.name if (folder / "config.json").is_file() else "none"

    if TYPE_CHECKING:

        def recheck_pinned(self, seconds: float | None = None) -> bool:
            """Of `Keeping`."""
