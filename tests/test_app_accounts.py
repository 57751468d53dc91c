"""Signing in at the pages, by Streamlit's own test runner: the form, what a role sees, the first password, the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from streamlit import cache_data, cache_resource
from streamlit.testing.v1 import AppTest

from app_pages import opening, signing
from rag.accounts import passwords
from rag.library import Library
from tests.miniature import put, small_library

ROOT = Path(__file__).resolve().parent.parent
WORDS = "correct horse battery"
pytestmark = pytest.mark.slow  # each runs the whole script some times


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """A library with three people, which the pages open."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(passwords, "_hasher", lambda: PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    cache_resource.clear()
    cache_data.clear()
    with small_library(tmp_path / "index") as opened:
        put(opened._catalogue, "canteen.md", "# Canteen hours\n\nThe canteen opens at noon.")
        put(opened._catalogue, "salaries.md", "# Salaries\n\nA clerk earns 3000 euros.", collection="hr")
        opened.add_person("ada", password=WORDS)
        opened.add_person("bob", password=WORDS)
        opened.grant("hr", "ada")
        monkeypatch.setattr("rag.open", lambda *_, **__: opened)
        yield opened
        opening.warming().wait()
    cache_resource.clear()
    cache_data.clear()


def shown(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception, app.exception
    return app


def page() -> AppTest:
    return shown(AppTest.from_file(str(ROOT / "app.py"), default_timeout=120))


def sign_in(app: AppTest, name: str, password: str = WORDS) -> AppTest:
    app.text_input(key="sign-in-name").set_value(name)
    app.text_input(key="sign-in-password").set_value(password)
    app.button(key="sign-in-send").click()
    return shown(app)


def words(app: AppTest) -> str:
    """Everything on the page."""
    drawn = " ".join(str(getattr(element, "value", "")) for element in [*app.get("html"), *app.get("markdown")])
    return drawn + " ".join(str(element.proto) for element in app.get("html"))


def signing_in(app: AppTest) -> bool:
    return any(each.key == "sign-in-password" for each in app.text_input)


def test_nothing_is_shown_before_somebody_signs_in(library: Library) -> None:
    app = page()
    assert signing_in(app)
    assert "canteen" not in words(app)
    assert not app.chat_input
    wrong = sign_in(app, "bob", "not the password")
    assert passwords.WRONG in words(wrong)
    assert signing_in(wrong)


def test_a_reader_sees_their_pages_and_an_administrator_all(library: Library) -> None:
    bob = sign_in(page(), "bob")
    assert set(bob.session_state["pages"]) == {"chat", "documents", "account"}
    assert bob.session_state["library"].person == "bob"
    assert [each.name for each in bob.session_state["library"].documents()] == ["canteen.md"]
    assert "1 document" in words(bob)
    ada = sign_in(page(), "ada")
    assert {"people", "settings", "training", "quality", "review", "insight"} <= set(ada.session_state["pages"])
    assert "2 documents" in words(ada)


def test_a_session_that_is_over_asks_again_and_says_so(library: Library) -> None:
    app = sign_in(page(), "bob")
    assert not signing_in(app)
    library.sign_out(app.session_state[signing.SECRET])
    shown(app)
    assert signing_in(app)
    assert signing.OVER in words(app)


def test_whoever_is_removed_is_out_with_the_next_touch(library: Library) -> None:
    app = sign_in(page(), "bob")
    library.remove_person("bob")
    assert signing_in(shown(app))


def test_a_password_made_by_somebody_else_is_changed_before_anything_else(library: Library) -> None:
    _, made = library.add_person("dan")
    app = sign_in(page(), "dan", made)
    assert set(app.session_state["pages"]) == {"account"}
    for key, value in (("password-old", made), ("password-new", WORDS + "!"), ("password-again", WORDS + "!")):
        app.text_input(key=key).set_value(value)
    app.button(key="password-send").click()
    assert signing_in(shown(app))
    assert "chat" in sign_in(app, "dan", WORDS + "!").session_state["pages"]


def test_without_accounts_nobody_signs_in(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    for table in ("sessions", "tokens", "memberships", "grants", "people"):
        library._catalogue.db.execute(f"delete from {table}")
    app = page()
    assert not signing_in(app)
    assert {"people", "account"}.isdisjoint(app.session_state["pages"])
    assert app.session_state["library"].person is None
