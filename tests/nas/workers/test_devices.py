"""How a machine is shared out among slots."""

from __future__ import annotations

import pytest

from nas.workers import devices
from nas.workers.devices import cores, slot_devices, visible_gpus
from nas.workers.spec import WorkersSpec


def test_a_slot_a_gpu_or_as_many_as_are_asked_for_in_turn() -> None:
    assert slot_devices(WorkersSpec(), ("0", "1", "3")) == ("0", "1", "3")
    assert slot_devices(WorkersSpec(slots=5), ("0", "3")) == ("0", "3", "0", "3", "0")
    assert slot_devices(WorkersSpec(slots=1), ("0", "3")) == ("0",)


@pytest.mark.parametrize(("number", "threads", "slots"), [(8, 1, 8), (8, 3, 2), (2, 4, 1), (1, 1, 1)])
def test_without_a_gpu_the_cores_give_the_slots(
    monkeypatch: pytest.MonkeyPatch, number: int, threads: int, slots: int
) -> None:
    monkeypatch.setattr(devices, "cores", lambda: number)
    assert slot_devices(WorkersSpec(threads_per_slot=threads), ()) == (None,) * slots
    assert slot_devices(WorkersSpec(slots=3, threads_per_slot=threads), ()) == (None,) * 3


def test_gpus_are_named_as_the_environment_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus(3) == ("0", "1", "2")
    assert visible_gpus(0) == ()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-abc")
    assert visible_gpus(2) == ("2", "GPU-abc")
    assert visible_gpus(0) == ()


def test_there_is_a_core() -> None:
    assert cores() >= 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "ray"}, "workers.name must be one of local, got 'ray'"),
        ({"slots": 0}, "workers.slots must be auto or at least 1, got 0"),
        ({"slots": "many"}, "workers.slots must be auto or at least 1, got many"),
        ({"threads_per_slot": 0}, "workers.threads_per_slot must be at least 1, got 0"),
        ({"retries": -1}, "workers.retries must be at least 0, got -1"),
        ({"deadline_minutes": 0.0}, "workers.deadline_minutes must be positive, got 0.0"),
    ],
)
def test_impossible_workers_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WorkersSpec(**changes)  # type: ignore[arg-type]  # what is wrong with it is the point
