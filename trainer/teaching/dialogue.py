"""What a model learns to converse from: follow-ups with the question they stand for, and short dialogues.

    OUT/rows/*.jsonl ─────► pairs of questions about one subject ─► the second with a pronoun, or "And X?" ─┐
    DATA/dialogue/* ──┬───► questions that name what was said before ─► the same with a pronoun ────────────┴─► rewrite
                      └───► turns of user and assistant ─► talk

Takes   reading rows (`mixture.py` makes them, free of what evaluation holds) and service dialogues.
Gives   OUT/dialogue/{rewrite,talk}-{train,dev}.jsonl, whose rows keep their licences, and report.json with counts.
        `read_rewrites` and `read_talks` read them and any file of the same form:
          {"history": [{"role", "content"}], "question", "standalone", "domain", "licence", "made"}
          {"messages": [{"role": "system" | "user" | "assistant", "content"}], "sources": [{"heading", "text"}] or none,
           "domain", "licence"}; to teach instructions of one's own, write such rows and name them in [finetune] talks
Refuses rows without an assistant's turn, unknown roles, a missing key: each with the file and the line.
Why     nobody wrote down the stand-alone questions of these dialogues. A question that names its subject is one; what
        is made is the follow-up, as people shorten it. Some stay as they are, so that a model learns when not to.
Source  rewriting in context, with human rewrites: Elgohary et al., CANARD, D19-1605. Rows made by taking names away
        again: the idea of Yu et al., arXiv:2006.05009, the rules our own.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast, get_args

from trainer import files, jsonl, mixture, recipe, rows
from trainer.chat import Role, Source, Turn
from trainer.errors import DataError
from trainer.headings import asks_generally
from trainer.rows import ReadingRow
from trainer.teaching.followups import elided, with_pronoun

ANSWER = 240  # characters of an answer in the history
LICENCES = {"service_dialogues": "CC BY-SA 4.0"}  # of files whose lines state none; any other stays unstated


@dataclass(frozen=True, kw_only=True)
class DialogueConfig:
    """Settings of the dialogue rows."""

    rewrites: int = 20_000  # most rows of follow-ups from documents, and as many from dialogues
    unchanged: float = 0.2  # share of follow-ups from documents that already stand alone
    elided: float = 0.3  # share that begins "And ...?", where two questions differ in one phrase
    turns: int = 4  # of a service dialogue before its follow-up
    seed: int = 5


class Rewrite(NamedTuple):
    """A follow-up and the question it stands for."""

    history: tuple[Turn, ...]
    question: str
    standalone: str
    domain: str
    licence: str
    made: str  # "pronoun", "elided", "unchanged", or whatever the file says


class Talk(NamedTuple):
    """A conversation whose assistant's turns are learnt."""

    turns: tuple[Turn, ...]
    sources: tuple[Source, ...]
    domain: str
    licence: str


def make(plan: recipe.Recipe) -> Path:
    """Write the rows; returns their folder."""
    config = plan.section("dialogue", DialogueConfig)
    if not (plan.out / "rows" / "train.jsonl").is_file():
        mixture.make(plan)
    folder = plan.out / "dialogue"
    report: dict[str, Any] = {}
    services = list(service_dialogues(plan.data / "dialogue"))
    for split in ("train", "dev"):
        made = from_documents(rows.read_rows(plan.out / "rows" / f"{split}.jsonl"), config)
        spoken = [talk for part, talk in services if (part == "train") == (split == "train")]
        made += from_dialogues(spoken, config)
        random.Random(config.seed).shuffle(made)
        write(folder / f"rewrite-{split}.jsonl", [rewrite_row(row) for row in made])
        write(folder / f"talk-{split}.jsonl", [talk_row(talk) for talk in spoken])
        report[split] = {
            "rewrite": Counter(row.made for row in made),
            "rewrite_licences": Counter(part or "not stated" for row in made for part in row.licence.split("; ")),
            "talk": len(spoken),
            "talk_licences": Counter(talk.licence or "not stated" for talk in spoken),
        }
    files.write_json(folder / "report.json", report)
    return folder


def from_documents(examples: Sequence[ReadingRow], config: DialogueConfig) -> list[Rewrite]:
    """One follow-up a question at most; the question before it has the same subject, or the same form."""
    chance = random.Random(config.seed)
    alike: dict[str, list[int]] = defaultdict(list)  # rows about one thing, rows that begin alike
    for number, row in enumerate(examples):
        if row.spans:
            heading, text = row.sources[0]
            alike[f"about {heading or text[:80]}"].append(number)
            alike[begins(row)].append(number)
    made: list[Rewrite] = []
    order = [number for number, row in enumerate(examples) if row.spans]
    chance.shuffle(order)
    for number in order:
        if len(made) == config.rewrites:
            break
        row = examples[number]
        heading, text = row.sources[0]
        about, form = alike[f"about {heading or text[:80]}"], alike[begins(row)]
        die = chance.random()
        if die < config.unchanged:
            new = unchanged(examples[chance.choice(order)], row)
        elif die < config.unchanged + config.elided:
            new = first_made(row, [examples[i] for i in chance.sample(form, min(6, len(form)))], "elided")
        else:
            near = [examples[i] for i in chance.sample(about, min(6, len(about)))]
            new = first_made(row, near, "pronoun") or after_heading(row)
        made += [new] if new else []
    return made


def begins(row: ReadingRow) -> str:
    """Rows of one domain whose questions begin with the same three words."""
    return f"form {row.domain} {' '.join(row.question.lower().split()[:3])}"


