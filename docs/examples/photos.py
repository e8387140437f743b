"""Two hundred small pictures in three classes, to try a folder of images: python docs/examples/photos.py PHOTOS [N]."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

KINDS = ("disc", "square", "stripes")


def picture(kind: str, draws: np.random.Generator) -> Image.Image:
    """Return a picture of some 24 to 48 pixels a side, with random colours, place and noise."""
    width, height = (int(side) for side in draws.integers(24, 49, 2))
    back, front = (tuple(int(value) for value in draws.integers(low, low + 100, 3)) for low in (20, 140))
    image = Image.new("RGB", (width, height), back)
    pen = ImageDraw.Draw(image)
    size = min(width, height)
    left, top = (int(draws.integers(2, max(3, side - size // 2 - 2))) for side in (width, height))
    corners = (left, top, left + size // 2, top + size // 2)
    if kind == "disc":
        pen.ellipse(corners, fill=front)
    elif kind == "square":
        pen.rectangle(corners, fill=front)
    else:
        for row in range(int(draws.integers(0, 4)), height, 6):
            pen.line((0, row, width, row), fill=front, width=2)
    pixels = np.asarray(image, dtype=np.int16) + draws.integers(-20, 21, (height, width, 3))  # (H, W, C)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def main(folder: Path, count: int) -> None:
    """Write the pictures, one folder a class."""
    draws = np.random.default_rng(0)
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        (folder / kind).mkdir(parents=True, exist_ok=True)
        picture(kind, draws).save(folder / kind / f"{number:03}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200)
