"""File of weights that a recipe names, checked where a command begins; imports no torch unless there is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nas.config.training import Recipe
from nas.training.weights_error import StartingWeightsError


def located(recipe: Recipe) -> Recipe:
    """Return the recipe with the absolute path of its file of weights, and the hash of the content.

    Raises:
        StartingWeightsError: the file can't be read, has other content than `weights_sha256` says, or is not named; or
            layers would be frozen without one.
    """
    if recipe.weights is None:
        if recipe.weights_sha256 is not None:
            raise StartingWeightsError(
                f"training.weights must name the file whose SHA-256 is {recipe.weights_sha256}, got none"
            )
        if recipe.head_epochs:
            raise StartingWeightsError(
                f"training.head_epochs must be 0 unless training.weights names a trained network, "
                f"got {recipe.head_epochs}"
            )
        return recipe
    if not recipe.weights:
        raise StartingWeightsError("training.weights must be given, e.g. training.weights=export/weights.safetensors")
    from nas.training.starting_weights import weights_of  # noqa: PLC0415 - imports torch, which most recipes do without

    found = replace(recipe, weights=str(Path(recipe.weights).expanduser().resolve()))
    return replace(found, weights_sha256=weights_of(found).sha256)
