"""Stage of a training in which the classifier alone is trained, on a trained network's other layers."""

from __future__ import annotations

from typing import final

from torch import nn

CLASSIFIER = "body.classifier."
"""Beginning of the names of the classifier's parameters."""


def parted(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the trainable parameters of the classifier, and those of all other layers, the backbone."""
    trainable = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    head = [parameter for name, parameter in trainable if name.startswith(CLASSIFIER)]
    return head, [parameter for name, parameter in trainable if not name.startswith(CLASSIFIER)]


@final
class HeadStage:
    """First epochs of a training, in which everything but the classifier is frozen.

    A frozen layer has no gradient, so that the optimizer passes it over, weight decay included. Its normalisations are
    in evaluation mode: they use the statistics that they came with and do not change them. Dropout is as in training,
    auxiliary classifiers do not run. Afterwards all layers are trained, and statistics follow the new images.
    """

    def __init__(self, network: nn.Module, epochs: int) -> None:
        """Begin outside the stage.

        Args:
            network: the network, trained in place.
            epochs: epochs of the stage, at least 0.
        """
        self._network = network
        self._epochs = epochs
        self._backbone = parted(network)[1] if epochs else []
        self._frozen = False

    def enter(self, epoch: int) -> bool:
        """Freeze or release the backbone for an epoch of the schedule, 0-based; return whether that changed.

        Call it when the epoch begins: a validation sets the modes of the modules, too.
        """
        if not self._epochs:
            return False
        before, self._frozen = self._frozen, epoch < self._epochs
        for parameter in self._backbone:
            parameter.requires_grad_(not self._frozen)
            parameter.grad = None
        self._network.train(not self._frozen)
        for module in self._network.modules():
            if isinstance(module, nn.Dropout):
                module.train()
        return before != self._frozen
