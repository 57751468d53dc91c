"""A tuned query side: it embeds questions, never passages; it belongs to one embedder; without one nothing changes."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import rag
from rag import embed
from rag.config import Settings
from rag.embed import MiniLM, open_embedder
from rag.errors import ModelError
from rag.library import Library
from rag.tuned import Tuned

QUESTION = "How many days of leave do I get?"
PASSAGE = "Full-time employees have 27 days of annual leave a year."
LAYER = "encoder.layer.5.output.dense.weight"


def folder_with(folder: Path, tensors: dict[str, Any], **about: Any) -> Path:
    """A tuned folder as `trainer embedder` writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "model.safetensors"
    save_file(tensors, file)
    described = {"format": 1, "kind": "query-side", "name": "retriever", "base": MiniLM.identity}
    described["weights_sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (folder / "groundling.json").write_text(json.dumps(described | about), "utf-8")
    return folder


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return MiniLM(precision="fp32")


@pytest.fixture(scope="module")
def swapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One layer's output turned around: vectors that differ from the base's beyond doubt."""
    weights = load_file(embed.packaged() / "model.safetensors")[LAYER]
    return folder_with(tmp_path_factory.mktemp("tuned") / "query", {LAYER: -weights.astype(np.float16)})


def test_questions_are_embedded_by_the_tuned_weights_and_passages_by_the_base(minilm: MiniLM, swapped: Path) -> None:
    tuned = Tuned(minilm, swapped)
    np.testing.assert_array_equal(tuned.embed([PASSAGE]), minilm.embed([PASSAGE]))
    rows = tuned.embed_questions([QUESTION, PASSAGE, QUESTION])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert rows[0] @ minilm.embed([QUESTION])[0] < 0.99
    np.testing.assert_allclose(rows[0], rows[2], atol=1e-6)
    assert tuned.identity == minilm.identity  # the index stays valid
    assert tuned.query_side.startswith("retriever/")


def test_a_folder_that_changes_nothing_embeds_questions_as_the_base_does(minilm: MiniLM, tmp_path: Path) -> None:
    rows = Tuned(minilm, folder_with(tmp_path / "query", {})).embed_questions([QUESTION])
    np.testing.assert_allclose(rows, minilm.embed_questions([QUESTION]), atol=1e-5)


def test_the_turn_of_an_adapter_is_added_to_the_vector(minilm: MiniLM, tmp_path: Path) -> None:
    turn = np.zeros((384, 384), dtype=np.float16)
    turn[0, 1] = 2.0  # number 0 grows by twice number 1
    found = Tuned(minilm, folder_with(tmp_path / "query", {"turn": turn})).embed_questions([QUESTION])[0]
    expected = minilm.embed([QUESTION])[0]
    expected[0] += 2 * expected[1]
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-5)


def test_a_query_side_of_another_embedder_is_refused_with_the_cure(minilm: MiniLM, tmp_path: Path) -> None:
    other = folder_with(tmp_path / "query", {}, base="bge-small/123456789abc/sentence-transformers")
    with pytest.raises(ModelError, match=r"tuned for the embedder bge-small/.* but this one is all-MiniLM.*=none"):
        Tuned(minilm, other).embed_questions([QUESTION])


def test_weights_that_were_exchanged_are_refused(minilm: MiniLM, tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "query", {})
    save_file({"turn": np.ones((384, 384), dtype=np.float16)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match="not the file that was tuned"):
        Tuned(minilm, folder).embed_questions([QUESTION])


def test_tensors_the_base_does_not_have_are_refused(minilm: MiniLM, tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "query", {"encoder.layer.99.bias": np.zeros(3, dtype=np.float16)})
    with pytest.raises(ModelError, match=r"does not fit its base .*encoder\.layer\.99\.bias"):
        Tuned(minilm, folder).embed_questions([QUESTION])


@pytest.mark.parametrize("content", ["", "{}", '{"kind": "query-side", "format": 2, "name": "x"}', "[1]"])
def test_a_folder_that_is_no_query_side_is_refused_when_it_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "groundling.json").write_text(content, "utf-8")
    with pytest.raises(ModelError, match="trainer embedder"):
        open_embedder(Settings(query_side=tmp_path))


def test_the_settings_or_the_model_folder_name_the_query_side(swapped: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(swapped, model / "query")
    assert isinstance(open_embedder(Settings(query_side=swapped)), Tuned)
    assert isinstance(open_embedder(Settings(model=model)), Tuned)
    assert isinstance(open_embedder(Settings(model=model, query_side="none")), MiniLM)
    assert isinstance(open_embedder(Settings(model=tmp_path)), MiniLM)


def test_answers_and_the_audit_say_which_query_side_served(
    papers: Path, untrained_reader: Path, swapped: Path, tmp_path: Path
) -> None:
    settings = Settings(index=tmp_path, model=untrained_reader)
    with rag.open(tmp_path, settings) as library:
        library.add(papers)
        plain = library.ask(QUESTION)
        near = library._parts().vectors.search(QUESTION, 3)
    assert "query_side" not in plain.as_dict()
    with rag.open(tmp_path, settings.but(query_side=swapped)) as library:
        assert library._parts().vectors.search(QUESTION, 3) != near  # the question lies elsewhere, the passages do not
        answer = library.ask(QUESTION)
        assert answer.query_side.startswith("retriever/")
        assert answer.as_dict()["query_side"] == answer.query_side
        assert answer.index_generation == plain.index_generation  # nothing was embedded again
        assert audited(library, answer.answer_id)["answer"]["query_side"] == answer.query_side
        assert library.replay(answer.answer_id).changed == []
        assert library.replay(plain.answer_id).changed == [f"query side: None then, {answer.query_side} now"]


def audited(library: Library, answer_id: str) -> dict[str, Any]:
    """What the audit keeps of an answer."""
    return library._parts().audit.load(answer_id)


def test_the_trainer_knows_the_embedder_by_the_same_name() -> None:
    from trainer.retrieval import query_side

    assert query_side.identity(embed.packaged(), model=None) == MiniLM.identity


@pytest.mark.slow  # imports sentence-transformers
def test_another_embedder_can_have_a_query_side_too(swapped: Path, tmp_path: Path) -> None:
    from trainer.retrieval import query_side

    base = tmp_path / "ours"
    shutil.copytree(embed.packaged(), base)
    weights = load_file(base / "model.safetensors")
    weights["embeddings.LayerNorm.bias"] = weights["embeddings.LayerNorm.bias"] + 0.01  # no longer the published one
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    plain = open_embedder(Settings(embedder=str(base), model=tmp_path))
    identity = query_side.identity(base, query_side.open_model(base))
    assert identity == plain.identity
    assert plain.query_side == ""
    folder = folder_with(tmp_path / "query", load_file(swapped / "model.safetensors"), base=identity)
    tuned = open_embedder(Settings(embedder=str(base), query_side=folder))
    np.testing.assert_array_equal(tuned.embed([PASSAGE]), plain.embed([PASSAGE]))
    assert tuned.embed_questions([QUESTION])[0] @ plain.embed([QUESTION])[0] < 0.99
