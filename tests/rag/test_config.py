"""Settings: who wins, what is refused, what is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.config import Endpoint, Settings, save
from rag.errors import SettingsError


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_arguments_win_over_the_environment_and_it_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("rag.toml").write_text('index = "from-file"\nstrictness = "strict"\nfusion_weight = 0.7\n', "utf-8")
    monkeypatch.setenv("GROUNDLING_INDEX", "from-environment")
    monkeypatch.setenv("GROUNDLING_STRICTNESS", "0.4")
    settings = Settings(index=Path("given"))
    assert settings.index == Path("given")
    assert settings.strictness == 0.4
    assert settings.fusion_weight == 0.7


def test_an_argument_that_is_none_is_left_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDLING_STRICTNESS", "lenient")
    assert Settings(strictness=None).strictness == "lenient"


def test_the_environment_changes_one_field_of_the_endpoint_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("rag.toml").write_text('[endpoint]\nurl = "http://one/v1"\nmodel = "small"\n', "utf-8")
    monkeypatch.setenv("GROUNDLING_ENDPOINT__KEY", "secret")
    endpoint = Settings().endpoint
    assert (endpoint.url, endpoint.model, endpoint.key.get_secret_value()) == ("http://one/v1", "small", "secret")


def test_words_are_chosen_greedily_unless_the_settings_say_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    generation = Settings().generation
    assert (generation.temperature, generation.top_p, generation.seed) == (0.0, 1.0, 0)
    monkeypatch.setenv("GROUNDLING_GENERATION__SEED", "7")
    Path("rag.toml").write_text("[generation]\ntemperature = 0.5\n", "utf-8")
    assert Settings().generation.model_dump() == {"temperature": 0.5, "top_p": 1.0, "seed": 7}


def test_an_endpoint_without_an_address_is_none() -> None:
    assert not Settings().endpoint
    assert Endpoint(url="http://localhost:11434/v1/").url == "http://localhost:11434/v1"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"strictness": "harsh"}, "strictness is 'harsh': use lenient, normal, strict, a number from 0 to 1, or 10%"),
        ({"strictness": 1.5}, "strictness is 1.5: use lenient"),
        ({"fusion_weight": 3}, "fusion_weight is 3: input should be less than or equal to 1"),
        ({"colour": "red"}, "colour: no such setting. Known: audit_keeps_purged, "),
        ({"endpoint": {"url": "example.org"}}, "endpoint.url is 'example.org': write the address like http://"),
        ({"endpoint": {"adress": "x"}}, "endpoint.adress: no such setting. Known: key, longest, model, timeout, url"),
        ({"generation": {"temperature": 3}}, "generation.temperature is 3: input should be less than or equal to 2"),
        ({"generation": {"top_p": 0}}, "generation.top_p is 0: input should be greater than 0"),
        ({"speaker": "robot"}, "speaker is 'robot': input should be 'auto', 'span', 'trunk' or 'endpoint'"),
    ],
)
def test_a_wrong_value_is_named_with_its_rule(given: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings(**given)
    assert str(raised.value).startswith(said)


def test_a_misspelt_variable_is_no_variable_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDLING_STRICTNES", "strict")
    with pytest.raises(SettingsError, match="GROUNDLING_STRICTNES: no such setting"):
        Settings()


def test_a_damaged_file_is_named() -> None:
    Path("rag.toml").write_text("index = \n", "utf-8")
    with pytest.raises(SettingsError, match=r"rag\.toml: not valid TOML"):
        Settings()


def test_a_wrong_key_is_refused_without_being_shown() -> None:
    with pytest.raises(SettingsError) as raised:
        Settings(endpoint={"key": 123456})
    assert "123456" not in str(raised.value)
    assert "geheim" not in repr(Settings(endpoint={"key": "geheim"}))


def test_what_is_saved_is_read_again(empty_folder: Path) -> None:
    wanted = Settings().but(
        strictness=0.25,
        model=Path('models/näh "x"'),
        speaker="trunk",
        trunk=Path("models/12m"),
        generation={"temperature": 0.7, "top_p": 0.9, "seed": 3},
        endpoint={"url": "http://a/v1", "model": "m", "key": 'k"\\', "timeout": 5},
    )
    save(wanted)
    assert Settings() == wanted
    assert (empty_folder / "rag.toml").stat().st_mode & 0o077 == 0, "it may hold a key"
    assert [path.name for path in empty_folder.iterdir()] == ["rag.toml"], "nothing is left aside"


def test_defaults_are_not_written() -> None:
    assert "=" not in save(Settings()).read_text("utf-8").replace("# Settings", "")


def test_a_changed_copy_is_checked_and_leaves_the_first_alone() -> None:
    first = Settings()
    assert first.but(fusion_weight=0.9).fusion_weight == 0.9
    assert first.but(trunk="models/12m").but(trunk="").trunk is None
    assert first.fusion_weight == 0.7
    with pytest.raises(SettingsError):
        first.but(fusion_weight=9)
