"""A small text of our own, a tokenizer learnt from it, and a real model in miniature."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch

from trainer import tokenizer
from trainer.model import ModelConfig, Transformer
from trainer.tokenizer import Tokenizer

PLACES = ["the north depot", "the harbour office", "the old mill", "the training room", "the front desk", "the archive"]
THINGS = ["parcels", "invoices", "keys", "badges", "laptops", "vans", "forms", "samples", "ladders", "radios"]
PEOPLE = ["drivers", "clerks", "visitors", "managers", "apprentices", "engineers", "cleaners", "guests"]
RULES = [
    "{people} collect {things} from {place} before {hour} in the morning, and they sign for every one of them.",
    "When {things} are missing, tell {place} within {number} days, because later claims are not paid.",
    "It takes {number} working days until {people} receive new {things} that were ordered at {place}.",
    "{people} may keep {things} for {number} weeks if {place} has agreed to it in writing.",
    "Only {people} who have passed the test of {month} are allowed to move {things} to {place}.",
    "There is a fee of {number} pounds for {people} that return {things} late to {place}.",
]
MONTHS = ["March", "April", "June", "September", "October"]


def page(seed: int, sentences: int = 8) -> str:
    """A page of office rules; every seed gives another one."""
    chance = random.Random(seed)
    said = []
    for _ in range(sentences):
        rule = chance.choice(RULES)
        words = {
            "people": chance.choice(PEOPLE),
            "things": chance.choice(THINGS),
            "place": chance.choice(PLACES),
            "number": chance.randint(2, 90),
            "hour": chance.randint(5, 11),
            "month": chance.choice(MONTHS),
        }
        text = rule.format(**words)
        said.append(text[0].upper() + text[1:])
    return "\n\n".join(" ".join(said[i : i + 3]) for i in range(0, len(said), 3))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def words() -> Tokenizer:
    return tokenizer.train((page(seed) for seed in range(60)), vocabulary=512)


@pytest.fixture
def sizes(words: Tokenizer) -> ModelConfig:
    return ModelConfig(
        vocabulary=words.size, width=64, layers=2, heads=4, key_value_heads=2, head_width=16, hidden=96, context=256
    )


@pytest.fixture
def model(sizes: ModelConfig) -> Transformer:
    torch.manual_seed(3)
    return Transformer(sizes).eval()


@pytest.fixture
def raw_data(tmp_path: Path) -> Path:
    """A data folder in the layout of the real one: text in two domains, questions, an evaluation set, documents."""
    data = tmp_path / "data"
    for name, seeds in (("rules", range(150)), ("notes", range(1000, 1080))):
        rows = [{"text": page(s), "source": f"{name}/{s}", "licence": "CC0"} for s in seeds]
        write_jsonl(data / "pretrain" / f"{name}.jsonl", rows)
    asked = [question(seed) for seed in range(2000, 2240)]
    write_jsonl(data / "qa" / "train" / "office.jsonl", asked)
    write_jsonl(data / "qa" / "eval" / "unseen.jsonl", [question(seed) for seed in range(9000, 9010)])
    (data / "documents").mkdir()
    (data / "documents" / "kept-apart.md").write_text("# Apart\n\n" + page(9999), encoding="utf-8")
    return data


def question(seed: int) -> dict[str, object]:
    """One question about a page, with the place of its answer."""
    chance = random.Random(seed)
    number, thing, place = chance.randint(100, 999), chance.choice(THINGS), chance.choice(PLACES)
    fact = f"The limit for {thing} at {place} is {number} pieces."
    text = f"{page(seed, 3)} {fact} {page(seed + 50_000, 2)}"
    answer = f"{number} pieces"
    return {
        "question": f"What is the limit for {thing} at {place}?",
        "context": text,
        "title": "Limits",
        "answers": [{"text": answer, "start": text.index(answer)}],
        "answerable": True,
        "licence": "CC0",
    }


def write_jsonl(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
