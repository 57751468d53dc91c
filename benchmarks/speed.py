"""How quick is an answer? `python -m benchmarks.speed`; `make bench-answers` prints the same figures in its last line.

Takes   a library that was ingested (indexes/bench-answers), questions over it; perhaps a trunk's folder, its GGUF, and
        an interpreter that has llama-cpp-python.
Gives   first_words_ms   median, from the question to the first words of its answer, in a process that is warm
        answer_ms_p95    of whole answers, audited
        startup_s        from starting `rag ask` to its end: imports, weights, index, one answer
        memory_mb        peak of the process that answered all questions
        and beside them the load of the machine and the processor's time an answer took: other programs change the first
        and hardly the second.
        With --trunk, --gguf and --llama: one prompt of eight passages and 1,000 tokens read, 48 tokens spoken after it,
        by us and by llama.cpp in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS = 40
STARTS = 3  # of the command; the fastest counts, the first one warms the disk's cache
PROMPT, SPOKEN, ROUNDS = 1000, 48, 7

# Runs in the other environment: reads a prompt and speaks after it each time it is told to. Which token is fed back
# does not change the time; a search for the likeliest one in Python would.
LLAMA = """
import json, sys, time
import llama_cpp
task = json.load(open(sys.argv[1]))
sizes = {"n_ctx": 2048, "n_batch": 2048, "n_threads": 1, "n_threads_batch": task["threads"]}
model = llama_cpp.Llama(task["file"], verbose=False, **sizes)
for line in sys.stdin:
    model.reset()
    began = time.perf_counter()
    model.eval(task["ids"])
    read = time.perf_counter()
    for _ in range(task["spoken"]):
        model.eval(task["ids"][-1:])
    print(json.dumps([read - began, time.perf_counter() - read]), flush=True)
