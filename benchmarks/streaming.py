"""Images a second and resident memory of data held in memory, streamed decoded from disk, and decoded in every epoch.

JPEGs are generated once, with textures and shapes of every size as in photographs. Then each mode runs in a child
process of its own, in alternating order, in every run. A child warms up on a few images and reads its memory, then
loads the data and iterates over epochs of augmented batches without training. Another child only builds the cache.

    python benchmarks/streaming.py [--images 20000] [--side 256] [--batch 64] [--threads 2] [--runs 5]
                                   [--parquet] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table

from nas.data import DataSpec, describe, load, train_loader, usual_augmentation
from nas.data.loader import chunk_size

WAYS: dict[str, dict[str, Any]] = {
    "held": {"streaming": "never"},
    "read": {"streaming": "always"},
    "decoded anew": {"streaming": "always", "cache_gib": 0.0},
}
CLASSES, TEXTURES, MIB = 10, 24, 2**20


# --- generated images


def texture(side: int, numbers: np.random.Generator) -> Image.Image:
    """Return an image of octave noise, stronger the coarser it is, with a few ellipses."""
    total = np.zeros((side, side, 3), np.float32)
    cells = 4
    while cells <= side:
        noise = Image.fromarray(numbers.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        total += np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC), np.float32) * (4 / cells) ** 0.5
        cells *= 2
    total -= total.min()
    picture = Image.fromarray((total * (255 / total.max())).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y, r = (int(value) for value in numbers.integers(0, side, 3))
        draw.ellipse((x, y, x + r // 3, y + r // 4), fill=tuple(int(value) for value in numbers.integers(0, 256, 3)))
    return picture


def jpeg(number: int, side: int, textures: list[Image.Image]) -> bytes:
    """Return the `number`-th image as JPEG: a blend of windows of two textures."""
    chance = random.Random(number)
    windows = []
    for each in chance.sample(textures, 2):
        x, y = (chance.randrange(each.width - side + 1) for _ in range(2))
        windows.append(each.crop((x, y, x + side, y + side)))
    buffer = io.BytesIO()
    Image.blend(windows[0], windows[1], chance.uniform(0.1, 0.5)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def generate(folder: Path, images: int, side: int) -> float:
    """Write the images into one folder a class, and return the mean size of a file in bytes."""
    numbers = np.random.default_rng(0)
    textures = [texture(2 * side, numbers) for _ in range(TEXTURES)]
    for name in range(CLASSES):
        (folder / f"class{name}").mkdir(parents=True, exist_ok=True)

    def write(number: int) -> int:
        return (folder / f"class{number % CLASSES}" / f"{number:06}.jpg").write_bytes(jpeg(number, side, textures))

    with ThreadPoolExecutor() as pool:
        return statistics.mean(pool.map(write, range(images)))


def as_parquet(photos: Path, folder: Path, images: int, shard_rows: int = 2000) -> None:
    """Write the same images into Parquet files of `shard_rows` rows."""
    import pyarrow as pa  # noqa: PLC0415 - one option needs it
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    folder.mkdir()
    for first in range(0, images, shard_rows):
        numbers = range(first, min(first + shard_rows, images))
        files = [photos / f"class{number % CLASSES}" / f"{number:06}.jpg" for number in numbers]
        pictures = [{"bytes": file.read_bytes(), "path": None} for file in files]
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        columns = {"image": pa.array(pictures, kind), "label": [number % CLASSES for number in numbers]}
        pq.write_table(pa.table(columns), folder / f"train-{first:06}.parquet", row_group_size=100)


# --- one child process


def kib(name: str) -> int:
    """Return a size of /proc/self/status in KiB."""
    return int(Path("/proc/self/status").read_text(encoding="ascii").split(name + ":")[1].split()[0])


def child(order: dict[str, Any]) -> None:
    """Build the cache, or iterate over epochs; print the measurements as JSON."""
    torch.set_num_threads(1)
    spec = DataSpec(**order["spec"])
    small = DataSpec(source="digits", resolution=8, cache=spec.cache, crop_padding=1, flip=True)
    for _ in train_loader(load(small), usual_augmentation(small), 64, seed=0):
        pass
    before, began = kib("VmRSS"), time.perf_counter()
    if order["build"]:
        info = describe(spec)
        found: dict[str, Any] = {"fingerprint": info.fingerprint, "count": info.train + info.validation + info.test}
    else:
        data = load(spec)
        loader = train_loader(data, usual_augmentation(spec), order["batch"], seed=0)
        found = {"count": 0, "fingerprint": data.fingerprint, "shape": data.shape}
    found["ready"] = time.perf_counter() - began
    began, processor = time.perf_counter(), time.process_time()
    for epoch in range(0 if order["build"] else order["epochs"]):
        loader.set_epoch(epoch)
        found["count"] += sum(len(labels) for _, labels in loader)
    found |= {"seconds": time.perf_counter() - began, "processor": time.process_time() - processor}
    found |= {"peak": kib("VmHWM") / 1024, "grown": (kib("VmHWM") - before) / 1024, "anonymous": kib("RssAnon") / 1024}
    print(json.dumps(found))


def measured(order: dict[str, Any]) -> dict[str, Any]:
    """Run a child process and return its measurements."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    words = [sys.executable, __file__, "--child", json.dumps(order)]
    shown = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if shown.returncode:
        raise SystemExit(shown.stderr)
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


