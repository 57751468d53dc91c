"""Settings: which model reads, how sure it must be, and an outside model that may word the answers.

Takes   what is chosen here; checked and written to `rag.toml` by `rag.config`.
Gives   a library opened anew with the new settings, for all tabs.
The page works without an open library: it is where a wrong setting is corrected.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from app_pages import prose
from app_pages.opening import open_library, starters, warming
from rag.config import Endpoint, Settings, save
from rag.errors import GroundlingError
from rag.library import Library, try_endpoint

CHOSEN = ("model", "strictness", "endpoint")  # the settings that this page changes
STRICTNESS = {
    "lenient": "Answers more often, and is wrong more often.",
    "normal": "Answers where it is more likely right than wrong.",
    "strict": "Refuses wherever it is not sure.",
}
OUTSIDE = (
    "Optional. Any server that speaks OpenAI’s protocol can word the answers. Questions and the passages found for "
    "them are sent to it; quotations are still checked here."
)


def main() -> None:
    """The page."""
    library: Library | None = st.session_state["library"]
    settings = library.settings if library else None
    st.html('<h1 class="gl-page">Settings</h1>')
    if settings is None:
        try:
            settings = Settings()
        except GroundlingError as error:
            st.html(prose.notice(str(error), "error"))
            return
    if outcome := st.session_state.pop("settings-outcome", None):
        st.html(prose.notice(*outcome))
    draw_form(settings)
    if library:
        draw_facts(library)


def draw_form(settings: Settings) -> None:
    """One form, so that half a change never takes effect."""
    with st.form("settings", border=False, enter_to_submit=False):
        st.html('<h2 class="gl-section">Reading</h2>')
        models = _models(settings.model)
        model = st.selectbox(
            "Model",
            models,
            index=models.index(settings.model),
            key="model",
            format_func=lambda folder: prose.label(folder.name),
            help="The folders beside the current model. Training adds to them.",
        )
        levels: list[Any] = list(STRICTNESS)
        if settings.strictness not in levels:
            levels.append(settings.strictness)  # a number chosen in rag.toml
        strictness = st.radio(
            "Strictness",
            levels,
            index=levels.index(settings.strictness),
            key="strictness",
            captions=[STRICTNESS.get(level, "Least support for an answer") for level in levels],
            format_func=lambda level: str(level).capitalize(),
        )
        st.html('<h2 class="gl-section">Outside model</h2>')
        st.html(prose.plain(OUTSIDE))
        endpoint = settings.endpoint
        url = st.text_input("Address", endpoint.url, key="endpoint-url", placeholder="http://localhost:11434/v1")
        name = st.text_input("Model name", endpoint.model, key="endpoint-model", placeholder="As that server names it")
        key = st.text_input(
            "Key",
            endpoint.key.get_secret_value(),
            key="endpoint-key",
            type="password",
            help="Kept in rag.toml, which only you can read.",
            autocomplete="off",
        )
        with st.container(horizontal=True, key="settings-buttons"):
            saving = st.form_submit_button("Save", key="settings-save", type="primary")
            testing = st.form_submit_button("Test outside model", key="settings-test")
    if saving or testing:
        chosen = {"url": url.strip(), "model": name.strip(), "key": key, "timeout": endpoint.timeout}
        try:
            changed = settings.but(model=model, strictness=strictness, endpoint=chosen)
            if testing:
                _test(changed.endpoint)
            else:
                _save(changed)
        except GroundlingError as error:
            st.html(prose.notice(str(error), "error"))


def _models(current: Path) -> list[Path]:
    """The current model's folder and those beside it that hold a model."""
    beside = [folder.parent for folder in current.parent.glob("*/config.json")] if current.parent.is_dir() else []
    return sorted({*beside, current})


def _save(changed: Settings) -> None:
    save(changed)
    open_library.clear()
    warming.clear()
    starters.clear()
    effective = Settings()
    overruled = [name for name in CHOSEN if getattr(effective, name) != getattr(changed, name)]
    names = ", ".join(f"GROUNDLING_{name.upper()}" for name in overruled)
    st.session_state["settings-outcome"] = (
        (f"Saved, but the environment sets {names}, which wins over this page.", "warning")
        if overruled
        else ("Saved.", "good")
    )
    st.rerun()


def _test(endpoint: Endpoint) -> None:
    with st.spinner("Asking the outside model"):
        words = try_endpoint(endpoint)
    st.html(prose.notice(f"It answered: {words.strip()[:200]}", "good"))


def draw_facts(library: Library) -> None:
    """What the library says of itself."""
    rows = "".join(
        f"<dt>{prose.escape(str(name).replace('_', ' ').capitalize())}</dt><dd>{prose.escape(str(value))}</dd>"
        for name, value in library.status().items()
        if value is not None
    )
    st.html(f'<h2 class="gl-section">This library</h2><dl class="gl-facts">{rows}</dl>')


main()
