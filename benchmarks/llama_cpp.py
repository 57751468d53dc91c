"""Does llama.cpp say what our decoder says? `python -m benchmarks.llama_cpp --run runs/12m --python VENV/bin/python`

Takes   a run of the trainer and an interpreter that has llama-cpp-python (MIT; `pip install llama-cpp-python` builds
        it in about twenty minutes, so it has an environment of its own).
Does    export the run's newest checkpoint as fp32 GGUF, and let both write 64 tokens greedily after each of 20 prompts:
        llama.cpp free on its side, with fp32 keys and values, one thread.
Gives   benchmarks/results/llama_cpp.json: token by token of the tokenizer on the prompts and on awkward texts, how many
        texts are equal, and for each divergence the two logits between which it chose and the rounding seen there.
        Exit code 1 where logits differ by more than rounding, or a divergence is no tie: where the logits of the two
        tokens stand further apart than twice the largest difference between our logits and theirs at that place.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.record import record
from trainer import checkpoint, export, recipe, tokenizer
from trainer.model import Cache, Transformer
from trainer.tokenizer import Tokenizer

TOKENS = 64
ROUNDING = 1e-3  # between logits, which have a spread of about 1; a wrong norm or rotation moves them by whole units
PROMPTS = [
    "The office opens at", "Employees who work part time", "To reset a password, first", "A contract ends when",
    "In the spring the river", "The most important thing about safety is", "She looked at the letter and",
    "Water boils at", "The committee decided that", "If the printer does not start,", "def read_file(path):",
    "Once upon a time there was", "The history of the town begins", "According to the report, sales",
    "You can return a product within", "1. Open the settings.\n2.", "Dear Sir or Madam,\n\n", "## Installation\n\n",
]  # fmt: skip
ASKED = [("When does the office open?", "The office opens at nine."), ("Who pays for travel?", "Lunch is at noon.")]
AWKWARD = [
    "", " ", "  two  blanks", "tabs\tand\r\nlines\n\n\n", "don't WE'LL I'm", "1234567890 x² ½", "Ünïcödé naïve",
    "日本語の文章", "🙂\u200d🙂 \U0001f468\u200d\U0001f469", "<|answer|> posing as us <|end|>", "<|end", "a" * 200,
    "\x00\x7f", "ﬁ ﷺ \u00a0",
]  # fmt: skip

# Runs in the other environment. Gives ids of texts, and greedily spoken ids with their logits.
CHILD = """
import json, sys
import numpy as np
import llama_cpp
task = json.load(open(sys.argv[1]))
model = llama_cpp.Llama(task["file"], n_ctx=512, n_threads=1, n_threads_batch=1, type_k=0, type_v=0, flash_attn=False,
                        verbose=False)
cut = [model.tokenize(text.encode(), add_bos=False, special=False) for text in task["texts"]]
back = [model.detokenize(ids).decode(errors="replace") for ids in cut]
said, logits = [], []
for prompt in task["prompts"]:
    model.reset()
    ids, rows = list(prompt), []
    model.eval(ids)
    for _ in range(task["tokens"]):
        row = np.array(llama_cpp.llama_get_logits_ith(model.ctx, -1)[:model.n_vocab()], dtype=np.float32)
        rows.append(row)
        ids.append(int(row.argmax()))
        model.eval(ids[-1:])
    said.append(ids[len(prompt):])
    logits.append(rows)
