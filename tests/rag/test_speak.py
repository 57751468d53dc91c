"""Our own trunk speaks: its quotations stand in the passages whatever it would rather say, its words are checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.config import Generation, Settings
from rag.errors import ModelError, SettingsError
from rag.read import open_reader
from rag.speak import Telling, TrunkSpeaker, open_speaker, vocabulary
from rag.types import Passage, Span
from tests.miniature import OverlapReader, small_library
from trainer import tokenizer
from trainer.model import ModelConfig, Transformer
from trainer.reading import TrunkReader
from trainer.rows import ReadingRow
from trainer.teaching.pointing import RowBatches, ShowConfig, reading_losses
from trainer.tokenizer import Tokenizer

DESK = "The desk opens at nine. Bring your badge – naïve guests wait outside."
SICK = "Sick leave is 10 days. It needs a note."
SOURCES = (DESK, SICK)
PASSAGES = [
    Passage(1, 1, "desk.md", 1, 0, len(DESK), DESK, None, headings=("desk",)),
    Passage(2, 2, "sick.md", 1, 0, len(SICK), SICK, None, headings=("sick",)),
]


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return tokenizer.train(
        iter([*SOURCES, "When does the desk open? How many days of sick leave? 1 2"] * 3), vocabulary=300
    )


def wanting(words: Tokenizer, *tokens: int) -> list[torch.Tensor]:
    """Logits that want these tokens, one after the other."""
    rows = torch.zeros(len(tokens), words.size)
    rows[range(len(tokens)), tokens] = 9.0
    return list(rows)


def told(words: Tokenizer, logits: Sequence[torch.Tensor], generation: Generation | None = None) -> Telling:
    telling = Telling(words, SOURCES, generation or Generation())
    for row in logits:
        if telling.choose(row) is None:
            break
    return telling


def test_an_answer_and_its_quotation_are_heard(words: Tokenizer) -> None:
    spoken = [
        *words.encode("10 days"),
        words.quote,
        *words.encode("2"),
        words.text,
        *words.encode("Sick leave is 10 days."),
    ]
    telling = told(words, wanting(words, *spoken, words.end))
    assert words.decode(telling.said) == "10 days"
    assert telling.quoted == [(1, 0, len("Sick leave is 10 days."))]


def test_a_refusal_says_nothing_and_quotes_nothing(words: Tokenizer) -> None:
    telling = told(words, wanting(words, words.none, words.end))
    assert (telling.said, telling.quoted) == ([], [])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_whatever_is_wanted_a_quotation_is_a_stretch_of_the_source_it_names(words: Tokenizer, seed: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    logits = list(torch.randn(90, words.size, generator=chance) * 4)
    logits[seed % 7][words.quote] = 99.0  # soon begins to quote
    telling = told(words, logits)
    assert all(token >= len(tokenizer.RESERVED) for token in telling.said)
    for source, start, end in telling.quoted:
        assert 0 <= start < end <= len(SOURCES[source])
    if telling._quoting and (place := telling._quoting.range()):
        assert SOURCES[telling._source or 0][place[1] : place[2]]


def test_words_are_drawn_by_temperature_top_p_and_seed_and_greedily_without(words: Tokenizer) -> None:
    logits = list(torch.randn(12, words.size, generator=torch.Generator().manual_seed(5)))
    greedy = told(words, logits).said
    assert told(words, logits, Generation(seed=9)).said == greedy, "without a temperature a seed changes nothing"
    drawn = [told(words, logits, Generation(temperature=1.5, seed=seed)).said for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1]
    assert len({tuple(one) for one in (greedy, drawn[0], drawn[2])}) == 3
    assert told(words, logits, Generation(temperature=1.5, top_p=1e-6, seed=1)).said == greedy


def test_every_token_has_its_bytes_and_reserved_ones_none(words: Tokenizer) -> None:
    known = vocabulary(words)
    assert b"".join(known[token] for token in words.encode(DESK)).decode() == DESK
    assert not any(known[: len(tokenizer.RESERVED)])


def test_a_model_that_only_reads_is_refused_as_speaker_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"kind": "encoder", "name": "x"}', "utf-8")
    with pytest.raises(SettingsError, match="holds a model of kind 'encoder', which only reads"):
        open_speaker(Settings(model=tmp_path, speaker="trunk"))
    with pytest.raises(ModelError, match="no model here"):
        open_speaker(Settings(model=tmp_path, speaker="trunk", trunk=tmp_path / "none"))


# --- a trunk that learnt two answers by heart ---------------------------------------------------------------------------

ROWS = [
    ReadingRow("When does the desk open?", (("desk", DESK), ("sick", SICK)), ((18, 22),), "test", "CC0"),
    ReadingRow("How many days of sick leave?", (("sick", SICK), ("desk", DESK)), ((14, 21),), "test", "CC0"),
]


@pytest.fixture(scope="module")
def trunk(words: Tokenizer) -> TrunkReader:
    torch.manual_seed(1)
    sizes = ModelConfig(
        vocabulary=words.size, width=64, layers=2, heads=4, key_value_heads=2, head_width=16, hidden=128, context=256
    )
    model = Transformer(sizes)
    shown = ShowConfig(
        steps=1,
        length=224,
        rows_per_batch=2,
        rows_per_step=2,
        least_sources=2,
        most_sources=2,
        withheld=0.0,
        causal=0.0,
    )
    batches = RowBatches(ROWS, words, shown)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for number in range(220):
        arrays = {name: torch.from_numpy(array) for name, array in batches.batch(number).arrays.items()}
        losses = reading_losses(model, arrays)
        optimiser.zero_grad()
        (losses["answer"] / 20 + losses["span"] + losses["support"] + losses["evidence"]).backward()
        optimiser.step()
    return TrunkReader(model, words, name="by-heart", threshold=0.0)


@pytest.mark.slow  # trains a trunk for some seconds
def test_a_trunk_words_answers_that_rest_on_its_quotations(trunk: TrunkReader) -> None:
    speaker = TrunkSpeaker(trunk, "by-heart-1")
    spoken = speaker.compose("How many days of sick leave?", [Span(1, 14, 21, 0.8)], PASSAGES)
    assert spoken.words == "10 days"
    quoted = [PASSAGES[one.passage].text[one.start : one.end] for one in spoken.quotations]
    assert quoted == ["Sick leave is 10 days. It needs a note."] or quoted == ["Sick leave is 10 days."]
    assert "".join(speaker.say("How many days of sick leave?", [], PASSAGES)) == "10 days"
    assert speaker.name == "trunk:by-heart-1"
    assert speaker.compose("How many days of sick leave?", [], []).words == ""


@pytest.mark.slow  # the same trunk, inside a library
def test_a_trunk_speaks_inside_a_library_and_rules_answer_where_its_words_do_not_hold(
    trunk: TrunkReader, tmp_path: Path
) -> None:
    for passage in PASSAGES:
        (tmp_path / passage.document).write_text(passage.text, "utf-8")
    with small_library(tmp_path / "index", strictness=0.0) as library:
        library.add([tmp_path / passage.document for passage in PASSAGES])
        parts = library._model_parts()
        parts.speaker = TrunkSpeaker(trunk, "by-heart-1")
        given = library.ask("How many days of sick leave?")
        assert (given.text, given.citations[0].document) == ("10 days", "sick.md")
        assert library.audited(given.answer_id)["speaker"] == "trunk:by-heart-1"
        parts.speaker = TrunkSpeaker(TrunkReader(Transformer(trunk.model.config), trunk.words), "knows-nothing")
        given = library.ask("How many days of sick leave?")
        assert "10 days" in given.text
        assert library.audited(given.answer_id)["speaker"].startswith("span:")
        assert any("found no words" in notice for notice in given.notices)


@pytest.mark.slow  # the same trunk, exported
def test_a_trunk_folder_reads_more_passages_than_its_prompt_holds(trunk: TrunkReader, tmp_path: Path) -> None:
    from trainer.export import write_model
    from trainer.formats import checksums, quantise

    folder = tmp_path / "trunk"
    folder.mkdir()
    config = {
        "format": 1, "kind": "trunk", "name": "by-heart", "scores": {"reading": {"threshold": 0.0}},
        "trainer_config": {"model": vars(trunk.model.config)},
    }  # fmt: skip
    write_model(folder, config, trunk.words, quantise.pack(trunk.model.state_dict(), "fp32"))
    checksums.write(folder)
    reader = open_reader(folder)
    many = [PASSAGES[1], *[PASSAGES[0]] * 11]
    reading = reader.read("How many days of sick leave?", many)
    assert len(reading.evidence) == 12
    assert reading.evidence[8:] == (0.0,) * 4
    assert {span.passage for span in reading.spans} <= set(range(8))
    speaker = open_speaker(Settings(model=folder, speaker="trunk"), reader)
    assert isinstance(speaker, TrunkSpeaker)
    assert speaker.trunk is reader.trunk, "one copy of the weights reads and speaks"  # type: ignore[attr-defined]
    assert open_speaker(Settings(model=folder), OverlapReader()) is None
