"""Several trainings at once in one process, one computing at a time: what disturbs one disturbs all alike.

Takes   trainings by name, each a function that calls what it is given before each of its steps.
Gives   the wall and processor time of each turn of a few steps.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

Training = Callable[[Callable[[], None]], None]


class Round(NamedTuple):
    """A turn, or a moment."""

    seconds: float
    cpu_seconds: float  # of all threads: what other programs on the machine do changes it little

    @staticmethod
    def now() -> Round:
        """Both clocks."""
        return Round(time.perf_counter(), time.process_time())


@dataclass
class Baton:
    """Lets several trainings take turns: whoever holds it computes, and each turn is timed."""

    names: Sequence[str]
    steps: int  # of a turn
    holder: str = ""
    rounds: dict[str, list[Round]] = field(default_factory=dict)  # whole turns
    began: Round | None = None
    done: int = 0  # steps of this turn
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, name: str) -> None:
        """Wait for the turn."""
        with self.changed:
            self.changed.wait_for(lambda: self.holder == name)
        self.done, self.began = 0, Round.now()

    def step(self, name: str) -> None:
        """Called before each step; after a whole turn it hands on and waits for the next one."""
        if self.done == self.steps:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            assert self.began is not None
            took = Round(*(now - then for now, then in zip(Round.now(), self.began, strict=True)))
            self.rounds.setdefault(name, []).append(took)
            sys.stderr.write(f"{name}: round {len(self.rounds[name])}, {took.seconds / self.steps:.2f} s a step\n")
            self.hand_on(name, stay=True)
            self.take(name)
        self.done += 1

    def hand_on(self, name: str, *, stay: bool) -> None:
        """Give the turn to the next one."""
        with self.changed:
            place = list(self.names).index(name)
            if not stay:
                self.names = [other for other in self.names if other != name]
                place -= 1
            self.holder = self.names[(place + 1) % len(self.names)] if self.names else ""
            self.changed.notify_all()


def take_turns(trainings: Mapping[str, Training], *, steps: int) -> dict[str, list[Round]]:
    """Run all trainings, `steps` steps each at a time; gives the whole rounds of each."""
    baton, errors = Baton(list(trainings), steps), []
    threads = torch.get_num_threads()

    def run(name: str, training: Training) -> None:
        torch.set_num_threads(threads)  # OpenMP counts for each thread of Python on its own
        try:
            baton.take(name)
            training(lambda: baton.step(name))
        except BaseException as error:  # noqa: BLE001 (told in the main thread, after the others could go on)
            errors.append(error)
        finally:
            baton.hand_on(name, stay=False)

    running = [threading.Thread(target=run, args=item) for item in trainings.items()]
    for thread in running:
        thread.start()
    with baton.changed:
        baton.holder = next(iter(trainings))
        baton.changed.notify_all()
    for thread in running:
        thread.join()
    if errors:
        raise errors[0]
    return baton.rounds
