"""A checkpoint becomes a folder that the product, transformers or llama.cpp opens, with a card that says what it is.

    OUT/finetune + tokenizer.json + evaluation.json + clean/report.json ─┬─► OUT/model        what the product serves
                                                                         ├─► OUT/huggingface  what transformers loads
                                                                         └─► OUT/gguf         what llama.cpp loads

Takes   the newest checkpoint of a stage that has run to its end.
Gives   the folder by one rename: a product that serves from the old one never sees half of the new. Stored in fewer
        than 32 bits, the model must find as much in the held-out rows as it does with its full weights.
Refuses an unfinished run, a tokenizer that the weights were not trained with, a place where anything but an older
        export stands, a folder above its limit; for the product also a trunk that was not fine-tuned (its heads know
        nothing) or not evaluated (its threshold is unknown).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from trainer import checkpoint, evaluate, files, folders, recipe, tokenizer
from trainer.errors import CheckpointError, DataError, RecipeError
from trainer.formats import gguf_file, huggingface, quantise
from trainer.formats.trunk_card import Facts, card
from trainer.loop import pick_device
from trainer.model import Transformer, parameters
from trainer.reading import FORMAT, TrunkReader, fill
from trainer.scoring import outcomes
from trainer.teaching import lessons
from trainer.tokenizer import Tokenizer

STAGES = ("pretrain", "finetune")
KINDS = {"model": "trunk", "huggingface": "huggingface", "gguf": "gguf"}  # [export] to -> kind of the folder
PRECISIONS: dict[str, Mapping[str, object]] = {
    "model": quantise.PRECISIONS,
    "huggingface": huggingface.PRECISIONS,
    "gguf": gguf_file.PRECISIONS,
}

KEPT = ("checkpoint", "stage", "reading", "intervals", "bits_per_byte")  # of the scores; curves stay with the run


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Settings of the export."""

    to: str = "model"  # or "huggingface", "gguf"
    stage: str = "finetune"  # whose checkpoint; the layouts of other programs also take "pretrain"
    folder: Path | None = None  # OUT/model, OUT/huggingface or OUT/gguf when not given
    licence: str = "Apache-2.0"
    precision: str = "int8"  # of the stored matrices: int8, bf16, fp32; fp16 for other programs
    most_f1_change: float = 0.2  # points of span F1 that storing may cost
    most_megabytes: float = 0.0  # of the whole folder, in millions of bytes; 0: any size
    unfinished: bool = False  # take a run that has not come to its last step

    def __post_init__(self) -> None:
        if self.to not in KINDS:
            raise RecipeError(f"[export] to is {self.to!r}; it takes {', '.join(KINDS)}")
        if self.precision not in PRECISIONS[self.to]:
            raise RecipeError(
                f"[export] precision {self.precision!r} cannot be stored for {self.to}; choose one of "
                f"{', '.join(PRECISIONS[self.to])} (--set export.precision=fp32)"
            )


class Chosen(NamedTuple):
    """What is exported."""

    model: Transformer
    words: Tokenizer
    newest: Path  # checkpoint
    states: dict[str, dict[str, Any]]  # stage -> state of its newest checkpoint


def export(plan: recipe.Recipe) -> Path:
    """Write the folder that [export] asks for; returns it."""
    config = plan.section("export", ExportConfig)
    chosen = choose(plan, config)
    scores = evaluation(plan, chosen.newest, needed=config.to == "model")
    folder = config.folder or plan.out / config.to
    kind = KINDS[config.to]
    folders.refuse_strangers(folder, kind)  # before minutes of checking
    tensors = checkpoint.weights(chosen.model)
    stored = quantise.pack(tensors, config.precision) if config.to == "model" else {}
    check = check_reading(plan, config, chosen, stored) if stored and config.precision != "fp32" else {}
    described = {
        "format": FORMAT,
        "kind": kind,
        "name": plan.name,
        "precision": config.precision,
        "precision_check": check,
        "trainer_config": {"model": checkpoint.describe(chosen.model.config), "recipe": settings(plan)},
        "tasks": tasks(chosen.states.get("finetune", {})),
        "scores": scores,
    }
    with folders.exported(folder, kind=kind) as part:
        if config.to == "model":
            write_model(part, described, chosen.words, stored)
        else:
            write_layout(part, described, chosen, config)
        facts = describe(plan, config, chosen, described)
        notes = {"huggingface": huggingface.NOTES, "gguf": gguf_file.NOTES}.get(config.to, "")
        files.write_text(part / "README.md", card(facts, notes=notes))
        weigh(part, config)
    return folder


def tasks(finetuned: Mapping[str, Any]) -> list[str]:
    """What a fine-tuned trunk was taught besides the language, by the kinds of rows that had a share."""
    return sorted(set(finetuned.get("identity", {}).get("lessons", {})) - {"text", "replay"})


def settings(plan: recipe.Recipe) -> dict[str, Any]:
    """The recipe to be written down; where its result was put says something of this machine alone."""
    plain = recipe.plain(plan)
    return {**plain, "export": {key: value for key, value in plain.get("export", {}).items() if key != "folder"}}


