"""People, passwords, sessions, tokens and rights, over a real catalogue."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from rag.accounts import passwords
from rag.accounts.needs import ADMINISTRATOR, ANYONE, NEEDS, REVIEWER, WRITER
from rag.errors import NotAllowed, NotFound, SettingsError, SignInRefused, TooMany
from rag.library import Library
from tests.miniature import put, small_library

WORDS = "correct horse battery"


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real argon2 at its least cost; the product's takes 64 MiB and as long as it should."""
    monkeypatch.setattr(passwords, "_hasher", lambda: PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """Ada rules, Rita reviews, Bob and Cleo read; hr is for the group hr, in which Bob is; one document is for Cleo."""
    with small_library(tmp_path / "index") as opened:
        catalogue = opened._catalogue
        put(catalogue, "open.md", "The canteen opens at noon.")
        put(catalogue, "pay.md", "The salary of a clerk is 3000 euros.", collection="hr")
        put(catalogue, "cleo.md", "The review of Cleo is good.", access=["cleo"])
        for name, role in (("ada", "reader"), ("rita", "reviewer"), ("bob", "reader"), ("cleo", "reader")):
            opened.add_person(name, role, identity=f"{name}@example.org")
        opened.put_in_group("hr", "bob")
        opened.grant("hr", "group:hr")
        yield opened


def names(library: Library, person: str) -> list[str]:
    return [document.name for document in library.for_person(person).documents()]


# --- who reads what ---------------------------------------------------------------------------------------------------


def test_a_person_reads_what_their_name_or_group_opens_and_nothing_else(library: Library) -> None:
    assert names(library, "bob") == ["open.md", "pay.md"]
    assert names(library, "cleo") == ["cleo.md", "open.md"]
    assert names(library, "rita") == ["open.md"]  # a role gives no right to documents
    assert names(library, "ada") == ["cleo.md", "open.md", "pay.md"]  # but administrators could give it to themselves
    found = library.for_person("cleo").search("salary of a clerk")
    assert {hit.document for hit in found} == {"cleo.md", "open.md"}
    with pytest.raises(NotFound, match=r"pay\.md: no such document"):
        library.for_person("cleo").document("pay.md")


def test_a_documents_own_readers_narrow_its_collection_and_never_widen_it(library: Library) -> None:
    library.set_readers("pay.md", ["cleo"])
    assert names(library, "bob") == ["open.md"]
    assert names(library, "cleo") == ["cleo.md", "open.md"]


def test_leaving_a_group_or_the_company_counts_at_once(library: Library) -> None:
    bob = library.for_person("bob")
    assert len(bob.search("salary of a clerk")) == 2
    library.take_out_of_group("hr", "bob")
    assert [hit.document for hit in bob.search("salary of a clerk")] == ["open.md"]
    library.remove_person("bob")
    assert library.search("salary", person="bob") == []
    with pytest.raises(NotFound):
        bob.search("salary of a clerk")


def test_who_stands_not_in_the_library_reads_nothing(library: Library) -> None:
    assert library.documents(person="stranger") == []
    assert library.search("salary", person="stranger") == []


def test_a_former_version_of_what_was_closed_since_is_closed_too(library: Library) -> None:
    put(library._catalogue, "open.md", "The canteen opens at one.")
    library.set_readers("open.md", ["ada"])
    with pytest.raises(NotFound):
        library.for_person("bob").document("open.md", 1)


def test_the_last_right_to_a_collection_cannot_be_lost_by_accident(library: Library) -> None:
    with pytest.raises(SettingsError, match="only holder"):
        library.revoke("hr", "group:hr")
    library.grant("hr", "cleo", writes=True)
    library.revoke("hr", "group:hr")
    library.remove_person("cleo")
    assert names(library, "bob") == ["open.md"]  # nobody's any more, but not open
    library.open_collection("hr")
    assert names(library, "bob") == ["open.md", "pay.md"]


def test_holders_that_do_not_exist_are_refused(library: Library) -> None:
    with pytest.raises(SettingsError, match="bobb: no such person"):
        library.grant("hr", "bobb")
    with pytest.raises(SettingsError, match="group:legal: no such group"):
        library.set_readers("pay.md", ["group:legal"])


def test_what_training_may_see_is_what_everybody_of_the_library_may(library: Library) -> None:
    from rag.readable import open_to

    def seen(*audience: str) -> list[str]:
        return sorted(library._catalogue.document_of(number).name for number in open_to(library._catalogue, audience))

    assert seen() == ["open.md"]
    assert seen("bob") == ["open.md", "pay.md"]
    assert seen("bob", "cleo") == ["open.md"]


# --- what a role may --------------------------------------------------------------------------------------------------


def test_every_public_thing_of_a_library_is_in_the_table() -> None:
    public = {name for name, _ in inspect.getmembers(Library) if not name.startswith("_")}
    only_the_owner = {"close", "for_person", "sign_in", "signed_in", "sign_out", "known_as", "caller"}
    assert public - set(NEEDS) == only_the_owner
    assert set(NEEDS) - public == {"path", "settings"}


def test_the_table_in_the_documentation_is_the_one_that_counts() -> None:
    page = (Path(__file__).parents[2] / "docs" / "rights.md").read_text("utf-8")
    rows = [
        line.split("|") for line in page.partition("## What each thing needs")[2].splitlines() if line.startswith("|")
    ]
    told = [set(re.findall(r"`(\w+)`", row[2])) for row in rows[2:]]
    kinds = [ANYONE, WRITER, REVIEWER, ADMINISTRATOR]
    assert told == [{name for name, need in NEEDS.items() if need == kind} for kind in kinds]


def test_what_takes_a_person_is_done_as_that_person_whatever_the_caller_says(library: Library) -> None:
    made = library.for_person("bob").new_conversation(person="ada")
    assert [one.id for one in library.conversations(person="bob")] == [made.id]
    with pytest.raises(NotFound):
        library.for_person("ada").conversation(made.id)


def test_other_peoples_questions_are_for_reviewers_who_may_read_what_they_quote(library: Library) -> None:
    given = library.for_person("bob").ask("What is the salary of a clerk?")
    library.for_person("bob").rate(given.answer_id, "down")
    with pytest.raises(NotAllowed, match="needs the role reviewer"):
        library.for_person("bob").judgement_queue()
    assert library.for_person("rita").judgement_queue() == []  # it quotes pay.md
    assert len(library.for_person("ada").judgement_queue()) == 1
    library.put_in_group("hr", "rita")
    assert len(library.for_person("rita").judgement_queue()) == 1
    for person in ("bob", "rita"):
        with pytest.raises(NotAllowed, match="needs the role administrator"):
            library.for_person(person).audit_rows()


def test_an_answer_of_somebody_else_is_not_found_by_a_reader(library: Library) -> None:
    given = library.for_person("bob").ask("When does the canteen open?")
    with pytest.raises(NotFound):
        library.for_person("cleo").answered(given.answer_id)
    assert library.for_person("bob").answered(given.answer_id)["answer_id"] == given.answer_id
    assert library.for_person("rita").answered(given.answer_id)


def test_an_answer_that_was_given_is_shown_no_more_where_its_document_was_closed_since(library: Library) -> None:
    bob = library.for_person("bob")
    kept = bob.new_conversation()
    given = bob.ask("What is the salary of a clerk?")
    assert "3000" in given.text
    bob.append(kept.id, given)
    assert "3000" in bob.export_conversation(kept.id)
    assert len(bob.conversations(search="3000")) == 1
    library.take_out_of_group("hr", "bob")
    assert "3000" not in str(bob.conversation(kept.id))
    assert "3000" not in bob.export_conversation(kept.id)
    assert bob.conversations(search="3000") == []
    assert len(bob.conversations(search="salary")) == 1  # the question is bob's own
    with pytest.raises(NotFound):
        bob.answered(given.answer_id)


def test_writing_needs_a_right_to_the_collection(library: Library) -> None:
    bob = library.for_person("bob")
    with pytest.raises(NotAllowed, match="may not add or remove documents in hr"):
        bob.add_bytes("new.md", b"New.", collection="hr")
    with pytest.raises(NotAllowed, match="in default"):
        bob.remove("open.md")
    with pytest.raises(NotFound):
        bob.remove("cleo.md")  # not "may not"
    library.grant("hr", "bob", writes=True)
    assert bob.add_bytes("new.md", b"A new rule.", collection="hr").status == "added"
    library.set_readers("new.md", ["ada"], collection="hr")
    with pytest.raises(NotAllowed, match="choose another"):
        bob.add_bytes("new.md", b"Mine now.", collection="hr")
    with pytest.raises(NotAllowed, match="a token that reads"):
        library.for_person("bob", scope="read").add_bytes("x.md", b"x", collection="hr")
    with pytest.raises(NotAllowed, match="needs the role administrator"):
        bob.add("/etc/hostname", collection="hr")  # a path of the server


def test_counts_are_of_what_one_may_read(library: Library) -> None:
    assert library.status()["documents"] == 3
    state = library.for_person("rita").status()
    assert (state["documents"], state["passages"]) == (1, 1)


def test_asking_is_paced(library: Library) -> None:
    from rag.accounts.pace import Pace

    pace = Pace()
    for _ in range(3):
        pace.take("bob", 3, at=100.0)
    with pytest.raises(TooMany, match="Wait 20 s"):
        pace.take("bob", 3, at=100.0)
    pace.take("cleo", 3, at=100.0)
    pace.take("bob", 3, at=120.0)


# --- people -----------------------------------------------------------------------------------------------------------


def test_the_first_person_is_an_administrator_and_the_last_one_stays(library: Library) -> None:
    assert library.people()[0].name == "ada"
    assert library.people()[0].role == "administrator"
    for change in (lambda: library.remove_person("ada"), lambda: library.set_role("ada", "reader")):
        with pytest.raises(SettingsError, match="only administrator"):
            change()


@pytest.mark.parametrize("name", ["local", "", "group:hr", "a b", "-x", "ada", "ADA", "x" * 65])
def test_names_that_mean_something_else_or_are_taken_are_refused(library: Library, name: str) -> None:
    with pytest.raises(SettingsError):
        library.add_person(name, identity="new@example.org")


def test_a_name_is_not_given_twice(library: Library) -> None:
    library.remove_person("bob")
    with pytest.raises(SettingsError, match="not given twice"):
        library.add_person("bob", identity="bob2@example.org")


# --- passwords and sessions -------------------------------------------------------------------------------------------


def test_a_password_opens_a_session_and_another_one_ends_it(library: Library) -> None:
    added, made = library.add_person("dan")
    assert added.temporary
    signed = library.sign_in(" Dan ", made)
    assert library.signed_in(signed.secret) == signed.person
    library.for_person("dan").change_password(made, WORDS)
    assert library.signed_in(signed.secret) is None
    assert not library.sign_in("dan", WORDS).person.temporary
    rows = " ".join(str(row) for row in library._catalogue.db.execute("select * from sessions, people").fetchall())
    assert signed.secret not in rows
    assert WORDS not in rows


def test_a_wrong_password_and_an_unknown_name_are_told_alike_and_locked_alike(library: Library) -> None:
    library.add_person("dan", password=WORDS)
    for name in ("dan", "nobody"):
        said = set()
        for _ in range(passwords.FREE):
            with pytest.raises(SignInRefused) as refused:
                library.sign_in(name, "wrong password")
            said.add(str(refused.value))
        assert said == {passwords.WRONG}
        with pytest.raises(SignInRefused, match="Wait 30 s"):
            library.sign_in(name, WORDS)  # not looked at, though it may be right
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    library._catalogue.db.execute("update failures set until = ?", (past,))
    assert library.sign_in("dan", WORDS)


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaa", "x" * 201, "dan-dan-dan-12345"])
def test_a_password_that_is_easily_guessed_is_refused(library: Library, password: str) -> None:
    with pytest.raises(SettingsError, match="password"):
        library.add_person("dan", password=password)


def test_a_session_ends_untouched_and_ends_by_signing_out(library: Library) -> None:
    _, made = library.add_person("dan")
    first, second = library.sign_in("dan", made).secret, library.sign_in("dan", made).secret
    library.sign_out(first)
    assert library.signed_in(first) is None
    long_ago = (datetime.now(UTC) - timedelta(hours=13)).isoformat()
    library._catalogue.db.execute("update sessions set seen_at = ?", (long_ago,))
    assert library.signed_in(second) is None


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_stands_for_a_person_until_it_expires_or_is_revoked(library: Library) -> None:
    token, secret = library.for_person("bob").make_my_token(label="script", scope="write", days=1)
    caller = library.caller(secret)
    assert caller is not None
    assert (caller.person, caller.scope) == ("bob", "write")
    assert secret not in str(library._catalogue.db.execute("select * from tokens").fetchall())
    assert library.for_person("cleo").my_tokens() == []
    with pytest.raises(NotFound):
        library.for_person("cleo").revoke_my_token(token.id)
    library.for_person("bob").revoke_my_token(token.id)
    assert library.caller(secret) is None
    other, again = library.make_token("bob")
    library._catalogue.db.execute("update tokens set expires_at = '2020' where id = ?", (other.id,))
    assert library.caller(again) is None
    assert library.caller("gl_guess") is None


def test_tokens_and_sessions_of_who_left_count_no_more(library: Library) -> None:
    _, secret = library.make_token("bob")
    library.remove_person("bob")
    assert library.caller(secret) is None


def test_who_changed_rights_stands_in_the_audit_without_secrets(library: Library) -> None:
    _, made = library.for_person("ada").add_person("dan")
    _, secret = library.make_token("dan", person="ada")
    rows = str([(row["person"], row["kind"]) for row in library.audit_rows(2)])
    assert rows == "[('ada', 'account'), ('ada', 'account')]"
    held = str(library._catalogue.db.execute("select payload from audit").fetchall())
    assert made not in held
    assert secret not in held