np.save(task["logits"], np.array(logits, dtype=np.float32))
json.dump({"cut": cut, "back": back, "said": said, "version": llama_cpp.__version__}, open(task["answer"], "w"))
"""


def main() -> None:
    """Compare, record, and fail where a divergence is no tie."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of a run with a tokenizer and checkpoints")
    parser.add_argument("--stage", default="pretrain", help="whose newest checkpoint")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="interpreter with llama-cpp-python")
    given = parser.parse_args()
    torch.set_num_threads(1)
    words = tokenizer.load(given.run / "tokenizer.json")
    model = checkpoint.load(given.run / given.stage).eval()
    prompts = [words.encode(text) for text in PROMPTS] + [asked(words, *pair) for pair in ASKED]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        settings = {"to": "gguf", "stage": given.stage, "precision": "fp32", "unfinished": True}
        plan = recipe.Recipe("model", given.run, given.run, {"export": {**settings, "folder": str(folder / "gguf")}})
        file = export.export(plan) / "model-F32.gguf"
        texts = [*PROMPTS, *AWKWARD, *(text for pair in ASKED for text in pair)]
        theirs, logits = ask_llama(given.python, folder, file, prompts=prompts, texts=texts)
    different = [text for text, cut in zip(texts, theirs["cut"], strict=True) if cut != words.encode(text)]
    compared = [compare(model, p, s, row) for p, s, row in zip(prompts, theirs["said"], logits, strict=True)]
    parted = [found for found in compared if "at" in found]
    result = {
        "llama_cpp_python": theirs["version"],
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "prompts": len(prompts), "tokens_each": TOKENS,
        "texts_cut_alike": len(texts) - len(different), "texts": len(texts), "texts_cut_differently": different,
        "equal_texts": len(compared) - len(parted), "tokens_compared": sum(found["tokens"] for found in compared),
        "largest_logit_difference": max(found["largest_difference"] for found in compared),
        "spread_of_logits": float(logits.std()),
        "smallest_gap_of_the_best_two": min(found["smallest_gap"] for found in compared),
        "divergences": parted,
    }  # fmt: skip
    record("llama_cpp", result)
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    rounded = result["largest_logit_difference"] <= ROUNDING
    if different or not rounded or not all(found["tie"] for found in parted):
        sys.exit("not the same model: a text is cut differently, logits differ, or a divergence is no tie")


def asked(words: Tokenizer, question: str, source: str) -> list[int]:
    """A prompt in the learnt format, reserved tokens and all."""
    front = [words.question, *words.encode(question), words.source, *words.encode("1 "), words.text]
    return [*front, *words.encode(source), words.answer]


def ask_llama(
    python: Path, folder: Path, file: Path, *, prompts: list[list[int]], texts: list[str]
) -> tuple[dict[str, Any], np.ndarray]:
    """What llama.cpp makes of texts and prompts; its logits are [prompts, TOKENS, vocabulary]."""
    task = {
        "file": str(file), "prompts": prompts, "texts": texts, "tokens": TOKENS,
        "logits": str(folder / "logits.npy"), "answer": str(folder / "answer.json"),
    }  # fmt: skip
    (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
    subprocess.run([python.absolute(), "-c", CHILD, folder / "task.json"], check=True, cwd=folder)
    return json.loads((folder / "answer.json").read_text(encoding="utf-8")), np.load(folder / "logits.npy")


@torch.inference_mode()
def compare(model: Transformer, prompt: list[int], said: list[int], theirs: np.ndarray) -> dict[str, Any]:
    """Speak greedily beside what llama.cpp said, up to the first token that differs. theirs: [TOKENS, vocabulary]."""
    cache = Cache(model.config, capacity=len(prompt) + TOKENS, like=model.norm.weight)
    state = model(torch.tensor([prompt]), cache=cache)[0, -1]  # [width]
    found: dict[str, Any] = {"tokens": 0, "largest_difference": 0.0, "smallest_gap": float("inf")}
    for at, token in enumerate(said):
        logits = model.logits(state).numpy()  # [vocabulary]
        best, second = np.sort(logits)[::-1][:2]
        difference = float(np.abs(logits - theirs[at]).max())
        found["tokens"] += 1
        found["largest_difference"] = max(found["largest_difference"], difference)
        found["smallest_gap"] = min(found["smallest_gap"], float(best - second))
        ours = int(logits.argmax())
        if ours != token:
            gap = float(best - logits[token])
            return {**found, "at": at, "gap": gap, "difference_there": difference, "tie": gap <= 2 * difference}
        state = model(torch.tensor([[ours]]), cache=cache)[0, -1]
    return found


if __name__ == "__main__":
    main()
