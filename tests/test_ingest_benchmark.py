"""The comparison with other products counts as it says, and its child measures what our own program does."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.ingest import ndcg, ratios
from benchmarks.peers import child


def figures(seconds: float, passages: int) -> dict[str, float]:
    return {"seconds": seconds, "passages_per_s": passages / seconds}


def test_the_ratio_is_the_less_flattering_one_against_the_fastest_peer() -> None:
    table = {
        "default": figures(10, 100), "fast": figures(5, 100),
        "slow": figures(60, 100), "quick": figures(30, 150),  # three times our seconds, but twice as much a second
    }  # fmt: skip
    assert ratios(table, ["slow", "quick"]) == ("quick", {"default": 2.0, "fast": 4.0})


def test_ndcg_is_one_for_the_ideal_order_and_falls_with_the_rank() -> None:
    gains = {"q": {"a": 2, "b": 1}}
    assert ndcg({"q": ["a", "b", "c"]}, gains) == 1
    assert ndcg({"q": ["b", "a"]}, gains) == pytest.approx((1 + 2 * 0.6309) / (2 + 0.6309), abs=1e-4)
    assert ndcg({"q": ["c"]}, gains) == 0


def test_a_peer_of_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match="'nobody' is no peer; there are langchain"):
        peers.prepare("nobody")


def test_every_peer_has_its_program_and_its_exact_versions_and_brings_no_torch_of_its_own() -> None:
    for name in peers.PEERS:
        assert (peers.HERE / f"{name}.py").is_file()
        lines = (peers.HERE / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        pins = [line for line in lines if not line.startswith("#")]
        assert pins
        assert all("==" in pin and not pin.startswith(("torch==", "nvidia")) for pin in pins)


class Shelf:
    """A peer that keeps words in a list."""

    def add_texts(self, texts: list[tuple[str, str]], vectors: object, index: Path) -> None:
        (index / "shelf.txt").write_text(str(len(texts)), encoding="utf-8")

    def open(self, index: Path) -> None:
        self.held = {"a": "annual leave", "b": "canteen"}

    def search(self, query: str, k: int, method: str) -> list[str]:
        return [key for key, text in self.held.items() if set(query.split()) & set(text.split())][:k]

    def change(self, identity: str, text: str, index: Path) -> None:
        self.held[identity] = text


def test_a_child_measures_building_and_using(tmp_path: Path) -> None:
    task = {
        "texts": [["a", "annual leave"], ["b", "canteen"]], "vectors": None, "files": [], "index": str(tmp_path / "index"),
        "queries": {"q": "leave", "r": "canteen"}, "k": 5, "method": "both", "searches": 7, "change": ["b", "gym hall"],
    }  # fmt: skip
    built = child.build(Shelf(), task)
    assert (built["passages"], built["characters"]) == (2, 19)
    used = child.use(Shelf(), task)
    assert used["ranking"] == {"q": ["a"], "r": ["b"]}
    assert used["query_p50_ms"] <= used["query_p95_ms"]
    assert used["changed_document_s"] >= 0


@pytest.mark.slow  # starts a process that loads torch and the embedder
def test_our_own_program_is_measured_as_the_peers_are(tmp_path: Path) -> None:
    page = tmp_path / "leave.md"
    page.write_text("# Leave\n\nAnnual leave is 25 days a year.\n", encoding="utf-8")
    measured = peers.run(peers.OWN, peers.Task(files=[page]))
    assert (measured.passages, measured.characters) == (1, 31)
    assert measured.passages_per_s > 0
    assert measured.peak_mb > 100
    assert measured.index_mb > 0
