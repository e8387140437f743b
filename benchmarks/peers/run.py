"""Other optimizers on tables and surrogates: the same trainings, clock, budget and truth as our searches.

Each peer runs in a process of its own, in the environment that `make bench-peers` makes. The same command goes on where
it was stopped: the trainings of a search that has ended lie in the cache, and fronts are chosen from them afterwards.

    python benchmarks/peers/run.py [--tables digits cifar16] [--surrogates FILE ...] [--peers all] [--seeds 20]
        [--ours known_cost,freeze_thaw tpe] [--trainings 100] [--only-simulate | --only-cached]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.catalogue import PEERS, ROOT, Peer
from harness.fronts import trace_of
from harness.listing import Row, listing
from harness.process import PeerError
from harness.raw import RawCache, RawSearch, SearchKey
from harness.search import search
from platformdirs import user_cache_path

from nas.cli.app.compose import compose
from nas.config.budget import Budget
from nas.objectives.limits import Limits
from nas.search.built_strategy import Strategy
from nas.tabular.simulation.benchmark import Benchmark
from nas.tabular.simulation.cache import TraceCache, version
from nas.tabular.simulation.pool import SimulationPool
from nas.tabular.simulation.simulated_table import SimulatedTable, open_table
from nas.tabular.simulation.trace import SearchTrace
from nas.tabular.simulation.truth import NEAR, WHOLE, truth_of
from nas.tabular.surrogate.benchmark import open_surrogate

CHARGE = "cpu_seconds"
OURS = ("known_cost", "tpe", "gp", "random")


def main() -> None:
    arguments = _arguments()
    objectives = compose("rehearse", []).objective
    for simulated in _benchmarks(arguments):
        ours = [Row(f"ours: {text}", _ours(text, simulated, arguments)) for text in arguments.ours]
        raw = {peer.name: list(_searches(peer, simulated, arguments)) for peer in _peers(arguments.peers)}
        if arguments.only_simulate:
            continue
        rows = ours + [
            Row(peer, [trace_of(each, simulated, objectives) for each in found]) for peer, found in raw.items()
        ]
        for box in (WHOLE, NEAR):
            title = f"{simulated.path.stem}, {box} box"
            truth = truth_of(simulated, Limits(), box)
            print(listing(title, [row for row in rows if row.traces], truth, arguments.trainings))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--tables", nargs="*", default=["digits", "cifar16"], help="names in benchmarks/tables, or files"
    )
    parser.add_argument("--surrogates", nargs="*", type=Path, default=[], help="files of samples of large spaces")
    parser.add_argument("--peers", nargs="*", default=["all"], help=f"all, or some of {', '.join(PEERS)}")
    parser.add_argument("--ours", nargs="*", default=OURS, help="samplers, each with a fidelity after a comma")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trainings", type=float, default=100.0, help="full-training equivalents")
    parser.add_argument("--cache", type=Path, default=user_cache_path("inception-nas") / "peers")
    parser.add_argument("--only-simulate", action="store_true", help="fill the cache and print nothing")
    parser.add_argument("--only-cached", action="store_true", help="list what is in the cache, simulate nothing")
    return parser.parse_args()


def _benchmarks(arguments: argparse.Namespace) -> Iterator[Benchmark]:
    """Yield the tables and surrogates, each opened when the one before is done."""
    for name in arguments.tables:
        named = ROOT / "benchmarks" / "tables" / f"{name}.parquet"
        yield open_table(_existing(named if named.is_file() else Path(name)), 1, CHARGE)
    for path in arguments.surrogates:
        yield open_surrogate(_existing(path), 1, CHARGE)


def _existing(path: Path) -> Path:
    if not path.is_file():
        sys.exit(f"no table {path}; nas tabulate makes one")
    return path


def _peers(names: Sequence[str]) -> list[Peer]:
    unknown = [name for name in names if name not in {*PEERS, "all"}]
    if unknown:
        sys.exit(f"peers must be all or some of {', '.join(PEERS)}, got {', '.join(unknown)}")
    return [peer for peer in PEERS.values() if {peer.name, "all"} & set(names)]


def _searches(peer: Peer, simulated: Benchmark, arguments: argparse.Namespace) -> Iterator[RawSearch]:
    """Yield the searches of a peer, one a seed; a peer whose environment is missing, or that fails, has fewer."""
    cache = RawCache(arguments.cache)
    recorded = isinstance(simulated, SimulatedTable)  # trainings of a surrogate depend on its code too
    data = simulated.hash if recorded else simulated.hash + version((type(simulated).__module__,))
    for seed in range(arguments.seeds):
        key = SearchKey(peer, data, simulated.charge, seed, arguments.trainings)
        raw = cache.get(key)
        if raw is None and arguments.only_cached:
            continue
        if raw is None and not peer.installed:
            _say(f"{peer.name} is left out: its environment is missing; make bench-peers makes it")
            return
        try:
            raw = raw or search(peer, simulated, seed, arguments.trainings)
        except PeerError as error:
            _say(f"{peer.name} is left out from seed {seed} on: {error}")
            return
        cache.put(key, raw)
        _say(f"{simulated.path.stem}: {peer.name}, {seed + 1} of {arguments.seeds}")
        yield raw


def _ours(text: str, simulated: Benchmark, arguments: argparse.Namespace) -> list[SearchTrace]:
    """Return the traces of one of our own strategies, one a seed."""
    sampler, _, fidelity = text.partition(",")
    config = compose("rehearse", [f"sampler={sampler}", f"fidelity={fidelity or 'full'}"])
    config = replace(config, budget=Budget(trials=None, trainings=arguments.trainings))
    strategies: list[Strategy] = [replace(config, seed=seed) for seed in range(arguments.seeds)]
    cache = TraceCache(arguments.cache / "ours")
    if arguments.only_cached:
        return [trace for each in strategies if (trace := cache.get(each, simulated)) is not None]
    traces = dict(SimulationPool(1, cache).simulate(strategies, simulated))
    return [traces[index] for index in sorted(traces)]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
