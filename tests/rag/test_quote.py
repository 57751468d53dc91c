"""Quotations are ranges of a passage, of a bearable length."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.quote import PROSE_LIMIT, WHOLE_LIMIT, Quoting, candidates, clip, expand
from rag.units import ROW, blocks, sentences

PAGE = """# Leave

Full-time employees accrue 15 days of paid vacation per year. Part-timers get less. Ask your manager first.

The note should include:
- Date of birth
- Diagnosis
- The duration of care, in weeks

## Does my equity stop vesting?

On your last day. Nothing vests after it.

City: New York | ZIP: 10007
"""
passages = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.sampled_from(["# Head", "- item one.", "  - nested: two", "1. step", "A: b | C: d", "", "Say:", "x " * 200,
                         "Ünï。漢字。", "He left. She stayed! 3.5 e.g. no.", "🙂‍↔️ ok"]),
    ),
    max_size=12,
).map("\n".join)  # fmt: skip


def around(needle: str, *, whole: bool = False, page: str = PAGE) -> str:
    at = page.index(needle)
    start, end = expand(page, at, at + len(needle), whole=whole)
    return page[start:end]


def test_a_figure_is_quoted_with_its_sentence() -> None:
    assert around("15 days") == "Full-time employees accrue 15 days of paid vacation per year."


def test_a_list_is_quoted_whole_with_its_lead_in_when_asked_for() -> None:
    whole = "The note should include:\n- Date of birth\n- Diagnosis\n- The duration of care, in weeks"
    assert around("Diagnosis", whole=True) == whole
    assert around("The duration of care", whole=False) == "The duration of care, in weeks"


def test_the_line_that_announces_a_list_brings_the_list() -> None:
    assert around("The note should include").endswith("- The duration of care, in weeks")


def test_a_heading_stands_for_the_words_under_it() -> None:
    assert around("Does my equity") == "On your last day. Nothing vests after it."


def test_a_table_row_is_quoted_whole() -> None:
    assert around("10007") == "City: New York | ZIP: 10007"


def test_a_list_that_is_too_long_is_quoted_in_whole_entries() -> None:
    page = "You need:\n" + "\n".join(f"- entry {n} {'word ' * 30}end{n}" for n in range(20))
    quoted = around("end15", whole=True, page=page)
    assert len(quoted) <= WHOLE_LIMIT
    assert "end15" in quoted
    assert quoted.startswith("- entry")
    assert all(line.startswith("- entry") and "end" in line for line in quoted.split("\n"))


STEPS = """To enrol:

1. Open the portal.

   The portal is on the intranet.

2. Choose a plan.

Plans differ by region.

3. Sign.

Other notes:

1. Ask for help.
"""


def test_steps_that_go_on_after_a_paragraph_are_quoted_whole() -> None:
    for needle in ("Open the portal", "Choose a plan", "Sign"):
        quoted = around(needle, whole=True, page=STEPS)
        assert quoted.startswith("To enrol:" if ":\n\n1" in quoted else "1. Open")
        assert quoted.endswith("3. Sign.")
    assert around("Ask for help", whole=True, page=STEPS).endswith("1. Ask for help.")
    assert "Sign" not in around("Ask for help", whole=True, page=STEPS)


def test_a_long_sentence_is_cut_between_words_and_keeps_the_span() -> None:
    page = "The rule, " + "which is long and winding, " * 20 + "allows exactly 42 cats, " + "and so on and on, " * 20
    quoted = around("42 cats", page=page)
    assert "42 cats" in quoted
    assert len(quoted) <= PROSE_LIMIT
    assert f" {quoted} " in f" {page.replace(quoted + ',', quoted + ' ')} "


@settings(max_examples=300, deadline=None)
@given(passages, st.integers(0, 400), st.integers(0, 200), st.booleans())
def test_any_span_of_any_passage_gives_an_exact_bounded_quotation(
    text: str, start: int, length: int, whole: bool
) -> None:
    left, right = expand(text, start, start + length, whole=whole)
    assert 0 <= left <= right <= len(text)
    quoted = text[left:right]
    assert bool(quoted) == bool(text.strip())
    assert quoted == quoted.strip()
    assert len(quoted) <= WHOLE_LIMIT
    kinds = {block.kind for block in blocks(quoted)}
    if kinds == {"text"} and ROW not in kinds and ":\n" not in quoted:
        assert len(quoted) <= PROSE_LIMIT or "\n- " in text or "1. " in text
        assert len(sentences(quoted)) <= 2 or len(quoted) <= PROSE_LIMIT


@settings(deadline=None)
@given(passages)
def test_candidates_are_stretches_of_the_text(text: str) -> None:
    for start, end in candidates(text):
        assert text[start:end].strip() == text[start:end] != ""


@settings(deadline=None)
@given(st.text(min_size=1), st.integers(0, 50), st.integers(1, 50), st.integers(1, 40))
def test_clipping_never_exceeds_its_limit(text: str, start: int, length: int, limit: int) -> None:
    left, right = clip(text, (0, len(text)), (start, start + length), limit)
    assert right - left <= max(limit, 0) or right - left <= limit


# --- decoding restricted to the passages ------------------------------------------------------------------------------

BYTES = [bytes([n]) for n in range(256)]
VOCABULARY = [*BYTES, b" 15", b"15 days", b" days", "ü".encode(), "naïve".encode(), b""]


def spoken(quoting: Quoting, text: str) -> tuple[int, int, int] | None:
    for byte in text.encode():
        assert byte in quoting.allow()
        quoting.say(byte)
    return quoting.range()


def test_decoding_can_say_what_stands_in_a_source_and_knows_where() -> None:
    sources = ["You get 15 days.", "A naïve 🙂 word"]
    assert spoken(Quoting(sources, VOCABULARY), "15 days") == (0, 8, 15)
    assert spoken(Quoting(sources, VOCABULARY), "ïve 🙂") == (1, 4, 9)


def test_decoding_cannot_leave_the_sources() -> None:
    quoting = Quoting(["You get 15 days."], VOCABULARY)
    quoting.say(ord("1"))
    assert quoting.allow() == {ord("5")}
    with pytest.raises(ValueError, match="leaves the passages"):
        quoting.say(ord("6"))


def test_a_quotation_never_begins_or_ends_inside_a_character() -> None:
    quoting = Quoting(["ü"], VOCABULARY)
    assert quoting.allow() == {"ü".encode()[0], VOCABULARY.index("ü".encode())}
    quoting.say("ü".encode()[0])
    assert quoting.range() is None
    quoting.say("ü".encode()[1])
    assert quoting.range() == (0, 0, 1)


@settings(deadline=None)
@given(st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=30), min_size=1, max_size=3), st.randoms())
def test_whatever_is_decoded_stands_in_a_source(sources: list[str], random) -> None:  # type: ignore[no-untyped-def]
    quoting = Quoting(sources, VOCABULARY)
    said = b""
    for _ in range(8):
        allowed = sorted(quoting.allow())
        if not allowed:
            break
        token = random.choice(allowed)
        quoting.say(token)
        said += VOCABULARY[token]
    assert any(said in source.encode() for source in sources)
    place = quoting.range()
    if place is not None:
        assert sources[place[0]][place[1] : place[2]].encode() == said
