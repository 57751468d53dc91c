"""A model folder in miniature and a training bundle of office questions, as the library writes them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from rag.bundle_file import BundleFile
from tests.trainer.bert import bert_folder
from tests.trainer.office import page, question
from trainer import rows
from trainer.encoder import Encoder
from trainer.encoder_reader import EncoderReader
from trainer.improving.bundle import fingerprint
from trainer.rows import Example


def model_folder(folder: Path) -> Path:
    """An encoder reader that has learnt nothing, with settings that a library fitted."""
    bert = bert_folder(folder.with_name(folder.name + ".bert"))
    torch.manual_seed(4)
    reader = EncoderReader(Encoder.from_folder(bert))
    settings: dict[str, Any] = {"name": "small", "threshold": 0.5, "length": 320, "brevity": 0.0}
    settings |= {"order": {"evidence": 1.0}, "answer_threshold": 0.2, "training": {"step": 7}}
    reader.export(folder, settings, bert / "tokenizer.json", card="# small\n")
    return folder


def place(number: int, text: str) -> dict[str, Any]:
    return {
        "document": f"office-{number}.md", "document_id": number, "version": 1, "page": None, "start": 0,
        "end": len(text), "access": [], "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }  # fmt: skip


def judged(first: int, count: int) -> list[dict[str, Any]]:
    """Rows as the library makes them of accepted judgements, a document each."""
    examples = []
    for seed in range(first, first + count):
        raw = question(seed)
        start = raw["answers"][0]["start"]
        span = (start, start + len(raw["answers"][0]["text"]))
        examples.append(Example(str(raw["question"]), "Limits", str(raw["context"]), (span,), "judged", ""))
    found = []
    for at, row in enumerate(rows.with_near_misses(examples, misses=3, seed=1)):
        number = first + at
        text = row.sources[0][1]
        about = {"teaches": ["retriever pair", "span label"], "judgements": [f"j{number}"], "people": 1, "judged": {}}
        shown = {
            "question": row.question,
            "sources": [list(s) for s in row.sources],
            "spans": [list(s) for s in row.spans],
        }
        kept = {"id": f"row{number}", **shown, "domain": "judged", "licence": "", **about, **place(number, text)}
        found.append({**kept, "passages": [{"id": str(number), **place(number, text)}]})
    return found


def passages(first: int, count: int) -> list[dict[str, Any]]:
    found = []
    for number in range(first, first + count):
        text = page(number, 6)
        about = {
            "title": "Office",
            "headings": ["Rules"],
            "text": text,
            "near": [],
            "domain": "documents",
            "licence": "",
        }
        found.append({"id": str(number), **about, **place(number, text)})
    return found


def preference(number: int) -> dict[str, Any]:
    row = judged(number, 2)[0]
    words = row["sources"][0][1][row["spans"][0][0] : row["spans"][0][1]]
    kept = {key: row[key] for key in ("question", "sources", "domain", "licence", "judgements", "people", "judged")}
    return {
        "id": f"pref{number}", **kept, "chosen": words, "rejected": "The documents do not say.",
        "teaches": ["preference"], **place(number, row["sources"][0][1]), "passages": row["passages"],
    }  # fmt: skip


def bundle(file: Path, base: Path, **members: list[dict[str, Any]]) -> Path:
    """Write one; members by name, "rows_train" for `rows.train.jsonl`; those not named are empty."""
    with BundleFile(file) as out:
        for kind in ("rows", "preferences", "passages"):
            for side in ("train", "held"):
                out.add(f"{kind}.{side}.jsonl", members.get(f"{kind}_{side}", []))
        out.add("withdrawn.jsonl", members.get("withdrawn", []))
        name = json.loads((base / "config.json").read_text("utf-8"))["name"]
        model = {"name": name, "kind": "encoder", "fingerprint": fingerprint(base), "sha256": {}}
        out.finish(
            {"library": "x", "base_model": model, "embedder": {"name": "e", "identity": "e/1", "query_side": ""}}
        )
        out.place()
    return file
