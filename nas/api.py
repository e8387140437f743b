"""Python interface: a search on tensors of your own.

    from nas.api import search
    from nas.data import from_tensors

    data = from_tensors(images, labels, ("cat", "dog"))
    front = search("pets", data, test=(test_images, test_labels), overrides=["budget.trials=40"])

It works in a script, a notebook, `python -`, a thread and a daemonic process. Trainings run in processes that do not
import the calling script, unless its own functions are plug-ins; then the search must stand below
`if __name__ == "__main__":`. Ctrl-C and SIGTERM stop it in an orderly way if it runs in the main thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from nas.cli.app.compose import compose
from nas.cli.common.searches import run_search
from nas.data import ImageData, make_image_set, write_tensors
from nas.jobs.streams import open_standard_streams
from nas.study.folders import study_folder
from nas.study.summary import StudyReader

DATA_FOLDER = "data"


def search(
    study: str, data: ImageData, *, test: tuple[Tensor, Tensor] | None = None, overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """Search on tensors, or resume such a search up to the total budget, as `nas search` does.

    The images are written to the study's folder, so that every command works on the study: `nas retrain`,
    `nas export`, and `nas search study=STUDY data=tensors data.path=FOLDER/data`.

    Args:
        study: name of the study, or a path.
        data: training and validation part, made by `nas.data.from_tensors` or `from_datamodule`.
        test: images and labels of the test part, in the form that `from_tensors` takes; only `nas retrain` reads them.
        overrides: overrides of `nas search`, such as `budget.trials=40`, `data.flip=true` or `workers.slots=2`.

    Returns:
        The document of the front, as printed by `nas front format=json`.

    Raises:
        ValueError: an invalid setting, or a study that was made with other images or settings.
    """
    open_standard_streams()
    if any(override.startswith("data=") for override in overrides):
        raise ValueError("overrides must not set data=, the images are those of the argument data")
    config = compose("search", ["data=tensors", f"data.path={DATA_FOLDER}", *overrides])
    folder = study_folder(study, config.outputs)
    folder.mkdir(parents=True, exist_ok=True)
    stored = (folder / DATA_FOLDER).resolve()
    write_tensors(data, stored, None if test is None else make_image_set(*test, data.classes))
    ended = run_search(replace(config, study=str(folder), data=replace(config.data, path=str(stored))))
    return StudyReader(ended.study).front_document()
