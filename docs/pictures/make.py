"""Pictures of the README: a search in a terminal, and the page of its report, of a real search of some minutes.

    python docs/pictures/make.py [--trials 40] [--keep FOLDER]

It needs tmux and Chromium, and writes docs/pictures/terminal.svg and page.png, and the drawings of docs/algebra.md.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

HERE = Path(__file__).resolve().parent
STUDY = "digits"
OUTPUTS = Path("outputs") / STUDY
MOMENTS = (0.3, 0.7)
"""Shares of a search between which its terminal is looked at."""
COLUMNS, ROWS = 110, 28
WINDOW = (1400, 1150)
SERVER = "nas-pictures"
PATIENCE = 1800.0
COLOURS = 128
"""Colours of the picture of the page, whose palette keeps its file small."""
NAS = (sys.executable, "-m", "nas")


def searched(folder: Path, trials: int) -> str:
    """Search in a terminal of its own; return the screen, with its colours, when about two thirds are done."""
    words = [f"study={STUDY}", f"budget.trials={trials}", "training.epochs=4", "workers.slots=2", "tracking=none"]
    size = ("-x", str(COLUMNS), "-y", str(ROWS), "-c", str(folder))
    _tmux("new-session", "-d", *size, shlex.join([*NAS, "search", *words]))
    screen, deadline = "", time.monotonic() + PATIENCE
    while _tmux("has-session", check=False).returncode == 0 and time.monotonic() < deadline:
        time.sleep(1.0)
        if MOMENTS[0] < _share_done(folder / OUTPUTS) < MOMENTS[1]:
            screen = _tmux("capture-pane", "-e", "-p", check=False).stdout or screen
    if not screen or not (folder / OUTPUTS / "front.json").is_file():
        raise SystemExit(f"the search must be seen, and end within {PATIENCE:.0f} s")
    return screen


def _tmux(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["tmux", "-L", SERVER, *words], check=check, capture_output=True, text=True)


def _share_done(study: Path) -> float:
    try:
        return float(json.loads((study / "live.json").read_text(encoding="utf-8"))["share_done"] or 0.0)
    except (OSError, ValueError, KeyError):
        return 0.0


def write_terminal(screen: str, path: Path) -> None:
    """Write a screen as SVG, without the fonts that rich would load from a server."""
    with Path("/dev/null").open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(Text.from_ansi(screen.rstrip("\n")))
    form = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    form = form.replace("Fira Code, monospace", "Menlo, Consolas, DejaVu Sans Mono, monospace")
    svg = console.export_svg(title=f"nas search study={STUDY}", theme=MONOKAI, code_format=form, unique_id="terminal")
    path.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", encoding="utf-8")


def write_page(report: Path, path: Path) -> None:
    """Write what a browser shows of a report, from its head on, with few colours."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise SystemExit("a picture of the page needs chromium, chromium-browser or google-chrome, there is none")
    size = f"--window-size={WINDOW[0]},{WINDOW[1]}"
    options = (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--virtual-time-budget=8000",
        size,
    )
    with tempfile.TemporaryDirectory() as profile:
        line = [browser, *options, f"--user-data-dir={profile}", f"--screenshot={path}", report.resolve().as_uri()]
        subprocess.run(line, check=True, capture_output=True)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLOURS).save(path, optimize=True)


def write_drawings() -> None:
    """Write the drawings of one network, as it is and with its filters factorized."""
    network = f"architecture={HERE.parent / 'examples/networks/block.json'}"
    for file, words in (("block.svg", ()), ("block_factorized.svg", ("rewrite=factorize",))):
        subprocess.run([*NAS, "describe", network, *words, f"svg={HERE / file}"], check=True)


def main() -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--keep", type=Path, help="folder of the study; a study that is there is not searched again")
    arguments = parser.parse_args()
    write_drawings()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        if not (folder / OUTPUTS).is_dir():
            folder.mkdir(exist_ok=True)
            write_terminal(searched(folder, arguments.trials), HERE / "terminal.svg")
        subprocess.run([*NAS, "report", f"study={STUDY}"], check=True, cwd=folder)
        write_page(folder / OUTPUTS / "report.html", HERE / "page.png")


if __name__ == "__main__":
    main()
