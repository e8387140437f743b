"""Text on retrained networks: their front by test accuracies, baselines, and the optimism of the search's numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.reports.measures import MACS
from nas.reports.text import short_number

WORST = 3
"""Number of classes of the least recall that are named."""


def final_front_text(document: Mapping[str, Any], export: str) -> str:
    """Return the front of retrained networks with the command that exports each, baselines, and the search's optimism.

    Args:
        document: the document of `nas retrain`, with at least one network on its `front`.
        export: the command that exports a trial, but for its number.
    """
    front, results = document["front"], {network["trial"]: network for network in document["networks"]}
    best = "Most accurate at its cost" if len(front) == 1 else "Most accurate at their costs"
    lines = [f"{best}, by mean test accuracy:"]
    for network in front:
        probability = f"on the front with probability {network['probability']:.2f} among the retrained"
        lines.append(f"  trial {network['trial']}: {_tested(network)}, {probability}")
        if worst := worst_classes(results[network["trial"]].get("classes", ())):
            lines.append(f"    least recalled: {worst}")
        lines.append(f"    {export}{network['trial']}")
    lines += [_baseline_line(row) for row in document["against_baselines"]]
    if document["optimism"] is not None:
        lines.append(optimism_line(document["optimism"]))
    return "\n".join(lines)


def worst_classes(classes: Sequence[Mapping[str, Any]]) -> str:
    """Return the classes of the least recall, with their precision and number of test images; empty for none.

    Args:
        classes: `name`, `precision`, `recall` (None where not known) and `n` of each.

    >>> worst_classes([{"name": "cat", "precision": 1.0, "recall": 0.75, "n": 8}])
    'cat 75.0 % (precision 100.0 %, n = 8)'
    """
    known = [each for each in classes if each["recall"] is not None]
    return ", ".join(
        f"{each['name']} {100 * each['recall']:.1f} % (precision {_percent(each['precision'])}, n = {each['n']})"
        for each in sorted(known, key=lambda each: float(each["recall"]))[:WORST]
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def optimism_line(found: Mapping[str, Any]) -> str:
    """Return how far the search's accuracies were above or below the test accuracies, in one line.

    Args:
        found: `mean`, `error` (None for one network) and `n`.
    """
    points, side = f"{100 * abs(found['mean']):.1f}", "below" if found["mean"] < 0 else "above"
    if found["n"] == 1:
        return f"The search's validation accuracy was {points} points {side} the test accuracy"
    error = "" if found["error"] is None else f" ± {100 * found['error']:.1f}"
    return (
        f"The search's validation accuracies were {points}{error} points {side} the test accuracies, in the mean of "
        f"{found['n']} networks"
    )


def _tested(found: Mapping[str, Any]) -> str:
    low, high = found["interval"]
    return f"{found['test_accuracy']:.4f} (95 % interval {low:.4f} to {high:.4f})"


def _baseline_line(row: Mapping[str, Any]) -> str:
    low, high = (100 * end for end in row["difference_interval"])
    difference = 100 * row["difference"]
    side = "below" if difference > 0 else "above"
    clear = "" if low > 0 or high < 0 else ", which the interval does not tell apart"
    return (
        f"Baseline {row['baseline']} at {row['width']:g} times its widths, {short_number(row[MACS])} MACs: "
        f"{_tested(row)}, {abs(difference):.1f} ± {(high - low) / 2:.1f} points {side} trial {row['trial']} of "
        f"{short_number(row['trial_macs'])} MACs{clear}"
    )
