"""Fingerprint of a study: the space, objectives, data and recipe that a resumed search must share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from nas.config.commands import SearchConfig
from nas.config.training import Recipe
from nas.data import DataInfo, DataSpec, describe
from nas.objectives.pareto import Axis
from nas.study.differences import differences
from nas.study.study import Study, StudyMismatchError
from search_space.plugins import load_dotted
from search_space.space import Space, without_intent

DATA_LOCATION = ("path", "cache", "cache_gib", "streaming", "decode_workers")
"""Settings of the data that may differ from run to run: no learning curve depends on them."""

STATISTICS = ("mean", "std")
"""Settings of the data that are lists in JSON."""


def fingerprint(
    config: SearchConfig, images: DataInfo, space: Space, axes: Sequence[Axis], origins: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the fingerprint of a study as a JSON object.

    Args:
        config: configuration of the search.
        images: its images.
        space: its space.
        axes: its objectives.
        origins: what its costs depend on besides the network, such as the model of a device's latency, by cost; None
            for nothing.
    """
    return {
        "space": {**without_intent(config.space), "input": list(space.input), "classes": space.classes},
        "objectives": [axis.to_json() for axis in axes],
        "data": data_fingerprint(config.data, images),
        "training": config.training.settings(),
        **({"costs": dict(origins)} if origins else {}),  # absent where every cost depends on the network alone
    }


def data_fingerprint(spec: DataSpec, images: DataInfo) -> dict[str, Any]:
    """Return the part of a fingerprint for the images and their split, independent of their location."""
    plain = {key: value for key, value in asdict(spec).items() if key not in DATA_LOCATION}
    plain |= {name: list(plain[name]) for name in STATISTICS}
    for name in ("options", *STATISTICS):
        if not plain[name]:  # absent from the fingerprints of studies made before there was such a setting
            del plain[name]
    return {**plain, "content": images.fingerprint}


def study_recipe(study: Study) -> Recipe:
    """Return the recipe of a study's trainings.

    Raises:
        ValueError: it is of another version, or damaged, or an augmentation is from outside and not trusted.
    """
    try:
        recipe = Recipe.of(study.fingerprint.get("training", {}))
    except TypeError as error:
        raise ValueError(f"the recipe of {study.name} must be one of this version: {error}") from error
    for augmentation in recipe.augmentation:
        if "." in augmentation.module:
            load_dotted(augmentation.module, f"training.augmentation.{augmentation.name}.module", stored=True)
    return recipe


def study_data(study: Study, written: Mapping[str, Any], path: str | None) -> tuple[DataSpec, DataInfo]:
    """Find the images of a study, and compare them with those that it was searched on.

    Args:
        study: the study.
        written: `data` of its config.yaml: location, cache and reading of the images.
        path: new location of the images, None for the old one.

    Raises:
        ValueError: the images are missing, or their reader is from outside and not trusted.
        StudyMismatchError: the images differ; the message says in what.
    """
    stored = dict(study.fingerprint.get("data", {}))
    content = stored.pop("content", None)
    location = {name: written[name] for name in DATA_LOCATION if name in written}
    try:
        spec = DataSpec(**stored, **(location | {"path": path or written.get("path")}))
    except TypeError as error:
        raise ValueError(f"the data of {study.name} must be described as in this version: {error}") from error
    if "." in spec.source:
        load_dotted(spec.source, "data.source", stored=True)
    images = describe(spec)
    found = differences({**stored, "content": content}, data_fingerprint(spec, images), "data.")
    if found:
        place = f" at {spec.path}" if spec.path else ""
        raise StudyMismatchError(
            f"data must be what {study.name} was searched on, it is not{place}: {'; '.join(found)}. "
            f"Set data.path to where the study's images are"
        )
    return spec, images
