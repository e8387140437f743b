"""Measurement of a folder of ONNX files on any device: this file needs Python 3.9, numpy and onnxruntime alone.

Usage: python measure.py [FOLDER], with the folder of this file by default. Networks take turns in a random order anew
in every round, beside a reference workload. Each group of turns is appended to rows.jsonl, so that a stopped run goes
on; results.json is written at the end, for `nas measure results=FILE`. Let the device do nothing else meanwhile.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FORMAT = 1
"""Version of the files of jobs and results."""
JOB, ROWS, RESULTS = "job.json", "rows.jsonl", "results.json"
NUMPY, RUNTIME = "numpy", "onnxruntime"
REFERENCE = "reference workload"
LEAST_REPEATS, MOST_REPEATS = 3, 200
COARSE_SECONDS = 1e-5
"""Resolution of the clock of processor time from which on wall-clock time is taken, as on Windows."""
NAMES = ("model name", "Hardware", "Model")
"""Fields of /proc/cpuinfo that name a processor or a board."""
BOARD = Path("/proc/device-tree/model")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")

Call = Callable[[], object]
Row = dict[str, Any]


def main(arguments: list[str]) -> int:
    """Measure the networks of a folder, or what its rows lack of them, and write the results."""
    folder = Path(arguments[0]) if arguments else Path(__file__).resolve().parent
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    single = job["circumstances"]["threads"] == 1
    clock = clock_of(single)
    rows = measure(folder, job, clock)
    found = {
        "format": job["format"],
        "job": job,
        "device": device(),
        "governor": text_of(GOVERNOR),
        "versions": versions(),
        "clock": "processor time" if clock is time.thread_time_ns else "wall-clock time",
        "rows": rows,
    }
    path = folder / RESULTS
    path.with_suffix(".part").write_text(json.dumps(found) + "\n", encoding="utf-8")
    path.with_suffix(".part").replace(path)
    say(f"written: {path}; take it back with: nas measure results={RESULTS}")
    return 0


def clock_of(single: bool) -> Callable[[], int]:
    """Return the clock in nanoseconds: processor time of this thread where an inference keeps to it."""
    fine = time.get_clock_info("thread_time").resolution <= COARSE_SECONDS
    return time.thread_time_ns if single and fine else time.perf_counter_ns


def measure(folder: Path, job: dict[str, Any], clock: Callable[[], int]) -> list[Row]:
    """Return the rows of all groups of turns, as many as the seconds allow, and append new ones to the file."""
    known = {row["number"]: row for row in rows_of(folder / ROWS)}
    calls: dict[str, Call] = {}
    reference = reference_workload()
    with (folder / ROWS).open("a", encoding="utf-8") as file:
        file.write("\n")  # ends a line that was cut off by the end of a process
        for number, names in enumerate(job["chunks"]):
            spent = sum(row["seconds"] for row in known.values())
            if number >= job["least_chunks"] and spent > job["seconds"]:
                break
            if number not in known:
                calls = {name: calls.get(name) or prepare(folder, job, name) for name in names}
                known[number] = chunk(number, {**calls, REFERENCE: reference}, job, clock)
                file.write(json.dumps(known[number]) + "\n")
                file.flush()
            say(f"{number + 1} of at most {len(job['chunks'])} groups measured, {spent:.0f} s")
    return [known[number] for number in sorted(known)]


def rows_of(path: Path) -> list[Row]:
    """Return the whole rows of a file."""
    found = []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    for line in lines:
        try:
            row = json.loads(line)
            found.append({"number": row["number"], "seconds": row["seconds"], "turns": dict(row["turns"])})
        except (ValueError, TypeError, KeyError):
            continue
    return found


def prepare(folder: Path, job: dict[str, Any], name: str) -> Call:
    """Return a call that runs one inference of a network on random images."""
    numpy, runtime = importlib.import_module(NUMPY), importlib.import_module(RUNTIME)
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = job["circumstances"]["threads"], 1
    file = str(folder / job["files"][name])
    session = runtime.InferenceSession(file, settings, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    images = numpy.random.RandomState(0).standard_normal(given.shape).astype(numpy.float32)
    return lambda: session.run(None, {given.name: images})


def chunk(number: int, calls: dict[str, Call], job: dict[str, Any], clock: Callable[[], int]) -> Row:
    """Return the milliseconds of each turn of calls that take turns in a random order."""
    start, quantile, turn_ms = time.perf_counter(), job["quantile"], job["turn_ms"]
    repeats = {}
    for name, call in calls.items():
        least = min(milliseconds(call, clock) for _ in range(4))
        repeats[name] = max(LEAST_REPEATS, min(MOST_REPEATS, int(turn_ms / max(least, 1e-3))))
    turns: dict[str, list[float]] = {name: [] for name in calls}
    order, generator = list(calls), random.Random(f"{job['seed']}/{number}")
    for _ in range(job["rounds"]):
        generator.shuffle(order)
        for name in order:
            calls[name]()  # another one has used the caches
            times = sorted(milliseconds(calls[name], clock) for _ in range(repeats[name]))
            turns[name].append(times[int(quantile * (len(times) - 1) + 0.5)])
    return {"number": number, "seconds": time.perf_counter() - start, "turns": turns}


def milliseconds(call: Call, clock: Callable[[], int]) -> float:
    """Return the milliseconds of one run."""
    start = clock()
    call()
    return (clock() - start) / 1e6


def reference_workload() -> Call:
    """Return a call of a fraction of a millisecond that uses one thread, the arithmetic units and the caches."""
    numpy = importlib.import_module(NUMPY)
    values = numpy.random.RandomState(0).random_sample(1 << 16).astype(numpy.float32)
    scratch = numpy.empty_like(values)

    def work() -> None:
        for _ in range(4):
            numpy.multiply(values, 1.0001, out=scratch)
            numpy.add(scratch, values, out=scratch)

    return work


def device() -> dict[str, str]:
    """Return the description of this device, with nothing personal in it."""
    return {
        "device": "cpu",
        "system": platform.system(),
        "architecture": platform.machine(),
        "model": processor() or "unknown",
        "cores": str(os.cpu_count() or 1),
    }


def processor() -> str:
    """Return the name of the processor or of the board, empty if the system tells none."""
    lines = text_of(Path("/proc/cpuinfo")).splitlines()
    fields = {line.split(":", 1)[0].strip(): line.split(":", 1)[1].strip() for line in lines if ":" in line}
    named = [fields[name] for name in NAMES if fields.get(name)]
    if named:
        return named[0]
    board = text_of(BOARD)
    if board:
        return board
    if platform.system() == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=False).stdout.strip()
    return platform.processor()


def text_of(path: Path) -> str:
    """Return the text of a file of the system, empty if there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries."""
    found = {name: str(importlib.import_module(name).__version__) for name in (NUMPY, RUNTIME)}
    return {"python": platform.python_version(), **found}


def say(line: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
