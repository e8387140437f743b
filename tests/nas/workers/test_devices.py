"""Tests of the allocation of a machine's devices and memory to slots."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from nas.config.workers import WorkersSpec
from nas.workers import devices, gpus
from nas.workers.devices import cores, machine_memory, slot_devices, smallest_share
from nas.workers.gpus import Gpu, device_memory, gpu_models, gpus_in, may_have_gpus, visible_gpus


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


def test_a_machine_without_a_driver_of_gpus_is_not_asked_for_any(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(sys, "platform", "linux")
    files = [str(tmp_path / "nvidiactl"), str(tmp_path / "kfd")]
    monkeypatch.setattr(gpus, "_built_for_gpus", lambda: True)
    assert not may_have_gpus(files)
    (tmp_path / "kfd").touch()
    assert may_have_gpus(files)
    monkeypatch.setattr(gpus, "_built_for_gpus", lambda: False)
    assert not may_have_gpus(files)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert may_have_gpus(())


@pytest.mark.parametrize(
    ("version", "built"),
    [
        ("cuda = None\nhip = None\n", False),
        ("cuda = '13.0'\nhip = None\n", True),
        ("cuda = None\nhip = '7.1'\n", True),
        ("debug = False\n", True),
        (None, True),
    ],
)
def test_the_file_of_its_version_tells_whether_torch_can_use_gpus(
    version: str | None, built: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Installed:
        def locate_file(self, name: str) -> Path:
            return tmp_path / Path(name).name

    if version is not None:
        (tmp_path / "version.py").write_text(version)
    monkeypatch.setattr(gpus, "distribution", lambda _: Installed())
    assert gpus._built_for_gpus() is built


def test_the_installed_torch_is_built_for_gpus_or_not() -> None:
    assert gpus._built_for_gpus() == (torch.version.cuda is not None or torch.version.hip is not None)


@pytest.mark.usefixtures("_asked_anew")
@pytest.mark.parametrize(
    ("answer", "named", "found"),
    [
        ("SMI", None, ("0", "1")),
        ("SMI", "1", ("1",)),
        ("MIG", None, ("0", "1", "2")),
        (None, None, ("0", "1", "2")),
    ],
)
def test_gpus_are_counted_without_torch_where_nvidia_smi_is_certain(
    answer: str | None, named: str | None, found: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        if answer is None:
            raise FileNotFoundError("nvidia-smi")
        return subprocess.CompletedProcess((), 0, SMI if answer == "SMI" else SMI.replace("Disabled", "Enabled"), "")

    monkeypatch.setattr(gpus, "may_have_gpus", lambda: True)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    monkeypatch.setattr(sys, "modules", {name: module for name, module in sys.modules.items() if name != "torch"})
    assert visible_gpus() == found


SMI = """0, GPU-5f1a, 81559, Disabled, NVIDIA H100 80GB HBM3
1, GPU-77c2, 81559, Disabled, NVIDIA H100 80GB HBM3
"""
MIXED = """0, GPU-5f1a, 16384, [N/A], Tesla T4
1, GPU-77c2, 81559, Disabled, NVIDIA H100 80GB HBM3
"""
H100, T4 = Gpu("NVIDIA H100 80GB HBM3", 81559 * 2**20), Gpu("Tesla T4", 2**34)


@pytest.mark.parametrize(
    ("answer", "names", "ordered", "found"),
    [
        (SMI, ("1", "0"), False, (H100, H100)),
        (SMI, ("GPU-77",), False, (H100,)),
        (MIXED, ("0", "1"), True, (T4, H100)),
        (MIXED, ("GPU-77c2", "GPU-5"), False, (H100, T4)),
        (MIXED, ("0",), False, None),
        (MIXED, ("GPU-",), False, None),
        (SMI, ("2",), True, None),
        (SMI, ("MIG-3f",), True, None),
        (SMI.replace("Disabled", "Enabled"), ("0",), True, None),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", ("0",), True, None),
        ("0, GPU-1, [Unknown Error], Disabled, T4", ("0",), True, None),
        ("", ("0",), True, None),
    ],
)
def test_an_answer_of_nvidia_smi_is_taken_where_it_is_certain(
    answer: str, names: tuple[str, ...], ordered: bool, found: tuple[Gpu, ...] | None
) -> None:
    assert gpus_in(answer, names, ordered=ordered) == found


@pytest.fixture
def _asked_anew() -> Iterator[None]:
    gpus._described.cache_clear()
    gpus._smi.cache_clear()
    yield
    gpus._described.cache_clear()
    gpus._smi.cache_clear()


@pytest.fixture
def programs(_asked_anew: None, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Answers of the programs that are run for GPU 0, in turn: their output, or an error."""
    answers: list[Any] = []

    def run(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return subprocess.CompletedProcess((), 0, answer, "")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(gpus, "visible_gpus", lambda: ("0",))
    return answers


def test_without_nvidia_smi_a_process_asks_torch(programs: list[Any]) -> None:
    programs += [FileNotFoundError("nvidia-smi"), 'a warning\n[["Radeon", 64]]\n']
    assert device_memory()["0"] == 64
    assert gpu_models() == ["Radeon"]


def test_memory_that_cannot_be_found_out_must_be_given(programs: list[Any]) -> None:
    failed = subprocess.CalledProcessError(1, "python", stderr="Traceback\nRuntimeError: no driver\n")
    programs += [FileNotFoundError("nvidia-smi"), failed, FileNotFoundError("nvidia-smi"), failed]
    with pytest.raises(
        ValueError, match=r"GPUs 0 must be known, or workers\.slot_memory_gib given: RuntimeError: no d"
    ):
        device_memory()
    assert gpu_models() == ["0"]


def test_a_process_that_finds_another_number_is_not_believed(programs: list[Any]) -> None:
    programs += ["", "[]"]
    with pytest.raises(ValueError, match="a process of its own found 0"):
        device_memory()


@pytest.mark.skipif(torch.cuda.device_count() == 0, reason="needs a GPU")
def test_memory_of_gpus_is_found_without_initialising_cuda() -> None:
    code = (
        "import torch; from nas.workers.gpus import device_memory, gpu_models; "
        "print(device_memory(), gpu_models()); assert not torch.cuda.is_initialized()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
    (name, *_) = visible_gpus()
    assert device_memory()[name] == pytest.approx(torch.cuda.get_device_properties(0).total_memory, rel=0.05)


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
