"""Published networks with the weights of a published checkpoint, as predictors."""

from __future__ import annotations

from pathlib import Path

from nas.evaluation.finetune.origin import Origin, read_published
from nas.exports.deployed import Deployed
from nas.exports.format import ExportError
from nas.exports.predictors import Predictor, predict_of
from search_space.documents import graph_of
from search_space.network import build

__all__ = ["open_published", "read_published"]


def open_published(origin: Origin, weights: Path, classes: tuple[str, ...], shape: tuple[int, int, int]) -> Predictor:
    """Return a published network that is ready to classify, normalising pixels as its checkpoint was trained.

    Args:
        origin: the network.
        weights: the file of its weights.
        classes: names of its classes, in the order of its logits.
        shape: (C, H, W) of the images, on which it must run.

    Raises:
        ExportError: there are more or fewer names than the network has classes.
        ValueError: it does not run on such images.
    """
    count = int(origin.document["classes"])
    if len(classes) != count:
        raise ExportError(
            f"there must be a name for each of the {count} classes of {origin.name}, in the order of its logits, got "
            f"{len(classes)}: classes=FILE names them, one a line, where the images have other classes"
        )
    network = build(graph_of(origin.fitted(shape, count)))
    network.load_state_dict(dict(origin.state))
    rule = {"mean": origin.mean, "std": origin.std}
    return Predictor(weights, classes, shape, predict_of(Deployed(network.eval(), rule, shape)))
