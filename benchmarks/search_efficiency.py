"""Training that strategies need to find the front: simulated searches on tables and surrogates, in two boxes.

A strategy is a sampler of conf/sampler with a fidelity of conf/fidelity, and further overrides. Each is simulated with
the same seeds over the same number of full-training equivalents; traces with the same code, data and settings come from
the cache. Every strategy returns its front by the same belief, and the processor seconds of driver and sampler are
charged. A speed-up compares first passages: the training after which each of two strategies first had the median share
that the rival ends with. Searches of one world (a seed of a table) see the same trainings, so medians are listed by
world too. On a table a reference is listed beside the strategies: it trains the true front in the oracle's order, then
random networks, and returns its front by the same belief. The outputs are docs/NAME.md,
a plot beside it, and benchmarks/results/NAME.json.

    python benchmarks/search_efficiency.py [--seeds 20] [--horizon 100] [--tables digits cifar16]
        [--surrogates FILE ...] [--strategies random,full tpe,full ...] [--processes 1]
        [--name search_efficiency]
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from nas.cli.app.compose import compose
from nas.config.budget import Budget
from nas.objectives.limits import Limits
from nas.reports.rehearsals import draw_rehearsals
from nas.search.environment import environment
from nas.tabular.simulation.bands import band
from nas.tabular.simulation.benchmark import Benchmark
from nas.tabular.simulation.cache import TraceCache
from nas.tabular.simulation.document import bounds_document
from nas.tabular.simulation.intervals import Estimate, estimate
from nas.tabular.simulation.pool import SimulationPool
from nas.tabular.simulation.scores import Score, oracle_order, score
from nas.tabular.simulation.simulated_table import SimulatedTable, open_table
from nas.tabular.simulation.truth import NEAR, WHOLE, Truth, truth_of
from nas.tabular.surrogate.benchmark import open_surrogate

ROOT = Path(__file__).resolve().parent.parent
TABLES = ROOT / "benchmarks" / "tables"
NAME = "search_efficiency"
CHARGE = "cpu_seconds"  # the tables were made on machines that had other things to do
BOXES = (WHOLE, NEAR)
DEFAULT = ("known_cost", "full")
STRATEGIES = (
    DEFAULT,
    ("known_cost", "freeze_thaw"),
    ("tpe", "full"),
    ("tpe_multivariate", "full"),
    ("evolution", "full"),
    ("nsga2", "full"),
    ("random", "full"),
)
INFORMED = ("true front first", "then random")
"""Name of the reference that trains the networks of the true front first."""

DRAWN = (DEFAULT, ("tpe", "full"), ("evolution", "full"), ("random", "full"))
MOMENTS = (10, 30, 100)

Name = tuple[str, ...]


@dataclass(frozen=True)
class Played:
    """Simulated searches of one strategy on one benchmark.

    Attributes:
        scores: by box, one a seed, thinking charged.
        worlds: world of each search.
        thinking: median processor seconds of driver and sampler in one search.
    """

    scores: Mapping[str, Sequence[Score]]
    worlds: Sequence[int]
    thinking: float


@dataclass(frozen=True)
class Found:
    """Results of all strategies on one benchmark.

    Attributes:
        benchmark: the benchmark.
        bounds: reference point, oracle and ceiling by box.
        played: results by strategy.
        horizon: full-training equivalents.
    """

    benchmark: Benchmark
    bounds: Mapping[str, Mapping[str, Any]]
    played: Mapping[Name, Played]
    horizon: float


def main() -> None:
    arguments = _arguments()
    names = [tuple(text.split(",")) for text in arguments.strategies]
    opened: dict[str, Benchmark] = {
        name: open_table(TABLES / f"{name}.parquet", 1, CHARGE) for name in arguments.tables
    }
    opened |= {f"surrogate of {path.stem}": open_surrogate(path, 1, CHARGE) for path in arguments.surrogates}
    found = {title: _play(title, benchmark, names, arguments) for title, benchmark in opened.items()}
    results = ROOT / "benchmarks" / "results" / f"{arguments.name}.json"
    page, picture = (ROOT / "docs" / f"{arguments.name}{end}" for end in (".md", ".png"))
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps({"environment": environment(), **_documents(found)}) + "\n", encoding="utf-8")
    page.write_text(_page(found, arguments), encoding="utf-8")
    panels = {
        title: [band(_readable(n), each.played[n].scores[WHOLE], each.horizon) for n in DRAWN if n in each.played]
        for title, each in found.items()
    }
    draw_rehearsals(panels, {title: each.bounds[WHOLE] for title, each in found.items()}, picture)
    print(f"wrote {results}, {page} and {picture}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--tables", nargs="*", default=sorted(path.stem for path in TABLES.glob("*.parquet")))
    parser.add_argument("--surrogates", nargs="*", type=Path, default=[])
    parser.add_argument("--strategies", nargs="+", default=[",".join(name) for name in STRATEGIES])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--horizon", type=float, default=100.0, help="full-training equivalents")
    parser.add_argument("--name", default=NAME, help="of the page, the plot and the results")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=user_cache_path("inception-nas") / "rehearsals")
    return parser.parse_args()


def _readable(name: Name) -> str:
    return ", ".join(part.replace("_", " ") for part in name)


def _play(title: str, benchmark: Benchmark, names: Sequence[Name], arguments: argparse.Namespace) -> Found:
    """Simulate every strategy on a benchmark."""
    truths = {box: truth_of(benchmark, Limits(), box) for box in BOXES}
    pool, horizon = SimulationPool(arguments.processes, TraceCache(arguments.cache)), arguments.horizon
    played = {}
    words = {name: [f"sampler={name[0]}", f"fidelity={name[1]}", *(f"++{word}" for word in name[2:])] for name in names}
    if isinstance(benchmark, SimulatedTable):
        files = _front_files(benchmark, truths[WHOLE], arguments.cache / "true_fronts")
        words[INFORMED] = ["sampler=random", "fidelity=full", f"start=[{','.join(map(str, files))}]"]
    for name, overrides in words.items():
        config = replace(compose("rehearse", overrides), budget=Budget(trials=None, trainings=horizon))
        plans = [replace(config, seed=seed) for seed in range(arguments.seeds)]
        traces = [trace for _, trace in sorted(pool.simulate(plans, benchmark), key=lambda pair: pair[0])]
        scores = {
            box: [score(trace, truth, horizon, charge_driver=True) for trace in traces] for box, truth in truths.items()
        }
        thinking = statistics.median(trace.driver_seconds for trace in traces)
        played[name] = Played(scores, [trace.table_seed for trace in traces], thinking)
        print(f"{title}: {_readable(name)}", file=sys.stderr, flush=True)
    bounds = {box: bounds_document(truth, benchmark, horizon) for box, truth in truths.items()}
    return Found(benchmark, bounds, played, horizon)


def _front_files(benchmark: SimulatedTable, truth: Truth, folder: Path) -> list[Path]:
    """Write the networks of the true front as files, and return their paths in the oracle's order."""
    folder = folder / benchmark.hash[:16]
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name in oracle_order(truth):
        files.append(folder / f"{name}.json")
        files[-1].write_text(json.dumps(benchmark.table.entries[name].architecture.to_json()), encoding="utf-8")
    return files


