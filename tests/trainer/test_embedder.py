"""Tuning a retriever: rows, loss, rounds, guards, and a small model that learns which words of questions mean which of passages."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from trainer import checkpoint, embedder, recipe
from trainer.embedder import EmbedderConfig
from trainer.errors import CheckpointError, DataError, RecipeError
from trainer.retrieval import pairs, query_side, ranking, tuning
from trainer.retrieval.contrast import ContrastConfig, Passages, QuestionBatches, contrast_losses, drawn
from trainer.retrieval.pairs import Pair
from trainer.retrieval.ranking import Ranked
from trainer.retrieval.tuning import Rows, Scores, Tuning

WORDS = [f"{a}{b}" for a in "bdfglmnprs" for b in ("ako", "elu", "ipa")]  # of passages; questions say them backwards


class Counted:
    """What batches ask of a side by method "adapter": vectors of word counts."""

    method = "adapter"
    identity = "counted"

    def embed(self, texts, *, bf16=False):
        rows = np.zeros((len(texts), 32), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.split():
                row[sum(map(ord, word)) % 32] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def some_pairs(count: int, seed: int = 0, *, true: bool = True) -> list[Pair]:
    """Questions in another language than their passages, word by word; without truth the answers are shuffled."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        said = chance.sample(WORDS, 3)
        asked = said if true else chance.sample(WORDS, 3)
        near = [*said[:2], chance.choice(WORDS)]
        rows.append(Pair(" ".join(w[::-1] for w in asked), " ".join(said), (" ".join(near),), "rules", "CC0"))
    return rows


def write(path: Path, rows: list[Pair]) -> Path:
    keys = ("question", "passage", "negatives", "domain", "licence")
    path.write_text("".join(json.dumps({k: getattr(row, k) for k in keys}) + "\n" for row in rows), "utf-8")
    return path


# --- rows -------------------------------------------------------------------------------------------------------------


def test_rows_are_read_in_both_layouts(tmp_path: Path) -> None:
    plain = {"question": "Who?", "passage": "Ada.", "negatives": ["Bob.", "Ada.", "Bob."]}
    reading = {
        "question": "When?",
        "sources": [["A > B", "At noon."], ["", "Later."]],
        "spans": [[0, 2]],
        "domain": "d",
    }
    nowhere = {"question": "Why?", "sources": [["", "At noon."]], "spans": [], "domain": "d"}
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, (plain, reading, nowhere))), "utf-8")
    assert pairs.read([file]) == [
        Pair("Who?", "Ada.", ("Bob.",)),
        Pair("When?", "A > B\nAt noon.", ("Later.",), "d"),
    ]


@pytest.mark.parametrize(
    "line",
    ["{", "[]", '{"question": "a"}', '{"question": " ", "passage": "b"}', '{"question": "a", "passage": 3}', "\xff"],
)
def test_a_line_that_is_no_row_is_named(line: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b'{"question": "a", "passage": "b"}\n' + line.encode("latin-1"))
    with pytest.raises(DataError, match=r"rows\.jsonl(, line 2: | cannot be read)"):
        pairs.read([file])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.jsonl is missing"):
        pairs.read([tmp_path / "nothing.jsonl"])


def test_no_passage_or_question_is_both_learnt_and_judged() -> None:
    found = [*some_pairs(300), Pair("one more", some_pairs(300)[5].passage)]
    kept, held = pairs.split(found, 5)
    assert len(held) > 30
    assert not {p.passage for p in kept} & {p.passage for p in held}
    apart = Pair("another", "elsewhere")
    added = [Pair(held[0].question.upper(), "elsewhere"), Pair("another", held[0].passage), apart]
    assert pairs.without(added, held) == [apart]


# --- measures and loss ------------------------------------------------------------------------------------------------


def test_ndcg_and_recall_follow_the_place_of_the_right_passage() -> None:
    passages = np.eye(12, dtype=np.float32)
    question = np.linspace(1, 0.1, 12, dtype=np.float32)[None]  # passage n is found at place n
    found = ranking.rank(np.repeat(question, 4, 0), passages, [0, 1, 5, 11])
    np.testing.assert_allclose(found.ndcg, [1, 1 / np.log2(3), 1 / np.log2(7), 0], rtol=1e-6)
    assert found.found.tolist() == [1, 1, 0, 0]


