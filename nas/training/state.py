"""State of a training: taken from a Trainer for a checkpoint, and put back; of one network or of a member of a pack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from nas.training.checkpoint import TrainingState
from nas.training.checkpoint_file import CheckpointError
from nas.training.module import Classifier
from nas.training.optimizer import make_optimizer
from search_space.packing import join, member

States = Mapping[int, Mapping[str, Any]]


def state_of(trainer: pl.Trainer, classifier: Classifier, index: int) -> TrainingState:
    """Return the state of a training; its tensors are those of the training, which the next step changes.

    Args:
        trainer: of the training.
        classifier: of the training.
        index: number of the member of a pack; 0 without a pack.
    """
    count = classifier.members
    network: Mapping[str, Tensor] = classifier.network.state_dict()
    average = None if classifier.average is None else classifier.average.module.state_dict()
    optimizer: States = trainer.optimizers[0].state_dict()["state"]
    if count > 1:
        network = member(network, index, count)
        average = None if average is None else member(average, index, count)
        optimizer = {number: _member_values(state, index, count) for number, state in optimizer.items()}
    return TrainingState(
        network=dict(network),
        optimizer={number: dict(state) for number, state in optimizer.items()},
        average=None if average is None else dict(average),
        precision=trainer.precision_plugin.state_dict(),
    )


def _member_values(state: Mapping[str, Any], index: int, members: int) -> dict[str, Any]:
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    return {**state, **member(tensors, index, members)}


def packed(states: Sequence[TrainingState]) -> TrainingState:
    """Return the state of a pack of its members' states, which are of one epoch; a single one as it is.

    Raises:
        CheckpointError: their states differ in names or shapes.
    """
    first = states[0]
    if len(states) == 1:
        return first
    try:
        averages = [each.average for each in states if each.average is not None]
        return replace(
            first,
            network=join([each.network for each in states]),
            average=join(averages) if averages else None,
            optimizer={number: _joined([each.optimizer[number] for each in states]) for number in first.optimizer},
        )
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"checkpoints of a pack must be of one graph and epoch: {error}") from error


def _joined(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    tensors = [{name: value for name, value in state.items() if isinstance(value, Tensor)} for state in states]
    return {**states[0], **join(tensors)}


def restore(start: TrainingState, classifier: Classifier, trainer: pl.Trainer) -> None:
    """Put the state of a checkpoint into a training that has not begun.

    Raises:
        CheckpointError: the state is that of another network.
    """
    try:
        _check_optimizer(classifier, start.optimizer)
        classifier.network.load_state_dict(start.network)
        if classifier.average is not None:
            classifier.average.module.load_state_dict(start.average or {})
    except RuntimeError as error:
        raise CheckpointError(f"a checkpoint must fit the network that is resumed: {error}") from error
    classifier.optimizer_state = start.optimizer
    trainer.precision_plugin.load_state_dict(start.precision)


def _check_optimizer(classifier: Classifier, states: States) -> None:
    """Refuse the state of an optimizer of other parameters.

    Raises:
        CheckpointError: an index or a shape is not that of a parameter.
    """
    groups = make_optimizer(classifier.network, classifier.recipe).param_groups
    shapes = [parameter.shape for group in groups for parameter in group["params"]]
    for index, state in states.items():
        tensors = [value for value in state.values() if isinstance(value, Tensor)]
        if not 0 <= index < len(shapes) or any(one.dim() and one.shape != shapes[index] for one in tensors):
            raise CheckpointError(
                f"a checkpoint must fit the network that is resumed: its optimizer does not at {index}"
            )
