"""Pictures of the kinds that people have, as files: grey, transparent, of a palette, of 16 bits, turned, large."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

SMALL = (47, 31)
"""Width and height of most."""
ORIENTATION = 0x0112
"""Number of EXIF's orientation."""


def photographs(shape: tuple[int, int, int], count: int, seed: int) -> np.ndarray:
    """Return random parts of two photographs as images (N, C, H, W) uint8."""
    channels, height, width = shape
    pictures = [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    generator, found = np.random.default_rng(seed), []
    for number in range(count):
        whole = pictures[number % 2]
        side = int(generator.integers(100, 400))
        left, top = (int(generator.integers(0, extent - side)) for extent in whole.size)
        part = whole.crop((left, top, left + side, top + side)).convert("L" if channels == 1 else "RGB")
        pixels = np.asarray(part.resize((width, height), Image.Resampling.LANCZOS)).reshape(height, width, -1)
        found.append(np.broadcast_to(pixels.transpose(2, 0, 1), shape))
    return np.stack(found)


def odd_pictures(folder: Path) -> list[Path]:
    """Write the pictures into a folder and return their files in alphabetical order."""
    generator = np.random.default_rng(0)
    whole = Image.fromarray(load_sample_image("flower.jpg"))
    colour = whole.resize(SMALL)
    turned = colour.getexif()
    turned[ORIENTATION] = 6
    alpha = colour.copy()
    alpha.putalpha(Image.fromarray(generator.integers(0, 256, SMALL[::-1], dtype=np.uint8)))
    palette = colour.quantize(16)
    levels = generator.integers(0, 2**16, SMALL[::-1], dtype=np.uint16)
    colour.convert("L").save(folder / "grey.png")
    colour.convert("1").save(folder / "one_bit.png")
    colour.convert("CMYK").save(folder / "cmyk.jpg")
    alpha.save(folder / "alpha.png")
    alpha.convert("LA").save(folder / "grey_alpha.png")
    palette.save(folder / "palette.png")
    palette.save(folder / "palette_transparent.png", transparency=3)
    palette.save(folder / "animated.gif", save_all=True, append_images=[colour.quantize(8)])
    Image.fromarray(levels).save(folder / "sixteen_bits.png")
    colour.save(folder / "turned.png", exif=turned)
    colour.save(folder / "turned.jpg", exif=turned, quality=95)
    whole.resize((1300, 900)).save(folder / "large.jpg", quality=95)
    Image.new("RGB", (1, 1), "red").save(folder / "pixel.png")
    return sorted(folder.iterdir())
