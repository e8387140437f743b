"""`nas dashboard`: optuna-dashboard on a study."""

from __future__ import annotations

import sys

from nas.cli.common.studies import reading, study_overrides
from nas.config.commands import DashboardConfig
from nas.reports.dashboard import HOST, OMISSIONS, dashboard_server


def run(config: DashboardConfig) -> int:
    """Serve a study on 127.0.0.1 until Ctrl-C.

    Raises:
        ValueError: no study of that name, the extra is not installed, or the port is taken.
    """
    study = reading(config).study
    with dashboard_server(study, study_overrides(config), config.port) as server:
        print(f"http://{HOST}:{server.server_port}/ serves a read-only copy of {study.name}, until Ctrl-C.", flush=True)
        print(OMISSIONS, file=sys.stderr)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0
