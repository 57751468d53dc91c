"""Improving on a bundle: what is refused, what teaches, what chooses, how a run stands and what its lineage says."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.trainer.bundled import bundle, judged, model_folder, passages, preference
from trainer import improve, reader
from trainer.chat import Source
from trainer.encoder import Encoder
from trainer.encoder_reader import EncoderReader
from trainer.errors import CheckpointError, DataError, RecipeError
from trainer.improving import bundle as bundles
from trainer.improving import candidate, forecast, material, mixing, preferring, questions, tuning
from trainer.improving.course import Course, Skipped, Stopped
from trainer.improving.material import gather
from trainer.improving.replay import LICENCES, shipped
from trainer.improving.settings import ImproveConfig


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("improve") / "base")


@pytest.fixture
def file(tmp_path: Path, base: Path) -> Path:
    return bundle(tmp_path / "b.zip", base, rows_train=judged(0, 30), passages_train=passages(0, 12))


def unpacked(folder: Path, base: Path, **members: list[dict[str, object]]) -> bundles.Bundle:
    return bundles.unpack(bundle(folder / "made.zip", base, **members), base, folder / "unpacked")


def rewritten(file: Path, name: str, change: bytes | None, *, as_name: str = "") -> Path:
    """The same ZIP with one member changed, left out (None), or under another name."""
    other = file.with_name("other.zip")
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(other, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename == name:
                if change is None and not as_name:
                    continue
                content = content if change is None else change
            new.writestr(as_name if as_name and entry.filename == name else entry.filename, content)
    return other


@pytest.mark.parametrize(
    ("name", "change", "as_name", "said"),
    [
        ("rows.train.jsonl", b"{}\n", "", "rows.train.jsonl is not what was exported"),
        ("rows.train.jsonl", b"x" * 400_000, "", "more bytes than its manifest says"),
        ("withdrawn.jsonl", None, "", "'withdrawn.jsonl' is missing"),
        ("README.md", None, "../../evil", "missing, twice or foreign"),
        ("manifest.json", b"no json", "", "manifest cannot be read"),
        ("manifest.json", b'{"format": 1}', "", "manifest cannot be read"),
    ],
)  # fmt: skip
def test_a_bundle_that_was_changed_is_refused_with_the_next_step(file, base, tmp_path, name, change, as_name, said):
    with pytest.raises(DataError, match=said) as told:
        bundles.unpack(rewritten(file, name, change, as_name=as_name), base, tmp_path / "out")
    assert "rag export --bundle" in str(told.value)
    assert {path.name for path in tmp_path.rglob("*evil*")} == set()


def test_a_manifest_that_was_changed_with_its_member_is_refused_all_the_same(file, base, tmp_path):
    with zipfile.ZipFile(file) as old:
        manifest = json.loads(old.read("manifest.json"))
    line = json.dumps(judged(90, 2)[0]).encode() + b"\n"
    manifest["members"]["rows.train.jsonl"] = {
        "rows": 1,
        "bytes": len(line),
        "sha256": hashlib.sha256(line).hexdigest(),
    }
    once = rewritten(file, "rows.train.jsonl", line)
    shutil.move(once, file)
    with pytest.raises(DataError, match="manifest was changed"):
        bundles.unpack(rewritten(file, "manifest.json", json.dumps(manifest).encode()), base, tmp_path / "out")


def test_a_file_that_is_no_zip_and_one_that_is_not_there_are_refused(base, tmp_path):
    (tmp_path / "b.zip").write_bytes(b"PK but no more")
    with pytest.raises(DataError, match="cannot be unpacked"):
        bundles.unpack(tmp_path / "b.zip", base, tmp_path / "out")
    with pytest.raises(DataError, match="no such file"):
        bundles.unpack(tmp_path / "none.zip", base, tmp_path / "out")


def test_a_base_that_the_judgements_are_not_about_is_refused(file, base, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(base, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "threshold": 0.25}))
    with pytest.raises(DataError, match=f"small-{bundles.fingerprint(base)}.*{bundles.fingerprint(other)}.*--base"):
        bundles.unpack(file, other, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_fingerprint_is_the_one_by_which_a_library_knows_the_folder(base):
    from rag.read import fingerprint

    assert bundles.fingerprint(base) == fingerprint(base)


def test_a_trunk_is_refused_with_the_commands_that_tune_one(tmp_path, base):
    trunk = tmp_path / "trunk"
    trunk.mkdir()
    (trunk / "config.json").write_text('{"format": 1, "kind": "trunk", "name": "t"}')
    wanted = improve.Wanted(file=tmp_path / "b.zip", base=trunk, out=tmp_path / "c", sections={})
    with pytest.raises(RecipeError, match=r"--stop-after synthesise.*trainer finetune.*trainer evaluate"):
        improve.check(wanted)
    improve.check(replace(wanted, stop_after="synthesise"))
    for name in ("model.safetensors", "tokenizer.json"):
        (trunk / name).write_bytes(b"")
    file = bundle(tmp_path / "b.zip", trunk, passages_train=passages(0, 2))
    given = [str(file), "--base", str(trunk), "--out", str(tmp_path / "c"), "--set", "improve.precision=fp32"]
    assert improve.main([*given, "--stop-after", "unpack"]) == 0
    assert improve.main(given) == 1
    with pytest.raises(RecipeError, match="no stage 'gate'"):
        improve.check(replace(wanted, base=base, stop_after="gate"))


def test_a_place_where_something_else_stands_is_left_alone(tmp_path, file, base, capsys):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("all of it")
    assert improve.main([str(file), "--base", str(base), "--out", str(out)]) == 1
    assert "no export wrote" in capsys.readouterr().err
    assert (out / "thesis.txt").read_text() == "all of it"
    assert improve.main([str(file), "--base", str(base), "--out", str(out), "--set", "reader.steps=3"]) == 1
    assert "no section 'reader'" in capsys.readouterr().err


# --- what teaches -----------------------------------------------------------------------------------------------------


def test_what_was_taken_back_is_never_learnt(tmp_path, base):
    rows = judged(0, 12)
    rows[3]["passages"].append({**rows[3]["passages"][0], "document_id": 777})  # a near miss of a document that left
    gone = [
        {"judgement": "j5", "reason": "withdrawn", "at": None},
        {"document_id": 777, "reason": "closed", "at": None},
    ]
    gone += [{"document_id": 4, "reason": "removed", "at": None}]
    found = unpacked(
        tmp_path, base, rows_train=rows, passages_train=passages(0, 8), withdrawn=gone, preferences_train=[preference(5)]
    )  # fmt: skip
    learnt = gather(found, None, ImproveConfig(), None)
    ids = {row.about["id"] for part in (learnt.pools, learnt.dev) for kind in ("judged",) for row in part.get(kind, [])}
    assert ids == {f"row{n}" for n in range(12)} - {"row3", "row4", "row5"}
    assert learnt.withdrawn == 3
    assert {row["document_id"] for row in questions.passages(found, ImproveConfig())} == set(range(8)) - {4}
    assert preferring.standing(found, tmp_path / "p.jsonl") == 0


def test_rows_of_ones_own_to_replay_are_not_learnt_either_where_they_were_taken_back(tmp_path, base):
    found = unpacked(tmp_path, base, rows_train=judged(0, 8), withdrawn=[{"judgement": "j31", "reason": "erased"}])
    own = tmp_path / "own.jsonl"
    own.write_text("".join(json.dumps(row) + "\n" for row in judged(30, 4)))
    learnt = gather(found, None, ImproveConfig(), own)
    assert [row.about["id"] for row in learnt.pools["replay"]] == ["row30", "row32", "row33"]


def test_what_chooses_shares_no_document_with_what_teaches_and_the_held_side_does_neither(tmp_path, base):
    found = unpacked(tmp_path, base, rows_train=judged(0, 60), rows_held=judged(300, 20))
    learnt = gather(found, None, ImproveConfig(), None)
    teaching, choosing = ({row.about["document_id"] for row in part["judged"]} for part in (learnt.pools, learnt.dev))
    assert len(choosing) >= 4
    assert not teaching & choosing
    assert teaching | choosing == set(range(60))
    texts = [{row.row.sources[0][1] for row in part["replay"]} for part in (learnt.dev, learnt.pools)]
    assert not texts[0] & texts[1]


def test_one_document_alone_still_leaves_rows_to_learn_from_and_rows_to_choose_by(tmp_path, base):
    rows = [{**row, "document_id": 1, "document": "only.md"} for row in judged(0, 40)]
    learnt = gather(unpacked(tmp_path, base, rows_train=rows), None, ImproveConfig(), None)
    assert len(learnt.pools["judged"]) > 2 * len(learnt.dev["judged"]) > 0


def test_without_judgements_or_questions_there_is_nothing_to_learn(tmp_path, base):
    found = unpacked(tmp_path, base, passages_train=passages(0, 3))
    with pytest.raises(DataError, match="nothing of this bundle teaches"):
        gather(found, None, ImproveConfig(), None)
    with pytest.raises(DataError, match="nothing of this bundle teaches"):
        gather(unpacked(tmp_path, base, rows_train=judged(0, 4)), None, ImproveConfig(judgements=False), None)


def test_a_step_holds_each_kind_by_its_share_and_every_row_once_before_any_again(tmp_path, base):
    encoder = EncoderReader.from_folder(base).encoder
    learnt = gather(unpacked(tmp_path, base, rows_train=judged(0, 30)), None, ImproveConfig(), None)
    config = ImproveConfig(questions_per_step=10, shares={"judged": 0.6, "replay": 0.4})
    mixed = mixing.Mixed(tuning.plain(learnt.pools), encoder, config)
    assert mixed.quota == {"judged": 6, "replay": 4}
    one, again = mixed.step(3), mixed.step(3)
    for batch, same in zip(one, again, strict=True):
        assert all((batch.arrays[name] == same.arrays[name]).all() for name in batch.arrays)
    assert [batch.counts["rank"] for batch in one] == [7, 3]  # in pieces, which memory bears
    assert mixing.steps_of(config, learnt.pools, mixed.quota) == max(
        40, round(len(learnt.pools["judged"]) * config.epochs / 6)
    )


def test_rows_that_nothing_answers_show_other_passages_each_time(base):
    row = material.row_of(
        {"question": "why", "sources": [["", f"text {n}"] for n in range(8)], "spans": [], "domain": "d"}
    )
    encoder = EncoderReader.from_folder(base).encoder
    shown = mixing.Shown([row], encoder, ImproveConfig())
    seen = {tuple(pair.ids) for seed in range(20) for pair in shown.of(0, 0, random.Random(seed))}
    assert len(seen) > 5
    assert all(not pair.gold for pair in shown.of(0, 0, random.Random(1)))


def test_the_rows_that_ship_may_be_shipped_and_point_at_words():
    for part, rows in shipped().items():
        assert {row.licence for row in rows} <= set(LICENCES), part
        assert all(row.sources[0][1][start:end].strip() for row in rows for start, end in row.spans), part
    texts = {part: {row.sources[0][1] for row in rows} for part, rows in shipped().items()}
    assert not texts["measured"] & (texts["train"] | texts["dev"])
    assert [len(shipped()[part]) for part in ("train", "dev", "measured")] == [1500, 136, 244]


# --- weights ----------------------------------------------------------------------------------------------------------


def test_a_model_folder_starts_a_reader_that_reads_as_it_does_and_exports_to_itself(base, tmp_path):
    asked = ("Which limit?", [Source("Limits", "The limit for keys at the mill is 300 pieces.")])
    model = tuning.start(base)
    assert [p for p in model.parameters() if not p.requires_grad] == [model.encoder.words.weight]
    assert model.read(*asked) == EncoderReader.from_folder(base).read(*asked)
    model.export(tmp_path / "again", dict(model.settings), base / "tokenizer.json")
    for name in ("model.safetensors",):
        assert (tmp_path / "again" / name).read_bytes() == (base / name).read_bytes()


def test_trainer_reader_starts_from_a_model_folder_too(base):
    torch.manual_seed(9)
    fresh = EncoderReader(Encoder(replace(EncoderReader.from_folder(base).encoder.config, positions=384)))
    before = fresh.encoder.places.weight[320:].clone()
    reader.start_from(fresh, [base])
    wanted = EncoderReader.from_folder(base).state_dict()
    for name, tensor in fresh.state_dict().items():
        assert torch.equal(tensor[: len(wanted[name])], wanted[name]), name
    assert torch.equal(fresh.encoder.places.weight[320:], before)  # places that the folder does not serve


# --- how a run stands -------------------------------------------------------------------------------------------------


def test_a_finished_stage_is_passed_over_until_what_it_rests_on_changes(tmp_path):
    done: list[str] = []

    def work() -> str:
        done.append("once")
        return "3 rows"

    course = Course(tmp_path, ("one", "two"))
    course.run("one", "k1", work)
    course.run("one", "k1", work)
    course.close()
    course = Course(tmp_path, ("one", "two"))
    course.run("one", "k1", work)
    assert done == ["once"]
    course.run("one", "k2", work)
    assert done == ["once", "once"]

    def nothing() -> str:
        raise Skipped("no thumbs")

    course.run("two", "k2", nothing)
    stages = json.loads((tmp_path / "state.json").read_text())["stages"]
    assert [(s["status"], s["detail"], s["progress"], s["left_s"]) for s in stages] == [
        ("done", "3 rows", 1.0, 0), ("skipped", "no thumbs", 1.0, 0)
    ]  # fmt: skip
    course.close()


def test_other_settings_do_again_the_stages_that_rest_on_them_and_no_others(tmp_path, file, base):
    def keys(**sections: dict[str, object]) -> dict[str, str]:
        given = {"improve": {"precision": "fp32", **sections.pop("improve", {})}, **sections}
        course = Course(tmp_path / "out.work", improve.STAGES)
        made = improve.Run(improve.Wanted(file=file, base=base, out=tmp_path / "out", sections=given), course)
        course.close()
        return {stage: made.key(stage) for stage in improve.STAGES}

    def again(**sections: dict[str, object]) -> list[str]:
        now = keys(**sections)
        return [stage for stage in improve.STAGES if now[stage] != before[stage] and stage != "unpack"]

    before = keys()
    assert again() == []
    assert again(improve={"epochs": 9.0}) == ["reader", "preference", "evaluate", "export"]
    assert again(embedder={"steps": 9}) == ["retriever", "preference", "evaluate", "export"]
    assert again(preference={"steps": 9}) == ["preference", "evaluate", "export"]
    assert again(improve={"judgements": False}) == ["retriever", "reader", "preference", "evaluate", "export"]
    assert again(synthesize={"per_passage": 1})[0] == "synthesise"


def test_points_of_the_loss_and_the_time_left_are_on_the_disk_while_a_stage_runs(tmp_path):
    course = Course(tmp_path, ("reader", "export"))
    course.forecast({"reader": 60.0, "export": 3.0})

    def work() -> str:
        assert course.point(10, 40, 1.25) is False
        course.stop.asked = True
        assert course.point(20, 40, 1.0) is True  # asks the loop to save and pause
        course.write()
        state = json.loads((tmp_path / "state.json").read_text())
        assert state["stages"][0]["progress"] == 0.5
        assert state["stages"][0]["left_s"] >= 0
        assert state["stages"][1]["left_s"] == 3.0
        return ""

    course.run("reader", "k", work)
    rows = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert [(r["stage"], r["step"], r["steps"], r["loss"]) for r in rows] == [
        ("reader", 10, 40, 1.25),
        ("reader", 20, 40, 1.0),
    ]
    course.close()


def test_points_that_a_stopped_run_noted_behind_its_last_save_are_not_there_twice(tmp_path):
    for steps in ((1, 2, 3), (2, 3, 4)):  # the second goes on from step 1, which was saved
        course = Course(tmp_path, ("reader",))
        course.run(
            "reader", f"k{steps}", lambda course=course, steps=steps: str([course.point(s, 4, 1.0) for s in steps])
        )
        course.close()
        with (tmp_path / "progress.jsonl").open("a") as out:
            out.write('{"stage": "rea')  # it died here
    rows = (tmp_path / "progress.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in rows[:-1]] == [1, 2, 3, 4]


def test_a_second_process_is_refused_in_the_same_folder(tmp_path):
    course = Course(tmp_path, ("one",))
    with pytest.raises(RecipeError, match=r"in use by process \d+"):
        Course(tmp_path, ("one",))
    course.close()
    Course(tmp_path, ("one",)).close()


def test_a_stop_waits_for_the_end_of_a_step_in_a_loop_and_for_nothing_elsewhere(tmp_path):
    course, reached = Course(tmp_path, ("one",)), []

    def asked(then: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        reached.append(then)

    with course.stop.heard():
        with pytest.raises(Stopped), course.stop.gently():
            asked("the loop saves")
        course.stop.asked = False
        with pytest.raises(Stopped):
            asked("never")
    assert reached == ["the loop saves"]
    course.close()


def test_a_budget_that_is_too_small_takes_steps_from_the_reader_alone():
    config = ImproveConfig(most_minutes=10)
    expected = {"synthesise": 60.0, "reader": 900.0, "evaluate": 120.0}
    assert forecast.most_steps(expected, 300, config) == 140
    assert forecast.most_steps({**expected, "reader": 60.0}, 300, config) == 0
    assert forecast.most_steps({**expected, "evaluate": 5000.0}, 300, config) == config.least_steps


# --- the candidate ----------------------------------------------------------------------------------------------------


def test_the_lineage_names_every_document_that_a_row_showed(tmp_path, base):
    rows = judged(0, 12)
    rows[0]["passages"].append({**rows[0]["passages"][0], "id": "8", "document_id": 88, "document": "near.md"})
    found = unpacked(tmp_path, base, rows_train=rows)
    learnt = gather(found, None, ImproveConfig(), None)
    used = {"reader": [("rows.train.jsonl", row) for part in (learnt.pools, learnt.dev) for row in part["judged"]]}
    told = candidate.lineage(found, base, 1, used)
    lines = [line for line in told["rows"] if line["id"] == "row0"]
    assert [(line["document_id"], line["judgements"], line["stage"]) for line in lines] == [
        (0, ["j0"], "reader"), (88, ["j0"], "reader")
    ]  # fmt: skip
    assert told["bundle"] == found.id
    assert told["base"] == {"name": "small", "fingerprint": bundles.fingerprint(base)}
    assert {line["document_id"] for line in told["rows"]} == {*range(12), 88}


def test_a_candidate_made_from_a_candidate_carries_the_lineage_of_both(tmp_path, base):
    second = tmp_path / "second"
    shutil.copytree(base, second)
    earlier = {"format": 1, "bundle": "b1", "rows": [{"id": "old"}], "earlier": [{"bundle": "b0", "rows": []}]}
    (second / "lineage.json").write_text(json.dumps(earlier))
    found = unpacked(tmp_path, base, rows_train=judged(0, 4))
    told = candidate.lineage(found, second, 1, {})
    assert [each["bundle"] for each in told["earlier"]] == ["b1", "b0"]


def test_a_candidate_is_written_over_an_older_one_with_its_query_side(tmp_path, base):
    model, query = EncoderReader.from_folder(base), tmp_path / "query"
    query.mkdir()
    (query / "groundling.json").write_text("{}")
    figures = {"before": {"held": {}}, "after": {"held": {}}}
    about = {
        "config": {"threshold": 0.4},
        "lineage": {"rows": []},
        "report": figures,
        "rows": {"judged": 3},
        "licences": {"": 3},
    }
    for _ in range(2):
        candidate.write(model, base, tmp_path / "out", about, query=query)
    told = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (told["threshold"], told["answer_threshold"], told["order"]) == (0.4, 0.2, {"evidence": 1.0})
    assert (tmp_path / "out" / "query" / "groundling.json").is_file()
    assert EncoderReader.from_folder(tmp_path / "out").threshold == 0.4  # its checksums hold
    (tmp_path / "out" / "lineage.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"lineage.json is not the file"):
        EncoderReader.from_folder(tmp_path / "out")
