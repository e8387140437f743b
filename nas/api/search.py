"""Search on images that are handed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack, overload

from torch import Tensor

from nas.api.images import Classes, as_images
from nas.api.settings import SearchSettings, check_keywords, configured, with_space, words_of, written
from nas.api.study import Study
from nas.cli.common.searches import run_search
from nas.config.data import DataSpec
from nas.data import ImageData, from_tensors, make_image_set, write_tensors
from nas.jobs.streams import open_standard_streams
from nas.search.conduct import Conducted
from nas.study.folders import study_folder
from nas.study.summary import StudyReader

DATA_FOLDER = "data"


@overload
def search(
    images: str, labels: ImageData, *, test: tuple[Tensor, Tensor] | None = None, overrides: Sequence[str] = ()
) -> dict[str, Any]: ...


@overload
def search(images: Any, labels: Any = None, **settings: Unpack[SearchSettings]) -> Study: ...


def search(images: Any, labels: Any = None, **settings: Any) -> Study | dict[str, Any]:
    """Search on images, or resume such a search up to the total budget, as `nas search` does.

        study = search(images, labels, space="quick", limits={"max_macs": 1e6}, budget={"trials": 40}, seed=1)

    The images are written to the study's folder, so that every command works on the study: `nas retrain`,
    `nas export`, and `nas search study=STUDY data=tensors data.path=FOLDER/data`.

    `search("pets", data, test=..., overrides=[...])`, with the study's name first, is the form of before; it returns
    the document of the front, as printed by `nas front format=json`.

    Args:
        images: array (n, h, w), (n, h, w, c) or (n, c, h, w), or tensor (n, c, h, w), uint8 or floating point in
            [0, 1]; or the image set of `nas.data.from_tensors` or `from_datamodule`, which has the labels.
        labels: a label an image, of any kind.
        settings: see `nas.api.settings.SearchSettings`.

    Returns:
        The study.

    Raises:
        ValueError: an invalid setting, or a study that was made with other images or settings.
        TypeError: an unknown keyword.
    """
    check_keywords(settings, "search")
    if isinstance(images, str):
        if not isinstance(labels, ImageData):
            raise TypeError(f"after the name of a study there must be an image set, got {type(labels).__name__}")
        ended = _run(labels, {**settings, "study": images})  # type: ignore[typeddict-item]
        return StudyReader(ended.study).front_document()
    given: SearchSettings = settings  # type: ignore[assignment]
    ended = _run(images, given) if isinstance(images, ImageData) else _search_arrays(images, labels, given)
    ended.study.close()
    return Study(ended.study.folder)


def _search_arrays(images: Any, labels: Any, settings: SearchSettings) -> Conducted:
    """Search on images and labels, split as the settings say."""
    if labels is None:
        raise ValueError("labels must be given, one an image")
    classes = Classes.of(labels, settings.get("classes"))
    tensor, positions = as_images(images), classes.positions(labels)
    if len(tensor) != len(positions):
        raise ValueError(f"there must be a label for each image, got {len(tensor)} images and {len(positions)} labels")
    spec = DataSpec(val_fraction=settings["val_fraction"]) if "val_fraction" in settings else DataSpec()
    test = settings.get("test")
    if test is not None:
        if not isinstance(test, tuple | list) or len(test) != 2:
            raise TypeError(f"test must be a pair of images and labels, got {type(test).__name__}")
        settings = {**settings, "test": (as_images(test[0]), classes.positions(test[1]))}
    return _run(from_tensors(tensor, positions, classes.names, spec=spec), settings)


def _run(data: ImageData, settings: SearchSettings) -> Conducted:
    """Write the images beside the study, and search."""
    open_standard_streams()
    words = words_of(settings)
    if any(word.startswith("data=") for word in words):
        raise ValueError("overrides must not set data=, the images are those of the argument data")
    outputs = [f"outputs={written(Path(settings['outputs']))}"] if "outputs" in settings else []
    config = configured(
        "search", ["data=tensors", f"data.path={DATA_FOLDER}", *outputs, *words], settings.get("plugins")
    )
    config = with_space(config, settings.get("space"))
    name = settings.get("study")
    if name is None:
        name = f"images-{data.fingerprint[:8]}-{config.space['name']}"
    folder = study_folder(str(name), config.outputs)
    folder.mkdir(parents=True, exist_ok=True)
    stored, test = (folder / DATA_FOLDER).resolve(), settings.get("test")
    write_tensors(data, stored, None if test is None else make_image_set(*test, data.classes))
    return run_search(replace(config, study=_as_path(folder), data=replace(config.data, path=str(stored))))


def _as_path(folder: Path) -> str:
    """Return a folder as the name of a study that is not looked up in another folder."""
    return str(folder.resolve())
