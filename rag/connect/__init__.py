"""Documents that do not lie in a folder, or in one that changes: connectors.

    address ─► open_source ─► Source.bring(known) ─► Brought, Kept, Gone, Missing ─► ingest.take ─► marks

Takes   an address as people write it: `https://…`, `git+https://…`, `git+/path`, a `.mbox`, a `.zip`, a folder.
Gives   a `Source`; `taking.take_from` lets a library follow it, `watch.rounds` again and again.
Refuses addresses that no connector opens, with the ones there are (SettingsError).

One file a noun: `source` the protocol, `marks` what is remembered between two runs, `taking` one run, `watch` many;
`folder`, `archive`, `mbox`, `repository`, `web` the sources; `network`, `client`, `robots`, `sitemap` serve `web`.
"""

from __future__ import annotations

from pathlib import Path

from rag.connect.source import Options, Source
from rag.errors import SettingsError

WEB = ("http://", "https://")
GIT = "git+"
FILES = (".mbox", ".zip")


def is_address(given: str | Path) -> bool:
    """Whether a connector opens it; files and folders that `rag.load` reads by itself are no addresses."""
    text = str(given)
    return text.startswith((*WEB, GIT)) or (Path(text).suffix.lower() in FILES and Path(text).is_file())


def open_source(given: str | Path, options: Options | None = None) -> Source:
    """The source behind an address; nothing is read yet."""
    options = options or Options()
    text = str(given)
    if text.startswith(WEB):
        from rag.connect.web import Web

        return Web(text, options)
    if text.startswith(GIT):
        from rag.connect.repository import Repository

        return Repository(text, options)
    path = Path(text)
    if path.is_dir():
        from rag.connect.folder import Folder

        return Folder(path, options)
    if path.suffix.lower() == ".mbox" and path.is_file():
        from rag.connect.mbox import Mbox

        return Mbox(path, options)
    if path.suffix.lower() == ".zip" and path.is_file():
        from rag.connect.archive import Archive

        return Archive(path, options)
    raise SettingsError(
        f"{text}: no connector opens it. Name a folder, a .mbox, a .zip, https://…, git+https://… or git+/path"
    )
