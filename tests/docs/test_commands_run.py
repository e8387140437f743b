"""Commands of the README and the pages, run as written but for names, places and length.

All share two small studies, a folder of photos and an export. What can't run here is listed with its reason; those
compose in `tests/nas/cli/test_examples.py`.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"^\s*(?:nas) ([a-z].*)$")
NOT_RUN = {
    r"^(ui|dashboard)\b": "serves until it is stopped: tests of nas/reports/live and of the dashboard",
    r"^stop\b": "stops a search that runs: tests/nas/cli/test_stop.py",
    r"storage=postgres": "needs a database: tests of nas/study/storage",
    r"workers=ray|devices_per_trial|experiment=(ray_cluster|slurm|imagenet_ddp)": "needs several devices or machines",
    r"device_latency": "needs a fitted model of a device: tests of nas/objectives",
    r"data=hub": "needs a network",
    r"data=cifar10|experiment=cifar": "needs a large data set, whose reader has tests of its own",
    r"experiment=(from_googlenet|fine_tune)|googlenet.pth": "trains networks of millions of parameters",
    r"--config-dir|my_reader": "has parts of one's own: test_plugin_examples.py",
    r"^tabulate|surrogate=": "takes hours, or a file that does: tests of nas/tabular",
    r"data=tensors": "needs a study made from Python: tests of nas/api",
    r"data=signals": "tests of nas/data and nas/cli/test_signals.py",
    r"^import": "needs results from elsewhere: tests of nas/study",
    r"latency_ms": "needs a model of this machine: tests of nas/objectives and nas/exports/profiling",
    r"^measure|^doctor": "times this machine: tests of nas/exports/profiling and of nas/cli",
}
SHORT = ("training.epochs=1", "data.train_fraction=0.4", "workers.slots=1", "tracking=none")
SEARCHED = ("budget.trials=1", "budget.minutes=null", "seed=3", *SHORT)
ADDED = {
    "search": SEARCHED,
    "retrain": ("seeds=1", "training.epochs=1", "workers.slots=1", "pick=0", "replace=true"),
    "export": ("pick=0", "formats=[safetensors]", "output=exported"),
    "rehearse": ("seeds=1", "budget.trainings=3", "slots=1"),
    "describe": ("samples=20",),
    "finetune": ("training.epochs=3", "workers.slots=1"),
    "figures": ("formats=[png]",),
    "estimate": ("seconds=1", "workers.slots=1"),
}
STAND_INS = (
    (r"study=(S|mine|digits-quick|pets)\b", "study=first"),
    (r"(architecture=|,)(digits-quick|S|mine):17", r"\1first:0"),
    (r",(digits-quick|S|mine):23", ",second:0"),
    (r"outputs/(digits-quick|mine|S)/export/17", "bundle"),
    (r"=mine_network", "=bundle"),
    (r"PHOTOS/disc/000.png", "photo.png"),
    (r"model\.int8\.onnx", "model.onnx"),
    (r"=docs/examples", f"={ROOT}/docs/examples"),
    (r"=benchmarks/tables|=mine\.parquet", f"={ROOT}/benchmarks/tables"),
    (r"tables sampler", "tables/digits.parquet sampler"),
    (r"data\.path=\w+", "data.path=photos"),
    (r"data\.resolution=\d+", "data.resolution=16"),
    (r"^compare .*?( output=.*)?$", r"compare first second\1"),
    (r"watch=true|open=true", ""),
)


def commands() -> Iterator[tuple[str, str]]:
    """Yield each command, without its comment, and its first place."""
    for page in PAGES:
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            found = COMMAND.match(line)
            if found and "=" in found[1].partition("#")[0] + "=" and "…" not in found[1]:
                words = re.split(r" +# | {3,}", found[1].strip())[0]
                if re.match(r"[a-z]+( |$)(?![a-z]+ [a-z]+ [a-z]+)", words):
                    yield words, f"{page.name}:{number}"


FOUND = dict(reversed(list(commands())))
RUNNABLE = [command for command in reversed(FOUND) if not any(re.search(pattern, command) for pattern in NOT_RUN)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with two studies of two trainings each, photos and an export."""
    folder = tmp_path_factory.mktemp("commands")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_CACHE_DIR", str(folder / "cache"))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.chdir(folder)
        made = [sys.executable, str(ROOT / "docs/examples/photos.py"), "photos", "48"]
        subprocess.run(made, check=True, cwd=folder)
        shutil.copy(folder / "photos/disc/000.png", folder / "photo.png")
        for name, seed in (("first", 0), ("second", 1)):
            words = ["search", f"study={name}", f"seed={seed}", "sampler=random", "budget.trials=2", *SHORT]
            assert main(words) == 0
        forms = "formats=[safetensors,onnx]"
        assert main(["export", "study=first", "pick=0", forms, "output=bundle"]) == 0
        yield folder


def stood_in(command: str, number: int) -> list[str]:
    """Return the words of a command with names and places of this folder, short."""
    for pattern, text in STAND_INS:
        command = re.sub(pattern, text, command)
    words = shlex.split(command)
    if words[0] == "search":
        words = [word for word in words if not word.startswith(("study=", "budget."))] + [f"study=run{number}"]
    added = ADDED.get(words[0], ())
    kept = [word for word in words if word.partition("=")[0] not in {a.partition("=")[0] for a in added}]
    given = {word.partition("=")[0] for word in kept}
    kept += [word for word in added if word.partition("=")[0] not in given]
    if "fidelity=freeze_thaw" in kept or "image_folder" in command:
        kept = [word.replace("training.epochs=1", "training.epochs=3").replace("0.4", "1") for word in kept]
    return kept


RUN = list({tuple(stood_in(command, 0)): command for command in RUNNABLE}.values())
"""Commands that differ in more than names, places and length."""


@pytest.mark.xdist_group("commands")
@pytest.mark.parametrize("command", RUN, ids=lambda command: f"{FOUND[command]} {command}")
def test_a_command_runs(command: str, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = stood_in(command, RUN.index(command))
    code = main(words)
    printed = capsys.readouterr()
    assert code == 0, f"{shlex.join(words)}: {printed.err}"
    assert "Traceback" not in printed.err
    if "format=json" in words:
        json.loads(printed.out)


def test_most_commands_run_and_every_exception_is_needed() -> None:
    assert len(RUNNABLE) > 60
    assert len(RUN) > 35
    for pattern in NOT_RUN:
        if not re.search(r"measure|doctor", pattern):
            assert any(re.search(pattern, command) for command in FOUND), pattern


def test_python_on_the_pages_is_python() -> None:
    blocks = [block for page in PAGES for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)]
    assert len(blocks) > 15
    for block in blocks:
        ast.parse(block)


def test_every_target_of_make_on_the_pages_exists() -> None:
    if shutil.which("make") is None:
        pytest.skip("needs make")
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    targets = set(re.findall(r"(?:^|`)\s*make ([a-z-]+)(?:`| {2,}|$|;)", text, re.MULTILINE))
    assert {"search", "test"} <= targets
    for target in targets:
        asked = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert asked.returncode == 0, asked.stderr
