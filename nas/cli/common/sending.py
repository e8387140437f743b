"""Report of a search whose tracker has uploaded everything else, sent after it."""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
import sys

from nas.study.study import Study
from nas.tracking.recording import PACKAGES
from nas.tracking.results import part_of, tracking_of

LONGEST = 120.0
"""Seconds for rendering and upload; the server has answered just before."""

log = logging.getLogger(__name__)


def send_report(study: Study) -> None:
    """Send the report of a study by `nas sync` if its tracker has just uploaded all the rest; a failure is logged."""
    is_sent = part_of(tracking_of(study), "is_sent")
    if is_sent is None or not is_sent(study):
        return
    words = [sys.executable, "-P", "-m", "nas", "sync", *study.words]
    path = os.pathsep.join(filter(None, [str(PACKAGES), os.environ.get("PYTHONPATH", "")]))
    try:
        subprocess.run(
            words,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            check=True,
            timeout=LONGEST,
        )
    except (OSError, subprocess.SubprocessError):
        log.warning("the report is not sent, send it with: nas sync %s", shlex.join(study.words))
