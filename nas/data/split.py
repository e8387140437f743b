"""Stratified splits that depend only on the labels and a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.config.data import DataSpec
from nas.data.errors import DataError

Labels = NDArray[np.int64]  # (N,)
Indices = NDArray[np.int64]  # (n,), ascending
Ranks = NDArray[np.uint64]  # (N,)

TEST, VALIDATION, SUBSET = range(3)


@dataclass(frozen=True)
class SplitRows:
    """Ascending indices of each part's images in the source; `test` is empty if none was cut off."""

    train: Indices
    validation: Indices
    test: Indices


def split(labels: Labels, classes: tuple[str, ...], spec: DataSpec, *, cut_test: bool) -> SplitRows:
    """Cut the parts from one labelled set, in the order test, validation, subset of the rest.

    A cut by fraction f takes f·n of a class' n images, rounded half up, but at least 1 and never so many that a later
    part would get none.

    Args:
        labels: class of each image, in [0, len(classes)).
        classes: names of the classes.
        spec: the fractions and the seed.
        cut_test: whether a test part is cut from this set.

    Raises:
        DataError: fewer than two classes, or a class with too few images for every part.
    """
    _check(labels, classes, parts=3 if cut_test else 2)
    rest = np.arange(len(labels))
    test = rest[:0]
    if cut_test:
        test, rest = _cut(rest, labels, spec.test_fraction, _order(len(labels), spec.split_seed, TEST), leave=2)
    order = _order(len(labels), spec.split_seed, VALIDATION)
    validation, rest = _cut(rest, labels, spec.val_fraction, order, leave=1)
    return SplitRows(train=_subset(rest, labels, spec), validation=validation, test=test)


def training_subset(labels: Labels, spec: DataSpec) -> Indices:
    """Return a stratified subset of a training part: a share of `spec.train_fraction`.

    Args:
        labels: class of each image of the part.
        spec: `train_fraction` and `split_seed` are read.
    """
    return _subset(np.arange(len(labels)), labels, spec)


def _subset(among: Indices, labels: Labels, spec: DataSpec) -> Indices:
    if spec.train_fraction == 1:
        return among
    taken, _ = _cut(among, labels, spec.train_fraction, _order(len(labels), spec.split_seed, SUBSET), leave=0)
    return taken


def _check(labels: Labels, classes: tuple[str, ...], parts: int) -> None:
    if len(classes) < 2:
        raise DataError(
            f"at least 2 classes are needed to learn from, got {len(classes)}: {', '.join(classes) or 'none'}"
        )
    counts = np.bincount(labels, minlength=len(classes))
    few = [f"{name!r} has {n}" for name, n in zip(classes, counts, strict=True) if n < parts]
    if few:
        names = "train, validation and test" if parts == 3 else "train and validation"
        shown = ", ".join(few[:5]) + (f" and {len(few) - 5} more" if len(few) > 5 else "")
        raise DataError(f"every class needs at least {parts} images to split into {names}: {shown}")


def _cut(among: Indices, labels: Labels, fraction: float, order: Ranks, *, leave: int) -> tuple[Indices, Indices]:
    """Split `among` into a stratified `fraction` and the rest, which keeps at least `leave` images of each class."""
    ranked = among[np.lexsort((order[among], labels[among]))]
    starts = np.flatnonzero(np.diff(labels[ranked])) + 1
    groups = np.split(ranked, starts)
    taken = np.concatenate(
        [group[: min(max(int(fraction * len(group) + 0.5), 1), len(group) - leave)] for group in groups]
    )
    return np.sort(taken), np.setdiff1d(among, taken, assume_unique=True)


def _order(n: int, seed: int, cut: int) -> Ranks:
    """Return a random rank for each of `n` images."""
    # NumPy guarantees the raw stream across versions, but not shuffles.
    return np.random.PCG64(np.random.SeedSequence((seed, cut))).random_raw(n)
