"""A search's driver that writes down what it hands out and what it hears, for a test that kills it.

python noting_driver.py NOTES OVERRIDES...
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nas.cli.app.compose import compose
from nas.jobs import Epoch, Job
from nas.search.build import assemble, open_or_create, prepare
from nas.study.storage.folder_lock import FolderLock


def main(notes: Path, overrides: list[str]) -> None:
    config: Any = compose("search", overrides)
    folder = Path(config.outputs) / config.study
    folder.mkdir(parents=True, exist_ok=True)
    plan = prepare(config)
    with FolderLock(folder), notes.open("a", encoding="utf-8") as file:
        search = assemble(plan, open_or_create(folder, plan), [])
        executor = search._parts.executor
        submit = executor.submit

        def note(*words: object) -> None:
            file.write(json.dumps(words) + "\n")
            file.flush()

        def noting(job: Job, on_epoch: Callable[[Job, Epoch], None]) -> Any:
            def hear(heard: Job, row: Epoch) -> None:
                note("epoch", heard.trial, heard.attempt, row.epoch)
                on_epoch(heard, row)

            note("job", job.trial, job.attempt, job.from_epoch)
            return submit(job, hear)

        executor.submit = noting
        note("end", search.run())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