def _documents(found: Mapping[str, Found]) -> dict[str, Any]:
    """Return the share over the training of every search, by benchmark, strategy and box."""
    return {
        title: {
            ",".join(name): {
                box: [[[round(at, 2), round(share, 4)] for at, share in each.curve] for each in scores]
                for box, scores in played.scores.items()
            }
            for name, played in result.played.items()
        }
        for title, result in found.items()
    }


def _page(found: Mapping[str, Found], arguments: argparse.Namespace) -> str:
    about = environment()
    sections = "\n".join(_section(title, result) for title, result in found.items())
    surrogates = ", simulated on surrogates of live spaces" if arguments.surrogates and not arguments.tables else ""
    return f"""# Search efficiency: training until the front is found{surrogates}

Written by `benchmarks/search_efficiency.py`; `rehearsals.md` defines the two boxes. Every strategy returns its front by
the same belief; thinking is charged. {arguments.seeds} seeds a strategy; a table has as many worlds as seeds of its
trainings (a surrogate one for each search), and searches of one world see the same trainings, so the intervals
(bootstrap over searches, 95 %) are narrower than those over worlds would be.

{about["processor"]}, {about["cores"]} cores, Python {about["python"]}, optuna {about["packages"]["optuna"]}.

![gap to the true front over full-training equivalents]({arguments.name}.png)

{sections}"""


