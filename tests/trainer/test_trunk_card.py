"""The card of a trunk says under which licences its rows stand."""

from __future__ import annotations

from tests.trainer.export_run import plan_of
from tests.trainer.office import write_jsonl
from trainer import export
from trainer.export import Chosen, ExportConfig
from trainer.formats.trunk_card import card


def test_the_licences_of_all_rows_that_were_taught_stand_in_the_card(tmp_path, model, words):
    write_jsonl(
        tmp_path / "rows" / "train.jsonl", [{"licence": "CC BY-SA 4.0"}, {"licence": "MIT"}, {"licence": "MIT"}]
    )
    write_jsonl(tmp_path / "dialogue" / "talk-train.jsonl", [{"messages": []}])
    state = {
        "step": 1, "tokens": 1, "seconds": 1.0, "joules": 1.0,
        "identity": {"lessons": {"read": "1", "talk": "2", "replay": "3"}},
    }  # fmt: skip
    described = {
        "trainer_config": {"model": {"layers": 1, "width": 1, "vocabulary": 1, "context": 1}},
        "scores": {},
        "precision_check": {},
    }
    chosen = Chosen(model, words, tmp_path / "step-1", {"finetune": state})
    said = card(export.describe(plan_of(tmp_path), ExportConfig(), chosen, described))
    assert "| reading | MIT (2), CC BY-SA 4.0 (1) |" in said
    assert "| conversations | not stated (1) |" in said
    assert "follow-ups" not in said
