"""Settings: which model reads, how sure it must be, an outside model that may word the answers; what is kept of people.

Takes   what is chosen here; checked and written to `rag.toml` by `rag.config`.
Gives   a library opened anew with the new settings, for all tabs.
The page works without an open library: it is where a wrong setting is corrected.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from app_pages import keeping, plots, prose, speaking
from app_pages.opening import open_library, starters, warming
from rag.config import Endpoint, Settings, save
from rag.errors import GroundlingError
from rag.library import Library, try_endpoint

CHOSEN = ("model", "strictness", "speaker", "trunk", "generation", "endpoint")  # the settings that this page changes
STRICTNESS = {
    "lenient": "Answers more often, and is wrong more often.",
    "normal": "Refuses most questions that no document answers: three of four, as measured for the model.",
    "strict": "Refuses wherever it is not sure.",
}
SHARE = "share"
LIMITED = "Refuses until no more of its answers are wrong than the share below, as measured for the model."
COST = (
    "Measured for this model on questions that taught it nothing, half of which no document answers. On other "
    "documents and questions the shares differ."
)
ALONE = (
    "Nobody signs in: whoever uses this computer is the library’s owner. The command rag user add NAME makes accounts."
)
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
        draw_risk(library)
        keeping.draw_memory(library)
        keeping.draw_retention(library)
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
            format_func=lambda folder: str(folder.name),  # a list shows letters as they are
            help="The folders beside the current model. Training adds to them.",
        )
        strictness = _strictness(settings.strictness)
        st.html('<h2 class="gl-section">Wording</h2>')
        spoken = speaking.draw(settings)
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
        chosen = endpoint.model_dump() | {"url": url.strip(), "model": name.strip(), "key": key.strip()}
        try:
            changed = settings.but(model=model, strictness=strictness, endpoint=chosen, **spoken)
            if testing:
                _test(changed.endpoint)
            else:
                _save(changed)
        except GroundlingError as error:
            st.html(prose.notice(str(error), "error"))


def _strictness(current: str | float) -> str | float:
    """Ask how sure an answer must be."""
    levels: list[Any] = [*STRICTNESS, SHARE]
    share = str(current).endswith("%")
    if not share and current not in levels:
        levels.append(current)  # a number chosen in rag.toml
    level = st.radio(
        "Strictness",
        levels,
        index=levels.index(SHARE if share else current),
        key="strictness",
        captions=[{**STRICTNESS, SHARE: LIMITED}.get(level, "Least confidence for an answer") for level in levels],
        format_func=lambda level: "At most a share of wrong answers" if level == SHARE else str(level).capitalize(),
    )
    percent = st.number_input(
        "Wrong answers at most, in percent",
        min_value=1,
        max_value=90,
        value=round(float(str(current).rstrip("%"))) if share else 20,
        key="strictness-share",
        width=240,
        help="Counts only where that line is chosen above.",
    )
    chosen: str | float = f"{percent}%" if level == SHARE else level
    return chosen


def draw_risk(library: Library) -> None:
    """What each share of wrong answers costs in refusals."""
    risk = library.risk()
    if not risk:
        return
    st.html('<h2 class="gl-section">What being sure costs</h2>' + prose.plain(COST))
    plots.line(
        [(refused, wrong) for _, refused, wrong in risk],
        ("Questions refused, %", "Answers wrong, %"),
        "Share of the given answers that are wrong, by the share of questions refused",
    )
    rows = [(f"{threshold:.2f}", round(refused), round(wrong)) for threshold, refused, wrong in risk]
    with st.expander("The numbers", type="compact"):
        st.html(plots.table(("Least confidence", "Refused, %", "Wrong, %"), rows, "What each least confidence costs"))


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
    if not library.accounts():
        st.html(prose.plain(ALONE))


main()
