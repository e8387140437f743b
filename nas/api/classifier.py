"""scikit-learn's interface: a classifier of images whose network is searched for."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from nas.api.images import Classes, as_images
from nas.api.network import Network
from nas.api.search import search
from nas.api.settings import SearchSettings
from nas.exports.predictors import Predictor, open_predictor


@final
class InceptionClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Classifier of images, whose network is the one that a search picks.

    `fit` searches on a part of the images, validates on the rest, and keeps the picked network with the weights of the
    search. Images are arrays (n, h, w), (n, h, w, c) or (n, c, h, w), uint8 or floating point in [0, 1]; rows of
    pixels (n, h·w) need `image_shape`.

    Args:
        budget: number of trials, or a mapping such as `{"minutes": 5}`.
        max_macs: most multiply–accumulates of the network; None for no limit.
        max_params: most parameters of the network; None for no limit.
        pick: `best` or `knee`.
        space: a search space by name, or as a mapping.
        epochs: epochs of a full training; None for the recipe's.
        val_fraction: share of the images to validate on, in (0, 1).
        image_shape: shape of one image, (h, w), (h, w, c) or (c, h, w), for rows of pixels.
        random_state: seed of the search, at least 0; None is 0.
        study: folder of the study, which a second `fit` on the same images resumes; None for one that is removed with
            this object.
        settings: further keywords of `nas.search`, as a mapping; None for none.

    Attributes:
        classes_: (k,) the labels, sorted.
        network_: the picked network.
        study_: the study.
    """

    def __init__(  # noqa: PLR0913 - scikit-learn reads the parameters from the signature
        self,
        budget: int | Mapping[str, Any] = 20,
        *,
        max_macs: float | None = None,
        max_params: float | None = None,
        pick: str = "best",
        space: str | Mapping[str, Any] = "quick",
        epochs: int | None = None,
        val_fraction: float = 0.2,
        image_shape: Sequence[int] | None = None,
        random_state: int | None = None,
        study: str | Path | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.budget = budget
        self.max_macs = max_macs
        self.max_params = max_params
        self.pick = pick
        self.space = space
        self.epochs = epochs
        self.val_fraction = val_fraction
        self.image_shape = image_shape
        self.random_state = random_state
        self.study = study
        self.settings = settings

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - the names of scikit-learn
        """Search for a network on labelled images.

        Args:
            X: the images.
            y: a label an image.

        Raises:
            ValueError: images, labels or settings that can't be used.
        """
        images, classes = as_images(X, self.image_shape), Classes.of(y, None)
        if len(classes.names) < 2:
            raise ValueError(f"y must have at least two classes, got {len(classes.names)}")
        folder = self.study
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="nas-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.study_ = search(images, y, **self._search_settings(str(Path(folder).expanduser().resolve())))
        self.network_: Network = self.study_.pick(self.pick)
        self._predictor: Predictor = self.network_.predictor()
        self.classes_ = classes.labels
        return self

    def _search_settings(self, folder: str) -> SearchSettings:
        limits = {"max_macs": self.max_macs, "max_params": self.max_params}
        found: dict[str, Any] = {
            "study": folder,
            "budget": self.budget,
            "space": self.space,
            "val_fraction": self.val_fraction,
            "seed": self.random_state or 0,
            "limits": {name: most for name, most in limits.items() if most is not None},
            "tracking": "none",
        }
        if self.epochs is not None:
            found["training"] = {"epochs": self.epochs}
        return {**found, **(self.settings or {})}  # type: ignore[typeddict-item]

    def predict_proba(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        """Return the probability of each class (n, k), in the order of `classes_`."""
        check_is_fitted(self)
        return self._predictor.probabilities(as_images(X, self.image_shape))

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the most probable label of each image (n,)."""
        places = self.predict_proba(X).argmax(axis=1)
        found: NDArray[Any] = self.classes_[places]
        return found

    def export(self, folder: str | Path, formats: Sequence[str] = ()) -> Path:
        """Write the network as files that need nothing of this project, and return their folder; `load` reads it."""
        check_is_fitted(self)
        return self.network_.export(folder, formats)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Return a fitted classifier of an exported folder or file; its labels are the names of the classes.

        Raises:
            ValueError: the folder is no export with weights, or the file can't be read.
        """
        found = cls()
        found._predictor = open_predictor(Path(folder).expanduser())
        found.classes_ = np.array(found._predictor.classes)
        return found

    def __sklearn_tags__(self) -> Any:
        """Return the properties that scikit-learn's own checks and searches read: images in, no tables."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = self.image_shape is not None
        tags.input_tags.three_d_array = True
        tags.non_deterministic = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether it has a network."""
        return hasattr(self, "_predictor")

    def __getstate__(self) -> dict[str, Any]:
        """Return the parameters; a fitted classifier is kept by `export` and not by a pickle."""
        if self.__sklearn_is_fitted__():
            raise TypeError("a fitted InceptionClassifier is kept by export(folder) and load(folder), not by a pickle")
        state: dict[str, Any] = super().__getstate__()
        return state
