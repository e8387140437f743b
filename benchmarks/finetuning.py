"""Fine-tuning against training from scratch: the digits 5 to 9, from a network that was trained on 0 to 4.

One network of a short search is exported, and fine-tuned over seeds with several settings and shares of the training
images; `scratch` is the same network with fresh weights, at two rates. Settings are to be chosen by the validation
part. Finished trainings stand in FOLDER and are not repeated. About three minutes on one core.

    python benchmarks/finetuning.py FOLDER [--seeds 5]
"""

from __future__ import annotations

import argparse
import io
import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file
from sklearn.datasets import load_digits

from nas.cli import main as nas
from nas.study.intervals import student_reach
from search_space.documents import graph_of
from search_space.network import build


def recipe(rate: float, backbone: float, head_epochs: int) -> tuple[str, ...]:
    """Return the words of a setting."""
    words = ("learning_rate", rate), ("backbone_learning_rate", backbone), ("head_epochs", head_epochs)
    return tuple(f"training.{name}={value:g}" for name, value in words)


SETTINGS: Mapping[str, tuple[str, Sequence[str]]] = {
    "rate 0.3, classifier first for 1 epoch": ("model", recipe(0.3, 1, 1)),
    "rate 0.3, classifier first for 2 epochs": ("model", recipe(0.3, 1, 2)),
    "rate 0.3, all layers at once": ("model", recipe(0.3, 1, 0)),
    "rate 0.3, a third of it below the classifier": ("model", recipe(0.3, 0.3, 2)),
    "rate 0.1, a third of it below the classifier": ("model", recipe(0.1, 0.3, 2)),
    "scratch": ("scratch", recipe(0.1, 1, 0)),
    "scratch, rate 0.3": ("scratch", recipe(0.3, 1, 0)),
}
SHARES = (1.0, 0.1)
PARTS = ("val_accuracy", "test_accuracy")
WORKERS = "workers.slots=1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    prepare(given.folder)
    parts = [f"{part}, {share:.0%} of the images" for share in SHARES for part in ("validation", "test")]
    table = Table("setting", *parts, box=None)
    for name, (model, words) in SETTINGS.items():
        found = [finetuned(given.folder, model, words, share, given.seeds) for share in SHARES]
        table.add_row(name, *(cell([seed[part] for seed in seeds]) for seeds in found for part in PARTS))
    console = Console(width=160)
    console.print(f"Accuracy, mean over {given.seeds} seeds with its 95 % interval (t); 144 and 179 images")
    console.print(table)
    console.print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, one thread")


def prepare(folder: Path) -> None:
    """Write pictures, and the network with trained and with fresh weights, unless they are there."""
    if (folder / "scratch" / "preprocessing.json").exists():
        return
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        place = folder / ("low" if label < 5 else "high") / f"digit{label}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15.9).astype(np.uint8)).save(place / f"{number:04}.png")
    study = f"study={folder / 'study'}"
    images = ("data=image_folder", f"data.path={folder / 'low'}", "data.flip=false")
    run("search", *images, study, "budget.trials=4", WORKERS, "tracking=none")
    run("export", study, f"output={folder / 'model'}", "formats=[safetensors]")
    document = json.loads((folder / "model" / "architecture.json").read_text(encoding="utf-8"))
    (folder / "scratch").mkdir(exist_ok=True)
    torch.manual_seed(0)
    described = {"format": "pt", "architecture": json.dumps(document), "classes": "[]"}
    save_file(build(graph_of(document)).state_dict(), folder / "scratch" / "weights.safetensors", described)
    rule = (folder / "model" / "preprocessing.json").read_bytes()
    (folder / "scratch" / "preprocessing.json").write_bytes(rule)


def finetuned(folder: Path, model: str, words: Sequence[str], share: float, seeds: int) -> list[dict[str, float]]:
    """Return the result of each seed."""
    name = "-".join((model, *(word.partition(".")[2] for word in words), f"{share:g}"))
    images = (f"data.path={folder / 'high'}", "data.flip=false", f"data.train_fraction={share}")
    output = f"output={folder / 'tuned' / name.replace('=', '_')}"
    plain = (f"seeds={seeds}", WORKERS, "formats=[safetensors]", "format=json")
    said = run("finetune", f"model={folder / model}", output, *images, *words, *plain)
    found: list[dict[str, float]] = json.loads(said)["seeds"]
    return found


def run(*words: str) -> str:
    """Return the standard output of a command."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code: Any = nas(words)
    if code:
        raise SystemExit(f"nas {' '.join(words)} ended with {code}: {err.getvalue()}")
    return out.getvalue()


def cell(values: Sequence[float]) -> str:
    reach = student_reach(stdev(values), len(values), 0.95) if len(values) > 1 else float("nan")
    return f"{100 * fmean(values):.1f} ± {100 * reach:.1f} %"


if __name__ == "__main__":
    main()
