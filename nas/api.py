"""What a person calls from Python where the command line is not enough: a search on images of their own.

    from nas.api import search
    from nas.data import from_tensors

    if __name__ == "__main__":
        data = from_tensors(images, labels, ("cat", "dog"))
        front = search("pets", data, test=(test_images, test_labels), overrides=["budget.trials=40"])

Trainings run in processes of their own, which import the calling script: hence the last line's `if`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from nas.cli.app.compose import compose
from nas.cli.common.studies import study_folder
from nas.cli.search import conduct
from nas.data import ImageData, make_image_set, write_tensors
from nas.study.summary import StudyReader

DATA_FOLDER = "data"


def search(
    study: str, data: ImageData, *, test: tuple[Tensor, Tensor] | None = None, overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """Search on a person's own images, or go on with such a search; like `nas search`, to the total budget.

    The images are written into the study's folder, so that every other command works on the study too: `nas retrain`,
    `nas export`, and `nas search study=STUDY data=tensors data.path=FOLDER/data`.

    Args:
        study: the study's name, or a path.
        data: what to train and validate on, as `nas.data.from_tensors` and `from_datamodule` give it.
        test: images and labels, as `from_tensors` takes them, for `nas retrain` to measure on; no search reads them.
        overrides: what `nas search` takes, such as `budget.trials=40`, `data.flip=true` or `workers.slots=2`.

    Returns:
        The front, as `nas front format=json` prints it.

    Raises:
        ValueError: a setting that can't be, or a study that was made with other images or settings.
    """
    if any(override.startswith("data=") for override in overrides):
        raise ValueError("the images are handed in, overrides must not name others with data=")
    config = compose("search", ["data=tensors", f"data.path={DATA_FOLDER}", *overrides])
    folder = study_folder(study, config.outputs)
    folder.mkdir(parents=True, exist_ok=True)
    stored = (folder / DATA_FOLDER).resolve()
    write_tensors(data, stored, None if test is None else make_image_set(*test, data.classes))
    found, _, _ = conduct(replace(config, study=str(folder), data=replace(config.data, path=str(stored))))
    return StudyReader(found).front_document()
