"""Sources followed again and again, until somebody says stop.

Takes   what gives an open library's parts, and addresses.
Gives   one list of reports for each look that found something; a trouble that lasts is told once, and when it is over.
Costs   at most a twentieth of one core: a look that took long makes the pause after it longer.
Survives a restart, also by power loss: what is known stands in the catalogue, so the first look reads only what is new.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from rag.connect.source import Source
from rag.connect.taking import take_from
from rag.errors import IndexDamaged
from rag.parts import Parts
from rag.types import DEFAULT_COLLECTION, FileReport

NEAR_S = 2.0  # between two looks at a folder or a file of this machine
FAR_S = 900.0  # at a site or a repository elsewhere
SHARE = 20  # a pause is at least so many times as long as the look before it ...
LONGEST_S = 60.0  # ... up to here


def rounds(
    parts: Callable[[], Parts],
    sources: Sequence[Source],
    *,
    stop: threading.Event,
    every: float | None = None,
    collection: str = DEFAULT_COLLECTION,
    sync: bool = False,
    access: Sequence[str] = (),
) -> Iterator[list[FileReport]]:
    """Look at each source when it is due; ends when `stop` is set. The first list may be empty: the start.

    `parts` is asked before each look: the library may have moved to another embedder since.
    """
    due = dict.fromkeys(range(len(sources)), 0.0)
    troubles: dict[int, set[str]] = {number: set() for number in due}
    readers = list(access)
    first = True
    while not stop.is_set():
        reports: list[FileReport] = []
        for number, source in enumerate(sources):
            begun = time.monotonic()
            if begun < due[number] or stop.is_set():
                continue
            named = readers if first else ()  # naming readers looks at every document: once is enough
            try:
                met = take_from(parts(), source, collection=collection, sync=sync, access=named, quiet=True)
            except IndexDamaged as error:  # another process writes for long: the next look comes
                met = [FileReport(source.address, "failed", reason=str(error))]
            reports += _news(met, troubles[number], source.address)
            pause = every if every is not None else NEAR_S if near(source) else FAR_S
            took = time.monotonic() - begun
            due[number] = time.monotonic() + max(pause, min(SHARE * took, LONGEST_S))
        if reports or first:
            yield reports
        first = False
        stop.wait(max(0.0, min(due.values()) - time.monotonic()))


def near(source: Source) -> bool:
    """Whether looking at it needs no network."""
    return "://" not in source.address


def _news(met: Sequence[FileReport], troubles: set[str], address: str) -> list[FileReport]:
    """Changes, and troubles that were not there at the look before."""
    failed = {report.reason or "": report for report in met if report.status == "failed"}
    told = [report for report in met if report.status != "failed" or report.reason not in troubles]
    if address in troubles and not any(report.document == address for report in failed.values()):
        told.append(FileReport(address, "unchanged", reason="can be reached again"))
    troubles.clear()
    troubles.update(failed, (report.document for report in failed.values() if report.document == address))
    return told
