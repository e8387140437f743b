"""Energy by counters that count in the test, and by a power capping tree of files."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from nas.jobs.energy import (
    Counter,
    Energy,
    counted,
    energy_document,
    processor_counters,
    stored_energy,
)


def zone(tree: Path, folder: str, name: str, microjoules: int) -> Path:
    place = tree / folder
    place.mkdir(parents=True)
    (place / "name").write_text(f"{name}\n")
    (place / "energy_uj").write_text(f"{microjoules}\n")
    (place / "max_energy_range_uj").write_text("262143328850\n")
    return place


def test_packages_and_memory_count_and_their_parts_do_not(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 4_000_000)
    zone(tmp_path, "intel-rapl:0:1", "dram", 1_500_000)
    zone(tmp_path, "intel-rapl:1", "psys", 9_000_000)
    found = processor_counters(tmp_path)
    assert [(counter.name, counter.read(), counter.span) for counter in found] == [
        ("package-0", 5.0, 262143.32885),
        ("dram", 1.5, 262143.32885),
    ]
    assert processor_counters(tmp_path / "nothing") == []


def test_a_counter_that_can_not_be_read_is_none(tmp_path: Path) -> None:
    place = zone(tmp_path, "intel-rapl:0", "package-0", 5)
    (place / "energy_uj").unlink()
    assert processor_counters(tmp_path) == []


def test_energy_is_the_growth_also_over_a_fresh_start(tmp_path: Path) -> None:
    values = iter([90.0, 20.0])
    with counted([Counter("package-0", lambda: next(values), 100.0), Counter("gpu-0", lambda: 7.0)]) as energy:
        pass
    assert energy == Energy(30.0, ("package-0", "gpu-0"))


def test_a_counter_is_read_between_so_that_no_fresh_start_is_missed() -> None:
    calls, enough = 0, threading.Event()

    def read() -> float:
        nonlocal calls
        calls += 1
        if calls > 6:
            enough.set()
        return 6.0 * calls % 10  # 6 more at each reading, from zero again at 10

    with counted([Counter("package-0", read, 10.0)], seconds=0.001) as energy:
        assert enough.wait(60)
    assert energy.joules == pytest.approx(6.0 * (calls - 1))


def test_without_counters_energy_is_not_available() -> None:
    with counted([]) as energy:
        pass
    assert energy == Energy(None, ())
    assert energy_document(stored_energy(None, energy)) == "not available here"
    assert energy_document(None) == "not measured"


def test_runs_of_a_search_add_up_and_are_told_in_kwh_and_kg() -> None:
    first = stored_energy(None, Energy(1.8e6, ("package-0",)))
    both = stored_energy(first, Energy(1.8e6, ("package-0", "dram")))
    assert stored_energy(first, Energy(None, ()))["joules"] == 1.8e6
    assert energy_document(both, 500) == {
        "kwh": 1.0,
        "kg_co2": 0.5,
        "grams_per_kwh": 500,
        "counters": "package-0, dram",
    }