def _section(title: str, result: Found) -> str:
    parts = [f"## {title}\n"]
    for box in BOXES:
        bounds = result.bounds[box]
        heads = ["strategy", *(f"share at {moment}" for moment in MOMENTS), "thinking s"]
        lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
        for name, played in result.played.items():
            cells = [_cell(estimate([s.at(moment) for s in played.scores[box]])) for moment in MOMENTS]
            lines.append([_readable(name), *cells, f"{played.thinking:.1f}"])
        reference = bounds["reference"]
        parts.append(
            f"**{box.capitalize()} box**, reference point {reference['macs']:,.0f} MACs and error "
            f"{reference['error']:.4f}. A search that had trained everything, and returned the front by one measured "
            f"accuracy, would have {bounds['ceiling']:.3f}.\n"
        )
        parts += [_table(lines), _paired(result, box), ""]
    return "\n".join(parts)


def _paired(result: Found, box: str) -> str:
    """Return the lines on the default's paired differences, its speed-ups and its medians by world."""
    if DEFAULT not in result.played:
        return ""
    ours = result.played[DEFAULT]
    lines = [""]
    for name, played in result.played.items():
        if name in {DEFAULT, INFORMED}:
            continue
        pairs = list(zip(ours.scores[box], played.scores[box], strict=True))
        ahead = [_cell(estimate([a.at(moment) - b.at(moment) for a, b in pairs])) for moment in MOMENTS]
        goal = statistics.median(theirs.share for theirs in played.scores[box])
        passed = [_passages(each.scores[box], goal, result.horizon) for each in (ours, played)]
        ratio = _speed_up(*passed)
        lines.append(
            f"- minus {_readable(name)}: {'; '.join(ahead)}. First passage to its last median share, {goal:.3f}: "
            f"{_cell(ratio)} times sooner."
        )
        if INFORMED in result.played:
            informed = _passages(result.played[INFORMED].scores[box], goal, result.horizon)
            lines[-1] += f" With the true front known: {_cell(_speed_up(informed, passed[1]))}."
    worlds = sorted(set(ours.worlds))
    if len(worlds) < len(ours.worlds):
        by_world = [
            statistics.median(s.share for s, w in zip(ours.scores[box], ours.worlds, strict=True) if w == world)
            for world in worlds
        ]
        lines.append(f"- the default's last share by world: {', '.join(f'{share:.3f}' for share in by_world)}.")
    return "\n".join(lines)


def _passages(scores: Sequence[Score], goal: float, horizon: float) -> list[float]:
    """Return the training until the share was first reached; twice the horizon for a search that never had it."""
    return [spent if math.isfinite(spent := each.reached(goal)) else 2 * horizon for each in scores]


def _speed_up(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """Return the ratio of their median to ours with the percentile bootstrap's interval of 95 %, paired by seed."""
    generator, found = random.Random(0), []
    for _ in range(2000):
        rows = [generator.randrange(len(ours)) for _ in ours]
        found.append(statistics.median(theirs[row] for row in rows) / statistics.median(ours[row] for row in rows))
    found.sort()
    return Estimate(statistics.median(theirs) / statistics.median(ours), found[49], found[1949])


def _cell(found: Estimate) -> str:
    return f"{found.median:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _table(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    main()
