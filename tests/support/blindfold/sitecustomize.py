"""For Ray workers of a test: a machine that does not see the folder $NAS_TEST_HIDDEN, as one of another rack would not.

With $NAS_TEST_GATE a training that has written one checkpoint writes no second before that file exists, and then none
sooner than a moment after the last: what the test does to the cluster meets trainings that are under way.

Python imports a module of this name from its path when it starts.
"""

import os
import time
from pathlib import Path

HIDDEN = os.environ.get("NAS_TEST_HIDDEN")
GATE = os.environ.get("NAS_TEST_GATE")
MOMENT = 0.3


def _blind(name):
    plain = getattr(Path, name)

    def looking(self, *args, **kwargs):
        if HIDDEN and str(self).startswith(HIDDEN):
            raise FileNotFoundError(2, "hidden from this process", str(self))
        return plain(self, *args, **kwargs)

    setattr(Path, name, looking)


def _hold(gate):
    plain, written = Path.replace, []

    def replacing(self, target):
        if Path(target).name.startswith("attempt"):
            while written and not os.path.exists(gate):
                time.sleep(0.02)
            time.sleep(MOMENT if written else 0.0)
            written.append(target)
        return plain(self, target)

    Path.replace = replacing


for _name in ("read_text", "read_bytes", "stat"):
    _blind(_name)
if GATE:
    _hold(GATE)
