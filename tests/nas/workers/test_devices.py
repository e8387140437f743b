"""Tests of the allocation of a machine's devices and memory to slots."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from nas.config.workers import WorkersSpec
from nas.workers import devices
from nas.workers.devices import cores, machine_memory, slot_devices, smallest_share
from nas.workers.gpus import visible_gpus


def test_a_slot_a_gpu_or_as_many_as_are_asked_for_in_turn() -> None:
    assert slot_devices(WorkersSpec(), ("0", "1", "3")) == ("0", "1", "3")
    assert slot_devices(WorkersSpec(slots=5), ("0", "3")) == ("0", "3", "0", "3", "0")
    assert slot_devices(WorkersSpec(slots=1), ("0", "3")) == ("0",)


def test_a_gpu_is_shared_among_as_many_slots_as_are_asked_for() -> None:
    shared = slot_devices(WorkersSpec(slots_per_device=3), ("4", "GPU-a"))
    assert shared == ("4", "GPU-a") * 3
    assert smallest_share(shared, {"4": 81, "GPU-a": 48, None: 1}) == 16
    assert slot_devices(WorkersSpec(slots_per_device=3, slots=2), ("4",)) == ("4", "4")
    assert slot_devices(WorkersSpec(slots_per_device=3, slots=2), ()) == (None, None)


@pytest.mark.parametrize(("number", "threads", "slots"), [(8, 1, 8), (8, 3, 2), (2, 4, 1), (1, 1, 1)])
def test_without_a_gpu_the_cores_give_the_slots(
    monkeypatch: pytest.MonkeyPatch, number: int, threads: int, slots: int
) -> None:
    monkeypatch.setattr(devices, "cores", lambda: number)
    assert slot_devices(WorkersSpec(threads_per_slot=threads), ()) == (None,) * slots
    assert slot_devices(WorkersSpec(slots_per_device=4, threads_per_slot=threads), ()) == (None,) * slots
    assert slot_devices(WorkersSpec(slots=3, threads_per_slot=threads), ()) == (None,) * 3


@pytest.mark.parametrize(
    ("named", "count", "found"),
    [(None, 3, ("0", "1", "2")), (None, 0, ()), ("2, GPU-abc", 2, ("2", "GPU-abc")), ("2, GPU-abc", 0, ())],
)
def test_gpus_are_named_as_the_environment_names_them(
    monkeypatch: pytest.MonkeyPatch, named: str | None, count: int, found: tuple[str, ...]
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert visible_gpus() == found


def test_a_slot_has_its_share_of_its_device() -> None:
    assert smallest_share((None,) * 4, {None: 16}) == 4
    assert smallest_share(("0", "3"), {"0": 80, "3": 48, None: 1}) == 48
    assert smallest_share(("0", "3", "0"), {"0": 80, "3": 48}) == 40


def test_the_memory_is_the_machines_or_what_a_container_leaves_of_it(tmp_path: Path) -> None:
    whole = machine_memory(())
    assert 2**28 < whole == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit, none, absent = tmp_path / "memory.max", tmp_path / "none", tmp_path / "absent"
    limit.write_text("1048576\n")
    none.write_text("max\n")
    assert machine_memory((none, absent)) == whole
    assert machine_memory((none, limit, absent)) == 2**20


def test_there_is_a_core() -> None:
    assert cores() >= 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"name": "slurm"},
            "workers.name must be one of local, ray, or a dotted path such as",
        ),
        ({"slots": 0}, "workers.slots must be auto or at least 1, got 0"),
        ({"slots": "many"}, "workers.slots must be auto or at least 1, got many"),
        ({"jobs_per_child": 0}, "workers.jobs_per_child must be auto or at least 1, got 0"),
        ({"jobs_per_child": "few"}, "workers.jobs_per_child must be auto or at least 1, got few"),
        ({"slots_per_device": 0}, "workers.slots_per_device must be at least 1, got 0"),
        ({"threads_per_slot": 0}, "workers.threads_per_slot must be at least 1, got 0"),
        ({"retries": -1}, "workers.retries must be at least 0, got -1"),
        ({"slot_memory_gib": 0.0}, "workers.slot_memory_gib must be positive, got 0.0"),
        ({"deadline_minutes": 0.0}, "workers.deadline_minutes must be positive, got 0.0"),
        ({"address": "auto"}, "workers.address is for workers=ray alone, got it with local"),
        ({"gpus_per_trial": 1.0}, "workers.gpus_per_trial is for workers=ray alone, got it with local"),
        ({"name": "ray", "devices_per_trial": "auto"}, "workers.devices_per_trial must be a number with workers=ray"),
        ({"name": "a.b", "devices_per_trial": "auto"}, "workers.devices_per_trial must be a number with workers=a.b"),
        ({"name": "my-module.make"}, "workers.name must be one of local, ray, or a dotted path"),
        ({"name": "ray", "devices_per_trial": 2, "gpus_per_trial": 0.5}, "several devices a trial need whole GPUs"),
        ({"name": "ray", "cpus_per_trial": -1.0}, "workers.cpus_per_trial must be at least 0, got -1.0"),
        ({"name": "ray", "gpus_per_trial": 1.5}, "workers.gpus_per_trial must be a share of one GPU or a whole number"),
        ({"name": "ray", "cpus_per_trial": 0.0}, "a training must ask for something of a machine"),
    ],
)
def test_impossible_workers_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WorkersSpec(**changes)  # type: ignore[arg-type]  # what is wrong with it is the point
