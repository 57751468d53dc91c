"""Training: what an improvement would learn, the button that starts it, how it goes, what came of it, the way back.

Takes   the library's judgements and documents, its runs and its models.
Gives   one page: the run at work or the latest one, what would be learnt now, the models, earlier runs, and the three
        commands for another machine. A run is a process of its own: it goes on when the page or the app is closed.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from app_pages import course, models, plots, prose
from rag.errors import GroundlingError
from rag.library import Library, Outlook, Run

LEAD = (
    "Judgements that were accepted, and the documents themselves, change the model’s weights. A candidate takes the "
    "model’s place only if it is measurably better."
)
BECOMES = {  # what judgements become; keys are the outlook's
    "retriever pair": ("Pairs for the search", "a better passage, or one that was rightly found: with near misses"),
    "span label": ("Words for the reader", "wrong words put right, and words that were right"),
    "no-answer label": ("Refusals", "unsupported answers, and questions that should have been refused"),
    "single thumb": ("Single thumbs (KTO)", "thumbs up, and thumbs down for style or without a reason"),
    "preferred of two": ("Choices between two (DPO)", "blind choices, and better answers that people wrote"),
}
BY_HAND = """# here
rag export --bundle training.zip
# there; needs neither the library nor a network
trainer improve training.zip --base MODEL --out candidate/
# here again; measures it, and lets it answer if it is better
rag promote candidate/"""
SHOWN = 8  # runs before "Show all"


@st.cache_resource(show_spinner=False)
def _kept() -> dict[str, Any]:
    """What was found last, for all tabs; nothing of it outlives the next change of the library."""
    return {}


def look(library: Library) -> Outlook:
    """What would be learnt now; found once as long as nothing changes."""
    kept, revision = _kept(), (library.path, library.revision(), len(library.improvements()))
    if kept.get("revision") != revision:
        with st.spinner("Looking at the judgements"):
            kept["outlook"] = library.outlook()
        kept["revision"] = revision
    found: Outlook = kept["outlook"]
    return found


def main() -> None:
    """The page."""
    library: Library = st.session_state["library"]
    st.html('<h1 class="gl-page">Training</h1>' + prose.plain(LEAD))
    runs = library.improvements()
    latest = runs[0] if runs else None
    if latest and (latest.going_on or latest.resumable):
        course.draw(library, latest)
    try:
        draw_outlook(library, look(library), latest)
    except GroundlingError as error:
        st.html(prose.notice(str(error), "error"))  # where the model is damaged, the way back stands below
    if latest and not (latest.going_on or latest.resumable):
        course.draw(library, latest)
    in_dialog = models.draw(library)
    draw_history(library, runs, in_dialog=in_dialog)
    draw_by_hand()


# --- what would be learnt ---------------------------------------------------------------------------------------------


def draw_outlook(library: Library, seen: Outlook, latest: Run | None) -> None:
    """Numbers, what each kind of judgement becomes, what is missing, and the button."""
    st.html('<h2 class="gl-section">What would be learnt now</h2>' + plots.figures(figures(seen)))
    for missing in seen.missing:
        st.html(prose.notice(missing, "warning" if seen.hopeless else "note"))
    busy = latest is not None and latest.going_on
    with st.container(horizontal=True, vertical_alignment="center", key="improve-buttons"):
        again = latest is not None and latest.resumable
        pressed = st.button(
            "Start anew" if again else "Improve", key="improve", icon=":material/model_training:",
            type="secondary" if again else "primary", disabled=busy or seen.hopeless,
        )  # fmt: skip
        if not busy and not seen.hopeless:
            st.html(prose.plain(_how_long(seen)))
        if seen.waiting:
            waiting = f"Review {prose.count(seen.waiting, 'judgement')}"
            st.page_link(st.session_state["pages"]["review"], label=waiting, icon=":material/rule:")
    if pressed:
        try:
            library.improve()
        except GroundlingError as error:
            st.html(prose.notice(str(error), "error"))
            return
        st.rerun()
    if seen.judgements or seen.left_out:
        with st.expander("What each judgement becomes", key="becomes", type="compact"):
            st.html(
                plots.table(("Becomes", "From", "To learn", "Kept to measure"), becomes(seen), "Accepted judgements")
            )
            if seen.left_out:
                rows = [(reason[:1].upper() + reason[1:], count) for reason, count in seen.left_out.items()]
                st.html(plots.table(("Left out because", "Judgements"), rows, "Accepted, and not learnt from"))


def figures(seen: Outlook) -> list[tuple[str, str, str]]:
    """The numbers at the top."""
    people = prose.count(seen.people, "person").replace("persons", "people")
    return [
        ("Judgements", f"{seen.judgements:,}", f"accepted, of {people}"),
        ("Waiting", f"{seen.waiting:,}", "for a review"),
        ("Documents", f"{seen.documents['train']:,}", f"to learn; {seen.documents['held']:,} kept to measure"),
        ("Passages", f"{seen.passages['train']:,}", "to make questions from"),
    ]


def becomes(seen: Outlook) -> list[tuple[object, ...]]:
    """Rows of the table: what, from which judgements, on which side."""
    return [(*BECOMES[kind], counts["train"], counts["held"]) for kind, counts in seen.becomes.items()]


def _how_long(seen: Outlook) -> str:
    basis = f"as improvement {seen.like_run} took" if seen.like_run else "a rough guess until it runs"
    return f"About {prose.duration(seen.total_seconds)}, {basis}. Answering goes on meanwhile."


# --- what was ---------------------------------------------------------------------------------------------------------


def draw_history(library: Library, runs: list[Run], *, in_dialog: bool) -> None:
    """Earlier runs, the latest first; each opens."""
    st.html('<h2 class="gl-section">Runs</h2>')
    if not runs:
        st.html(prose.plain("The model has not been improved here yet."))
        return
    opened = None
    shown = runs if st.session_state.get("all-runs") else runs[:SHOWN]
    with st.container(key="runs", gap=None):
        for run in shown:
            with st.container(horizontal=True, vertical_alignment="center", key=f"row-run-{run.number}", wrap=False):
                title = f"Improvement {run.number}: {course.STATES[run.status].lower()}"
                st.html(
                    f'<div class="gl-document"><strong>{prose.escape(title)}</strong>'
                    f"<span>{prose.escape(' · '.join(run_facts(run)))}</span></div>"
                )
                if st.button("Open", key=f"open-run-{run.number}", type="tertiary"):
                    opened = run.number
    if len(runs) > len(shown):
        label = f"Show all {len(runs)}"
        st.button(label, key="show-runs", type="tertiary", on_click=lambda: st.session_state.update({"all-runs": True}))
    if opened is not None and not in_dialog:
        open_run(library, opened)


def run_facts(run: Run) -> list[str]:
    """When, by whom, from how much, how long."""
    said = [f"{prose.moment(run.began)} by {run.asked.person}"]
    said.append(prose.count(int(run.outlook.get("judgements", 0)), "judgement"))
    took = sum(stage.get("seconds") or 0 for stage in run.stages)
    if took and not run.going_on:
        said.append(f"took {prose.duration(took)}")
    return said


@st.dialog("Improvement", width="large", icon=":material/model_training:", on_dismiss="rerun")
def open_run(library: Library, number: int) -> None:
    """What was done in an earlier run, and what came of it."""
    course.draw_run(library, number, place="dialog")


def draw_by_hand() -> None:
    """The same in three commands."""
    with st.expander("On another machine, by hand", key="by-hand", type="compact"):
        st.html(
            prose.plain(
                "The training needs one file and a model folder, and neither the library nor a network. MODEL is a "
                "copy of the folder that answers now; a GPU there is used by itself."
            )
        )
        st.code(BY_HAND, language="bash", wrap_lines=True)


main()