"""


def measure(index: Path, questions: Sequence[str], *, model: Path | None = None) -> dict[str, Any]:
    """The figures of the product."""
    options = ["--index", str(index), *(["--model", str(model)] if model else [])]
    told = {"load_before": round(os.getloadavg()[0], 1)}
    starts = [start(questions[at % len(questions)], options) for at in range(STARTS)]
    wall, cpu = min(starts)
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed", "--session", *options],
        cwd=ROOT, input=json.dumps(list(questions)), capture_output=True, text=True, check=True,
    )  # fmt: skip
    answered = json.loads(child.stdout.splitlines()[-1])
    return {
        "first_words_ms": round(statistics.median(row["first"] for row in answered["rows"]), 1),
        "answer_ms_median": round(statistics.median(row["whole"] for row in answered["rows"]), 1),
        "answer_ms_p95": round(percentile([row["whole"] for row in answered["rows"]], 0.95), 1),
        "answer_cpu_ms_median": round(statistics.median(row["cpu"] for row in answered["rows"]), 1),
        "startup_s": round(wall, 2),
        "startup_cpu_s": round(cpu, 2),
        "memory_mb": round(answered["peak_kb"] / 1024),
        "passages": answered["passages"],
        "passages_read_median": statistics.median(row["read"] for row in answered["rows"]),
        "answers": len(answered["rows"]),
        "precision": answered["precision"],
        **told,
        "load_after": round(os.getloadavg()[0], 1),
    }


def start(question: str, options: Sequence[str]) -> tuple[float, float]:
    """Wall and processor seconds of one `rag ask` from nothing to its answer."""
    command = [sys.executable, "-c", "from rag.cli import main; main()", "ask", question, "--json", *options]
    before, began = os.times(), time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    wall, after = time.perf_counter() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5), percentile([5.0], 0.95)
    (2.0, 5.0)
    """
    ranked = sorted(values)
    return ranked[max(0, -(-int(share * len(ranked) * 1000) // 1000) - 1)]


def session(index: Path, model: Path | None, questions: Sequence[str]) -> dict[str, Any]:
    """Answer all questions in this process."""
    import rag
    from rag.types import Done, Found, Text

    settings = rag.Settings(index=index, model=model)
    rows = []
    with rag.open(index, settings) as library:
        library.warm()
        library.ask(questions[0])  # imports what only an answer needs
        for question in questions:
            began, cpu, first, read = time.perf_counter(), time.process_time(), 0.0, 0
            for event in library.stream(question, purpose="evaluated"):
                now = (time.perf_counter() - began) * 1000
                if isinstance(event, Found):
                    read = len(event.hits)
                elif isinstance(event, Text) and not first:
                    first = now
                elif isinstance(event, Done):
                    used = (time.process_time() - cpu) * 1000
                    rows.append({"first": first or now, "whole": now, "cpu": used, "read": read})
        state = library.status()
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = int(status.split("VmHWM:")[1].split()[0])
    return {"rows": rows, "peak_kb": peak, "passages": state["passages"], "precision": state["precision"]}


# --- our trunk beside llama.cpp ---------------------------------------------------------------------------------------


def beside_llama(trunk: Path, gguf: Path, python: Path, *, index: Path, question: str, scratch: Path) -> dict[str, Any]:
    """The same prompt read and spoken after by both, in turns; medians in milliseconds."""
    import torch

    import rag
    from rag import workers
    from rag.read import open_trunk
    from trainer import chat

    with rag.open(index) as library:
        hits = library.search(question, k=8)
    ours = open_trunk(trunk)
    sources = [chat.Source(" > ".join(hit.passage.headings), hit.text) for hit in hits]
    ids = chat.render(question, sources, ours.words, limit=PROMPT).ids
    task = {"file": str(gguf.absolute()), "ids": ids, "spoken": SPOKEN, "threads": torch.get_num_threads()}
    (scratch / "llama-task.json").write_text(json.dumps(task), encoding="utf-8")
    theirs = subprocess.Popen(
        [python.absolute(), "-c", LLAMA, (scratch / "llama-task.json").absolute()],
        cwd=scratch, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert theirs.stdin is not None
    assert theirs.stdout is not None
    rounds: dict[str, list[list[float]]] = {"ours": [], "llama_cpp": []}
    for _ in range(ROUNDS):
        theirs.stdin.write("go\n")
        theirs.stdin.flush()
        rounds["llama_cpp"].append(json.loads(theirs.stdout.readline()))
        ours._last = None  # what was read is forgotten
        began = time.perf_counter()
        read = workers.reading().submit(ours.take_in, ids).result()
        middle = time.perf_counter()
        workers.decoding().submit(ours.speak, read, lambda _: ids[-1], most=SPOKEN).result()  # logits are computed
        rounds["ours"].append([middle - began, time.perf_counter() - middle])
    theirs.stdin.close()
    theirs.wait()
    found: dict[str, Any] = {"prompt_tokens": len(ids), "passages": len(hits), "spoken_tokens": SPOKEN}
    for name, times in rounds.items():
        read_s, spoken_s = (statistics.median(column) for column in zip(*times[1:], strict=True))
        found[name] = {"read_ms": round(read_s * 1000, 1), "tokens_per_second": round(SPOKEN / spoken_s, 1)}
    found["read_ratio"] = round(found["llama_cpp"]["read_ms"] / found["ours"]["read_ms"], 2)
    found["speak_ratio"] = round(found["ours"]["tokens_per_second"] / found["llama_cpp"]["tokens_per_second"], 2)
    return found | {"precision": ours.precision, "load": round(os.getloadavg()[0], 1)}


def main() -> None:
    """Measure, print one JSON object."""
    from benchmarks.record import record

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--index", type=Path, default=ROOT / "indexes" / "bench-answers")
    parser.add_argument("--model", type=Path, help="model folder; models/base when not given")
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    parser.add_argument("--trunk", type=Path, help="exported trunk, to be compared with llama.cpp")
    parser.add_argument("--gguf", type=Path, help="the same trunk as GGUF")
    parser.add_argument("--llama", type=Path, help="interpreter with llama-cpp-python")
    parser.add_argument("--session", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.session:
        sys.stdout.write(json.dumps(session(given.index, given.model, json.load(sys.stdin))) + "\n")
        return
    asked = chosen(given.data, given.questions)
    result: dict[str, Any] = measure(given.index, asked, model=given.model)
    if given.trunk and given.gguf and given.llama:
        result["beside_llama_cpp"] = beside_llama(
            given.trunk, given.gguf, given.llama, index=given.index, question=asked[0], scratch=given.gguf.parent
        )
    record("speed", result)
    sys.stdout.write(json.dumps(result) + "\n")


def chosen(data: Path, count: int) -> list[str]:
    """Questions of both handbooks, evenly spread."""
    from rag.evaluate import load

    files = (data / "documents" / "handbooks" / f"{name}.questions.jsonl" for name in ("18F", "sourcegraph"))
    rows = [row["question"] for file in files for row in load(file)]
    return [rows[(2 * at + 1) * len(rows) // (2 * count)] for at in range(count)]


if __name__ == "__main__":
    main()
