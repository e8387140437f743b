"""Proof of the GPU path on this machine: one command, one JSON file, and exit code 1 if a check has failed.

Each check runs in a process of its own with a time limit, so that one that hangs or crashes is reported and the others
follow. A check that this machine can't run is skipped with the reason. Without a GPU, those that make sense on a CPU
run there.

    python benchmarks/gpu.py [--output outputs/gpu.json] [--seconds 480] [--only packed,graphed]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from gpu_checks.base import ANY, GPUS, Check, Context, Function, Missed, Skipped
from gpu_checks.catalogue import CHECKS
from rich.console import Console
from rich.table import Table

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
PROBE_SECONDS = 90.0
LEAST_SECONDS = 5.0
"""Time left under which no check is begun."""
LOG_LINES = 15
PROBE = """
import json, os, torch
count = torch.cuda.device_count()
gpus = [torch.cuda.get_device_properties(index) for index in range(count)]
print(json.dumps({
    "torch": torch.__version__, "cuda": torch.version.cuda, "hip": torch.version.hip,
    "cudnn": torch.backends.cudnn.version() if count else None, "mps": torch.backends.mps.is_available(),
    "gpus": [{"name": gpu.name, "gib": round(gpu.total_memory / 2**30, 1), "capability": f"{gpu.major}.{gpu.minor}"}
             for gpu in gpus],
}))
"""


@dataclass
class Result:
    """Result of a check.

    Attributes:
        name: name of the check.
        status: `passed`, `failed` or `skipped`.
        reason: reason for a status other than passed.
        seconds: seconds that it took.
        figures: measured figures.
        log: last lines of its output if it failed.
    """

    name: str
    status: str
    reason: str = ""
    seconds: float = 0.0
    figures: Mapping[str, Any] = field(default_factory=dict)
    log: Sequence[str] = ()


@dataclass(frozen=True)
class Machine:
    """Machine as torch sees it.

    Attributes:
        facts: versions and GPUs.
        without: reason why no GPU can be used; empty if one can.
    """

    facts: Mapping[str, Any]
    without: str

    @property
    def gpus(self) -> int:
        """Number of GPUs."""
        return 0 if self.without else len(self.facts["gpus"])


Run = Callable[[Check, Context, float], Result]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--output", type=Path, default=Path("outputs/gpu.json"))
    parser.add_argument("--seconds", type=float, default=480.0, help="seconds of all checks together")
    parser.add_argument("--only", default="", help="names of checks, with commas between them")
    parser.add_argument("--child", nargs=2, metavar=("CHECK", "FILE"), help=argparse.SUPPRESS)
    parser.add_argument("--gpus", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, file = arguments.child
        run_here(named(name), arguments.gpus, Path(file))
        return 0
    only = [name for name in arguments.only.split(",") if name]
    checks = [named(name) for name in only] or list(CHECKS)
    ends = time.monotonic() + arguments.seconds
    machine = probe()
    results: list[Result] = []
    for result in run_all(checks, machine, ends, run_child):
        results.append(result)
        write_report(arguments.output, machine, results)
        sys.stderr.write(f"{result.status:8}{result.name:18}{result.seconds:6.1f} s  {result.reason}\n")
    show(machine, results, arguments.output)
    return any(result.status == FAILED for result in results)


def named(name: str) -> Check:
    """Return the check of a name.

    Raises:
        SystemExit: there is none.
    """
    found = next((check for check in CHECKS if check.name == name), None)
    if found is None:
        sys.exit(f"--only must name checks of {', '.join(check.name for check in CHECKS)}, got {name}")
    return found


def probe() -> Machine:
    """Find the GPUs as torch sees them, in a process of its own.

    Raises:
        SystemExit: torch can't be imported.
    """
    done = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
    )
    if done.returncode:
        sys.exit(f"torch must be importable: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")
    facts = json.loads(done.stdout.splitlines()[-1])
    return Machine(facts, "" if facts["gpus"] else without_gpu(facts, driver_gpus()))


def driver_gpus() -> list[str]:
    """Return the GPUs that the NVIDIA driver names, none without a driver."""
    if shutil.which("nvidia-smi") is None:
        return []
    done = subprocess.run(
        ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else []


def without_gpu(facts: Mapping[str, Any], driver: Sequence[str]) -> str:
    """Return the reason why torch sees no GPU.

    >>> without_gpu({"torch": "2.13.0+cpu", "cuda": None, "hip": None}, ["NVIDIA L4"])
    'torch 2.13.0+cpu is built without CUDA, though the machine has a NVIDIA L4: install a CUDA build of torch'
    """
    if not driver:
        return "no GPU is visible"
    if facts["cuda"] is None and facts["hip"] is None:
        return (
            f"torch {facts['torch']} is built without CUDA, though the machine has a {driver[0]}: "
            f"install a CUDA build of torch"
        )
    return f"torch can't use the {driver[0]}: CUDA_VISIBLE_DEVICES or the driver's version may be the reason"


def run_all(checks: Sequence[Check], machine: Machine, ends: float, run: Run) -> Iterator[Result]:
    """Run the checks one after another until the time is up, and yield their results.

    Args:
        checks: in their order.
        machine: their machine.
        ends: time by the monotonic clock after which none runs.
        run: runs one within so many seconds.
    """
    for check in checks:
        reason = skip_reason(check, machine, ends - time.monotonic())
        if reason:
            yield Result(check.name, SKIPPED, reason)
            continue
        with tempfile.TemporaryDirectory(prefix="gpu-check-", ignore_cleanup_errors=True) as folder:
            context = Context("cuda" if machine.gpus else "cpu", machine.gpus, Path(folder))
            began = time.monotonic()
            result = run(check, context, min(check.seconds, ends - began))
            result.seconds = time.monotonic() - began
        yield result


def skip_reason(check: Check, machine: Machine, left: float) -> str:
    """Return the reason why a check is not run, empty if it is."""
    if check.needs != ANY and not machine.gpus:
        return machine.without
    if check.needs == GPUS and machine.gpus < 2:
        return "two GPUs are needed, there is one"
    return "" if left >= LEAST_SECONDS else "the time is up"


def run_child(check: Check, context: Context, seconds: float) -> Result:
    """Run a check in a process of its own, which is killed with its children after so many seconds."""
    file, log = context.folder / "result.json", context.folder / "log"
    command = [sys.executable, __file__, "--child", check.name, str(file), "--gpus", str(context.gpus)]
    with log.open("wb") as out:
        child = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            code: int | None = child.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            end_group(child)
    return outcome_of(check, file, code, log.read_text(encoding="utf-8", errors="replace"), seconds)


def end_group(child: subprocess.Popen[bytes]) -> None:
    """Kill what a check has left running."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    child.wait()


