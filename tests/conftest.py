"""What tests share: a small library with the real embedder, FAISS and tantivy."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch loads: small batches gain nothing from threads
for name in [name for name in os.environ if name.startswith("GROUNDLING_")]:
    del os.environ[name]  # a developer's own settings must not decide a test

import rag  # noqa: E402
from rag.config import Settings  # noqa: E402
from rag.library import Library  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent

LEAVE = """# Leave policy

## Annual leave

Full-time employees have 27 days of annual leave a year. Part-time employees have a share of these days.
Up to 5 days can be carried over until 31 March.

## How do I request leave?

Ask your manager at least two weeks before. Requests are made in the portal Timely, never by e-mail.
"""

EXPENSES = """# Travel and expenses

## Meal allowance

A meal on a business trip is reimbursed up to 38 euros a day. Alcohol is not reimbursed.

## Booking a hotel

Hotels are booked through the travel desk. The limit is 140 euros a night, in capitals 190 euros.
"""

SECURITY = """# Information security

Passwords have at least 14 characters. A lost laptop is reported to the service desk within one hour.
"""


@pytest.fixture(autouse=True)
def _main_stays() -> Iterator[None]:
    """A page's test leaves its script as `__main__`, and a process that a later test starts would run it."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three short documents in a folder. Copy it before changing anything."""
    folder = tmp_path_factory.mktemp("session") / "papers"
    (folder / "travel").mkdir(parents=True)
    (folder / "leave.md").write_text(LEAVE, "utf-8")
    (folder / "travel" / "expenses.md").write_text(EXPENSES, "utf-8")
    (folder / "security.txt").write_text(SECURITY, "utf-8")
    return folder


@pytest.fixture(scope="session")
def shared_library(papers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A real library over `papers`, for reading only. It has no model: ask through one of your own."""
    folder = tmp_path_factory.mktemp("session") / "index"
    with rag.open(folder, Settings(index=folder)) as library:
        reports = library.add([papers])
        assert [report.status for report in reports] == ["added"] * 3, reports
        yield library


@pytest.fixture(scope="session")
def untrained_reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder as `trainer` exports it, its heads still random: it always answers, with any words it likes.

    For tests of the way from a door to an answer and back; whether answers are good is measured elsewhere.
    """
    import torch

    from trainer.encoder import Encoder
    from trainer.encoder_reader import EncoderReader
    from trainer.reader import packaged_encoder

    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("session") / "untrained"
    base = packaged_encoder()
    settings = {"name": "untrained", "threshold": 0.01, "length": 384}
    EncoderReader(Encoder.from_folder(base)).export(folder, settings, base / "tokenizer.json")
    return folder
