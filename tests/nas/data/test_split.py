from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.data import DataError, DataSpec
from nas.data.split import Labels, split

CLASSES = ("a", "b", "c")


def labels_of(*counts: int) -> Labels:
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(1).permutation(labels).astype(np.int64)


def counts(labels: Labels, part: Labels) -> list[int]:
    return np.bincount(labels[part], minlength=3).tolist()


def test_counts_are_exact_in_every_class() -> None:
    labels = labels_of(100, 50, 9)
    parts = split(labels, CLASSES, DataSpec(test_fraction=0.2, val_fraction=0.25, train_fraction=0.5), cut_test=True)
    assert counts(labels, parts.test) == [20, 10, 2]  # 0.2 of each
    assert counts(labels, parts.validation) == [20, 10, 2]  # a quarter of 80, 40 and 7
    assert counts(labels, parts.train) == [30, 15, 3]  # half of 60, 30 and 5, half up


@given(
    st.lists(st.integers(3, 40), min_size=3, max_size=3),
    st.floats(0.01, 0.99),
    st.floats(0.01, 0.99),
    st.floats(0.01, 1),
    st.integers(0, 2**32),
)
def test_parts_are_disjoint_and_none_lacks_a_class(
    sizes: list[int], test: float, validation: float, train: float, seed: int
) -> None:
    labels = labels_of(*sizes)
    spec = DataSpec(test_fraction=test, val_fraction=validation, train_fraction=train, split_seed=seed)
    parts = split(labels, CLASSES, spec, cut_test=True)
    together = np.concatenate([parts.train, parts.validation, parts.test])
    assert len(np.unique(together)) == len(together)
    assert train < 1 or len(together) == len(labels)
    for part in (parts.train, parts.validation, parts.test):
        assert min(counts(labels, part)) >= 1
        assert np.all(np.diff(part) > 0)


def test_validation_and_test_do_not_change_with_the_training_share() -> None:
    labels = labels_of(60, 60, 60)
    whole = split(labels, CLASSES, DataSpec(), cut_test=True)
    half = split(labels, CLASSES, DataSpec(train_fraction=0.5), cut_test=True)
    tenth = split(labels, CLASSES, DataSpec(train_fraction=0.1), cut_test=True)
    np.testing.assert_array_equal(half.validation, whole.validation)
    np.testing.assert_array_equal(half.test, whole.test)
    assert set(tenth.train) < set(half.train) < set(whole.train)


def test_the_test_part_is_cut_before_anything_else() -> None:
    labels = labels_of(60, 60, 60)
    one = split(labels, CLASSES, DataSpec(val_fraction=0.1), cut_test=True)
    other = split(labels, CLASSES, DataSpec(val_fraction=0.6, train_fraction=0.3), cut_test=True)
    np.testing.assert_array_equal(one.test, other.test)


def test_without_a_test_part_to_cut_all_is_trained_and_validated_on() -> None:
    labels = labels_of(10, 10, 10)
    parts = split(labels, CLASSES, DataSpec(), cut_test=False)
    assert len(parts.test) == 0
    assert len(parts.train) + len(parts.validation) == 30


def test_the_seed_alone_draws_the_parts() -> None:
    labels = labels_of(60, 60, 60)
    first, again, other = (split(labels, CLASSES, DataSpec(split_seed=s), cut_test=True) for s in (3, 3, 4))
    np.testing.assert_array_equal(first.train, again.train)
    assert set(first.validation) != set(other.validation)
    assert set(first.test) != set(other.test)


def test_a_split_is_the_same_in_every_version() -> None:
    labels = np.tile(np.arange(3), 4)
    parts = split(labels, CLASSES, DataSpec(val_fraction=0.25, test_fraction=0.25, split_seed=7), cut_test=True)
    assert (parts.test.tolist(), parts.validation.tolist()) == ([4, 6, 11], [1, 2, 3])


@pytest.mark.parametrize(
    ("sizes", "cut_test", "message"),
    [
        ((5, 2, 5), True, "needs at least 3 images to split into train, validation and test: 'b' has 2"),
        ((5, 1, 0), False, "needs at least 2 images to split into train and validation: 'b' has 1, 'c' has 0"),
    ],
)
def test_a_class_too_small_is_named(sizes: tuple[int, ...], cut_test: bool, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split(labels_of(*sizes), CLASSES, DataSpec(), cut_test=cut_test)


def test_many_small_classes_are_counted_not_listed() -> None:
    names = tuple(f"c{i}" for i in range(9))
    with pytest.raises(DataError, match=r"'c4' has 1 and 4 more$"):
        split(np.arange(9), names, DataSpec(), cut_test=False)


def test_one_class_is_nothing_to_learn() -> None:
    with pytest.raises(DataError, match="at least 2 classes are needed to learn from, got 1: only"):
        split(np.zeros(9, dtype=np.int64), ("only",), DataSpec(), cut_test=False)
