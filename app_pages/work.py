"""Work that outlives a rerun of the page.

Streamlit runs the script again at each touch and cuts off the run before it. An answer being streamed or a folder being
indexed must not be cut off with it: it runs in a thread of its own, keeps everything it reported, and whichever run of
the script comes next follows it from the first report on.

Takes   a task: a function that is given `emit` and calls it with each report.
Gives   the reports, to any number of followers; the error that ended the task; `stop()`.
Stops   between two reports: `emit` raises Stopped inside the task, so that its generators and transactions unwind.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")


_at_work: WeakSet[Work[Any]] = WeakSet()
PATIENCE = 10.0  # seconds at the end of the process for tasks to come to a report


@atexit.register
def _end_all() -> None:
    """A thread that is still inside torch when the interpreter goes would abort the process."""
    for work in list(_at_work):
        work.stop()
    for work in list(_at_work):
        work.wait(PATIENCE)


class Stopped(Exception):  # noqa: N818 - a request that was obeyed, not an error
    """Raised inside the task by `emit` once somebody asked it to stop."""


class Work(Generic[T]):
    """A task in a thread. `items`, `error`, `finished` and `stopping` may be read from any thread."""

    def __init__(self, task: Callable[[Callable[[T], None]], None]) -> None:
        """Starts at once."""
        self.error: Exception | None = None
        self.finished = False
        self.stopping = False
        self._items: list[T] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, args=(task,), name="groundling-work", daemon=True)
        _at_work.add(self)
        self._thread.start()

    @property
    def items(self) -> tuple[T, ...]:
        """Everything reported so far."""
        with self._changed:
            return tuple(self._items)

    @property
    def running(self) -> bool:
        """Whether more reports may come."""
        return not (self.finished or self.stopping)

    def stop(self) -> None:
        """Ask the task to end at its next report; followers leave at once."""
        with self._changed:
            self.stopping = True
            self._changed.notify_all()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the thread's end; True when it came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def follow(self, pulse: float = 0.2) -> Iterator[T | None]:
        """All reports from the first on; None where none came for `pulse` seconds, so that the page can show life."""
        seen = 0
        while True:
            with self._changed:
                if seen == len(self._items) and not (self.finished or self.stopping):
                    self._changed.wait(pulse)
                new = self._items[seen:]
                over = self.finished or self.stopping
            seen += len(new)
            yield from new
            if over:
                return
            if not new:
                yield None

    def _emit(self, item: T) -> None:
        with self._changed:
            if self.stopping:
                raise Stopped
            self._items.append(item)
            self._changed.notify_all()

    def _run(self, task: Callable[[Callable[[T], None]], None]) -> None:
        try:
            task(self._emit)
        except Stopped:
            pass  # asked for: the follower shows that it was stopped
        except Exception as error:  # noqa: BLE001 - a thread has no caller: the page that follows shows it
            self.error = error
        finally:
            with self._changed:
                self.finished = True
                self._changed.notify_all()
