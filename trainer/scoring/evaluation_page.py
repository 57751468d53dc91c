"""An evaluation as a page for people: what was measured, with plots, and a few wrong answers to look at.

Takes   the result that `evaluate.py` writes as JSON, of a recipe's run or of a question file.
Gives   one HTML file (`plots.page`); the same figures as lines of text for a terminal.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trainer import plots
from trainer.scoring.outcomes import Case, Outcomes

SAMPLES = 12  # wrong answers on a page
LONGEST = 240  # characters of a text on the page
MEANING = {
    "em": "exact match of the best span, % of answerable questions",
    "exact_match": "exact match of the best span, % of answerable questions",
    "f1": "F1 over words of the best span, % (answerable questions)",
    "evidence_top1": "right passage has the highest evidence, %",
    "balanced_accuracy": "answer or refuse: balanced accuracy, %",
    "answered": "answered, % of answerable questions",
    "refused": "refused, % of unanswerable questions",
    "right": "answered and right, % of all questions",
    "wrong": "answered and not right, % of all questions",
    "auc_risk_coverage": "area under the risk-coverage curve (0 is best)",
    "auc_risk_coverage_refusals": "the same, wrong meaning only: there was no answer",
    "ece": "expected calibration error of support, %",
    "threshold": "answers from support",
    "n": "questions",
    "answerable": "answerable questions",
    "unanswerable": "unanswerable questions",
}
KINDS = {"spans": "spans pointed at", "spoken": "quotations spoken"}
Section = tuple[str, str]  # heading, html


class Sample(NamedTuple):
    """A question and what went wrong."""

    question: str
    said: str
    wanted: str
    support: float


def render(name: str, result: Mapping[str, Any], more: Sequence[Section] = ()) -> str:
    """The page of one evaluation; `more` sections stand at its end."""
    sections: list[Section] = []
    if "reading" in result:
        sections.append(about({**result, **result["reading"]}, "Reading"))
    elif "f1" in result:
        sections.append(about(result, str(result.get("file", "Questions"))))
    for file, scored in result.get("questions", {}).items():
        sections.append(about(scored, file))
    if result.get("bits_per_byte"):
        drawn = plots.bars(result["bits_per_byte"], title="Bits per byte of held-out text (less is better)")
        sections.append(("Text", drawn))
    sections += [*more, ("How it was measured", how(result))]
    return plots.page(f"Evaluation of {name}", sections)


def about(scored: Mapping[str, Any], title: str) -> Section:
    """One set of questions: figures, then plots."""
    curves, evidence, other = scored["curves"], scored.get("evidence"), scored.get("against", {})
    parts = [figures(scored)]
    if evidence:
        values = {"reader": evidence["reader"], "embedder alone": evidence.get("embedder")}
        heading = f"Right passage first among {evidence['of']} ({evidence['n']:,} questions)"
        parts.append(plots.bars({who: v for who, v in values.items() if v is not None}, title=heading, unit="%"))
    risk = ([100 * c for c in curves["coverage"]], [100 * r for r in curves["risk"]])
    heading = "Wrong answers, when only the surest are given"
    parts.append(plots.lines({"wrong": risk}, title=heading, x="% of questions answered", y="% of answers", zero=True))
    parts.append(coverage(curves["coverage_at_risk"]))
    tenths = list(range(1, len(curves["reliability"]) + 1))
    claims = {
        "claimed": (tenths, [100 * claimed for claimed, _, _ in curves["reliability"]]),
        "right": (tenths, [100 * right for _, right, _ in curves["reliability"]]),
    }
    heading = "How sure the model is, and how often it is right"
    parts.append(plots.lines(claims, title=heading, x="tenths of the questions, the surest last", y="%", zero=True))
    if "measures" in other:
        parts.append(against(other))
    return title, "".join([*parts, failures(scored["quotations"])])


def figures(scored: Mapping[str, Any]) -> str:
    """The table of measures with their intervals."""
    spread = scored.get("intervals", {})
    rows = [[text, scored[name], between(spread.get(name))] for name, text in MEANING.items() if shown(scored, name)]
    for kind, one in scored["quotations"].items():
        if one["literal"] is not None:
            rows.append([f"{KINDS[kind]} that stand in their source, % of {one['given']:,}", one["literal"], ""])
    return plots.table(["measure", "value", "95% interval"], rows)


def shown(scored: Mapping[str, Any], name: str) -> bool:
    """Was this measured?"""
    return scored.get(name) is not None


def between(edges: Sequence[float | None] | None) -> str:
    """An interval in words; nothing where there is none."""
    if not edges or None in edges:
        return ""
    return " to ".join(plots.number_text(edge) for edge in edges if edge is not None)


def coverage(reached: Mapping[str, float]) -> str:
    """How much can be answered at a few levels of risk."""
    rows = [[f"{100 * float(risk):g}%", round(100 * share, 1)] for risk, share in reached.items()]
    return plots.table(["at most wrong", "% of questions that can be answered"], rows)


def against(other: Mapping[str, Any]) -> str:
    """The differences to a second model."""
    rows = [
        [MEANING.get(name, name), one["value"], one["difference"], between(one["interval"])]
        for name, one in other["measures"].items()
    ]
    note = (
        f"<p>Against {html.escape(other['model'])}: this model minus that one, on the same questions. "
        "A difference whose interval holds 0 may be luck.</p>"
    )
    return note + plots.table(["measure", "theirs", "difference", "95% interval"], rows)


def failures(found: Mapping[str, Any]) -> str:
    """The quotations that do not stand in their source."""
    rows = [
        [KINDS[kind], one["question"], cut(one["words"]), one["why"]]
        for kind, counted in found.items()
        for one in counted["failures"]
    ]
    return plots.table(["no quotations", "question", "quoted", "why it is none"], rows) if rows else ""


def how(result: Mapping[str, Any]) -> str:
    """Model, threshold, device and speed."""
    named = ("model", "kind", "checkpoint", "stage", "threshold_from", "device", "precision", "threads", "seconds")
    rows = [[name.replace("_", " "), result[name]] for name in named if name in result]
    rows += [[name.replace("_", " "), value] for name, value in result.get("speed", {}).items()]
    return plots.table(["", ""], rows)


def training(metrics: Mapping[str, Path]) -> list[Section]:
    """The losses of a run's stages over its tokens, of those that left metrics.jsonl."""
    drawn = []
    for stage, path in metrics.items():
        series: dict[str, tuple[list[float], list[float]]] = {}
        for row in whole_lines(path):
            for term, value in row.items():
                if term not in NO_LOSS and isinstance(value, int | float):
                    xs, ys = series.setdefault(term, ([], []))
                    xs.append(row["tokens"] / 1e6)
                    ys.append(value)
        if series:
            drawn.append(plots.lines(series, title=f"Losses: {stage}", x="million tokens", y="nats"))
    return [("Training", "".join(drawn))] if drawn else []


