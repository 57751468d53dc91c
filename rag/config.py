"""Settings: the only reader of the environment and of `rag.toml`.

    arguments  >  GROUNDLING_* variables  >  rag.toml in the working folder  >  the defaults below

Takes   `GROUNDLING_INDEX`, `GROUNDLING_STRICTNESS`, ..., nested ones with two underscores: `GROUNDLING_ENDPOINT__URL`.
Gives   one frozen `Settings`; `save()` writes what differs from the defaults back to `rag.toml`.
Refuses unknown keys and values out of range with SettingsError: a misspelt setting must not be a setting ignored.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from rag import files
from rag.errors import SettingsError

FILE = "rag.toml"
PREFIX = "GROUNDLING_"
HOME = Path(__file__).resolve().parent.parent  # the checkout, or site-packages
Strictness = Literal["lenient", "normal", "strict"]
Speaks = Literal["auto", "span", "trunk", "endpoint"]
WrongShare = Annotated[str, StringConstraints(pattern=r"^\d{1,2}(\.\d+)?%$")]  # of the given answers may be wrong


def shipped(relative: str) -> Path:
    """A file that ships with the product: in the checkout, or under `share/groundling` of an installed wheel."""
    places = (HOME / relative, Path(sys.prefix) / "share" / "groundling" / relative)
    return next((place for place in places if place.exists()), places[0])


class Endpoint(BaseModel):
    """An OpenAI-compatible server that words the answers instead of our own model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = ""  # up to and including /v1; empty: no endpoint
    model: str = ""  # as that server names it
    key: SecretStr = SecretStr("")
    timeout: float = Field(default=60.0, gt=0, le=3600)  # seconds without a byte before our own model answers instead
    longest: float = Field(default=300.0, gt=0, le=86400)  # seconds for a whole answer, however steadily it drips

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("write the address like http://localhost:11434/v1")
        return url.rstrip("/")

    def __bool__(self) -> bool:
        """An endpoint without an address is no endpoint."""
        return bool(self.url)


class Generation(BaseModel):
    """How each next word is chosen where a model writes the words: our trunk or an endpoint. By default greedily.

    Words quoted by rules (speaker "span") are never drawn by chance, and quotations neither, whoever speaks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(default=0.0, ge=0, le=2)  # 0: always the likeliest word
    top_p: float = Field(default=1.0, gt=0, le=1)  # only the likeliest words that together have this share are drawn
    seed: int = Field(default=0, ge=0, lt=2**31)  # the same seed draws the same words


TABLES: dict[str, type[BaseModel]] = {"generation": Generation, "endpoint": Endpoint}  # of rag.toml


class Settings(BaseSettings):
    """One field a decision. An argument that is None is left to the environment, the file and the default."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", toml_file=FILE, extra="forbid", frozen=True, env_ignore_empty=True
    )

    index: Path = Path("indexes/default")  # the library's folder
    model: Path = Field(default_factory=lambda: shipped("models/base"))  # the folder of the model that reads
    strictness: Strictness | float | WrongShare = "normal"  # 0..1: the least confidence; "10%": at most so many wrong
    fusion_weight: float = Field(default=0.7, ge=0, le=1)  # share of meaning (vectors); the rest goes to the words
    embedder: str = "all-MiniLM-L6-v2"  # or that name with "-int8" (extra fast), or a model of sentence-transformers
    query_side: Path | None = None  # what embeds questions; None: MODEL/query where there is one; "none": the embedder
    sound_model: Path | None = None  # folder of the speech model that reads recordings; None: they are not read
    conversation_days: int = Field(default=0, ge=0)  # the longest that conversations stay after a turn; 0: for ever
    audit_keeps_purged: bool = False  # whether the audit keeps the words of answers when their conversation goes
    session_hours: float = Field(default=12.0, gt=0, le=168)  # signed in at the pages without a touch; 7 days at most
    questions_a_minute: int = Field(default=30, ge=0, le=10_000)  # of one person with an account; 0: no limit
    influence: float = Field(default=0.25, gt=0, le=1)  # most of a training bundle's judgements from one person
    held_out: float = Field(default=0.2, gt=0, lt=1)  # share of the documents that measure models and never teach one
    speaker: Speaks = "auto"  # who words answers: rules (span), a trunk, the endpoint; auto: endpoint if set, or span
    trunk: Path | None = None  # folder of the trunk that speaks; None: `model`, where that is one
    generation: Generation = Generation()
    endpoint: Endpoint = Endpoint()

    @field_validator("trunk", mode="before")
    @classmethod
    def _or_none(cls, value: Any) -> Any:
        return value or None  # an emptied field of the settings page takes the folder back

    def __init__(self, **given: Any) -> None:
        """Raises SettingsError with every wrong value in one line."""
        _refuse_misspelt_variables()
        try:
            super().__init__(**_given(given))
        except ValidationError as error:
            raise SettingsError("; ".join(dict.fromkeys(_in_words(row) for row in error.errors()))) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{FILE}: not valid TOML ({error}). Correct that line or remove the file") from error

    @field_validator("strictness")
    @classmethod
    def _in_range(cls, value: str | float) -> str | float:
        if isinstance(value, float) and not 0 <= value <= 1:
            raise ValueError("use lenient, normal, strict, a number from 0 to 1, or a share of wrong answers like 10%")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings' signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, the environment, rag.toml: the first that names a value wins."""
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls))

    def but(self, **changes: Any) -> Settings:
        """A checked copy with other values; None changes nothing."""
        return Settings(**{**{name: getattr(self, name) for name in Settings.model_fields}, **_given(changes)})


