from __future__ import annotations

from dataclasses import replace

import pytest
from engine import SMALL, space_of

from nas.objectives.step_memory import StepMemory
from nas.workers.device_allocation import DeviceAllocation, max_devices, per_device
from search_space.cost import cost
from search_space.lowering import lower

SPACE = space_of(SMALL)
SMALLEST, LARGEST = (SPACE.minimise(lambda a, sign=sign: sign * cost(lower(a)).macs) for sign in (1, -1))
MEMORY = StepMemory(available=2**40, batch_size=64, optimizer_slots=1, ema=False)


def test_memory_decides_for_the_fewest_devices_on_which_a_step_fits() -> None:
    graph = lower(LARGEST)
    rule = DeviceAllocation(1, 8, replace(MEMORY, available=MEMORY.needed(graph)))
    assert rule(LARGEST.to_json()) == 1
    for devices in (2, 4, 8):
        fits = replace(MEMORY, available=per_device(MEMORY, devices).needed(graph))
        assert DeviceAllocation(1, 8, fits)(LARGEST.to_json()) == devices
        too_small = replace(fits, available=fits.available - 1)
        assert DeviceAllocation(1, 8, too_small)(LARGEST.to_json()) == min(8, 2 * devices)
    tight = replace(MEMORY, available=1)
    assert DeviceAllocation(1, 4, tight)(LARGEST.to_json()) == 4


def test_work_decides_for_as_many_devices_as_have_enough_of_it() -> None:
    gmacs = cost(lower(LARGEST)).macs * 64 / 1e9
    for devices in (1, 2, 4, 8):
        assert DeviceAllocation(1, 8, MEMORY, gmacs / devices)(LARGEST.to_json()) == devices
        assert DeviceAllocation(1, 8, MEMORY, gmacs / devices * 1.01)(LARGEST.to_json()) == max(1, devices // 2)
    assert DeviceAllocation(1, 8, MEMORY, gmacs / 2)(SMALLEST.to_json()) == 1
    assert DeviceAllocation(1, 8, replace(MEMORY, available=1), gmacs)(LARGEST.to_json()) == 8


def test_a_fixed_number_is_everyones() -> None:
    assert {DeviceAllocation(3, 3, replace(MEMORY, available=1))(a.to_json()) for a in (SMALLEST, LARGEST)} == {3}


def test_a_device_has_its_share_of_a_batch_rounded_up() -> None:
    assert [per_device(MEMORY, devices).batch_size for devices in (1, 3, 8)] == [64, 22, 8]
    assert DeviceAllocation(1, 8, MEMORY).memory_at_most == per_device(MEMORY, 8)


@pytest.mark.parametrize(("slots", "batch_size", "most"), [(1, 64, 1), (2, 64, 2), (7, 64, 4), (8, 2, 1), (8, 9, 4)])
def test_slots_and_batches_say_how_many_at_most(slots: int, batch_size: int, most: int) -> None:
    assert max_devices(slots, batch_size) == most
