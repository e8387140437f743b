"""Runner of one job of a search in the calling process; data, network and training meet here."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from nas.config.training import Recipe
from nas.data import DataError, DataSpec, evaluation_loader, load, load_whole, make_augmentation, train_loader
from nas.data.images import ImageData as Images
from nas.data.loader import TensorLoader, chunk_size
from nas.evaluation.training_log import LoggedControl, log_line, training_name
from nas.jobs import Control, Failure, FailureKind, Job, Outcome, Parent, controls_of
from nas.training.batches import ImageData
from nas.training.checkpoint_file import CheckpointError
from nas.training.device import configure_gpu
from nas.training.epochs import own_rows
from nas.training.losses import balanced_weights
from nas.training.ranks import Ranks
from nas.training.restore import restore_network
from nas.training.starting_weights import start_from, weights_of
from nas.training.trial import Member, train_pack
from nas.training.weights_error import StartingWeightsError
from search_space.documents import graph_of, summary_of
from search_space.graph import Graph
from search_space.inheritance import Inherited, inherit
from search_space.network import Network, build

VALIDATION_BATCH = {"cuda": 1024, "cpu": 256}
"""Batch size without gradients: on one core 5,000 images of 16×16 took 0.195 s in batches of 256, 0.337 of 1024."""


@dataclass(frozen=True)
class TrialData:
    """Loaders of one trial.

    Attributes:
        train_loader: augmented batches of the training part.
        val_loader: batches of the validation part.
        classes: number of classes.
        class_weights: weights of the classes in the training loss (classes,), None for none.
    """

    train_loader: TensorLoader
    val_loader: TensorLoader
    classes: int
    class_weights: Tensor | None = None


@dataclass(frozen=True)
class TrialRunner:
    """Runner that trains architectures on one data set with one recipe.

    Attributes:
        data: images to train and validate on.
        recipe: optimizer, schedule and augmentation.
        threads: CPU threads of a job, at least 1.
        accelerator: Lightning's name of the device; `auto` for a CUDA GPU if there is one.
        deterministic: whether a GPU takes algorithms that are the same in each run, which costs time.
        whole: whether it trains on the validation part too, and validates nothing.
    """

    data: DataSpec
    recipe: Recipe
    threads: int
    accelerator: str = "auto"
    deterministic: bool = False
    whole: bool = False

    def __call__(self, job: Job, control: Control) -> Outcome:
        """Run `job`; an expected error becomes its outcome's failure."""
        torch.set_num_threads(self.threads)
        if self.device == "cuda":
            configure_gpu(deterministic=self.deterministic)
        try:
            data = self.load([member.seed for member in job.members], job.micro_batches)
        except DataError as error:
            return Outcome.failing(job, Failure(FailureKind.DATA, str(error)))
        return self.train_on(data, job, controls_of(job, control))

    def train_on(self, data: Sequence[ImageData], job: Job, controls: Sequence[Control]) -> Outcome:
        """Run `job` on the given loaders and with the given controls, of each job of its pack."""
        graph, members = graph_of(job.architecture), list[Member]()
        first_rank = Ranks.current().first
        for each, loaders, own in zip(job.members, data, controls, strict=True):
            if first_rank:
                self._log_start(each, summary_of(job.architecture))
                own = LoggedControl(own, each, training_name(each) if job.pack else "")  # noqa: PLW2901 - the same one
            torch.manual_seed(each.seed)
            network = build(graph)
            if each.checkpoint is None:
                try:
                    self._inherit(each, graph, network)
                except CheckpointError as error:
                    return Outcome.failing(job, Failure(FailureKind.PARENT, str(error)))
                except StartingWeightsError as error:
                    return Outcome.failing(job, Failure(FailureKind.DATA, str(error)))
            members.append(Member(network, loaders, each, own))
        first, *others = train_pack(members, self.recipe, self.accelerator, validates=not self.whole)
        return replace(first, job=job, pack=tuple(others))

    def _log_start(self, job: Job, network: str) -> None:
        device = torch.cuda.get_device_name() if self.device == "cuda" else "cpu"
        count = f"{job.devices} × {device}" if job.devices > 1 else device
        parts = f", batches in {job.micro_batches} parts" if job.micro_batches > 1 else ""
        log_line(
            f"{training_name(job)}, attempt {job.attempt}: epochs {job.from_epoch + 1} to {job.to_epoch} on {count}, "
            f"seed {job.seed}{parts}: {network}"
        )

    def _inherit(self, job: Job, graph: Graph, network: Network) -> None:
        """Give a new network the weights of its parent, or else of the recipe's file, and log the inherited share.

        Raises:
            CheckpointError: the parent's checkpoint can't be read.
            StartingWeightsError: the recipe's file can't be read, or has other content than at the start.
        """
        if job.parent is not None:
            found, origin = _from_parent(job.parent, graph, network), f"trial {job.parent.trial}"
        elif self.recipe.weights is not None:
            classes = load(self.data).classes
            found = start_from(weights_of(self.recipe), graph, network.state_dict(), classes)
            origin = self.recipe.weights
        else:
            return
        network.load_state_dict(found.state)
        sys.stderr.write(f"{found.share:.1%} of the parameters are those of {origin}\n")

    @property
    def images(self) -> DataSpec:
        """The images that it reads."""
        return self.data

    def with_images_in(self, folder: Path) -> TrialRunner:
        """Return the same runner for a machine with the decoded images in `folder`."""
        return replace(self, data=self.data.stored_in(folder))

    @property
    def device(self) -> str:
        """Device that holds this process' images, by torch's name."""
        return "cuda" if self.accelerator != "cpu" and torch.cuda.is_available() else "cpu"

    def read(self) -> Images:
        """Return the images that it trains and validates on.

        Raises:
            DataError: the images can't be read.
        """
        return load_whole(self.data) if self.whole else load(self.data)

    def load(self, seeds: Sequence[int], micro_batches: int = 1) -> list[TrialData]:
        """Return the loaders of trainings; each of several ranks reads only its own share of images on disk.

        Args:
            seeds: seed of the batch order and the augmentation of each training.
            micro_batches: number of parts of each training batch, at least 1.

        Raises:
            DataError: the images can't be read.
        """
        device, ranks = self.device, Ranks.current()
        images, batch_size = self.read(), self.recipe.batch_size
        own, own_of_validation = (
            None if ranks.count == 1 else partial(own_rows, ranks=ranks, micro_batches=parts)
            for parts in (micro_batches, 1)
        )
        balanced = self.recipe.class_weights == "balanced"
        weights = balanced_weights(images.train.labels, len(images.classes)) if balanced else None
        given = (self.data, self.recipe, images.shape, len(images.classes))
        at_once = validation_batch(images.shape, batch_size, device)
        images = replace(images, train=images.train.on(torch.device(device)))  # once for all trainings
        validation = evaluation_loader(images, at_once, device=device, share=own_of_validation)
        return [
            TrialData(
                train_loader(images, make_augmentation(*given), batch_size, seed=seed, device=device, share=own),
                validation,
                len(images.classes),
                weights,
            )
            for seed in seeds
        ]


def _from_parent(parent: Parent, graph: Graph, network: Network) -> Inherited:
    """Return the initial weights of a network that inherits.

    Raises:
        CheckpointError: the parent's checkpoint can't be read.
    """
    trained = restore_network(parent.checkpoint, parent.architecture)
    before = graph_of(parent.architecture)
    return inherit(before, trained.network.state_dict(), graph, network.state_dict())


def validation_batch(shape: tuple[int, int, int], batch_size: int, device: str) -> int:
    """Return the batch size of images (C, H, W) without gradients, at most a training step's for large images.

    >>> validation_batch((3, 32, 32), 128, "cpu"), validation_batch((3, 224, 224), 128, "cpu")
    (256, 128)
    """
    return min(VALIDATION_BATCH[device], chunk_size(shape, batch_size))
