"""Settings that all W&B runs of a study share: everything is recorded offline, into the study's folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import wandb

FLUSH_SECONDS = 2.0


def minimal_settings() -> wandb.Settings:
    """Return settings that record nothing of the machine, console, code and packages, which the study has already."""
    return wandb.Settings(
        console="off",
        silent=True,
        symlink=False,
        disable_git=True,
        disable_code=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
        x_transaction_log_flush_interval=FLUSH_SECONDS,
    )


def open_run(start: Mapping[str, Any], run_id: str, name: str, job: str, config: Mapping[str, Any]) -> wandb.Run:
    """Open a W&B run in the group of a study, beside those that are open.

    Args:
        start: the driver's start message.
        run_id: identity of the run; one that exists is continued.
        name: name of the run.
        job: job type.
        config: configuration of the run.
    """
    return wandb.init(
        dir=start["folder"],
        project=start["project"],
        entity=start["entity"],
        id=run_id,
        name=name,
        group=start["id"],
        job_type=job,
        config=dict(config),
        mode="offline",
        reinit="create_new",
        settings=minimal_settings(),
    )
