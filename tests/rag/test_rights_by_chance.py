"""Rights drawn at random, followed by rules written a second time: nothing foreign is found, and nothing is missing.

`make bench-rights` does the same at length, with the real embedder, and compares the order with a library of its own.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.library import Library
from tests.miniature import put, small_library

PEOPLE = ("root", "ann", "ben")
HOLDERS = ("ann", "ben", "group:a", "group:b")
COLLECTIONS = ("one", "two")
rights = st.fixed_dictionaries({
    "groups": st.dictionaries(st.sampled_from(["a", "b"]), st.sets(st.sampled_from(["ann", "ben"]), min_size=1)),
    "documents": st.lists(
        st.tuples(st.sampled_from(COLLECTIONS), st.sets(st.sampled_from(HOLDERS), max_size=2)), min_size=1, max_size=5
    ),
    "grants": st.dictionaries(st.sampled_from(COLLECTIONS), st.sets(st.sampled_from(HOLDERS), min_size=1, max_size=2)),
})  # fmt: skip


def mine(drawn: dict[str, Any], person: str) -> set[str]:
    """The names that the rules give this person."""
    groups, documents, grants = drawn["groups"], drawn["documents"], drawn["grants"]
    holders = {person} | {f"group:{group}" for group, members in groups.items() if person in members}
    return {
        f"{number}.md"
        for number, (collection, readers) in enumerate(documents)
        if person == "root"
        or ((collection not in grants or grants[collection] & holders) and (not readers or readers & holders))
    }


def filled(folder: Path, drawn: dict[str, Any], names: set[str] | None = None) -> Library:
    folder.mkdir(exist_ok=True)
    library = small_library(folder / ("all" if names is None else "some"))
    for number, (collection, readers) in enumerate(drawn["documents"]):
        if names is None or f"{number}.md" in names:
            text = f"The rule of leave {'and leave ' * number}is number {number}."
            access = sorted(readers) if names is None else ()
            put(library._catalogue, f"{number}.md", text, collection=collection, access=access)
    return library


@pytest.mark.slow  # thirty libraries are made for it
@given(rights)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_the_rights_are_a_person_finds_theirs_in_the_order_of_a_library_of_their_own(
    drawn: dict[str, Any],
) -> None:
    with tempfile.TemporaryDirectory() as place, filled(Path(place), drawn) as library:
        for name in PEOPLE:
            library.add_person(name, identity=f"{name}@example.org")
        for group, members in drawn["groups"].items():
            for name in members:
                library.put_in_group(group, name)
        for collection, holders in drawn["grants"].items():
            for holder in holders:
                name = holder.removeprefix("group:")
                if not holder.startswith("group:") or name in drawn["groups"]:
                    library.grant(collection, holder)
                else:  # a group without members: nobody reads by it, and nobody else does
                    library._catalogue.db.execute("insert or ignore into grants values (?, ?, 0)", (collection, holder))
        library._catalogue.bump()
        for person in PEOPLE:
            allowed = mine(drawn, person)
            assert {one.name for one in library.documents(person=person)} == allowed
            with filled(Path(place) / person, drawn, allowed) as alone:
                found, there = (
                    one.search("the rule of leave", **who) for one, who in ((library, {"person": person}), (alone, {}))
                )
            assert [hit.text for hit in found] == [hit.text for hit in there]
            assert [hit.score for hit in found] == [hit.score for hit in there]
