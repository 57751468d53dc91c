"""The arrows of docs/architecture.md, read from the source; the weight of `import rag`; the measures of STYLE."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RAG = sorted((ROOT / "rag").rglob("*.py"))
TRAINER = sorted((ROOT / "trainer").rglob("*.py"))
DOORS = [path for path in [ROOT / "app.py", *sorted((ROOT / "app_pages").glob("*.py"))] if path.exists()]
OURS = RAG + TRAINER + DOORS

# Lowest first. A module imports from its own layer and the ones below; a door only from the library and the nouns.
LAYERS = [
    {"", "types", "moments", "judgement", "errors", "files", "config"},
    {"catalogue", "schema", "commit", "lock", "parts", "vectors", "vector_file", "vector_index", "id_sets", "lexical", "access", "audit", "versions",
     "leashed", "language", "stoppable", "detached", "views", "accounts"},
    {
        "discover", "load", "parse", "clean", "chunk", "units", "embed", "embed_int8", "embed_graph", "tuned", "retrieve", "spelling", "rerank", "memory", "followup",
        "prompt", "read", "risk", "embedders", "generate", "endpoint", "speak", "workers", "wording", "tasks", "asof", "quote", "cite", "feedback", "metrics", "starters", "remembered",
        "retention", "pinned", "review", "asked", "gaps", "dates", "usage", "question", "verdict", "spoken", "disagree", "compose",
    },
    {"ingest", "answer", "evaluate", "improve", "promote", "gate", "probes", "probing", "outcomes", "checked", "lineage", "connect", "upkeep", "backed_up", "doctor", "replay", "recheck", "compare", "bundle", "insight",
     "lessons", "split", "readable", "training_rows", "bundle_file", "runs", "outlook", "fitting", "calibrate",
     "gap", "quality", "question_sets", "trend", "figures", "models", "reembed"},
    {"library", "accounting", "judging", "keeping", "connecting", "auditing", "improving", "opening", "promoting", "measuring", "reembedding"},
    {"cli", "api", "mcp", "langchain", "llamaindex"},
]  # fmt: skip
LAYER = {name: height for height, names in enumerate(LAYERS) for name in names}
NOUNS = LAYERS[0]
GATES = {"chat", "tokenizer", "model", "encoder"}  # the fourth: docs/decisions/own-encoder.md
READERS = {
    "encoder_reader",
    "reading",
}  # what trains a reader also runs it; for rag.read, and what speaks a trunk, same page
METER = {"ngrams"}  # what made a table also reads it; for rag.gap alone
GATE_KEEPERS = {"prompt", "quote", "read", "speak", "rerank", "embed", "gap"}


def imports(path: Path) -> Iterator[str]:
    """Every module of ours that a file names, also inside functions: `rag.config`, `trainer.chat`, ..."""
    package = ".".join(path.relative_to(ROOT).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, node.module] if node.module else above)
            # `from rag import config` names a module, `from rag.config import Settings` a thing in one
            yield from (f"{base}.{alias.name}" if base in ("rag", "trainer") else base for alias in node.names)


def ours(path: Path, package: str) -> set[str]:
    """First name below `package` of everything the file imports from it; exported names count as the package."""
    found = set()
    for name in imports(path):
        head, _, rest = name.partition(".")
        if head == package:
            part = rest.partition(".")[0]
            is_module = (ROOT / package / part).is_dir() or (ROOT / package / f"{part}.py").is_file()
            found.add(part if is_module else "")
    return found


def module(path: Path) -> str:
    """`rag/load/pdf.py` belongs to `load`, `rag/__init__.py` to ``."""
    return path.relative_to(ROOT / "rag").parts[0].removesuffix(".py").replace("__init__", "")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", RAG, ids=named)
def test_every_module_of_rag_imports_only_its_own_layer_and_those_below(path: Path) -> None:
    assert module(path) in LAYER, f"{named(path)} has no layer: name it in LAYERS here and in docs/architecture.md"
    height = LAYER[module(path)]
    if path.name == "__init__.py" and module(path) == "":
        return  # the lazy exports name the library, for type checkers only
    wrong = {name for name in ours(path, "rag") if LAYER.get(name, 99) > height}
    assert not wrong, f"{named(path)} must not import {wrong}"


@pytest.mark.parametrize("path", [p for p in RAG if module(p) in ("types", "errors")], ids=named)
def test_the_nouns_import_nothing_of_ours(path: Path) -> None:
    assert not ours(path, "rag") | ours(path, "trainer")


@pytest.mark.parametrize("path", [*[p for p in RAG if module(p) in LAYERS[-1]], *DOORS], ids=named)
def test_doors_know_the_library_and_the_nouns_only(path: Path) -> None:
    itself = module(path) if path.is_relative_to(ROOT / "rag") else ""
    starts = {"api", "mcp"} if named(path) == "rag/cli/serving.py" else set()
    assert ours(path, "rag") <= NOUNS | {"library", itself} | starts
    assert not ours(path, "trainer")


@pytest.mark.parametrize("path", RAG, ids=named)
def test_rag_enters_the_trainer_through_its_gates_only(path: Path) -> None:
    entered = ours(path, "trainer")
    gates = GATES | {"read": READERS, "speak": {"reading"}, "gap": METER}.get(module(path), set())
    assert entered <= gates, f"{named(path)} must not import trainer.{entered - gates}"
    assert not entered or module(path) in GATE_KEEPERS, f"{named(path)} is no keeper of a gate"


@pytest.mark.parametrize("path", TRAINER, ids=named)
def test_the_trainer_knows_nothing_of_rag(path: Path) -> None:
    assert not [name for name in imports(path) if name.split(".")[0] == "rag"]


@pytest.mark.parametrize("name", ["rag", "rag.types", "rag.errors", "rag.config", "rag.library", "rag.cli"])
def test_importing_a_door_loads_nothing_heavy(name: str) -> None:
    heavy = "{'torch', 'faiss', 'streamlit', 'transformers', 'sentence_transformers', 'pandas', 'tantivy'}"
    code = f"import sys, {name}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.parametrize("path", OURS, ids=named)
def test_a_file_is_short_and_says_what_it_is(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= 400, f"{named(path)}: split it by noun"
    assert ast.get_docstring(ast.parse(text)), f"{named(path)}: no docstring"


@pytest.mark.parametrize("path", OURS, ids=named)
def test_functions_stay_under_sixty_lines_and_four_positional_parameters(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    scopes = [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))]
    for node in (node for scope in scopes for node in scope.body):  # a function in a function is somebody's callback
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            words = [n for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
            quoted = sum((word.end_lineno or 0) - word.lineno for word in words)  # SQL and prose are not steps
            assert (node.end_lineno or 0) - node.lineno - quoted < 60, f"{named(path)}: {node.name} is too long"
            positional = [a.arg for a in node.args.posonlyargs + node.args.args if a.arg not in ("self", "cls", "ctx")]
            is_command = "cli" in named(path)  # typer: a parameter an option
            framework = node.name == "settings_customise_sources"  # pydantic calls it so
            private = node.name.startswith("_")
            assert len(positional) <= 4 + private or is_command or framework, (
                f"{named(path)}: {node.name}({positional})"
            )


def test_required_dependencies_stay_few() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert len(project["dependencies"]) <= 14
    constraints = (ROOT / "constraints.txt").read_text("utf-8")
    assert "torch==2.13.0\n" in constraints
    assert "torchvision" not in constraints
