"""What a study was searched with, taken up again: its images and its recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.config.training import Recipe
from nas.data import DataInfo, DataSpec, describe
from nas.search.build import WHERE_DATA_LIES, data_fingerprint
from nas.study.study import Study, StudyMismatchError, differences
from search_space.plugins import load_dotted


def study_recipe(study: Study) -> Recipe:
    """The recipe that the study's networks were trained with."""
    return Recipe(**study.fingerprint["training"])


def study_data(study: Study, written: Mapping[str, Any], path: str | None) -> tuple[DataSpec, DataInfo]:
    """The study's images, found again and compared with what the study was searched on.

    Args:
        study: the study.
        written: the `data` of its config.yaml: where the images lay and where they were cached and how they were read.
        path: where the images lie now, None for where they lay then.

    Raises:
        ValueError: there are no such images, or their reader is from outside and not trusted.
        StudyMismatchError: they are others; the message says in what.
    """
    stored = dict(study.fingerprint["data"])
    content = stored.pop("content")
    where = {name: written[name] for name in WHERE_DATA_LIES if name in written}
    spec = DataSpec(**stored, **(where | {"path": path or written.get("path")}))
    if "." in spec.source:
        load_dotted(spec.source, "data.source", stored=True)
    info = describe(spec)
    found = differences({**stored, "content": content}, data_fingerprint(spec, info), "data.")
    if found:
        place = f" at {spec.path}" if spec.path else ""
        raise StudyMismatchError(
            f"data must be what {study.name} was searched on, it is not{place}: {'; '.join(found)}. "
            f"Set data.path to where the study's images are"
        )
    return spec, info