def test_a_gain_on_few_questions_may_be_chance_and_on_many_is_not() -> None:
    before = np.zeros(400)
    after = np.where(np.arange(400) % 5 == 0, 1.0, -0.1)
    assert ranking.gain(before, after)[1] > 0
    assert ranking.gain(before[:6], after[:6])[1] < 0


def test_each_place_comes_once_before_any_comes_again() -> None:
    epoch = [place for step in range(5) for place in drawn(10, 2, step, seed=3)]
    assert sorted(epoch) == list(range(10))
    assert epoch != [place for step in range(5, 10) for place in drawn(10, 2, step, seed=3)]


def test_the_loss_is_infonce_without_passages_that_are_too_like_the_right_one() -> None:
    torch.manual_seed(0)
    unit = partial(torch.nn.functional.normalize, dim=-1)
    questions, passages = unit(torch.randn(4, 8)), unit(torch.randn(7, 8))
    passages[5] = unit(passages[0] + 0.01 * passages[1])  # nearly a copy of question 0's passage
    target = torch.tensor([0, 1, 2, 3])
    arrays = {"vectors": questions, "first": questions, "candidates": passages, "target": target}
    config = ContrastConfig(scale=10.0, too_like=0.95)
    found = contrast_losses(lambda own: own["vectors"], arrays, config=config)
    logits = 10 * questions @ passages.T
    expected = sum(
        torch.logsumexp(logits[i, [j for j in range(7) if (i, j) != (0, 5)]], 0) - logits[i, i] for i in range(4)
    )
    torch.testing.assert_close(found["rank"], expected)
    assert found["drift"] == 0


def test_a_step_has_hard_negatives_drawn_passages_and_its_share_of_general_questions() -> None:
    own, general = some_pairs(60, 1), some_pairs(60, 2)
    passages = Passages([*own, *general])
    passages.vectors = Counted().embed(passages.texts)
    config = ContrastConfig(questions_per_step=16, questions_at_a_time=8, drawn=5, general_share=0.25)
    batches = QuestionBatches(own, general, passages, side=Counted(), config=config)
    micro = batches.step(3)
    assert [len(batch.arrays["target"]) for batch in micro] == [8, 8]
    vectors = np.concatenate([batch.arrays["vectors"] for batch in micro])
    of_own = Counted().embed([pair.question for pair in own])
    assert sum(bool((of_own == row).all(1).any()) for row in vectors) == 12
    for batch in micro:
        answers = batch.arrays["candidates"][batch.arrays["target"]]
        assert len(batch.arrays["candidates"]) > 16  # more than the right ones
        for row, answer in zip(batch.arrays["first"], answers, strict=True):
            at = next(i for i, q in enumerate(batches.first) if (q == row).all())
            np.testing.assert_array_equal(answer, Counted().embed([(own + general)[at].passage])[0])
    for again, batch in zip(batches.step(3), micro, strict=True):
        np.testing.assert_array_equal(again.arrays["candidates"], batch.arrays["candidates"])


def test_passages_are_embedded_once_and_read_again_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passages = Passages(some_pairs(40))
    passages.embed(Counted(), tmp_path, bf16=False)
    again = Passages(some_pairs(40))
    monkeypatch.setattr(Counted, "embed", None)
    again.embed(Counted(), tmp_path, bf16=False)
    np.testing.assert_array_equal(again.vectors, passages.vectors)


# --- guards -----------------------------------------------------------------------------------------------------------


def ranked(value: float, n: int = 100) -> Ranked:
    return Ranked(np.full(n, value, dtype=np.float32), np.ones(n, dtype=np.float32))


@pytest.mark.parametrize(
    ("own", "general", "reason"),
    [(0.6, 0.7, ""), (0.5, 0.7, "may be chance"), (0.6, 0.69, "general questions lose 1.00"), (0.6, 0.698, "")],
)
def test_a_gain_that_is_chance_or_paid_for_elsewhere_is_refused(own: float, general: float, reason: str) -> None:
    rows = Rows([], [], some_pairs(100), some_pairs(100, 9))
    tuning_ = Tuning(None, rows, EmbedderConfig(), Path(), False)  # type: ignore[arg-type]
    tuning_.before = Scores(ranked(0.5), ranked(0.7))
    assert reason in tuning_._against(Scores(ranked(own), ranked(general)))
    assert bool(reason) == bool(tuning_._against(Scores(ranked(own), ranked(general))))


