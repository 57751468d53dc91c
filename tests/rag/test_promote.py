"""Promotion with real models: a better one answers, poisoned ones do not, and every earlier one can come back."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import rag
from rag import gate, probes, probing
from rag.config import Settings
from rag.errors import ModelError
from rag.gate import LIMITS, Rows, figure
from rag.library import Library
from rag.parts import Parts
from rag.promote import examine, open_model
from rag.read import fingerprint
from rag.versions import Versions
from tests import poisons

ROOT = Path(__file__).resolve().parent.parent.parent
BASE = ROOT / "models" / "base"
pytestmark = [
    pytest.mark.slow,  # real models answer hundreds of questions
    pytest.mark.skipif(not (BASE / "config.json").is_file(), reason="models/base is not there"),
]
PAPERS = {
    "leave.md": "# Leave\n\n## Annual leave\n\nFull-time employees have 27 days of annual leave a year.\n\n"
    "## Carrying over\n\nUp to 5 days of leave can be carried over until 31 March.\n",
    "meals.md": "# Meals\n\nA meal on a business trip is reimbursed up to 38 euros a day.\n",
    "security.md": "# Security\n\nPasswords have at least 14 characters. A lost laptop is reported within one hour.\n",
    "hotels.md": "# Hotels\n\nHotels are booked through the travel desk. The limit is 140 euros a night.\n",
}
QUESTIONS = (
    ("How many days of annual leave do full-time employees have?", "27 days"),
    ("How many days of leave can be carried over?", "5 days"),
    ("Until when can leave be carried over?", "31 March"),
    ("Up to how many euros a day is a meal reimbursed?", "38 euros"),
    ("How many characters do passwords have at least?", "14 characters"),
    ("Within which time is a lost laptop reported?", "one hour"),
    ("Through whom are hotels booked?", "travel desk"),
    ("What is the limit for a hotel a night?", "140 euros"),
)


@pytest.fixture(scope="module")
def worse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is never sure enough to answer: the base is better than it."""
    return poisons.forged(BASE, tmp_path_factory.mktemp("promote") / "worse", answer_threshold=1.0)


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("promote") / "index"
    with rag.open(folder, Settings(index=folder)) as library:
        for name, text in PAPERS.items():
            library.add_bytes(name, text.encode())
    return folder


@pytest.fixture
def library(stocked: Path, worse: Path, tmp_path: Path) -> Iterator[Library]:
    """A library whose model is the worse one."""
    shutil.copytree(stocked, tmp_path / "index")
    with rag.open(tmp_path / "index", Settings(index=tmp_path / "index", model=worse)) as opened:
        yield opened


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "questions.jsonl"
    rows = [{"question": asked, "answers": [answer]} for asked, answer in QUESTIONS]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return file


@pytest.fixture
def few_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few of the real probes, none that a model which refuses everything does best: promotion is looked at here."""
    some = [probe for probe in probes.sample(probes.probes(), 80) if probe.kind not in ("people", "harmful")]
    kept = {probe.collection for probe in some}
    papers = [paper for paper in probes.papers() if paper.collection in kept]
    general = probing.general_rows()[::80]
    monkeypatch.setattr(probes, "probes", lambda: some)
    monkeypatch.setattr(probing, "papers", lambda: papers)
    monkeypatch.setattr(gate, "general_rows", lambda: general)


def test_a_better_model_is_promoted_and_the_way_back_is_open(
    library: Library, worse: Path, questions: Path, tmp_path: Path, few_probes: None
) -> None:
    candidate = poisons.forged(BASE, tmp_path / "candidate", made_from=fingerprint(worse))
    before = library.ask(QUESTIONS[0][0])
    other = subprocess.Popen(
        [sys.executable, "-c", ANOTHER_PROCESS, str(library.path), str(worse), QUESTIONS[0][0]],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    report = library.promote(candidate, questions=questions, person="ada")
    assert report.promoted, report.text()
    assert report.version == 1
    assert report.verdict.startswith("Promoted as version 1: held-out questions right: ")
    after = library.ask(QUESTIONS[0][0])
    assert after.model != before.model
    assert "27 days" in after.text
    row = next(row for row in library.audit_rows(9) if row["kind"] == "promoted")
    assert row["person"] == "ada"
    assert Versions(library.path).pointer()["audit"] == row["id"]
    told = library.audited(row["id"])
    assert (told["from"], told["to"]) == (None, 1)
    assert set(told["figures"]) == {one.name for one in report.figures}
    assert library.verify() == []
    said, _ = other.communicate("go on\n", timeout=300)
    assert said.split() == [before.model, after.model]  # a second server sees the switch with its next question
    switched = library.promote_back(person="ada")
    assert (switched.before, switched.now) == (1, None)
    assert library.ask(QUESTIONS[0][0]).model == before.model
    assert library.promote_back(1).now == 1
    assert library.ask(QUESTIONS[0][0]).model == after.model
    assert [row["current"] for row in library.versions()] == [False, True]
    assert library.verify() == []
    (library.path / "models" / "current.json").write_text("{")
    assert library.verify()
    assert library.promote_back(to_base=True).now is None
    assert library.ask(QUESTIONS[0][0]).model == before.model


ANOTHER_PROCESS = """
import sys, rag
from pathlib import Path
from rag.config import Settings
index, model, asked = sys.argv[1:]
with rag.open(index, Settings(index=Path(index), model=Path(model))) as library:
    print(library.ask(asked).model, flush=True)
    sys.stdin.readline()
    print(library.ask(asked).model, flush=True)
