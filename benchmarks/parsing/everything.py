"""Ingest every document of the data folder: files in, failed and why, pages without text, passages, minutes, memory.

Takes   the data folder: documents/ holds three handbooks, twelve filings and 250 office files of 25 kinds.
Gives   the result; the index stays where it was written, for `benchmarks.answers`.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

import rag


class Peak:
    """The largest memory of this process and its children, looked at a few times a second."""

    def __init__(self) -> None:
        self.bytes, self._stop = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        own = psutil.Process()
        while not self._stop.wait(0.3):
            total = 0
            for process in (own, *own.children(recursive=True)):
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue  # it ended while we looked
            self.bytes = max(self.bytes, total)

    def stop(self) -> float:
        """End watching; the peak in GiB."""
        self._stop.set()
        self._thread.join()
        return self.bytes / 2**30


def ingest(data: Path, index: Path) -> dict[str, Any]:
    """Into an empty index; the reasons of failures go to standard output."""
    shutil.rmtree(index, ignore_errors=True)
    peak, began = Peak(), time.monotonic()
    with rag.open(index) as library:
        reports = library.add([data / "documents"], progress=lambda p: sys.stderr.write(f"\r{p.done}/{p.total} "))
        minutes = (time.monotonic() - began) / 60
        failures = [report for report in reports if report.status == "failed"]
        for report in failures:
            sys.stdout.write(f"{report.reason}\n")
        return {
            "files": len(reports),
            "statuses": dict(Counter(report.status for report in reports)),
            "failed_kinds": dict(Counter(Path(report.document).suffix.lower() for report in failures).most_common()),
            "pages_without_text": sum(report.pages_without_text for report in reports),
            "passages": sum(report.passages for report in reports),
            "minutes": round(minutes, 2),
            "peak_gib": round(peak.stop(), 2),
            "problems": library.verify(),
        }