def outcome_of(check: Check, file: Path, code: int | None, log: str, seconds: float) -> Result:
    """Return the result of a check's process.

    Args:
        check: the check.
        file: where it writes its result.
        code: its exit code, None if it was killed.
        log: its output.
        seconds: its time limit.
    """
    if file.is_file():
        result = Result(check.name, **json.loads(file.read_text(encoding="utf-8")))
    elif code is None:
        result = Result(check.name, FAILED, f"it ran longer than {seconds:.0f} s")
    else:
        result = Result(check.name, FAILED, f"its process ended with code {code}")
    if result.status == FAILED:
        result.log = log.splitlines()[-LOG_LINES:]
    return result


def run_here(check: Check, gpus: int, file: Path) -> None:
    """Run a check in this process, and write its result to a file."""
    context = Context("cuda" if gpus else "cpu", gpus, file.parent)
    try:
        module, name = check.place.split(":")
        function = cast(Function, getattr(import_module(f"gpu_checks.{module}"), name))
        found: dict[str, Any] = {"status": PASSED, "figures": dict(function(context))}
    except Skipped as reason:
        found = {"status": SKIPPED, "reason": str(reason)}
    except Missed as reason:
        found = {"status": FAILED, "reason": str(reason), "figures": dict(reason.figures)}
    except Exception as error:  # whatever it is, it is the check's result
        import traceback  # noqa: PLC0415 - of failures alone

        traceback.print_exc()
        found = {"status": FAILED, "reason": f"{type(error).__name__}: {error}".splitlines()[0]}
    partial = file.with_suffix(".part")
    partial.write_text(json.dumps(found), encoding="utf-8")
    partial.replace(file)


def write_report(path: Path, machine: Machine, results: Sequence[Result]) -> None:
    """Write the report as JSON."""
    document = {
        "machine": {
            **machine.facts,
            "without_gpu": machine.without or None,
            "python": platform.python_version(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
        },
        "counts": {status: sum(r.status == status for r in results) for status in (PASSED, FAILED, SKIPPED)},
        "checks": [asdict(result) for result in results],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def show(machine: Machine, results: Sequence[Result], output: Path) -> None:
    """Print the results as a table."""
    titles = {check.name: check.title for check in CHECKS}
    table = Table(title=", ".join(gpu["name"] for gpu in machine.facts["gpus"]) or f"CPU: {machine.without}")
    for heading in ("", "status", "s", "found"):
        table.add_column(heading, overflow="fold")
    for result in results:
        found = result.reason or ", ".join(f"{name} {_short(value)}" for name, value in result.figures.items())
        table.add_row(titles[result.name], result.status, f"{result.seconds:.0f}", found)
    console = Console()
    console.print(table)
    console.print(f"{output}", markup=False)


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
