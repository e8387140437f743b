"""Many rehearsals at once, in processes of their own, and none that was rehearsed before."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nas.search.strategy import Strategy
from nas.search.threads import thinking_alone
from nas.tabular.simulation.cache import Cache
from nas.tabular.simulation.simulate import Stage, Trace, play
from nas.tabular.table import read_table

_STAGES: list[Stage] = []  # the stage of a child process, read once for all of its rehearsals


@final
@dataclass(frozen=True)
class Troupe:
    """Who rehearses.

    Attributes:
        processes: rehearsals at once, at least 1; a single one is played in this process.
        cache: traces of earlier rehearsals, None for none.
    """

    processes: int
    cache: Cache | None = None

    def rehearse(self, strategies: Sequence[Strategy], stage: Stage) -> Iterator[tuple[int, Trace]]:
        """Traces as they come, each with the index of its strategy."""
        left = []
        for index, strategy in enumerate(strategies):
            known = self.cache.get(strategy, stage) if self.cache else None
            if known is None:
                left.append(index)
            else:
                yield index, known
        played = self._apart if self.processes > 1 and len(left) > 1 else self._here
        for index, trace in played(strategies, stage, left):
            if self.cache:
                self.cache.put(strategies[index], stage, trace)
            yield index, trace

    def _here(self, strategies: Sequence[Strategy], stage: Stage, left: Sequence[int]) -> Iterator[tuple[int, Trace]]:
        for index in left:
            with thinking_alone():
                trace = play(strategies[index], stage)
            yield index, trace

    def _apart(self, strategies: Sequence[Strategy], stage: Stage, left: Sequence[int]) -> Iterator[tuple[int, Trace]]:
        """The rehearsals in child processes, a few handed out at a time."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        told = (str(stage.table.path), stage.slots, stage.charge)
        with ProcessPoolExecutor(min(self.processes, len(left)), context, _begin, told) as pool:
            waiting = list(reversed(left))
            running: dict[Future[Trace], int] = {}
            try:
                while waiting or running:
                    while waiting and len(running) < 2 * self.processes:
                        index = waiting.pop()
                        running[pool.submit(_play, strategies[index])] = index
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    yield from ((running.pop(future), future.result()) for future in done)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def _begin(path: str, slots: int, charge: str) -> None:
    """Read the table in a new child, which ends with the process that it works for, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group, and the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    thinking_alone()
    _STAGES.append(Stage(read_table(Path(path)), slots, charge))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _play(strategy: Strategy) -> Trace:
    return play(strategy, _STAGES[0])
