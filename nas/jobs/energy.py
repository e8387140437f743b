"""Energy that a machine takes while a block runs, by the counters of its processors and NVIDIA GPUs.

Processors count the energy of their packages and their memory (RAPL, which Linux shows in its power capping tree, as a
rule to the superuser alone); GPUs of NVIDIA count since their driver was loaded (NVML). Counters are of the whole
machine: what else runs there is in them, and power supplies, disks and fans are not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

POWERCAP = Path("/sys/class/powercap")
ZONES = ("package", "dram")
"""First words of the names of zones that count; those of cores and of graphics are parts of a package."""
SECONDS = 30.0
"""Seconds between two readings: a processor's counter starts again from zero after some minutes."""
JOULES_PER_KWH = 3.6e6
GRAMS_PER_KWH = 436.0
"""Grams of CO₂ a kWh, the world's average of 2022 (Ember, Global Electricity Review 2023)."""


@dataclass(frozen=True)
class Counter:
    """Counter of energy.

    Attributes:
        name: name of what it counts.
        read: returns joules; raises OSError where it can't be read.
        span: joules after which it starts again from zero; None for never.
    """

    name: str
    read: Callable[[], float]
    span: float | None = None


@dataclass
class Energy:
    """Energy that was counted.

    Attributes:
        joules: joules so far; None where there is no counter.
        counters: names of the counters.
    """

    joules: float | None
    counters: tuple[str, ...]


def counters() -> list[Counter]:
    """Return the counters of this machine that can be read; empty for none."""
    return [*processor_counters(), *gpu_counters()]


def processor_counters(tree: Path | None = None) -> list[Counter]:
    """Return the counters of packages and memory that can be read.

    Args:
        tree: folder of the power capping tree; None for the system's.
    """
    found = []
    for zone in sorted((tree or POWERCAP).glob("intel-rapl:*")):
        with suppress(OSError, ValueError):
            name = (zone / "name").read_text(encoding="utf-8").strip()
            if not name.startswith(ZONES):
                continue
            counter = Counter(name, _joules_of(zone / "energy_uj"), _joules_of(zone / "max_energy_range_uj")())
            counter.read()
            found.append(counter)
    return found


def gpu_counters() -> list[Counter]:
    """Return the counters of NVIDIA GPUs, where the package nvidia-ml-py is installed and the driver has them."""
    if find_spec("pynvml") is None:
        return []
    library: Any = resolve_name("pynvml")
    found = []
    with suppress(library.NVMLError):
        library.nvmlInit()
        for index in range(library.nvmlDeviceGetCount()):
            counter = Counter(f"gpu-{index}", _gpu_joules(library, library.nvmlDeviceGetHandleByIndex(index)))
            with suppress(OSError):
                counter.read()
                found.append(counter)
    return found


@contextmanager
def counted(known: list[Counter] | None = None, seconds: float = SECONDS) -> Iterator[Energy]:
    """Yield the energy that the machine takes in a block, which is whole after it.

    Args:
        known: the counters; None for the machine's.
        seconds: seconds between two readings, positive.
    """
    found = counters() if known is None else known
    energy = Energy(0.0 if found else None, tuple(counter.name for counter in found))
    if not found:
        yield energy
        return
    ended, last = threading.Event(), [counter.read() for counter in found]

    def read() -> None:
        for place, counter in enumerate(found):
            with suppress(OSError):
                now = counter.read()
                energy.joules = (energy.joules or 0.0) + _grown(last[place], now, counter.span)
                last[place] = now

    def follow() -> None:
        while not ended.wait(seconds):
            read()

    thread = threading.Thread(target=follow, name="energy", daemon=True)
    thread.start()
    try:
        yield energy
    finally:
        ended.set()
        thread.join()
        read()


def energy_document(stored: Any, grams_per_kwh: float = GRAMS_PER_KWH) -> dict[str, Any] | str:
    """Return the energy of a search as `kwh`, `kg_co2` and `grams_per_kwh` with its `counters`, or a line without.

    Args:
        stored: what `stored_energy` returned.
        grams_per_kwh: grams of CO₂ a kWh, at least 0.
    """
    joules = stored.get("joules") if isinstance(stored, Mapping) else None
    if not isinstance(joules, int | float):
        return "not available here" if isinstance(stored, Mapping) else "not measured"
    kwh = joules / JOULES_PER_KWH
    return {
        "kwh": kwh,
        "kg_co2": kwh * grams_per_kwh / 1000,
        "grams_per_kwh": grams_per_kwh,
        "counters": ", ".join(map(str, stored.get("counters", ()))),
    }


def stored_energy(before: Any, energy: Energy) -> dict[str, Any]:
    """Return the energy of a search for its study, with that of its earlier runs.

    Args:
        before: what was stored before; None for nothing.
        energy: of this run.
    """
    earlier = before.get("joules") if isinstance(before, Mapping) else None
    parts = [value for value in (earlier, energy.joules) if isinstance(value, int | float)]
    return {"joules": sum(parts) if parts else None, "counters": list(energy.counters)}


def _grown(before: float, now: float, span: float | None) -> float:
    if now >= before:
        return now - before
    return 0.0 if span is None else span - before + now


def _joules_of(file: Path) -> Callable[[], float]:
    return lambda: int(file.read_text(encoding="utf-8")) / 1e6


def _gpu_joules(library: Any, handle: Any) -> Callable[[], float]:
    def read() -> float:
        try:
            return float(library.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
        except library.NVMLError as error:
            raise OSError(str(error)) from error

    return read
