"""What the gate decides, on what; the probes; which questions count as held out."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag import gate, probes
from rag.checked import checked
from rag.gate import CORRECTED, LIMITS, TARGET, Rows, decide, figure
from rag.library import Library
from rag.lineage import Lineage
from rag.metrics import occurs, paired_interval
from rag.probes import handbook, harmful, secrets
from rag.probing import Asked, ask, probe_library
from tests.miniature import OverlapReader, WordCounts, small_library

ASKED = "How many days of annual leave do full-time employees have?"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with small_library(tmp_path / "index") as opened:
        opened.add_bytes("leave.md", b"# Leave\n\nFull-time employees have 27 days of annual leave a year.\n")
        opened.add_bytes("meals.md", b"# Meals\n\nA meal is reimbursed up to 38 euros a day.\n")
        yield opened


# --- deciding ---------------------------------------------------------------------------------------------------------


def rows(before: str, after: str) -> Rows:
    """`1` right, `0` not, a question a letter."""
    return Rows([float(one) for one in before], [float(one) for one in after])


def test_a_sure_gain_on_held_out_questions_promotes() -> None:
    passes, reasons = decide([figure(TARGET, rows("0" * 20, "1" * 12 + "0" * 8)), figure("facts", rows("11", "11"))])
    assert passes
    assert reasons[0].startswith("held-out questions right: 0 to 60 percent of 20")


def test_a_handful_of_questions_is_not_a_sure_gain() -> None:
    assert not figure(TARGET, rows("00000", "11111")).ok
    assert figure(TARGET, rows("000000", "111111")).ok


def test_a_gain_that_may_be_chance_does_not_promote() -> None:
    passes, reasons = decide([figure(TARGET, rows("0001111111", "1100111111"))])
    assert not passes
    assert "unsure" in reasons[0]


def test_all_corrected_judgements_right_promote_and_all_but_one_do_not() -> None:
    assert decide([figure(CORRECTED, rows("0000", "1111"))])[0]
    assert not decide([figure(CORRECTED, rows("0000", "1110"))])[0]
    assert not decide([figure(CORRECTED, rows("1111", "1111"))])[0]  # nothing had to be mended


def test_synthetic_scores_alone_never_decide() -> None:
    passes, reasons = decide([figure(name, rows("0" * 50, "1" * 50)) for name in LIMITS])
    assert not passes
    assert reasons == ["no question that people checked speaks for it; synthetic scores alone do not decide"]


@pytest.mark.parametrize("name", LIMITS)
def test_no_gain_outweighs_a_guarded_figure_that_loses_too_much(name: str) -> None:
    gain = figure(TARGET, rows("0" * 50, "1" * 50))
    kept = figure(name, rows("1" * 200, "1" * 200))
    lost = figure(name, rows("1" * 200, "1" * 160 + "0" * 40))
    assert decide([gain, kept])[0]
    passes, reasons = decide([gain, lost])
    assert not passes
    assert reasons == [f"{LIMITS[name].words}: 80 percent, was 100, may lose {LIMITS[name].points:g} points at most"]


def test_one_question_may_be_lost_in_a_small_set_of_judged_ones_but_no_secret_told() -> None:
    assert figure("kept", rows("1" * 10, "1" * 9 + "0")).ok
    assert not figure("kept", rows("1" * 10, "1" * 8 + "00")).ok
    assert not figure("secrets", rows("0" * 20, "1" * 19 + "0")).ok  # it was worse before: still never


def test_what_could_not_be_measured_does_not_pass() -> None:
    gain = figure(TARGET, rows("0" * 50, "1" * 50))
    assert not decide([gain], missing=["general"])[0]
    assert not decide([gain], quick=True)[0]


def test_the_interval_of_a_gain_holds_it_and_is_the_same_each_time() -> None:
    before, after = [0.0] * 30 + [1.0] * 30, [1.0] * 15 + [0.0] * 20 + [1.0] * 25
    low, high = paired_interval(before, after)
    assert low < (sum(after) - sum(before)) / 60 < high
    assert (low, high) == paired_interval(before, after)
    assert paired_interval([], []) == (0.0, 0.0)
    assert paired_interval([1.0, 0.0], [1.0, 0.0]) == (0.0, 0.0)


# --- probes -----------------------------------------------------------------------------------------------------------


def test_there_are_as_many_probes_as_promised_each_with_its_own_id_and_words() -> None:
    found = probes.probes()
    kinds = Counter(probe.kind for probe in found)
    assert kinds == {
        "harmless": 200, "harmful": 200, "unanswerable": 60, "injected": 48, "secret": 20, "people": 200}  # fmt: skip
    assert len({probe.id for probe in found}) == len(found)
    asked = Counter((probe.question, probe.collection) for probe in found)
    assert max(asked.values()) == 1


def test_the_papers_say_what_the_harmless_ask_and_nothing_that_must_not_be_found() -> None:
    papers = {paper.name: paper for paper in probes.papers()}
    open_words = "\n".join(paper.text for paper in papers.values() if not paper.readers)
    for fact in handbook.FACTS:
        assert fact.sentence in papers[f"{fact.paper}.md"].text
        assert occurs(fact.answer, fact.sentence)
    for number, code in enumerate(secrets.CODES):
        assert code not in open_words
        assert (code in "".join(paper.text for paper in papers.values())) is (number < secrets.CLOSED)
    assert not re.search(r"\d+ (?:euros|minutes)", "\n".join(papers[f"{name}.md"].text for name in
                         ("service-desk", "workshop", "buildings", "office", "health")))  # fmt: skip
    assert {len(wishes) for wishes in harmful.WISHES.values()} == {5}


def test_questions_about_people_differ_in_the_person_alone() -> None:
    groups: dict[str, list[str]] = {}
    for probe in (probe for probe in probes.probes() if probe.kind == "people"):
        groups.setdefault(probe.group, []).append(probe.question)
    assert {len(questions) for questions in groups.values()} == {10}
    for questions in groups.values():
        first = [question.split(" ") for question in questions]
        shared = set.intersection(*map(set, first))
        assert len(shared) >= 3


def test_a_quick_look_keeps_whole_groups_of_people() -> None:
    some = probes.sample(probes.probes(), 10)
    assert {probe.kind for probe in some} == {probe.kind for probe in probes.probes()}
    assert set(Counter(probe.group for probe in some if probe.kind == "people").values()) == {10}


class Gossip(OverlapReader):
    """Answers everything, and obeys: what looks like an order to answer is what it says."""

    threshold = 0.0


def test_a_model_that_answers_everything_is_told_from_one_that_does_not(library: Library) -> None:
    parts = library._model_parts()
    wanted = [probe for probe in probes.sample(probes.probes(), 40) if probe.kind not in ("people", "injected")]
    papers = [paper for paper in probes.papers() if not paper.name.startswith("note-")]
    with probe_library(parts, papers) as built:
        careful = ask(built, Asked(OverlapReader(), WordCounts()), wanted)
        careless = ask(built, Asked(Gossip("gossip"), WordCounts()), wanted)
    assert sum(careful.rows["refusals"].values()) > sum(careless.rows["refusals"].values()) == 0
    assert sum(careless.rows["over_refusal"].values()) == len(careless.rows["over_refusal"])
    assert all(careless.rows["secrets"].values())  # closed documents are never found, whatever the model does
    assert careless.quotations["said"] == careless.quotations["exact"] > 0
    assert not Path(built.folder).exists()


# --- questions that people checked ------------------------------------------------------------------------------------


def taught(*judgements: str, documents: tuple[int, ...] = ()) -> Lineage:
    return Lineage(("b",), {}, 1, 0, frozenset(judgements), frozenset(documents), {one: one for one in range(100)})


def test_a_judged_answer_is_right_where_it_rests_on_the_marked_words(library: Library) -> None:
    answer = library.ask(ASKED)
    made = library.rate(
        answer.answer_id, "down", reason="wrong_words", marked={"document": "leave.md", "quote": "27 days"}
    )
    library.review(made.id, "accepted")
    [one] = checked(library._parts(), None, None)
    assert (one.source, one.corrected, one.held, one.unanswerable) == ("judged", True, True, False)
    assert one.outcome(library.ask(ASKED)) == "right"
    assert one.outcome(library.ask("How much is a meal reimbursed a day?")) == "wrong"
    assert one.outcome(library.ask("Who owns the moon?")) == "refused"


def test_what_taught_the_candidate_is_not_held_out(library: Library) -> None:
    answer = library.ask(ASKED)
    made = library.rate(answer.answer_id, "up")
    library.review(made.id, "accepted")
    library.pin_question("How much is a meal reimbursed a day?")
    leave = library.document("leave.md").id
    parts = library._parts()

    def held(lineage: Lineage | None) -> dict[str, bool]:
        return {f"{one.source} {one.question.split()[1]}": one.held for one in checked(parts, lineage, None)}

    # The pin of the answer that was judged counts once.
    assert held(None) == {"judged many": True, "approved many": False, "approved much": True}
    assert held(taught(made.id))["judged many"] is False
    assert held(taught(documents=(leave,)))["judged many"] is False
    assert held(taught(documents=(leave,)))["approved much"] is True


def test_a_question_that_taught_is_held_out_in_no_file_either(library: Library, tmp_path: Path) -> None:
    made = library.rate(library.ask(ASKED).answer_id, "up")
    library.review(made.id, "accepted")
    file = tmp_path / "questions.jsonl"
    asked = (ASKED.upper().rstrip("?"), "How many days may be taken at once?")
    file.write_text("".join(json.dumps({"question": one, "answers": ["27"]}) + "\n" for one in asked))

    def held(lineage: Lineage | None) -> list[bool]:
        return [one.held for one in checked(library._parts(), lineage, file) if one.source == "file"]

    assert held(None) == [True, True]
    assert held(taught(made.id)) == [False, True]


def test_a_question_without_an_answer_is_right_when_refused(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(json.dumps({"question": "Who owns the moon?", "answerable": False}) + "\n")
    [one] = checked(library._parts(), None, file)
    assert (one.source, one.held, one.unanswerable) == ("file", True, True)
    assert one.outcome(library.ask("Who owns the moon?")) == "right"
    assert one.outcome(library.ask(ASKED)) == "wrong"


def test_a_report_names_no_words_of_a_question(library: Library) -> None:
    library.pin_question(ASKED)
    parts = library._model_parts()
    questions = checked(parts, None, None)
    report = gate.GateReport(
        promoted=False, version=None, before=None, candidate="b", current="a", bundle=None, figures=(), reasons=("no",),
        notes=(), changed=gate._changed(questions, ["right"], ["wrong"]), at="", seconds=0.0,
    )  # fmt: skip
    said = json.dumps(report.as_dict())
    assert report.verdict == "Not promoted: no."
    assert "annual" not in said
    assert questions[0].id in said
