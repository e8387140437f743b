"""Training that strategies need to find the front: simulated searches on the tables of benchmarks/tables.

A strategy is a sampler of conf/sampler with a fidelity of conf/fidelity, and further overrides. Each is simulated with
the same seeds over the same number of full-training equivalents; traces with the same code, table and settings come
from the cache. The outputs are docs/search_efficiency.md, a plot beside it, and
benchmarks/results/search_efficiency.json with the curve of every seed.

    python benchmarks/search_efficiency.py [--seeds 30] [--horizon 100] [--tables digits cifar16]
        [--strategies random,full tpe,first_epoch known_cost,freeze_thaw,sampler.options.start=1 ...]
        [--processes 1] [--only-simulate]
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from nas.cli.app.compose import compose
from nas.config.budget import Budget
from nas.objectives.limits import Limits
from nas.reports.rehearsals import Band, bounded_text, draw_rehearsals, interval_text
from nas.search.environment import environment
from nas.tabular.simulation.bands import band
from nas.tabular.simulation.cache import TraceCache
from nas.tabular.simulation.document import summary, table_document
from nas.tabular.simulation.intervals import Estimate, estimate
from nas.tabular.simulation.pool import SimulationPool
from nas.tabular.simulation.scores import GOALS, Score, oracle, score
from nas.tabular.simulation.simulated_table import SimulatedTable
from nas.tabular.simulation.trace import SearchTrace
from nas.tabular.simulation.truth import Truth, truth_of
from nas.tabular.table import read_table

ROOT = Path(__file__).resolve().parent.parent
TABLES = ROOT / "benchmarks" / "tables"
RESULTS = ROOT / "benchmarks" / "results" / "search_efficiency.json"
PAGE = ROOT / "docs" / "search_efficiency.md"
PICTURE = ROOT / "docs" / "search_efficiency.png"
CHARGE = "cpu_seconds"  # the tables were made on machines that had other things to do
SAMPLERS = ("random", "stratified", "evolution", "nsga2", "tpe", "tpe_multivariate")
FIDELITIES = ("full", "first_epoch")
OURS = ("known_cost", "freeze_thaw")
RIVALS = (("tpe", "full"), ("tpe_multivariate", "full"))
BASELINE = ("stratified", "full")
START, POWER, FOCUS = "sampler.options.start", "sampler.options.seconds_power", "sampler.options.focus"
ONE_RUNG = "fidelity.options.rungs=[0.33]"
INGREDIENTS = {
    "all of them": OURS,
    "all but the start spread over the cost": (*OURS, f"{START}=1"),
    "all but known costs: `tpe` told of frozen networks": ("tpe", "freeze_thaw"),
    "all but rung and thaw: full trainings": ("known_cost", "full"),
    "all but the choice of whom to thaw: the better third by rank": ("known_cost", "moasha", ONE_RUNG),
    "all but the division by a power of seconds": (*OURS, f"{POWER}=0"),
    "all, and the division by seconds themselves": (*OURS, f"{POWER}=1"),
    "all, and the whole front counts": (*OURS, f"{FOCUS}=1"),
    "the start alone": BASELINE,
    "known costs alone": ("known_cost", "full", f"{START}=1", f"{POWER}=0"),
    "known costs and the division alone": ("known_cost", "full", f"{START}=1"),
    "the rung alone: the better third by rank": ("random", "moasha", ONE_RUNG),
    "rung and thaw alone": ("random", "freeze_thaw"),
    "none of them": ("random", "full"),
}
STRATEGIES = tuple(
    dict.fromkeys(
        [
            *((sampler, fidelity) for sampler in SAMPLERS for fidelity in FIDELITIES),
            *INGREDIENTS.values(),
            ("evolution", "freeze_thaw"),
        ]
    )
)
DRAWN = (*((sampler, "full") for sampler in SAMPLERS), ("known_cost", "full"), OURS)
SHORT = 50.0  # horizon of one-epoch cohorts, which have drawn most of a table by then, and of ablations
MOMENTS = (10, 30, 100)

Name = tuple[str, ...]


@dataclass(frozen=True)
class StrategyResult:
    """Simulated searches of one strategy on one table.

    Attributes:
        traces: one a seed, in order of the seeds.
        plain: scores by the seconds of trainings alone.
        charged: scores with the driver's processor seconds added.
    """

    traces: Sequence[SearchTrace]
    plain: Sequence[Score]
    charged: Sequence[Score]

    @property
    def thinking(self) -> float:
        """Processor seconds of the driver in one search, as median over the seeds."""
        return statistics.median(trace.driver_seconds for trace in self.traces)

    def at(self, spent: float) -> Estimate:
        """Return the share after `spent` full-training equivalents."""
        return estimate([scored.at(spent) for scored in self.plain])


@dataclass(frozen=True)
class TableResult:
    """Results of all strategies on one table.

    Attributes:
        simulated: the table.
        truth: its ground truth.
        horizon: full-training equivalents.
        strategies: results by the strategies' names.
    """

    simulated: SimulatedTable
    truth: Truth
    horizon: float
    strategies: Mapping[Name, StrategyResult]

    @property
    def ranked(self) -> list[Name]:
        """Names in order of the median area with the driver charged, smallest first."""
        areas = {name: statistics.median(s.area for s in played.charged) for name, played in self.strategies.items()}
        return sorted(areas, key=areas.__getitem__)


def main() -> None:
    arguments = _arguments()
    tables = [TABLES / f"{name}.parquet" for name in arguments.tables]
    absent = [path for path in tables if not path.is_file()]
    if absent:
        sys.exit(f"no table {absent[0]}; nas tabulate makes one")
    names = [_name(text) for text in arguments.strategies]
    results = {path.stem: _table_result(path, names, arguments) for path in tables}
    if arguments.only_simulate:
        return
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    about = environment()
    RESULTS.write_text(_results(results, about), encoding="utf-8")
    PAGE.write_text(_page(results, about, arguments.seeds), encoding="utf-8")
    panels = {title: _bands(result, [name for name in names if name in DRAWN]) for title, result in results.items()}
    bounds = {
        title: table_document(result.truth, result.simulated, result.horizon) for title, result in results.items()
    }
    draw_rehearsals(panels, bounds, PICTURE)
    print(f"wrote {RESULTS}, {PAGE} and {PICTURE}")


def _bands(result: TableResult, names: Sequence[Name]) -> list[Band]:
    return [band(_readable(name), result.strategies[name].plain, result.horizon) for name in names]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--tables", nargs="+", default=sorted(path.stem for path in TABLES.glob("*.parquet")))
    parser.add_argument("--strategies", nargs="+", default=[",".join(name) for name in STRATEGIES])
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--horizon", type=float, default=100.0, help="full-training equivalents")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=user_cache_path("inception-nas") / "rehearsals")
    parser.add_argument("--only-simulate", action="store_true", help="fill the cache and write nothing")
    return parser.parse_args()


def _name(text: str) -> Name:
    sampler, *rest = text.split(",")
    return sampler, *(rest or ["full"])


def _readable(name: Name) -> str:
    """Return the readable name of a strategy.

    >>> _readable(("known_cost", "freeze_thaw", "sampler.options.start=1"))
    'known cost, freeze thaw, start=1 (to 50)'
    """
    short = f" (to {SHORT:.0f})" if _ends_early(name) else ""
    return ", ".join(part.partition(".options.")[2] or part for part in name).replace("_", " ") + short


def _ends_early(name: Name) -> bool:
    return name[1] == "first_epoch" or name not in DRAWN


def _overrides(name: Name) -> list[str]:
    """Return the overrides of `nas search` for a strategy."""
    return [f"sampler={name[0]}", f"fidelity={name[1]}", *(f"++{setting}" for setting in name[2:])]


def _table_result(path: Path, names: Sequence[Name], arguments: argparse.Namespace) -> TableResult:
    """Simulate every strategy on a table."""
    simulated = SimulatedTable(read_table(path), charge=CHARGE)
    truth = truth_of(simulated, Limits())
    simulations = SimulationPool(arguments.processes, TraceCache(arguments.cache))
    strategies = {}
    for name in names:
        config = compose("rehearse", _overrides(name))
        trainings = min(arguments.horizon, SHORT) if _ends_early(name) else arguments.horizon
        config = replace(config, budget=Budget(trials=None, trainings=trainings))
        plans = [replace(config, seed=seed) for seed in range(arguments.seeds)]
        found: dict[int, SearchTrace] = {}
        for index, trace in simulations.simulate(plans, simulated):
            found[index] = trace
            _say(f"{path.stem}: {_readable(name)}, {len(found)} of {len(plans)}")
        traces = [found[index] for index in range(len(plans))]
        plain, charged = (
            [score(trace, truth, arguments.horizon, charge_driver=thinking) for trace in traces]
            for thinking in (False, True)
        )
        strategies[name] = StrategyResult(traces, plain, charged)
        _say(f"{path.stem}: {_readable(name)}, area {_cell(summary(plain)['area'], arguments.horizon)}\n")
    return TableResult(simulated, truth, arguments.horizon, strategies)


def _say(text: str) -> None:
    sys.stderr.write(f"\r\033[K{text}")
    sys.stderr.flush()


def _results(results: Mapping[str, TableResult], about: Mapping[str, Any]) -> str:
    """Return one JSON document with a line for every seed of every strategy."""
    tables = []
    for title, result in results.items():
        bounds = table_document(result.truth, result.simulated, result.horizon)
        bounds["table"]["path"] = f"benchmarks/tables/{title}.parquet"
        lines = [f"{json.dumps('measured_by')}: {json.dumps(bounds, separators=(',', ':'))}"]
        lines += [_strategy(name, played) for name, played in result.strategies.items()]
        tables.append(f"{json.dumps(title)}: {{\n" + ",\n".join(lines) + "\n}")
    head = json.dumps({"environment": about})[1:-1]
    return "{\n" + ",\n".join([head, *tables]) + "\n}\n"


def _strategy(name: Name, played: StrategyResult) -> str:
    found = {
        "summary": summary(played.plain),
        "summary_with_thinking": summary(played.charged),
        "thinking_seconds": played.thinking,
    }
    pairs = zip(played.traces, played.plain, strict=True)
    seeds = ",\n".join(json.dumps(_seed(trace, scored), separators=(",", ":")) for trace, scored in pairs)
    return f'"{",".join(name)}": {{"found": {json.dumps(found)}, "seeds": [\n{seeds}\n]}}'


def _seed(trace: SearchTrace, scored: Score) -> dict[str, Any]:
    curve = [[round(spent, 2), round(share, 4)] for spent, share in scored.curve]
    document = scored.to_json() | {"seed": trace.seed, "trials": len(trace.trials), "curve": curve}
    return {key: document[key] for key in ("seed", "trials", "reached", "area", "share", "curve")}


def _page(results: Mapping[str, TableResult], about: Mapping[str, Any], seeds: int) -> str:
    packages = about["packages"]
    head = f"""# Search efficiency: training until the front is found

