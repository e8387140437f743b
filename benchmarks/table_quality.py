"""Variance of accuracy in a table that cost explains, and the spread that remains for a search to find.

Run: python benchmarks/table_quality.py benchmarks/tables/digits.parquet [...]

The ground truth of an architecture is its test accuracy after the last epoch, averaged over the seeds. For each cost
(parameters, MACs) a row has the share of the ground truth's variance that a linear fit to the logarithm explains (R²).
It also has the spread inside ten bins of equal cost and equal size: the standard deviation around the bin's own linear
fit, less the variance that the seeds' noise adds, in accuracy and in standard errors of the mean over seeds. Below is
the Spearman correlation with the ground truth of one seed's curve after some epochs, over all architectures and
averaged over the bins of MACs.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from nas.tabular.table import Table, read_table

BINS = 10
LEAST = 4  # architectures in a bin: a line through fewer has no residual
Values = NDArray[np.float64]  # (architectures,)


@dataclass(frozen=True)
class Bin:
    """Architectures of similar cost.

    Attributes:
        low: smallest cost.
        high: largest cost.
        spread: standard deviation of the ground truth around the bin's linear fit, without the seeds' noise.
        error: standard error of an architecture's mean over seeds.
    """

    low: float
    high: float
    spread: float
    error: float

    @property
    def ratio(self) -> float:
        """Spread in standard errors."""
        return self.spread / self.error


def residuals(x: Values, y: Values) -> Values:
    """Return the residuals of the linear fit of `y` to `x`."""
    slope, offset = np.polyfit(x, y, 1) if np.ptp(x) else (0.0, float(y.mean()))
    return y - slope * x - offset


def explained(x: Values, y: Values) -> float:
    """Return R² of the linear fit of `y` to `x`."""
    return 1 - float(residuals(x, y).var() / y.var())


def split_by_cost(cost: Values) -> list[NDArray[np.int64]]:
    """Return the indices of the architectures in each bin of equal size; a small table has fewer bins."""
    return np.array_split(np.argsort(cost, kind="stable"), max(1, min(BINS, len(cost) // LEAST)))


def bins_of(cost: Values, truth: Values, noise: Values) -> list[Bin]:
    """Return the bins along a cost.

    Args:
        cost: of each architecture: (architectures,).
        truth: mean test accuracy of each: (architectures,).
        noise: squared standard error of each mean: (architectures,).
    """
    found = []
    for members in split_by_cost(cost):
        left = residuals(np.log10(cost[members]), truth[members])
        variance, error = float((left**2).sum()) / (len(members) - 2), float(noise[members].mean())
        spread = math.sqrt(max(0.0, variance - error))
        found.append(Bin(float(cost[members].min()), float(cost[members].max()), spread, math.sqrt(error)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("tables", type=Path, nargs="+", help="Parquet files of nas tabulate")
    for path in parser.parse_args().tables:
        table = read_table(path)
        if table.is_sample:
            sys.exit(
                f"a table must hold a whole space, {path} has a sample: benchmarks/surrogate_quality.py is for those"
            )
        describe(table)


def describe(table: Table) -> None:
    entries = list(table.entries.values())
    last = np.array([[entry.test[seed][-1] for seed in table.seeds] for entry in entries])  # (architectures, seeds)
    truth, noise = last.mean(axis=1), last.var(axis=1, ddof=1) / len(table.seeds)
    cpu = statistics.fmean(sum(entry.cpu_seconds[seed]) for entry in entries for seed in table.seeds)
    print(
        f"\n{table.path.name}: {len(entries)} architectures, {len({e.network_id for e in entries})} networks, "
        f"{len(table.seeds)} seeds, {table.epochs} epochs; a full training takes {table.mean_seconds:.2f} s "
        f"({cpu:.2f} processor s); {table.attrs['device']}"
    )
    print(
        f"truth {truth.min():.4f} to {truth.max():.4f}, mean {truth.mean():.4f}; "
        f"sd over seeds {math.sqrt(noise.mean() * len(table.seeds)):.4f}"
    )
    head = f"{'cost':<8} {'range':>22} {'R² of log':>10} {'spread in bins':>22} {'error':>8}"
    print(f"{head} {'in errors, least':>17} {'median':>7}")
    for name in ("params", "macs"):
        cost = np.array([entry.costs[name] for entry in entries], dtype=np.float64)
        bins = bins_of(cost, truth, noise)
        spreads, ratios = [b.spread for b in bins], [b.ratio for b in bins]
        print(
            f"{name:<8} {f'{cost.min():,.0f} to {cost.max():,.0f}':>22} {explained(np.log10(cost), truth):>10.3f} "
            f"{f'{min(spreads):.4f} to {max(spreads):.4f}':>22} {math.sqrt(noise.mean()):>8.4f} {min(ratios):>17.1f} "
            f"{statistics.median(ratios):>7.1f}"
        )
    print_correlations(table, truth)


def print_correlations(table: Table, truth: Values) -> None:
    """Print the rank correlation of learning curves after some epochs with the ground truth."""
    entries = list(table.entries.values())
    macs = np.array([entry.costs["macs"] for entry in entries], dtype=np.float64)
    members = split_by_cost(macs)
    print(
        f"{'after epoch':<12} {'validation accuracy':>20} {'within bins':>12} {'training loss':>14} {'within bins':>12}"
    )
    for epoch in sorted({1, 2, math.ceil(table.epochs / 3), table.epochs}):
        cells = []
        for field, sign in (("val_accuracy", 1), ("train_loss", -1)):
            seen = np.array([[getattr(e.curves[seed][epoch - 1], field) for seed in table.seeds] for e in entries])
            whole = [sign * spearmanr(column, truth).statistic for column in seen.T]
            inside = [sign * spearmanr(column[m], truth[m]).statistic for column in seen.T for m in members]
            cells += [statistics.fmean(whole), statistics.fmean(inside)]
        print(f"{epoch:<12} {cells[0]:>20.3f} {cells[1]:>12.3f} {cells[2]:>14.3f} {cells[3]:>12.3f}")


if __name__ == "__main__":
    main()
