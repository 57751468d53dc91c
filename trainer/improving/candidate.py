"""What the run found becomes a model folder that a library opens, with all that must be known of it beside.

    base's config + tuned weights ─► threshold and brevity fitted anew ─► OUT/{config.json, model.safetensors,
        tokenizer.json, README.md, SHA256SUMS}  +  query/ where the retriever gained  +  lineage.json  report.json

Takes   a tuned reader, the base's folder, the dev rows, figures, and which rows taught.
Gives   OUT by one rename: an older candidate stands there whole until then.
Keeps   what was fitted for the base in a library (order, confidence, answer_threshold, risk) until a library fits it
        anew; threshold and brevity are the reader's own and fitted here.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from trainer import files, folders
from trainer.encoder_reader import EncoderReader
from trainer.formats import checksums
from trainer.improving.bundle import Bundle, fingerprint
from trainer.improving.course import now
from trainer.improving.material import Row
from trainer.rows import ReadingRow
from trainer.scoring.calibrate import fit_brevity, fit_refusal

FORMAT = 1
QUERY = "query"


def fit(model: EncoderReader, rows: Sequence[ReadingRow]) -> dict[str, Any]:
    """Threshold and brevity for these weights on dev rows, as config.json keeps them."""
    model.settings["brevity"], brevities = fit_brevity(model, rows)
    fitted = fit_refusal(model, rows)
    model.threshold = fitted.threshold
    return {
        "threshold": fitted.threshold,
        "brevity": model.settings["brevity"],
        "dev_f1_by_brevity": brevities,
        "calibration": fitted._asdict(),
    }


def write(model: EncoderReader, base: Path, out: Path, about: Mapping[str, Any], *, query: Path | None) -> Path:
    """Write the candidate. about: `config` (what changes in config.json), `lineage`, `report`, `rows`, `licences`."""
    told = json.loads((base / "config.json").read_text(encoding="utf-8"))
    kept = {key: value for key, value in told.items() if key not in ("format", "kind", "encoder")}
    exported = out.with_name(out.name + ".work") / "exported"
    text = card(str(told["name"]), f"{told['name']}-{fingerprint(base)}", about)
    model.export(exported, {**kept, **about["config"]}, base / "tokenizer.json", card=text)
    with folders.exported(out, kind="encoder") as part:
        for path in exported.iterdir():
            if path.name != checksums.NAME:
                shutil.copy2(path, part / path.name)
        if query is not None:
            shutil.copytree(query, part / QUERY)
        files.write_json(part / "lineage.json", about["lineage"])
        files.write_json(part / "report.json", about["report"])
    shutil.rmtree(exported)
    return out


def lineage(bundle: Bundle, base: Path, seed: int, used: Mapping[str, Sequence[tuple[str, Row]]]) -> dict[str, Any]:
    """Which rows trained this model, a line for each document that a row showed; and what had trained its base.

    used: stage -> (member of the bundle, row).
    """
    earlier = _earlier(base)
    return {
        "format": FORMAT,
        "bundle": bundle.id,
        "base": {"name": bundle.manifest["base_model"].get("name"), "fingerprint": fingerprint(base)},
        "seed": seed,
        "made_at": now(),
        "torch": torch.__version__,
        "rows": [line for stage, rows in used.items() for member, row in rows for line in _lines(stage, member, row)],
        "earlier": earlier,
    }


def _lines(stage: str, member: str, row: Row) -> Iterator[dict[str, Any]]:
    about = row.about
    own = {key: about.get(key) for key in ("document", "document_id", "version", "sha256")}
    places = [own, *(place for place in about.get("passages", ()) if isinstance(place, Mapping))]
    seen: set[Any] = set()
    for place in places:
        key = place.get("document_id") or place.get("document")
        if key is None or key in seen:
            continue
        seen.add(key)
        yield {
            "id": about.get("id"),
            "member": member,
            "document": place.get("document"),
            "document_id": place.get("document_id"),
            "version": place.get("version"),
            "judgements": list(about.get("judgements", ())),
            "sha256": place.get("sha256"),
            "stage": stage,
        }


def _earlier(base: Path) -> list[dict[str, Any]]:
    """The lineages that the base itself carries, the nearest first."""
    path = base / "lineage.json"
    if not path.is_file():
        return []
    own = json.loads(path.read_text(encoding="utf-8"))
    before = own.pop("earlier", [])
    return [own, *before]


def card(name: str, base: str, about: Mapping[str, Any]) -> str:
    """The card: what it was made from, what it learnt, how it reads before and after."""
    before, after = about["report"]["before"], about["report"]["after"]
    rows = [
        f"| {of} | {title} | {shown(before[of].get(key))} | {shown(after[of].get(key))} |"
        for of in before
        for key, title in TITLES.items()
        if key in before[of]
    ]
    licences = Counter({str(key): int(value) for key, value in about["licences"].items()})
    terms = ", ".join(f"{name or 'of the library'} ({count:,})" for name, count in licences.most_common())
    counts = ", ".join(f"{count:,} {kind}" for kind, count in about["rows"].items())
    return f"""# {name}

A reader for passages, tuned by `trainer improve` on the documents and judgements of one library. Base: `{base}`.
It is meant for that library, and for whoever may read the documents that `lineage.json` names. It writes nothing of its
own, and it errs: show the quoted words with every answer.

Learnt from {counts} rows. Licences of the rows: {terms}. The licence of these weights is for
their maker to state; the base's and those of the rows bear on it.

| rows | measure | base | this model |
|---|---|---|---|
{chr(10).join(rows)}

"held" are rows of documents that nothing was learnt from; "retention" are general questions, likewise.
A row counts twice: with its passage among near misses, and with these alone. Figures in percent.
"""


TITLES = {
    "recall_at_5": "passage among the first five",
    "f1": "F1 of the best span",
    "evidence_top1": "right passage first",
    "answered": "answered, where a passage answers",
    "refused": "refused, where none answers",
    "right": "right of all",
    "wrong": "wrong of all",
}


def shown(value: float | None) -> str:
    """A figure, or a dash where nothing was measured."""
    return "-" if value is None else f"{value:g}"