Written by `benchmarks/search_efficiency.py`; `rehearsals.md` defines the scores. Medians over {seeds} seeds with the
bootstrap's interval of 95 %. `to 80%`, `to 90%` and `to 95%` are full-training equivalents in processor seconds.
`× oracle` is the training until 80 % over the oracle's. `area +` charges the processor seconds of driver and sampler as
well, and strategies are sorted by it, the smallest first. Strategies with `(to {SHORT:.0f})` end after so many full
trainings and keep their last share: one-epoch cohorts, which have drawn most of a table by then, and ablations.

Rehearsed on {about["processor"]} with {about["cores"]} cores, Python {about["python"]}, optuna {packages["optuna"]},
numpy {packages["numpy"]}, inception-nas {about["inception-nas"]}. Curves of all seeds:
`benchmarks/results/search_efficiency.json`.

![gap to the true front over full-training equivalents](search_efficiency.png)
"""
    return "\n".join([head, *(_section(title, result) for title, result in results.items())])


def _section(title: str, result: TableResult) -> str:
    table, truth, horizon = result.simulated.table, result.truth, result.horizon
    reference, made, best = truth.reference(), table.attrs["environment"], oracle(truth, horizon)
    goals, moments = [f"to {goal:.0%}" for goal in GOALS], [f"share at {moment}" for moment in MOMENTS]
    columns = ["strategy", *goals, "× oracle", *moments, "area", "area +", "thinking s"]
    rows = [_row(_readable(name), result.strategies[name], best, horizon) for name in result.ranked]
    found = [bounded_text(_none(best.reached(goal)), horizon) for goal in GOALS]
    found += ["1", *(f"{best.at(moment):.3f}" for moment in MOMENTS), f"{best.area:.3f}", f"{best.area:.3f}", "–"]
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows, ["*oracle*", *found]]
    ceiling = table_document(truth, result.simulated, horizon)["ceiling"]
    return f"""## {title}

