"""Process pool of simulated searches, with a cache of their traces."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from typing import final

from nas.search.built_strategy import Strategy
from nas.search.threads import single_threaded_blas
from nas.tabular.simulation.benchmark import Benchmark
from nas.tabular.simulation.cache import TraceCache
from nas.tabular.simulation.simulate import simulate
from nas.tabular.simulation.trace import SearchTrace

LONGEST_FOLDER = 70
"""Bytes of the path of the temporary files up to which a socket there has a permitted name, of 107 bytes."""

_BENCHMARKS: list[Benchmark] = []  # the benchmark of a worker process, opened once for all of its searches


@final
@dataclass(frozen=True)
class SimulationPool:
    """Pool of processes that simulate searches.

    Attributes:
        processes: number of concurrent searches, at least 1; with 1 they run in this process.
        cache: traces of earlier searches, None for no cache.
    """

    processes: int
    cache: TraceCache | None = None

    def simulate(self, strategies: Sequence[Strategy], simulated: Benchmark) -> Iterator[tuple[int, SearchTrace]]:
        """Yield traces as they are ready, each with the index of its strategy."""
        left = []
        for index, strategy in enumerate(strategies):
            cached = self.cache.get(strategy, simulated) if self.cache else None
            if cached is None:
                left.append(index)
            else:
                yield index, cached
        simulated_traces = self._in_workers if self.processes > 1 and len(left) > 1 else self._in_process
        for index, trace in simulated_traces(strategies, simulated, left):
            if self.cache:
                self.cache.put(strategies[index], simulated, trace)
            yield index, trace

    def _in_process(
        self, strategies: Sequence[Strategy], simulated: Benchmark, left: Sequence[int]
    ) -> Iterator[tuple[int, SearchTrace]]:
        for index in left:
            with single_threaded_blas():
                trace = simulate(strategies[index], simulated)
            yield index, trace

    def _in_workers(
        self, strategies: Sequence[Strategy], simulated: Benchmark, left: Sequence[int]
    ) -> Iterator[tuple[int, SearchTrace]]:
        """Simulate in worker processes, with at most two searches a process submitted."""
        context = _context()
        opener = (simulated.opener(),)
        with ProcessPoolExecutor(min(self.processes, len(left)), context, _initialize_worker, opener) as pool:
            waiting = list(reversed(left))
            running: dict[Future[SearchTrace], int] = {}
            try:
                while waiting or running:
                    while waiting and len(running) < 2 * self.processes:
                        index = waiting.pop()
                        running[pool.submit(_simulate, strategies[index])] = index
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    yield from ((running.pop(future), future.result()) for future in done)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def _context() -> BaseContext:
    """Return the way to start processes: a fork server, unless the path of its socket would be too long."""
    if len(os.fsencode(tempfile.gettempdir())) > LONGEST_FOLDER:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _initialize_worker(opener: Callable[[], Benchmark]) -> None:
    """Open the benchmark in a new worker process, which ends when its parent does, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group, and the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    single_threaded_blas()
    _BENCHMARKS.append(opener())


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _simulate(strategy: Strategy) -> SearchTrace:
    return simulate(strategy, _BENCHMARKS[0])