def first_made(row: ReadingRow, others: Sequence[ReadingRow], made: str) -> Rewrite | None:
    """A follow-up to the first of the other questions that allows one."""
    for other in others:
        if other.question == row.question:
            continue
        history = asked_before(other)
        if made == "elided":
            short = elided(other.question, row.question)
        else:
            short = with_pronoun(row.question, f"{other.question} {history[1].text}", row.sources[0][1])
        if short:
            return Rewrite(history, short, row.question, row.domain, licences(other, row), made)
    return None


def after_heading(row: ReadingRow) -> Rewrite | None:
    """A follow-up to a request for the section that the question is about."""
    heading, text = row.sources[0]
    subject = heading.rpartition(">")[2].strip()
    short = with_pronoun(row.question, subject, text) if subject and not asks_generally(row.question) else None
    opening = re.split(r"(?<=[.!?])\s", text.strip(), maxsplit=1)[0][:ANSWER]
    history = (Turn("user", f"Tell me about {subject}."), Turn("assistant", opening))
    return Rewrite(history, short, row.question, row.domain, row.licence, "pronoun") if short else None


def unchanged(other: ReadingRow, row: ReadingRow) -> Rewrite | None:
    """A question that stands alone after another one: nothing is to be done."""
    if other.question == row.question:
        return None
    return Rewrite(asked_before(other), row.question, row.question, row.domain, licences(other, row), "unchanged")


def asked_before(row: ReadingRow) -> tuple[Turn, Turn]:
    """A question and its answer as history."""
    start, end = row.spans[0]
    return Turn("user", row.question), Turn("assistant", row.sources[0][1][start:end][:ANSWER])


def licences(*parts: ReadingRow) -> str:
    """The licences of all rows that a new one is made of."""
    return "; ".join(sorted({row.licence for row in parts if row.licence}))


def from_dialogues(talks: Sequence[Talk], config: DialogueConfig) -> list[Rewrite]:
    """Questions of users that name something said in the turns before."""
    made: list[Rewrite] = []
    for talk in talks:
        for at, turn in enumerate(talk.turns):
            if at < 2 or turn.role != "user" or not turn.text.endswith("?") or re.search(r"[.!?]\s", turn.text):
                continue
            history = talk.turns[max(0, at - config.turns) : at]
            short = with_pronoun(turn.text, " ".join(t.text for t in history), "")
            if short:
                made.append(Rewrite(history, short, turn.text, talk.domain, talk.licence, "pronoun"))
    return made[: config.rewrites]


def service_dialogues(folder: Path) -> Iterator[tuple[str, Talk]]:
    """(split, dialogue) of every file; none where there is no such folder."""
    roles: dict[str, Role] = {"USER": "user", "SYSTEM": "assistant"}
    for path in sorted(folder.glob("*.jsonl*")):
        for raw in jsonl.objects(path):
            turns = tuple(Turn(roles[who], words) for who, words in raw["turns"])
            domain = path.name.split(".")[0]
            yield str(raw["split"]), Talk(turns, (), domain, str(raw.get("licence", LICENCES.get(domain, ""))))


# --- files ------------------------------------------------------------------------------------------------------------


def write(path: Path, made: Sequence[Mapping[str, Any]]) -> None:
    """Replace a JSONL file."""
    files.write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made))


def rewrite_row(row: Rewrite) -> dict[str, Any]:
    """A follow-up as JSON."""
    return {**row._asdict(), "history": [{"role": turn.role, "content": turn.text} for turn in row.history]}


def talk_row(talk: Talk) -> dict[str, Any]:
    """A conversation as JSON."""
    return {
        "messages": [{"role": turn.role, "content": turn.text} for turn in talk.turns],
        "sources": [source._asdict() for source in talk.sources],
        "domain": talk.domain,
        "licence": talk.licence,
    }


def read_rewrites(path: Path) -> list[Rewrite]:
    """Follow-ups of a JSONL file. Raises DataError naming the line that is wrong."""
    made = []
    for number, raw in enumerate(jsonl.objects(path), 1):
        where = f"{path}, line {number}"
        if not (isinstance(raw.get("question"), str) and isinstance(raw.get("standalone"), str)):
            raise DataError(f'{where}: a follow-up needs "question" and "standalone", both text')
        named = (str(raw.get(key, "")) for key in ("domain", "licence", "made"))
        made.append(Rewrite(turns_of(raw.get("history"), where), raw["question"], raw["standalone"], *named))
    return made


def read_talks(path: Path) -> list[Talk]:
    """Conversations of a JSONL file. Raises DataError naming the line that is wrong."""
    talks = []
    for number, raw in enumerate(jsonl.objects(path), 1):
        where = f"{path}, line {number}"
        turns = turns_of(raw.get("messages"), where)
        if not any(turn.role == "assistant" and turn.text.strip() for turn in turns):
            raise DataError(f"{where}: no turn of the assistant, so nothing to learn; add one or leave the row out")
        sources = tuple(Source(str(s.get("heading", "")), str(s["text"])) for s in raw.get("sources") or ())
        talks.append(Talk(turns, sources, str(raw.get("domain", "")), str(raw.get("licence", ""))))
    return talks


def turns_of(raw: object, where: str) -> tuple[Turn, ...]:
    """The turns of a row, checked."""
    turns = []
    for message in raw if isinstance(raw, list) else [None]:
        fields: dict[str, Any] = message if isinstance(message, dict) else {}
        role, content = fields.get("role"), fields.get("content")
        if role not in get_args(Role) or not isinstance(content, str):
            raise DataError(
                f'{where}: {str(message)[:80]!r} is no {{"role", "content"}} with a role of {get_args(Role)}'
            )
        turns.append(Turn(cast(Role, role), content))
    return tuple(turns)


if __name__ == "__main__":
    recipe.main(make)