{len(table.entries)} architectures, {len(table.seeds)} seeds, {table.epochs} epochs; a full training takes
{truth.full_training:.3g} processor seconds (made on {made["processor"]}, torch {made["packages"]["torch"]}). The true
front has {len(truth.front)} networks; reference point: {reference["macs"]:,.0f} MACs, error {reference["error"]:.4f}. A
search that had trained everything, and returned the front by one seed's validation accuracy, would have a share of
{ceiling:.3f}.

{chr(10).join(f"| {' | '.join(cells)} |" for cells in lines)}

{_verdict(result, best)}
{_ingredients(result)}"""


def _row(spoken: str, played: StrategyResult, best: Score, horizon: float) -> list[str]:
    found, charged = summary(played.plain), summary(played.charged)
    spent = [_cell(found["reached"][f"{goal:g}"], horizon) for goal in GOALS]
    median = found["reached"][f"{GOALS[0]:g}"]["median"]
    ratio = f">{horizon / best.reached(GOALS[0]):.0f}" if median is None else f"{median / best.reached(GOALS[0]):.1f}"
    shares = [_cell(asdict(played.at(moment)), horizon) for moment in MOMENTS]
    areas = [_cell(found["area"], horizon), _cell(charged["area"], horizon)]
    return [spoken, *spent, ratio, *shares, *areas, f"{played.thinking:.1f}"]


def _verdict(result: TableResult, best: Score) -> str:
    """Return the paragraph on the best strategy, its lead paired by seed, and its distance from the oracle."""
    first = result.ranked[0]
    winner = result.strategies[first].charged
    above = statistics.median(scored.area for scored in winner) - best.area
    lines = [
        f"Best by area, thinking charged: **{_readable(first)}**, {above:.2f} decades of gap above the oracle. Below,",
        "for each other strategy: how much smaller the winner's area is, paired by seed, and in how many times less",
        f"training the winner has the share at which the other one ends after {result.horizon:g} full trainings.",
        "",
    ]
    for name in result.ranked[1:]:
        theirs = result.strategies[name].charged
        ahead = estimate([b.area - a.area for a, b in zip(winner, theirs, strict=True)])
        faster = estimate(_speedups(winner, theirs))
        found = [_cell(asdict(each), result.horizon) for each in (ahead, faster)]
        lines.append(f"- {_readable(name)}: {found[0]} decades; {found[1]} times less")
    return "\n".join(lines)


def _ingredients(result: TableResult) -> str:
    """Return the section of ablations of our own strategy, against the better of Optuna's estimators."""
    rivals = [name for name in RIVALS if name in result.strategies]
    if not rivals or OURS not in result.strategies:
        return ""
    ends = {name: statistics.median(s.share for s in result.strategies[name].charged) for name in rivals}
    better = max(rivals, key=ends.__getitem__)
    rows = [["ingredients", "strategy", "full trainings", "times less"], ["---", "---", "---:", "---:"]]
    for spoken, name in INGREDIENTS.items():
        if name in result.strategies:
            charged = result.strategies[name].charged
            spent = estimate([scored.reached(ends[better]) for scored in charged])
            faster = estimate([_times_less(scored, ends[better]) for scored in charged])
            cells = [_cell(_finite(each), result.horizon) for each in (spent, faster)]
            rows.append([spoken, _readable(name), *cells])
    lines = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    return f"""
### Contribution of each ingredient on {result.simulated.table.path.stem}

Full trainings, thinking charged, to the median share that the better of Optuna's estimators ({_readable(better)}) has
after {result.horizon:g}, which is {ends[better]:.3f}; and how many times less than {result.horizon:g} that is.

{lines}

{_against_baseline(result)}
"""


