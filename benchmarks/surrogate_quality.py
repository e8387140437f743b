"""Quality of a surrogate: errors of its predictions for networks that it has not seen, and noise of its worlds.

Run: python benchmarks/surrogate_quality.py sample.parquet [...] [--charge cpu_seconds] [--front]

The ground truth of a network is its recorded test accuracy after the last epoch, averaged over its seeds. A row has
Kendall's tau of a prediction with it, over all networks and averaged over ten bins of equal size along the MACs; the
root mean square error in accuracy and in logits; and R² of the logarithm of the seconds. The rows are

* the MACs alone, and the validation accuracy of the first seed, which a search would see: the prediction has no more
  to gain than a training itself;
* the surrogate for each tenth of the networks, fitted to the others;
* the surrogate for each portion of the sample, fitted to all other portions.

Below are the noise: the standard deviation between the seeds of a network, recorded and drawn; the rank correlation of
the first seed's curve with the truth after some epochs, recorded and in a world of the surrogate; and with --front the
true front of the surrogate, by two searches with different seeds.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from nas.jobs import curve_seconds
from nas.objectives.limits import Limits
from nas.objectives.pareto import Axis, hypervolume, losses
from nas.tabular.surrogate.curves import logit
from nas.tabular.surrogate.front_search import Effort, FrontSearch
from nas.tabular.surrogate.model import Predicted, Surrogate
from nas.tabular.table import Entry, Table, read_table

BINS, FOLDS = 10, 10
Values = NDArray[np.float64]  # (networks,)


@dataclass(frozen=True)
class Rows:
    """Networks with their recorded results.

    Attributes:
        entries: the networks.
        truth: test accuracy of each, mean over its seeds: (networks,).
        macs: of each: (networks,).
        seconds: of a full training of each, mean over its seeds: (networks,).
    """

    entries: Sequence[Entry]
    truth: Values
    macs: Values
    seconds: Values

    @classmethod
    def of(cls, entries: Sequence[Entry], charge: str) -> Rows:
        """Return the recorded results of some networks."""
        totals = [np.mean([_seconds(entry, seed, charge) for seed in entry.curves]) for entry in entries]
        return cls(
            entries,
            np.array([entry.test_accuracy for entry in entries]),
            np.array([float(entry.costs["macs"]) for entry in entries]),
            np.array(totals),
        )


def _seconds(entry: Entry, seed: int, charge: str) -> float:
    return sum(entry.cpu_seconds[seed]) if charge == "cpu_seconds" else curve_seconds(entry.curves[seed])


def tau_in_bins(predicted: Values, truth: Values, macs: Values) -> float:
    """Return Kendall's tau averaged over bins of equal size along the MACs."""
    bins = np.array_split(np.argsort(macs, kind="stable"), max(1, min(BINS, len(macs) // 8)))
    found = [float(kendalltau(predicted[b], truth[b]).statistic) for b in bins]
    return float(np.nanmean(found))


def line(name: str, rows: Rows, predicted: Values, seconds: Values | None, images: int) -> str:
    """Return a row of the table of errors."""
    tau = float(kendalltau(predicted, rows.truth).statistic)
    cells = [f"{len(rows.truth):>6}", f"{tau:>6.3f}", f"{tau_in_bins(predicted, rows.truth, rows.macs):>8.3f}"]
    if seconds is not None:
        off = logit(predicted, images) - logit(rows.truth, images)
        left = np.log(seconds) - np.log(rows.seconds)
        r2 = 1.0 - float((left**2).mean() / np.log(rows.seconds).var())
        errors = (math.sqrt(float(((predicted - rows.truth) ** 2).mean())), math.sqrt(float((off**2).mean())))
        cells += [f"{errors[0]:>8.4f}", f"{errors[1]:>6.3f}", f"{r2:>10.3f}"]
    return f"{name:<28}" + " ".join(cells)


def predicted_without(table: Table, charge: str, parts: Iterable[Sequence[Entry]]) -> list[Predicted]:
    """Return predictions of each part by a surrogate fitted to the networks that are in none of it."""
    found: list[Predicted] = []
    for part in parts:
        left_out = {entry.id for entry in part}
        rest = [entry for entry in table.entries.values() if entry.id not in left_out]
        found += Surrogate(table, charge, rest).predict([entry.architecture for entry in part])
    return found


def folds(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Return the networks in `FOLDS` random parts."""
    order = np.random.default_rng(0).permutation(len(entries))
    return [[entries[place] for place in part] for part in np.array_split(order, FOLDS)]


def print_errors(table: Table, charge: str) -> None:
    """Print the errors on networks that the surrogate has not seen."""
    images = int(table.attrs["test_images"])
    everything = Rows.of(list(table.entries.values()), charge)
    seen = np.array([entry.curves[min(entry.curves)][-1].val_accuracy for entry in everything.entries])
    print(f"{'prediction':<28}{'n':>6} {'tau':>6} {'in bins':>8} {'rmse':>8} {'logit':>6} {'R² seconds':>10}")
    print(line("MACs", everything, everything.macs, None, images))
    print(line("validation accuracy", everything, seen, None, images))
    parts = folds(everything.entries)
    chosen = Rows.of([entry for part in parts for entry in part], charge)
    predicted = predicted_without(table, charge, parts)
    print(line(f"surrogate, {FOLDS} parts left out", chosen, *_values(predicted), images))
    for origin in dict.fromkeys(entry.origin for entry in everything.entries):
        own = Rows.of([entry for entry in everything.entries if entry.origin == origin], charge)
        if len(own.entries) < len(everything.entries):
            found = predicted_without(table, charge, [own.entries])
            print(line(f"surrogate without {origin}", own, *_values(found), images))
            print(line(f"  MACs of {origin}", own, own.macs, None, images))


def _values(predicted: Sequence[Predicted]) -> tuple[Values, Values]:
    return np.array([each.test_accuracy for each in predicted]), np.array([each.seconds for each in predicted])


def print_noise(table: Table, surrogate: Surrogate) -> None:
    """Print the noise between seeds, and what curves tell of the truth, recorded and drawn."""
    twice = [entry for entry in table.entries.values() if len(entry.curves) > 1]
    predicted = surrogate.predict([entry.architecture for entry in twice])
    print(f"\nluck of the validation part: {surrogate.luck:.2f} of the binomial variance")
    print(f"{'sd between seeds, n=' + str(len(twice)):<28}{'recorded':>10} {'drawn':>10}")
    for name in ("val_accuracy", "val_loss", "train_loss"):
        recorded = [[getattr(curve[-1], name) for curve in list(e.curves.values())[:2]] for e in twice]
        drawn = [[getattr(surrogate.curve(p, 0, repeat)[-1], name) for repeat in (0, 1)] for p in predicted]
        print(f"{name:<28}{_deviation(recorded):>10.4f} {_deviation(drawn):>10.4f}")
    tests = [[accuracies[-1] for accuracies in list(e.test.values())[:2]] for e in twice]
    print(f"{'test_accuracy':<28}{_deviation(tests):>10.4f}")
    entries = list(table.entries.values())
    truth = np.array([entry.test_accuracy for entry in entries])
    known = surrogate.predict([entry.architecture for entry in entries])
    exact = np.array([each.test_accuracy for each in known])
    curves = [surrogate.curve(each, 0, 0) for each in known]
    print(f"\n{'tau with the truth':<28}{'recorded':>10} {'drawn':>10}")
    for epoch in sorted({1, 2, table.epochs // 3, table.epochs // 2, table.epochs}):
        for name, sign in (("val_accuracy", 1), ("train_loss", -1)):
            recorded_at = [sign * getattr(e.curves[min(e.curves)][epoch - 1], name) for e in entries]
            drawn_at = [sign * getattr(curve[epoch - 1], name) for curve in curves]
            pair = (kendalltau(recorded_at, truth).statistic, kendalltau(drawn_at, exact).statistic)
            print(f"{f'epoch {epoch}, {name}':<28}{pair[0]:>10.3f} {pair[1]:>10.3f}")


def _deviation(pairs: Sequence[Sequence[float]]) -> float:
    return math.sqrt(float(np.array(pairs).var(axis=1, ddof=1).mean()))


def print_front(surrogate: Surrogate) -> None:
    """Print two searches for the true front, and the sample's own front by the prediction."""
    trained = surrogate.predict(surrogate.table.architectures)
    print(f"\n{'true front':<28}{'predicted':>10} {'members':>8} {'complete':>9} {'hypervolume':>12}")
    print(f"{'of the sample':<28}{len(trained):>10} {'':>8} {'':>9} {_hypervolume(trained):>12.4f}")
    for seed in (0, 1):
        found = FrontSearch(surrogate, Limits(), Effort(), seed).run()
        members = surrogate.predict(found.members)
        print(
            f"{f'of a search, seed {seed}':<28}{found.predictions:>10} {len(members):>8} {found.complete!s:>9} "
            f"{_hypervolume(members):>12.4f}"
        )


def _hypervolume(predicted: Sequence[Predicted]) -> float:
    """Return the hypervolume over log10(MACs) from 100 to 10 million, and errors from 0 to 0.9."""
    box = (Axis("macs", "minimize", True, 1e2, 1e7), Axis("error", "minimize", False, 0.0, 0.9))
    points = [{"macs": float(p.described.costs["macs"]), "error": 1.0 - p.test_accuracy} for p in predicted]
    return hypervolume(losses(box, points))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("samples", type=Path, nargs="+", help="Parquet files of nas tabulate")
    parser.add_argument("--charge", default="cpu_seconds", choices=["seconds", "cpu_seconds"])
    parser.add_argument("--front", action="store_true", help="search for the true front too, some minutes")
    arguments = parser.parse_args()
    for path in arguments.samples:
        table = read_table(path)
        origins = [entry.origin or "whole space" for entry in table.entries.values()]
        counts = ", ".join(f"{origins.count(origin)} {origin}" for origin in dict.fromkeys(origins))
        print(f"\n{path.name}: {len(origins)} networks ({counts}), {table.epochs} epochs; {table.attrs['device']}\n")
        print_errors(table, arguments.charge)
        surrogate = Surrogate(table, arguments.charge)
        print_noise(table, surrogate)
        if arguments.front:
            print_front(surrogate)


if __name__ == "__main__":
    main()