# --- all runs


def spec_of(arguments: argparse.Namespace, place: Path, way: str) -> dict[str, Any]:
    source = {"source": "parquet", "path": str(place / "shards")}
    if not arguments.parquet:
        source = {"source": "image_folder", "path": str(place / "photos")}
    threads = {"decode_workers": arguments.threads, "flip": True, "val_fraction": 0.01, "test_fraction": 0.0}
    kept = "encoded" if "cache_gib" in WAYS[way] else "decoded"
    cache = place / f"cache-{kept}-{source['source']}"
    return {"name": "photos", "cache": str(cache), **source, **threads, **WAYS[way]}


def spread(values: list[float], digits: int = 0) -> str:
    """Return median and range as text."""
    return f"{statistics.median(values):,.{digits}f} [{min(values):,.{digits}f}, {max(values):,.{digits}f}]"


def bound(arguments: argparse.Namespace) -> float:
    """Return the bound of docs/own_data.md on the memory of a streamed loader, in MiB."""
    entries = 3 * arguments.side**2
    chunk = chunk_size((3, arguments.side, arguments.side), arguments.batch)
    return (60 * chunk * entries + 100 * arguments.images + arguments.threads * 2 * entries) / MIB


def report(arguments: argparse.Namespace, builds: dict[str, Any], runs: dict[str, list[dict[str, Any]]]) -> None:
    """Print both tables."""
    console = Console(width=150)
    build = Table(title="Building the cache (n = 1)")
    for heading in ("what is kept", "seconds", "images/s", "peak resident (MiB)", "grown by (MiB)", "on disk (MiB)"):
        build.add_column(heading, justify="right")
    for name, found in builds.items():
        pace = f"{found['count'] / found['ready']:,.0f}"
        sizes = [f"{found[key]:,.0f}" for key in ("peak", "grown", "disk")]
        build.add_row(name, f"{found['ready']:.1f}", pace, *sizes)
    console.print(build)
    table = Table(
        title=f"Batches of {arguments.batch}, {arguments.threads} threads (median and range, n = {arguments.runs})"
    )
    headings = (
        "way",
        "images/s",
        "processor s / 1,000 images",
        "seconds to load",
        "peak resident (MiB)",
        "grown by (MiB)",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    for way, found in runs.items():
        paces = [each["count"] / each["seconds"] for each in found]
        processor = [1000 * each["processor"] / each["count"] for each in found]
        loading, peaks, grown = ([each[key] for each in found] for key in ("ready", "peak", "grown"))
        table.add_row(way, spread(paces), spread(processor, 2), spread(loading, 1), spread(peaks), spread(grown))
    console.print(table)
    decoded = arguments.images * 3 * arguments.side**2 / MIB
    console.print(
        f"the decoded set: {decoded:,.0f} MiB; bound of what streaming may grow by: {bound(arguments):,.0f} MiB"
    )
    ratios = {
        way: [a["seconds"] / b["seconds"] for a, b in zip(runs["held"], runs[way], strict=True)]
        for way in ("read", "decoded anew")
    }
    for way, values in ratios.items():
        console.print(f"{way} against held, run by run: {spread(values, 2)} times its images a second")
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "pillow", "kornia", "numpy"))
    console.print(f"Python {platform.python_version()}, {packages}, {platform.machine()}, {os.cpu_count()} cores")


@contextmanager
def working_folder(keep: str | None) -> Iterator[Path]:
    if keep is not None:
        Path(keep).mkdir(parents=True, exist_ok=True)
        yield Path(keep)
        return
    with tempfile.TemporaryDirectory(prefix="inception-nas-streaming-") as folder:
        yield Path(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--parquet", action="store_true")
    parser.add_argument("--keep", help="folder for the pictures and caches, reused by the next call")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        child(json.loads(arguments.child))
        return
    with working_folder(arguments.keep) as place:
        if not (place / "photos").exists():
            size = generate(place / "photos", arguments.images, arguments.side)
            print(
                f"{arguments.images:,} JPEGs of {arguments.side} x {arguments.side}, {size / 1024:.1f} KiB each",
                flush=True,
            )
        if arguments.parquet and not (place / "shards").exists():
            as_parquet(place / "photos", place / "shards", arguments.images)
        builds: dict[str, Any] = {}
        for name, way in (("decoded images", "read"), ("encoded images, or paths", "decoded anew")):
            builds[name] = measured({"spec": spec_of(arguments, place, way), "build": True})
            cache = Path(spec_of(arguments, place, way)["cache"])
            builds[name]["disk"] = sum(file.stat().st_size for file in cache.rglob("*.*") if file.is_file()) / MIB
        runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for run in range(arguments.runs):
            for way in [*WAYS][run % 3 :] + [*WAYS][: run % 3]:
                order = {"spec": spec_of(arguments, place, way), "build": False}
                runs[way].append(measured(order | {"batch": arguments.batch, "epochs": arguments.epochs}))
                print(f"run {run + 1}, {way}: load {os.getloadavg()[0]:.1f}", flush=True)
        prints = {each["fingerprint"] for found in runs.values() for each in found}
        assert len(prints) == 1, "every way must see the same images"
        report(arguments, builds, runs)


if __name__ == "__main__":
    main()
