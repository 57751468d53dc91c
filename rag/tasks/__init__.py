"""Tasks: list, count, compare, give the steps, summarise, define; and what cannot be done, said plainly.

    question ─► recognise ─► counting · listing · comparing · summary · defining · limits ─► Made (words, quotations)

Takes   a question that stands alone, and a `Desk`: the documents that the asker may read.
Gives   None for an ordinary question, and for a task that the documents offer nothing for: reading may still answer it.
        Otherwise words that consist of exact quotations, or the reason why the task cannot be done.
"""

from __future__ import annotations

from rag.tasks.comparing import compare
from rag.tasks.counting import count
from rag.tasks.defining import define
from rag.tasks.desk import Desk as Desk
from rag.tasks.listing import listing, steps
from rag.tasks.recognise import recognise as recognise
from rag.tasks.summary import summarise
from rag.tasks.task import Made as Made
from rag.tasks.task import Task as Task

_DOING = {
    "count": count,
    "list": listing,
    "compare": compare,
    "steps": steps,
    "summarise": summarise,
    "define": define,
}


def perform(task: Task, desk: Desk) -> Made | None:
    """Do the task. None: nothing could be made of the documents, so the question is answered like any other."""
    if task.kind == "cannot":
        return Made(reason=task.reason)
    made = _DOING[task.kind](task, desk)
    if made is None and task.kind == "count":  # no documents are called so: perhaps a list of such stands in one
        return listing(Task("list", f"{task.unit} of {task.about}"), desk)
    return made