def save(settings: Settings, file: Path | None = None) -> Path:
    """Write what differs from the defaults to `rag.toml`, whole or not at all, readable by its owner only.

    The file may hold the endpoint's key, hence the rights.
    """
    file = file or Path(FILE)
    files.write(file, _toml(settings), private=True)
    return file


def _toml(settings: Settings) -> str:
    """The two levels of our settings; JSON strings and numbers are valid TOML."""
    lines = ["# Settings of Groundling; GROUNDLING_* variables and command line options win over this file."]
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if name not in TABLES and value != field.get_default(call_default_factory=True):
            lines.append(f"{name} = {json.dumps(str(value) if isinstance(value, Path) else value)}")
    for name, table in TABLES.items():
        value = getattr(settings, name)
        if value != table():
            written = {key: _plain(each) for key, each in value}
            lines.append(f"\n[{name}]")
            lines += [f"{key} = {json.dumps(each)}" for key, each in written.items() if each != ""]
    return "\n".join(lines) + "\n"


def _plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _refuse_misspelt_variables() -> None:
    """pydantic-settings looks up the names it knows and would pass over `GROUNDLING_STRICTNES`."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for table, fields in TABLES.items():
        known |= {f"{PREFIX}{table.upper()}__{name.upper()}" for name in fields.model_fields}
    unknown = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)
    if unknown:
        raise SettingsError(f"{', '.join(unknown)}: no such setting. Known: {', '.join(sorted(known))}")


def _in_words(row: Any) -> str:
    """One line of a validation error: the setting, its value, the rule. A secret's value is never shown."""
    if row["loc"][0] == "strictness":
        return f"strictness is {row['input']!r}: use lenient, normal, strict, a number from 0 to 1, or 10%"
    name = ".".join(str(part) for part in row["loc"])
    if row["type"] == "extra_forbidden":
        known = TABLES.get(row["loc"][0], Settings).model_fields
        return f"{name}: no such setting. Known: {', '.join(sorted(known))}"
    value = "" if name == "endpoint.key" else f" is {row['input']!r}"
    rule = row["msg"].removeprefix("Value error, ")
    return f"{name}{value}: {rule[:1].lower()}{rule[1:]}"
