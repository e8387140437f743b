"""`nas dashboard`: optuna-dashboard on a study."""

from __future__ import annotations

import sys

from nas.cli.report import study_words
from nas.cli.studies import existing_study
from nas.settings import DashboardConfig


def run(config: DashboardConfig) -> int:
    """Serve a study on 127.0.0.1 until Ctrl-C.

    Raises:
        ValueError: there is no such study, the extra is missing, or the port is taken.
    """
    folder = existing_study(config.study, config.outputs)
    from nas.reader import open_for_reading  # noqa: PLC0415 - imports Optuna, which a mistake needn't wait for
    from nas.reports.dashboard import HOST, LACKS, dashboard_server  # noqa: PLC0415 - the same

    open_for_reading(folder)  # says in one line what is no study
    reference = study_words(config.study or "", config.outputs)
    with dashboard_server(folder, reference, config.port) as server:
        print(f"http://{HOST}:{server.server_port}/ shows a read-only copy of {folder.name}, until Ctrl-C.", flush=True)
        print(LACKS, file=sys.stderr)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0
