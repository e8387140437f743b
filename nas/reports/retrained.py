"""Text on retrained networks: their front by test accuracies, and the optimism of the search's numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def final_front_text(document: Mapping[str, Any]) -> str:
    """Return the front of retrained networks, a line each, and the optimism of the search in a line.

    Args:
        document: the document of `nas retrain`, with at least one network on its `front`.
    """
    lines = ["Front by mean test accuracy:"]
    for network in document["front"]:
        low, high = network["interval"]
        lines.append(
            f"  trial {network['trial']}: {network['test_accuracy']:.4f} (95 % interval {low:.4f} to {high:.4f}), "
            f"on the front with probability {network['probability']:.2f} among the retrained"
        )
    found = document["optimism"]
    if found is not None:
        error = "" if found["error"] is None else f" ± {100 * found['error']:.1f}"
        lines.append(
            f"The search's validation accuracies were {100 * found['mean']:.1f}{error} points above the test "
            f"accuracies, in the mean of {found['n']} networks"
        )
    return "\n".join(lines)
