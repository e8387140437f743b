"""Imagined accuracies, under which a search is simulated before anything is known of the real ones.

Which networks a search trains, and how far, follows from their accuracies. These are unknown, so that several worlds
are tried, from one in which large networks are much better to one in which size counts for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nas.jobs import Curve, Epoch
from nas.jobs.hashes import derived_seed

NOISE = 0.02
"""Standard deviation of the error between networks of one size."""
LEAST_ERROR, START_ERROR = 0.02, 0.9


@dataclass(frozen=True)
class World:
    """Rule of the accuracies of a space.

    Attributes:
        name: its name.
        gain: error that the largest network of the space spares the smallest.
        bend: bend of the gain over the logarithm of the size: 0 for a line, 6 for a gain that small networks reach.
    """

    name: str
    gain: float
    bend: float

    def error(self, size: float, name: str) -> float:
        """Return the last validation error of a network.

        Args:
            size: its place in the space by the logarithm of its MACs, 0 for the smallest and 1 for the largest.
            name: its identity.

        >>> World("steep", 0.3, 0.0).error(0.0, "a") > World("steep", 0.3, 0.0).error(1.0, "a")
        True
        """
        place = min(1.0, max(0.0, size))
        left = 1.0 - place if self.bend == 0 else math.exp(-self.bend * place)
        draw = derived_seed(f"{self.name}/{name}", 32) / 2**32
        return min(0.95, LEAST_ERROR + self.gain * left + NOISE * math.sqrt(12) * draw)


WORLDS = (
    World("large networks pay", 0.4, 0.0),
    World("the gain of size saturates", 0.3, 2.0),
    World("middle networks suffice", 0.3, 4.0),
    World("size counts little", 0.1, 6.0),
)


def curve(error: float, epochs: int, seconds: float, validate_every: int = 1) -> Curve:
    """Return the learning curve of a network with this last error.

    Args:
        error: last validation error, in (0, 1).
        epochs: epochs of a full training.
        seconds: seconds of an epoch.
        validate_every: epochs from one validation to the next.
    """
    return tuple(
        _row(epoch, error, epochs, seconds, validated=epoch % validate_every == 0 or epoch == epochs)
        for epoch in range(1, epochs + 1)
    )


def _row(epoch: int, error: float, epochs: int, seconds: float, *, validated: bool) -> Epoch:
    left = (math.exp(-4.0 * epoch / epochs) - math.exp(-4.0)) / (1.0 - math.exp(-4.0))
    now = error + max(0.0, START_ERROR - error) * left
    loss = -math.log(1.0 - now)
    if not validated:
        return Epoch(epoch, loss, None, None, None, seconds)
    return Epoch(epoch, loss, loss, 1.0 - now, 1.0 - now, seconds)


Place = Callable[[Mapping[str, object]], tuple[float, str, float]]
"""Returns the place by size, the identity and the seconds of an epoch of an architecture in JSON form."""


def look_up(
    world: World, place: Place, epochs: int, validate_every: int
) -> Callable[[Mapping[str, object], int], Curve]:
    """Return the function that finds the learning curve of a job in a world.

    Args:
        world: rule of the accuracies.
        place: size, identity and seconds of a network.
        epochs: epochs of a full training.
        validate_every: epochs from one validation to the next.
    """

    def found(architecture: Mapping[str, object], repeat: int) -> Curve:
        size, name, seconds = place(architecture)
        return curve(world.error(size, f"{name}/{repeat}"), epochs, seconds, validate_every)

    return found