NO_LOSS = {"z", "step", "norm", "rate", "tokens", "tokens_per_second", "seconds_left", "kwh", "mfu"}


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file that are whole; a run may be writing the last one."""
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "tokens" in row:
            found.append(row)
    return found


# --- wrong answers ----------------------------------------------------------------------------------------------------


def wrong(asked: Sequence[Case], found: Outcomes, threshold: float) -> list[Sample]:
    """Wrong answers that would have been given, the surest first, then those that were missed."""
    given = np.flatnonzero((found.support >= threshold) & ~found.right)
    missed = np.flatnonzero((found.support < threshold) & found.answerable)
    ordered = [*given[np.argsort(-found.support[given])], *missed[np.argsort(found.support[missed])][: SAMPLES // 3]]
    kept = ordered[: SAMPLES - SAMPLES // 3] + ordered[len(given) :]
    return [
        Sample(
            asked[at].question,
            found.said[at] if found.support[at] >= threshold else "refused",
            " / ".join(dict.fromkeys(asked[at].answers)) or "there is no answer",
            round(float(found.support[at]), 3),
        )
        for at in dict.fromkeys(kept)
    ]


def samples(found: Sequence[Sample]) -> Section:
    """The section that shows them."""
    shown = [
        f"<p><strong>{html.escape(one.question)}</strong><br>{html.escape(cut(one.said))} "
        f'<span class="note">(support {one.support:.3f})</span><br>'
        f'<span class="note">wanted:</span> {html.escape(cut(one.wanted))}</p>'
        for one in found
    ]
    return "Wrong answers, the surest first, and answers missed", "".join(shown)


def cut(text: str) -> str:
    """A text that fits a cell."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def plain(result: Mapping[str, Any]) -> str:
    """The figures as lines for a terminal."""
    spread = result.get("intervals", {})
    lines = []
    for name, text in MEANING.items():
        if shown(result, name):
            edges = between(spread.get(name))
            lines.append(f"{plots.number_text(result[name]):>9}  {text}" + (f"  [{edges}]" if edges else ""))
    for kind, one in result.get("quotations", {}).items():
        if one["literal"] is not None:
            lines.append(f"{one['literal']:>9g}  {KINDS[kind]} that stand in their source, % of {one['given']:,}")
    if "evidence" in result:
        one = result["evidence"]
        beside = f"; by the embedder alone {one['embedder']:g}" if "embedder" in one else ""
        lines.append(f"{one['reader']:>9g}  right passage first among {one['of']}, % of {one['n']:,} questions{beside}")
    lines += [f"{value:>9g}  bits per byte, {name}" for name, value in result.get("bits_per_byte", {}).items()]
    for name, one in result.get("against", {}).get("measures", {}).items():
        lines.append(
            f"{one['difference']:>+9g}  {MEANING.get(name, name)}, against the other model [{between(one['interval'])}]"
        )
    if "speed" in result:
        rate, threads = result["speed"]["questions_per_second"], result["threads"]
        lines.append(f"{rate:>9g}  questions a second, one at a time, threads: {threads}")
    return "\n".join(lines) + "\n"
