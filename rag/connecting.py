"""The part of the handle that takes documents from sites, repositories, mailboxes, archives and watched folders.

Takes   an open library, of which `Library` is the whole, and addresses as `rag.connect` opens them.
Gives   one report for each document, like `add`; `watch` gives lists of them, for as long as it is iterated.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.connect import is_address as is_address  # the doors know the library only
from rag.connect import open_source
from rag.connect.source import Options as Options
from rag.types import DEFAULT_COLLECTION, FileReport

if TYPE_CHECKING:
    from rag.catalogue import Catalogue
    from rag.parts import Parts


class Connecting:
    """What a library follows beside files and folders that are added once."""

    _catalogue: Catalogue

    def connect(
        self,
        address: str | Path,
        *,
        options: Options | None = None,
        collection: str = DEFAULT_COLLECTION,
        sync: bool = False,
        access: Sequence[str] = (),
        passwords: Sequence[str] = (),
        progress: Callable[[Any], None] | None = None,
    ) -> list[FileReport]:
        """Take what is new or changed at `https://…`, `git+https://…`, `git+/path`, a .mbox, a .zip or a folder.

        What is unchanged is not fetched again. `sync` also removes what vanished there; what cannot be reached stays.
        `passwords` may open protected files; they are kept nowhere.
        """
        from rag.connect.taking import take_from
        from rag.load import unlock

        before = self._catalogue.generation
        with unlock.using(passwords):
            reports = take_from(
                self._parts(), open_source(address, options),
                collection=collection, sync=sync, access=access, progress=progress,
            )  # fmt: skip
        self._recheck_since(before)
        return reports

    def watch(
        self,
        addresses: str | Path | Sequence[str | Path],
        *,
        options: Options | None = None,
        collection: str = DEFAULT_COLLECTION,
        sync: bool = False,
        access: Sequence[str] = (),
        every: float | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[list[FileReport]]:
        """Follow folders and addresses until `stop` is set: a list of reports whenever something changed.

        The first list comes after the first look and may be empty. `every` is the pause in seconds; None: two for what
        lies on this machine, fifteen minutes for what does not.
        """
        from rag.connect.watch import rounds

        given = [addresses] if isinstance(addresses, str | Path) else addresses
        sources = [open_source(address, options) for address in given]
        self._parts()  # what cannot be opened is said now, not at the first look
        looks = rounds(
            self._parts, sources,
            stop=stop or threading.Event(), every=every, collection=collection, sync=sync, access=access,
        )  # fmt: skip
        return self._rechecked(looks)

    def _rechecked(self, looks: Iterator[list[FileReport]]) -> Iterator[list[FileReport]]:
        """After each change the pinned questions are asked again, as after any other."""
        before = self._catalogue.generation
        for reports in looks:
            self._recheck_since(before)
            before = self._catalogue.generation
            yield reports

    if TYPE_CHECKING:

        def _parts(self) -> Parts: ...

        def _recheck_since(self, generation: int) -> None: ...