def _against_baseline(result: TableResult) -> str:
    """Return the sentence on our strategy's lead over stratified sampling, paired by seed."""
    if BASELINE not in result.strategies:
        return ""
    pairs = list(zip(result.strategies[OURS].charged, result.strategies[BASELINE].charged, strict=True))
    ahead = [_cell(asdict(estimate([a.at(m) - b.at(m) for a, b in pairs])), math.inf) for m in MOMENTS]
    moments = ", ".join(f"{cell} at {moment}" for cell, moment in zip(ahead, MOMENTS, strict=True))
    return f"Share of {_readable(OURS)} minus that of {_readable(BASELINE)}, thinking charged: {moments}."


def _finite(found: Estimate) -> dict[str, float | None]:
    """Return an estimate as a mapping, with None for infinite values."""
    return {name: _none(value) for name, value in asdict(found).items()}


def _times_less(scored: Score, target: float) -> float:
    """Return the horizon over the training that a search needs for a share, 0 if it never reaches it."""
    return scored.horizon / spent if math.isfinite(spent := scored.reached(target)) else 0.0


def _speedups(ours: Sequence[Score], theirs: Sequence[Score]) -> list[float]:
    """Return the horizon over the training until the median final share of another strategy, for each seed."""
    target = statistics.median(scored.share for scored in theirs)
    return [_times_less(scored, target) for scored in ours]


def _none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _cell(found: Mapping[str, float | None], horizon: float) -> str:
    return interval_text(found, horizon)


if __name__ == "__main__":
    main()
