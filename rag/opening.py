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

from rag.catalogue import Catalogue
from rag.config import Settings
from rag.errors import ModelError
from rag.versions import Versions

if TYPE_CHECKING:
    from rag.parts import Parts


class Opening:
    """Parts and model of a library."""

    path: Path
    settings: Settings
    _catalogue: Catalogue
    _promoted: bool  # False: the model that the settings name answers, whichever was promoted
    _opened: Parts | None
    _belonged: str = ""  # the embedder of the catalogue when the parts were opened
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
        """Where something changed, a copy: an answer that is running keeps the parts it began with."""
        with self._opening:
            opened, belongs = self._opened, self._catalogue.embedder
            if opened is not None and opened.settings.model == folder and belongs == self._belonged:
                return opened
            settings = self.settings.but(model=folder)
            if opened is None:
                from rag.embedders import open_answering
                from rag.parts import open_parts

                opened = open_parts(self.path, *open_answering(self._catalogue, settings))
            elif belongs not in (self._belonged, opened.embedder.identity):  # it moved, or was restored
                opened = self._moved(opened, settings)
            elif opened.settings.model != folder:
                from rag.embed import open_embedder

                settings = opened.settings.but(model=folder)
                embedder = open_embedder(settings, base=opened.embedder)
                opened = replace(opened, settings=settings, embedder=embedder, reader=None)
            self._opened, self._belonged = opened, belongs
            return opened

    def _moved(self, opened: Parts, settings: Settings) -> Parts:
        """With the embedder that counts by now, and a copy of its vectors."""
        from rag.embedders import open_answering
        from rag.vectors import Vectors

        settings, embedder = open_answering(self._catalogue, settings)
        vectors = Vectors(self.path, opened.catalogue, embedder)
        vectors.catch_up()
        reader = opened.reader if opened.settings.model == settings.model else None
        return replace(opened, settings=settings, embedder=embedder, vectors=vectors, reader=reader)

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
        try:
            folder = self._model_folder()
        except ModelError:
            return "none"  # the pointer is damaged: every question tells it, and Training leads back to a model
        opened = self._opened
        if opened is not None and opened.reader is not None and opened.settings.model == folder:
            return opened.reader.name
        return folder.name if (folder / "config.json").is_file() else "none"

    if TYPE_CHECKING:

        def recheck_pinned(self, seconds: float | None = None) -> bool:
            """Of `Keeping`."""
