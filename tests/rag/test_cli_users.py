"""`rag user`: people, rights and tokens by the command line; and what it prints once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag.cli import main
from tests.miniature import put, small_library


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    with small_library(tmp_path / "index") as library:
        put(library._catalogue, "pay.md", "A clerk earns 3000 euros.", collection="hr")
    return str(tmp_path / "index")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = 0
    try:
        main(list(words))
    except SystemExit as left:
        code = int(left.code or 0)
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def test_a_library_gets_accounts_rights_and_tokens_by_command(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    def user(*words: str) -> str:
        code, printed = run(capsys, "user", *words, "--index", index)
        assert code == 0, printed
        return printed

    assert "Nobody: whoever reaches this library is its owner" in user("list")
    first = user("add", "ada", "--identity", "ada@example.org")
    assert "ada: administrator" in first
    assert "This library has accounts now" in first
    made = user("add", "bob")
    assert "bob: reader" in made
    assert "It is shown this once" in made
    assert user("group", "hr", "bob") == "bob: hr\n"
    assert user("grant", "hr", "group:hr") == "hr: group:hr (read)\n"
    assert json.loads(user("rights", "--json")) == {"collections": {"hr": {"group:hr": False}}}
    assert user("readers", "pay.md", "ada") == "ada\n"
    assert "pay.md" not in run(capsys, "documents", "--person", "bob", "--index", index)[1]
    assert user("readers", "pay.md", "--everybody") == "everybody who may read its collection\n"
    assert "pay.md" in run(capsys, "documents", "--person", "bob", "--index", index)[1]
    token = json.loads(user("token", "make", "bob", "--json"))
    assert token["token"].startswith("gl_")
    assert token["token"] not in user("token", "list")
    assert user("token", "revoke", token["id"]) == "Revoked.\n"
    assert user("role", "bob", "reviewer") == "bob: reviewer\n"
    assert user("remove", "bob") == "bob: removed\n"
    listed = json.loads(user("list", "--json"))["people"]
    assert [(one["name"], one["role"], one["active"]) for one in listed] == [
        ("ada", "administrator", True), ("bob", "reviewer", False),
    ]  # fmt: skip


def test_what_cannot_be_done_says_what_to_do(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, "user", "grant", "hr", "nobody", "--index", index)
    assert (code, "Nobody has an account yet" in said) == (0, True)  # rights may be prepared before there are people
    run(capsys, "user", "add", "ada", "--identity", "a@example.org", "--index", index)
    assert run(capsys, "user", "remove", "ada", "--index", index) == (
        1, "rag: ada is the only administrator. Make somebody else one first: rag user role NAME\n",
    )  # fmt: skip
    code, said = run(capsys, "user", "add", "x y", "--index", index)
    assert code == 1
    assert "begins with a letter or digit" in said


def test_a_server_for_other_machines_needs_accounts(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "serve", "--address", "0.0.0.0", "--port", "1", "--index", index)[0] == 1
    from rag.cli.serving import _accounts, _refuse_strangers
    from rag.config import Settings
    from rag.errors import SettingsError

    with pytest.raises(SettingsError, match="rag user add NAME"):
        _refuse_strangers("0.0.0.0")
    settings = Settings(index=Path(index))
    assert not _accounts(settings, "localhost")
    assert _accounts(settings, "0.0.0.0")  # the first start for others
    told = capsys.readouterr().out
    assert "The first administrator:" in told
    assert "name      admin" in told
    password = told.partition("password  ")[2].split()[0]
    with small_library(Path(index)) as library:
        assert library.sign_in("admin", password).person.temporary
    assert _accounts(settings, "0.0.0.0")
    assert "password" not in capsys.readouterr().out  # told once