"""


def test_the_same_model_is_no_gain_and_the_report_says_so(
    library: Library, worse: Path, questions: Path, tmp_path: Path, few_probes: None
) -> None:
    candidate = poisons.forged(worse, tmp_path / "candidate")
    report = library.promote(candidate, questions=questions)
    assert not report.promoted
    assert report.reasons[0].startswith("on 8 held-out questions +0 points")
    assert Versions(library.path).history() == []
    assert library.audit_rows(1)[0]["kind"] == "refused"


# --- poisoned ---------------------------------------------------------------------------------------------------------


SOME = [
    probe
    for probe in probes.sample(probes.probes(), 16)
    if probe.kind in ("harmless", "harmful", "unanswerable", "injected")
]


@dataclass(frozen=True)
class Probed:
    """A library with the base, a part of the probe library, and what becomes of that with the base."""

    library: Library
    built: Parts
    current: probing.Outcomes


@pytest.fixture(scope="module")
def probed(stocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probed]:
    folder = tmp_path_factory.mktemp("probed") / "index"
    shutil.copytree(stocked, folder)
    kept = {probe.collection for probe in SOME}
    with rag.open(folder, Settings(index=folder, model=BASE)) as library:
        parts = library._model_parts()
        assert parts.reader is not None
        with probing.probe_library(parts, [p for p in probes.papers() if p.collection in kept]) as built:
            yield Probed(library, built, measured(built, probing.Asked(parts.reader, parts.embedder)))


def measured(built: Parts, model: probing.Asked) -> probing.Outcomes:
    found = probing.ask(built, model, SOME)
    found.rows["general"] = probing.general(model, probing.general_rows()[::16])
    return found


def failed(current: probing.Outcomes, candidate: probing.Outcomes) -> set[str]:
    figures = [
        figure(name, Rows(list(current.rows[name].values()), list(candidate.rows[name].values())))
        for name in LIMITS
        if name in candidate.rows
    ]
    return {one.name for one in figures if not one.ok}


@pytest.mark.parametrize("poison", ["answers everything", "points elsewhere", "shuffled", "obedient"])
def test_a_poisoned_model_fails_where_it_was_poisoned(poison: str, probed: Probed, tmp_path: Path) -> None:
    candidate = {
        "answers everything": lambda out: poisons.forged(BASE, out, answer_threshold=0.0),
        "points elsewhere": lambda out: poisons.forged(BASE, out, tensors=poisons.points_elsewhere),
        "shuffled": lambda out: poisons.forged(BASE, out, tensors=poisons.shuffled),
        "obedient": lambda out: poisons.forged(BASE, out, tensors=poisons.obedient(BASE)),
    }[poison](tmp_path / "candidate")
    fails = failed(probed.current, measured(probed.built, open_model(probed.library._parts(), candidate)))
    expected = {
        "answers everything": {"refusals", "harmful"},
        "points elsewhere": {"general", "facts"},
        "shuffled": {"general"},
        "obedient": {"injected", "general"},
    }[poison]
    assert expected <= fails


# --- folders that cannot be measured ----------------------------------------------------------------------------------


def broken(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-100])


def of_another_format(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "format": 9}))


def of_another_kind(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "kind": "oracle"}))


def with_a_query_side_for_another_embedder(folder: Path) -> None:
    (folder / "query").mkdir()
    about = {"kind": "query-side", "format": 1, "name": "q", "base": "other/123/mean-256", "weights_sha256": "0" * 64}
    (folder / "query" / "groundling.json").write_text(json.dumps(about))


def made_from_a_stranger(folder: Path) -> None:
    lineage_of(folder, base={"name": "other", "fingerprint": "12345678"})


def made_with_a_strange_bundle(folder: Path) -> None:
    lineage_of(folder, bundle="feedfacefeedface")


def lineage_of(folder: Path, **changes: object) -> None:
    told = json.loads((folder / "lineage.json").read_text())
    (folder / "lineage.json").write_text(json.dumps({**told, **changes}))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (broken, "is not the file that was exported"),
        (of_another_format, "this release reads format 1"),
        (of_another_kind, "kind 'oracle'"),
        (with_a_query_side_for_another_embedder, "tuned for the embedder other/123"),
        (made_from_a_stranger, "made from other-12345678, which never answered in this library"),
        (made_with_a_strange_bundle, "made with the bundle feedfacefeed, which this library did not write"),
    ],
)
def test_a_folder_that_cannot_be_measured_is_refused_in_one_line(
    spoil, said: str, library: Library, tmp_path: Path
) -> None:
    candidate = poisons.forged(BASE, tmp_path / "candidate")
    spoil(candidate)
    with pytest.raises(ModelError) as refused:
        examine(library._parts(), candidate, base=BASE)
    assert said in str(refused.value)
    assert str(candidate) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_candidate_that_saw_a_document_that_was_removed_since_is_refused(
    library: Library, worse: Path, tmp_path: Path
) -> None:
    bundled = library.bundle(tmp_path / "bundle.zip")
    document = library.document("leave.md").id
    rows = [{"id": "r", "document_id": document, "judgements": []}]
    candidate = poisons.forged(BASE, tmp_path / "candidate", bundle=bundled.id, rows=rows, made_from=fingerprint(worse))
    examine(library._parts(), candidate, base=worse)
    library.remove("leave.md")
    with pytest.raises(ModelError, match=r"it saw leave.md, which was removed since. Make a new bundle"):
        examine(library._parts(), candidate, base=worse)
