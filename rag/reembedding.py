"""The part of the handle that is about the embedder: which one the library belongs to, moving to another, staying.

Takes   an open library, of which `Library` is the whole.
Gives   the open `Choice` where the settings name another embedder than the library's; how far a move is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.catalogue import Catalogue
from rag.config import Settings
from rag.errors import ModelError

if TYPE_CHECKING:
    from rag.embedders import Choice as Choice
    from rag.parts import Parts
    from rag.reembed import Moved as Moved
    from rag.reembed import Progress as Progress


class Reembedding:
    """What a library knows of its embedder."""

    path: Path
    settings: Settings
    _catalogue: Catalogue
    _opened: Parts | None

    @property
    def embedder_name(self) -> str:
        """The embedder that answers, as a setting names it."""
        from rag import embedders

        if self._opened is not None:
            return self._opened.settings.embedder
        return embedders.name_of(self._catalogue, self._catalogue.embedder) or self.settings.embedder

    def embedder_choice(self) -> Choice | None:
        """What is to be decided where the settings name another embedder than the library's; loads nothing."""
        from rag import embedders

        return embedders.choice(self._catalogue, self.settings, self._opened.embedder if self._opened else None)

    def keep_embedder(self) -> None:
        """Stay with the library's embedder, and drop what a move has made so far. Raises ModelError if it is gone."""
        from rag import commit, embedders, reembed

        self._parts()
        open_choice = self.embedder_choice()
        if open_choice is None:
            return
        if not open_choice.answers:
            raise ModelError(f"{open_choice}. Bring it back to its place, or move: rag reembed --index {self.path}")
        reembed.refuse_second(self.path)
        reembed.forget(self.path)
        commit.sweep(self._catalogue, (self._catalogue.embedder,))
        embedders.keep(self._catalogue, self.settings)

    def reembed(self, *, progress: Callable[[Any], None] | None = None, politely: bool = False) -> Moved:
        """Move to the embedder that the settings name; until the switch the one before answers. Again, it resumes.

        `progress` is given a `Progress` after each batch; `politely` lets all other work of this machine go first.
        """
        from rag import leashed, reembed
        from rag.embed import open_embedder

        if politely:
            leashed.lower_priority()
        parts = self._parts()
        moved = reembed.reembed(parts, open_embedder(self.settings), self.settings, tell=progress)
        self._parts()  # the copy of the embedder that counts now
        return moved

    def reembedding(self) -> Progress | None:
        """How far the latest move is, whichever process works at it; None where none was begun."""
        from rag import reembed

        return reembed.progress(self.path)

    def start_reembedding(self) -> None:
        """Move in a process that outlives this one. Raises SettingsError while another moves the library."""
        from rag import reembed

        reembed.start(self.path, self.settings)

    def stop_reembedding(self) -> None:
        """Ask for a stop after the batch that is embedded now; what is made stays. Raises NotFound where none moves."""
        from rag import reembed

        reembed.stop(self.path)

    if TYPE_CHECKING:

        def _parts(self) -> Parts:
            """Of `Opening`."""
