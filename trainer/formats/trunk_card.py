"""The card of an exported trunk: what it is made of, what it cost, how it scores, in the words of this run's records.

Takes   what `config.json` will hold, the states of the stages' checkpoints and the report of the cleaned data.
Gives   Markdown with the YAML header that model hubs read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TASKS = {"trunk": "question-answering", "huggingface": "text-generation", "gguf": "text-generation"}
LIBRARIES = {"trunk": "groundling", "huggingface": "transformers", "gguf": "gguf"}

READS = """It reads a question with numbered sources, points at the answer, says when there is none, and speaks.
Meant for finding the answer to a question in passages given with it; not for facts from memory and not for advice."""
CONTINUES = """A base: it continues text and is there to be fine-tuned. It was not taught to answer or to refuse, and
its reading heads know nothing."""
KINDS = {
    "read": "reading",
    "review": "general reading",
    "ask": "asking",
    "rewrite": "follow-ups",
    "talk": "conversations",
    "text": "text of the domain",
}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a card states."""

    name: str
    tuned: bool  # taught to read, not only pretrained
    kind: str  # of the folder: "trunk", "huggingface" or "gguf"
    sizes: Mapping[str, Any]  # of the model
    parameters: int
    precision: str  # of the stored weights
    licence: str
    states: Mapping[str, Mapping[str, Any]]  # stage -> state of its checkpoint
    data: Mapping[str, Any]  # report of `trainer corpus`
    rows: Mapping[str, Mapping[str, int]]  # kind taught -> licence -> rows
    scores: Mapping[str, Any]  # of `trainer evaluate`; empty where it was not scored
    check: Mapping[str, float]  # reading with the stored weights against the full ones; empty where not needed


SPENT = ["stage", "steps", "tokens", "hours", "kWh", "how the energy is known", "cost", "precision", "device"]


def card(facts: Facts, *, notes: str = "") -> str:
    """The model card. `notes` is Markdown about the layout, shown after the introduction."""
    sizes = facts.sizes
    return f"""{header(facts)}
# {facts.name}

A trunk of {facts.parameters / 1e6:.1f} million parameters ({sizes["layers"]} layers, width {sizes["width"]}, vocabulary
{sizes["vocabulary"]}, context {sizes["context"]}), trained from random weights by `trainer`.
Weights stored as {facts.precision}. Licence of the weights: {facts.licence}.

{READS if facts.tuned else CONTINUES}
{notes}
## Training

{table(SPENT, training(facts))}

All settings are in the folder's JSON under `trainer_config`.

## Data

{table(["domain", "documents", "MB", "licences (MB)"], domains(facts))}

{taught(facts)}Texts that share 13 words in a row with an evaluation set were removed.

## Scores

{scores(facts)}
"""


def header(facts: Facts) -> str:
    """The YAML header; JSON strings are YAML strings."""
    tags = ["groundling", "document-question-answering", "trained-from-scratch"]
    return "\n".join(
        [
            "---",
            f"license: {json.dumps(facts.licence.lower())}",
            "language:",
            "- en",
            f"library_name: {LIBRARIES[facts.kind]}",
            f"pipeline_tag: {TASKS[facts.kind]}",
            f"model_name: {json.dumps(facts.name)}",
            "tags:",
            *(f"- {tag}" for tag in tags),
            "---",
        ]
    )


def training(facts: Facts) -> list[list[str]]:
    """A row a stage."""
    return [
        [
            stage,
            f"{s['step']:,}",
            f"{s['tokens']:,}",
            f"{s['seconds'] / 3600:.2f}",
            f"{s['joules'] / 3.6e6:.4f}",
            str(s.get("energy_method", "")),
            f"{s['cost']:.2f} {s['currency']}" if s.get("cost") else "no prices given",
            str(s.get("precision", "")),
            str(s.get("device", "")),
        ]
        for stage, s in facts.states.items()
    ]


def domains(facts: Facts) -> list[list[str]]:
    """A row a domain of the text."""
    return [
        [
            name,
            f"{domain['kept']:,}",
            f"{domain['bytes'] / 1e6:.2f}",
            ", ".join(f"{kind} ({size / 1e6:.2f})" for kind, size in domain["licences"].items()),
        ]
        for name, domain in facts.data.get("domains", {}).items()
    ]


def taught(facts: Facts) -> str:
    """What fine-tuning was done with, and under which licences."""
    if not facts.tuned:
        return ""
    lines = [
        [KINDS[kind], ", ".join(f"{licence} ({count:,})" for licence, count in counted.items())]
        for kind, counted in facts.rows.items()
    ]
    return table(["taught", "licences (rows)"], lines) + "\n\n" if lines else "The licences of its rows are not known. "


def scores(facts: Facts) -> str:
    """How it reads, bits per byte, and what storing changed."""
    parts = []
    if reading := facts.scores.get("reading"):
        plain = {name: value for name, value in reading.items() if isinstance(value, int | float | str)}
        parts.append(table(["measure", "value"], [[k.replace("_", " "), str(v)] for k, v in plain.items()]))
    if bits := facts.scores.get("bits_per_byte"):
        parts.append(table(["bits per byte of", "value"], [[k, str(v)] for k, v in bits.items()]))
    if facts.check:
        parts.append(
            f"Stored as {facts.precision} the span F1 on {facts.check['answerable']:,.0f} held-out questions is "
            f"{facts.check['f1']:.2f}, with the full weights {facts.check['f1_full']:.2f}."
        )
    return "\n\n".join(parts) or "Not measured."


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])