def choose(plan: recipe.Recipe, config: ExportConfig) -> Chosen:
    """The newest checkpoint of the stage, once it is sure that it is finished and fits the tokenizer."""
    if config.to == "model" and config.stage == "pretrain":
        raise RecipeError("[export] stage is 'pretrain', whose heads cannot point at answers; use finetune")
    folder = plan.out / config.stage
    newest = checkpoint.latest(folder)
    if newest is None:
        raise CheckpointError(f"{folder} holds no checkpoint; run `trainer {config.stage}` first")
    state = checkpoint.read_state(newest)
    if state["step"] < state.get("steps", 0) and not config.unfinished:
        raise CheckpointError(
            f"{newest} is step {state['step']:,} of {state['steps']:,}; run `trainer {config.stage}` again to go on, "
            "or take it as it is with --set export.unfinished=true"
        )
    model = checkpoint.load(newest)
    words = tokenizer.load(plan.out / "tokenizer.json")
    if words.size != model.config.vocabulary:
        raise CheckpointError(
            f"{newest} knows {model.config.vocabulary} tokens, {plan.out / 'tokenizer.json'} {words.size}; put back "
            "the tokenizer that the run was trained with"
        )
    trained = state["identity"].get("tokenizer", words.identity)
    if trained != words.identity:
        raise CheckpointError(
            f"{newest} was trained with tokenizer {trained}, {plan.out / 'tokenizer.json'} is {words.identity}; put "
            "back the tokenizer that the run was trained with"
        )
    states = {stage: checkpoint.read_state(path) for stage in STAGES if (path := checkpoint.latest(plan.out / stage))}
    states[config.stage] = state
    return Chosen(model, words, newest, states)


def evaluation(plan: recipe.Recipe, newest: Path, *, needed: bool) -> dict[str, Any]:
    """The scores of exactly this checkpoint; empty where it has none and none are needed."""
    path = plan.out / "evaluation.json"
    scores: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    fits = scores.get("checkpoint") == newest.name and scores.get("stage", newest.parent.name) == newest.parent.name
    if needed and not (fits and "reading" in scores):
        raise CheckpointError(f"{path} does not score {newest}; run `trainer evaluate` first")
    return {name: scores[name] for name in KEPT if name in scores} if fits else {}


def check_reading(
    plan: recipe.Recipe, config: ExportConfig, chosen: Chosen, stored: Mapping[str, Tensor]
) -> dict[str, float]:
    """Span F1 on the dev rows of [evaluate] with full and with stored weights; CheckpointError where they differ."""
    asking = plan.section("evaluate", evaluate.EvaluateConfig)
    asked = evaluate.cases(evaluate.read_rows(asking.rows or plan.out / "rows" / "dev.jsonl"), asking)
    device = pick_device("auto")
    small = Transformer(chosen.model.config)
    fill(small, quantise.unpack(stored), where="the stored weights")
    found = []
    for title, model in (("full weights", chosen.model), (config.precision, small)):
        reader = TrunkReader(model.to(device), chosen.words)
        found.append(outcomes.report(outcomes.ask(reader, asked, title=f"reading with {title}"), 0.5))
    chosen.model.cpu()
    count = found[0]["answerable"]
    if not count:
        raise DataError("no dev row is shown with its answer, so F1 cannot be compared; lower [evaluate] withheld")
    full, less = (scores["f1"] for scores in found)
    if round(abs(full - less), 2) > config.most_f1_change:
        raise CheckpointError(
            f"span F1 on {count} held-out questions is {full:.2f} with the full weights and {less:.2f} stored as "
            f"{config.precision}; at most {config.most_f1_change:g} points are allowed; choose another [export] "
            f"precision, or more dev rows (one question is {100 / count:.2f} points)"
        )
    return {"f1_full": full, "f1": less, "answerable": count}


def write_model(part: Path, described: dict[str, Any], words: Tokenizer, stored: Mapping[str, Tensor]) -> None:
    """What the product opens."""
    quantise.save(part / "model.safetensors", stored)
    words.save(part / "tokenizer.json")
    threshold = described["scores"]["reading"]["threshold"]
    files.write_json(part / "config.json", {**described, "threshold": threshold})


def write_layout(part: Path, described: dict[str, Any], chosen: Chosen, config: ExportConfig) -> None:
    """What another program opens; a file of ours says what the folder is."""
    tensors, sizes = checkpoint.weights(chosen.model), chosen.model.config
    if config.to == "huggingface":
        huggingface.write(part, tensors, sizes, chosen.words, precision=config.precision)
    else:
        name = f"{described['name']}-{gguf_file.PRECISIONS[config.precision]}.gguf"
        about = {
            "name": described["name"],
            "licence": config.licence,
            "description": "read left to right; see the card",
        }
        gguf_file.write(part / name, tensors, sizes, chosen.words, precision=config.precision, about=about)
    files.write_json(part / folders.MARK, described)


def describe(plan: recipe.Recipe, config: ExportConfig, chosen: Chosen, described: Mapping[str, Any]) -> Facts:
    """What the card states."""
    report = plan.out / "clean" / "report.json"
    return Facts(
        name=plan.name,
        tuned=config.stage != "pretrain",
        kind=KINDS[config.to],
        sizes=described["trainer_config"]["model"],
        parameters=parameters(chosen.model),
        precision=config.precision,
        licence=config.licence,
        states=chosen.states,
        data=json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {},
        rows=lessons.licences(plan, chosen.states.get("finetune", {}).get("identity", {}).get("lessons", {})),
        scores=described["scores"],
        check=described["precision_check"],
    )


def weigh(part: Path, config: ExportConfig) -> None:
    """Raise CheckpointError where the folder is larger than it may be; its list of checksums is not yet there."""
    sizes = {path.name: path.stat().st_size / 1e6 for path in part.iterdir()}
    total = sum(sizes.values()) + 0.001
    if config.most_megabytes and total > config.most_megabytes:
        largest = max(sizes, key=sizes.__getitem__)
        raise CheckpointError(
            f"the folder would be {total:.1f} MB ({largest} alone {sizes[largest]:.1f}), [export] most_megabytes "
            f"allows {config.most_megabytes:g}; store it as int8 or train a smaller trunk"
        )


if __name__ == "__main__":
    recipe.main(export)