def test_a_domain_that_pays_for_another_is_named() -> None:
    held = [Pair(str(n), "p", domain="law" if n < 60 else "leave") for n in range(200)]
    tuning_ = Tuning(None, Rows([], [], held, []), EmbedderConfig(), Path(), False)  # type: ignore[arg-type]
    tuning_.before = Scores(ranked(0.5, 200), ranked(0, 0))
    after = ranked(0.7, 200)
    after.ndcg[:60] = 0.48
    assert tuning_._against(Scores(after, ranked(0, 0))) == "law loses 2.00 points"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"side": "passages"}, "it takes query or both"),
        ({"side": "both", "method": "adapter"}, "tunes the query side only"),
        ({"steps": 3, "round_steps": 5}, "at least one whole round"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_first(change: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        embedder.check(EmbedderConfig(**change))  # type: ignore[arg-type]


def test_too_few_questions_to_judge_by_are_refused(tmp_path: Path) -> None:
    plan = recipe.Recipe("t", tmp_path, tmp_path, {})
    config = EmbedderConfig(rows=(write(tmp_path / "rows.jsonl", some_pairs(50)),))
    with pytest.raises(DataError, match="at least 20 are needed to tell a gain from chance"):
        embedder.gather(plan, config)


def test_training_stops_after_rounds_without_gain() -> None:
    rounds = [{"own": {"ndcg_at_10": value}} for value in (50, 52, 51, 52)]
    assert [tuning.is_over(rounds[: n + 1], 2) for n in range(4)] == [False, False, False, True]
    assert [tuning.is_best(rounds[: n + 1]) for n in range(4)] == [True, True, False, False]


def test_finished_rounds_of_other_rows_are_refused(tmp_path: Path) -> None:
    def tuned(rows: list[Pair]) -> Tuning:
        return Tuning(Counted(), Rows(rows, [], rows, []), EmbedderConfig(method="adapter"), tmp_path, False)  # type: ignore[arg-type]

    done, other = tuned(some_pairs(30)), tuned(some_pairs(30, seed=1))
    state = {"step": 400, "identity": done._identity()}
    checkpoint.save(tmp_path, torch.nn.Linear(2, 2), [], state, keep=1)
    rounds = [{"step": 400, "own": {"ndcg_at_10": 50.0}}]
    (tmp_path / "rounds.json").write_text(json.dumps(rounds))
    assert done._rounds() == rounds
    with pytest.raises(CheckpointError, match="made with rows"):
        other._rounds()


# --- a small model of sentence-transformers, tuned for real: importing the package takes seven seconds ----------------


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of two layers in the layout of sentence-transformers."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("base") / "small"
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *(word[::-1] for word in WORDS)]
    words = Tokenizer(models.WordLevel({name: place for place, name in enumerate(names)}, "[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    fast = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", model_max_length=32)
    fast.save_pretrained(folder)
    torch.manual_seed(4)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    config = BertConfig(vocab_size=len(names), max_position_embeddings=32, initializer_range=0.15, **sizes)
    BertModel(config).save_pretrained(folder)
    packaged = query_side.packaged()
    shutil.copy(packaged / "modules.json", folder)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 32, "do_lower_case": false}')
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 64, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder


def plan_of(out: Path, base: Path, rows: Path, **settings: object) -> recipe.Recipe:
    section = {
        "base": str(base), "rows": [str(rows)], "steps": 60, "round_steps": 20, "drawn": 64, "peak_learning_rate": 3e-3,
        "precision": "fp32", "device": "cpu", "drift": 0.0, "log_every": 20, "checkpoint_every": 10, "warmup_steps": 5,
    }  # fmt: skip
    return recipe.Recipe("t", out, out, {"embedder": section | settings})


@pytest.mark.slow
@pytest.mark.parametrize(("method", "rate"), [("adapter", 1e-2), ("weights", 3e-3)])
def test_held_out_questions_find_their_passages_better_and_passages_stay(
    base: Path, tmp_path: Path, method: str, rate: float
) -> None:
    rows = write(tmp_path / "rows.jsonl", some_pairs(400))
    folder = embedder.embedder(plan_of(tmp_path, base, rows, method=method, peak_learning_rate=rate))
    about = json.loads((folder / "groundling.json").read_text())
    assert about["after"]["own"]["ndcg_at_10"] > about["before"]["own"]["ndcg_at_10"] + 10
    assert about["alpha"] > 0
    assert about["training"]["joules"] > 0
    assert about["data"]["licences"] == {"CC0": about["data"]["questions"]["rules"]}
    fresh = query_side.Side(base, method=method)
    before = fresh.embed(["bako delu"])
    assert about["base"] == fresh.identity
    query_side.read(folder, fresh)
    assert abs(fresh.embed(["bako delu"]) - before).max() > 0.01
    assert not any("word_embeddings" in name for name in load_file(folder / "model.safetensors"))
    with pytest.raises(CheckpointError, match="another method or from another base"):
        query_side.read(folder, query_side.Side(base, method="adapter" if method == "weights" else "weights"))


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bits(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = write(tmp_path / "rows.jsonl", some_pairs(300))
    straight = embedder.embedder(plan_of(tmp_path / "a", base, rows))
    calls = []

    def dies(*given: object, **named: object) -> object:
        calls.append(1)
        if len(calls) == 4 * 33:  # four micro-batches a step: within the second round
            raise KeyboardInterrupt
        return contrast_losses(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(tuning, "contrast_losses", dies)
    with pytest.raises(KeyboardInterrupt):
        embedder.embedder(plan_of(tmp_path / "b", base, rows))
    monkeypatch.undo()
    resumed = embedder.embedder(plan_of(tmp_path / "b", base, rows))
    assert (resumed / "model.safetensors").read_bytes() == (straight / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_rows_without_truth_change_nothing(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = write(tmp_path / "rows.jsonl", some_pairs(300, true=False))
    folder = embedder.embedder(plan_of(tmp_path, base, rows))
    about = json.loads((folder / "groundling.json").read_text())
    assert about["alpha"] == 0
    assert about["after"] == about["before"]
    assert load_file(folder / "model.safetensors") == {}
    assert "nothing is gained for sure" in capsys.readouterr().err


@pytest.mark.slow
def test_both_sides_say_what_they_cost_and_make_a_whole_model(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = write(tmp_path / "rows.jsonl", some_pairs(300))
    plan = plan_of(tmp_path, base, rows, side="both", reembed=12_000, questions_per_step=32, steps=40)
    folder = embedder.embedder(plan)
    said = capsys.readouterr().err
    assert said.index("12,000 passages at") < said.index("round 1/2")
    assert "kWh" in said
    about = json.loads((folder / "groundling.json").read_text())
    assert about["after"]["own"]["ndcg_at_10"] > about["before"]["own"]["ndcg_at_10"]
    old, new = query_side.open_model(base), query_side.open_model(folder)
    assert (abs(old.encode("bako") - new.encode("bako"))).max() > 0.01
    assert query_side.identity(folder, new) != query_side.identity(base, old)


@pytest.mark.slow
def test_the_loss_equals_that_of_sentence_transformers() -> None:
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    torch.manual_seed(1)
    unit = partial(torch.nn.functional.normalize, dim=-1)
    questions, right, wrong = unit(torch.randn(5, 16)), unit(torch.randn(5, 16)), unit(torch.randn(5, 16))
    theirs = MultipleNegativesRankingLoss(None, scale=20.0).compute_loss_from_embeddings(
        [questions, right, wrong], torch.empty(0)
    )
    arrays = {"vectors": questions, "first": questions, "candidates": torch.cat([right, wrong])}
    arrays["target"] = torch.arange(5)
    ours = contrast_losses(lambda own: own["vectors"], arrays, config=ContrastConfig(scale=20.0, too_like=2.0))
    torch.testing.assert_close(ours["rank"] / 5, theirs)


@pytest.mark.slow
def test_the_module_runs_by_itself(base: Path, tmp_path: Path) -> None:
    import subprocess

    rows = write(tmp_path / "rows.jsonl", some_pairs(220))
    config = tmp_path / "t.toml"
    config.write_text(
        f'[embedder]\nbase = "{base}"\nrows = ["{rows}"]\nsteps = 2\nround_steps = 2\nmethod = "adapter"\nheld_one_in = 5\n'
    )
    command = [sys.executable, "-m", "trainer.embedder", "--config", str(config), "--out", str(tmp_path / "out")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=True, cwd=Path(__file__).parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert Path(done.stdout.strip()) == tmp_path / "out" / "query"
    assert (tmp_path / "out" / "query" / "README.md").is_file()
