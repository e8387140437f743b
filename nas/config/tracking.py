"""Configuration of the experiment tracker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from nas.config.ranges import Range, check_fields, show

MODES = ("auto", "offline", "online")
WEIGHTS = ("none", "best", "front")
FORBIDDEN_IN_PROJECT = set("/\\#?%:")


@dataclass(frozen=True)
class TrackingSpec:
    """Experiment tracker of a search; the study itself does not depend on it.

    Attributes:
        name: `wandb` (Weights & Biases), `mlflow`, `tensorboard`, `none`, or the dotted path of a function that makes a
            tracker, such as `my_module.make`.
        project: project of W&B, experiment of MLflow, 1 to 128 characters.
        entity: W&B user or team; null for the default entity of the key.
        mode: `offline` writes to the study's folder only, `online` uploads too, `auto` is online if and only if a key
            is configured (WANDB_API_KEY, WANDB_IDENTITY_TOKEN_FILE, or `wandb login`).
        trials: record the learning curve of each trial while it trains; in W&B, as a run of its own beside the study's.
        weights: networks that are stored with their weights at the end of a search: `best` (the best and the knee),
            `front` (these, and every network of the front) or `none`.
        plot_seconds: least number of seconds between two plots of the front, at least 0.
        finish_seconds: seconds to wait for an unfinished upload at the end of a search, at least 0; a server that was
            unreachable for as long is not waited for.
        options: arguments of a tracker: `uri` of `mlflow`, the address of its server, and those of a tracker of your
            own.

    Raises:
        ValueError: an unknown value, or a number out of range.
    """

    name: str = "wandb"
    project: str = "inception-nas"
    entity: str | None = None
    mode: str = "auto"
    trials: bool = False
    weights: str = "best"
    plot_seconds: Annotated[float, Range(0, 1e9)] = 20.0
    finish_seconds: Annotated[float, Range(0, 1e9)] = 10.0
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self, "tracking")
        if self.mode not in MODES:
            raise ValueError(f"tracking.mode must be one of {', '.join(MODES)}, got {show(self.mode)}")
        if self.weights not in WEIGHTS:
            raise ValueError(f"tracking.weights must be one of {', '.join(WEIGHTS)}, got {show(self.weights)}")
        if not self.project or len(self.project) > 128 or FORBIDDEN_IN_PROJECT & set(self.project):
            raise ValueError(
                f"tracking.project must have 1 to 128 characters and none of / \\ # ? % :, got {show(self.project)}"
            )
