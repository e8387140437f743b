"""Fixed text of the files that `source.py` writes: helper classes, each written only if it is used, and the program."""

from __future__ import annotations

HEAD = '''"""{summary}

This file needs PyTorch alone, and Pillow to read an image. `python model.py image.png ...` prints the most probable
classes of each image (`--help` shows more), with the weights in `weights.safetensors` and with `preprocessing.json`,
both beside this file: `mean` and `std` of each channel, of pixels scaled to [0, 1], and the names of the `classes`.
In Python, `load()` returns the network with its weights, and `read_image(path)` an image as its input.

A comment is the output shape of the line: channels×height×width.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import struct
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
INPUT = {shape}  # channels, height, width
'''

PARTS = {  # in their order in the file
    "ChannelNorm": '''
class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each cell."""

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C, H, W)
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)
''',
    "Conv": '''
class Conv(nn.Sequential):
    """Convolution, then its norm, then its activation: batch norm and ReLU by default."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        groups: int = 1,
        bias: bool = False,
        norm: type[nn.Module] | None = nn.BatchNorm2d,
        eps: float = 1e-5,
        activation: type[nn.Module] | None = nn.ReLU,
    ) -> None:
        super().__init__()
        self.add_module("conv", nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=bias))
        if norm is not None:
            self.add_module("norm", norm(outputs, eps=eps))
        if activation is not None:
            self.add_module("activation", activation())
''',
    "Cut": '''
class Cut(nn.Module):
    """Slice of the channels, from `start` up to and without `stop`."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        self.start = start
        self.stop = stop

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, stop - start, H, W)
        return x[:, self.start : self.stop]
''',
    "Scale": '''
class Scale(nn.Module):
    """Multiplication by a constant."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:  # any shape
        return x * self.value
''',
    "ChannelScale": '''
class ChannelScale(nn.Module):
    """Multiplication by a learned factor per channel, `value` at first."""

    def __init__(self, channels: int, value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), value))

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C, H, W)
        return x * self.weight.reshape(-1, 1, 1)
''',
    "Dense": '''
class Dense(nn.Linear):
    """Linear layer over the flattened input; its output is one cell."""

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, features, 1, 1)
        return super().forward(x.flatten(1))[:, :, None, None]
''',
    "Steps": '''
class Steps(nn.Sequential):
    """Sequence of modules under their names."""

    def __init__(self, /, *unnamed: nn.Module, **named: nn.Module) -> None:
        super().__init__(*unnamed)
        for name, module in named.items():
            self.add_module(name, module)
''',
    "Parallel": '''
class Parallel(nn.Module):
    """Parallel branches on one input, their outputs concatenated along the channels."""

    def __init__(self, /, *unnamed: nn.Module, **named: nn.Module) -> None:
        super().__init__()
        for index, branch in enumerate(unnamed):
            self.add_module(str(index), branch)
        for name, branch in named.items():
            self.add_module(name, branch)

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, sum of the branches' channels, H', W')
        outputs = [branch(x) for branch in self.children()]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)
''',
    "Sum": '''
class Sum(nn.Module):
    """Residual: a body added to a shortcut of the same input, then an activation."""

    def __init__(self, body: nn.Module, shortcut: nn.Module, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut
        self.activation = nn.Identity() if activation is None else activation

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C', H', W')
        return self.activation(self.body(x) + self.shortcut(x))
''',
    "Tap": '''
class Tap(nn.Module):
    """Tap: passes its input on, and in training runs an auxiliary head on it, whose loss has the weight `weight`."""

    def __init__(self, head: nn.Module, weight: float) -> None:
        super().__init__()
        self.head = head
        self.weight = weight
        self.logits: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C, H, W)
        self.logits = self.head(x).flatten(1) if self.training else None
        return x
''',
}

NETWORK = '''
class Network(nn.Module):
    """Network from images (N, {shape}) to logits (N, {outputs})."""

    def __init__(self) -> None:
        super().__init__()
{body}

    def forward(self, images: Tensor) -> Tensor:
        return self.body(images).flatten(1)
'''

TAPPED_NETWORK = '''
class Network(nn.Module):
    """Network from images (N, {shape}) to logits (N, {outputs}); in training also each head's logits and weight."""

    def __init__(self) -> None:
        super().__init__()
{body}

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, list[tuple[Tensor, float]]]:
        logits = self.body(images).flatten(1)
        if not self.training:
            return logits
        return logits, [(tap.logits, tap.weight) for tap in self.modules() if isinstance(tap, Tap)]
'''

PROGRAM = r'''
def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file: the header's length in 8 bytes, a JSON header, then plain numbers."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    numbers = content[8 + length :]
    types = {"F32": torch.float32, "I64": torch.int64}
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] not in types:
            raise ValueError(f"weights must be of {sorted(types)}, got {entry['dtype']} for {name}")
        begin, end = entry["data_offsets"]
        tensor = torch.frombuffer(bytearray(numbers[begin:end]), dtype=types[entry["dtype"]])
        tensors[name] = tensor.reshape(entry["shape"])
    return tensors


def load(weights: Path = HERE / "weights.safetensors") -> Network:
    """Return the network with its weights, in evaluation mode."""
    network = Network()
    network.load_state_dict(read_weights(weights))
    return network.eval()


TURNS = {
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE",
    6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90",
}  # fmt: skip
"""Pillow's names of what turns an image upright, by the orientation in its EXIF data."""


def read_image(path: Path, preprocessing: Path = HERE / "preprocessing.json") -> Tensor:
    """Read an image file as a batch of one, (1, C, H, W): cropped to its middle, resized, over white, normalised."""
    from PIL import Image, ImageOps

    channels, height, width = INPUT
    numbers = read_preprocessing(preprocessing)
    if not path.is_file() and path.exists():
        raise ValueError("it is no file")
    try:
        image = decode(path)
    except Exception as error:  # noqa: BLE001 - metadata never decide whether an image is read
        content, exif = without_metadata(path.read_bytes())
        try:
            image = decode(io.BytesIO(content), exif)
        except Exception:  # noqa: BLE001 - it is not the metadata
            raise error from None
    if image.mode.startswith("I;16"):  # the higher byte of each pixel
        image = Image.frombytes("L", image.size, image.tobytes()[0 if image.mode.endswith("B") else 1 :: 2])
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).reshape(height, width, channels)
    mean, std = (torch.tensor(numbers[key])[:, None, None] for key in ("mean", "std"))  # (C, 1, 1)
    return ((pixels.permute(2, 0, 1) / 255 - mean) / std)[None]


def decode(source: Any, exif: bytes = b"") -> Any:
    """Decode an image file and turn it as its EXIF data say, or else those given; no other metadata count."""
    from PIL import Image

    _, height, width = INPUT
    with Image.open(source) as opened:
        opened.draft(None, (3 * width, 3 * height))  # decodes a much larger JPEG at a lower resolution
        try:
            opened.load()
        except Exception:  # noqa: BLE001 - of metadata behind the pixels, which are then there; else it fails again
            opened.load()
        try:
            number = opened.getexif().get(0x0112)
        except Exception:  # noqa: BLE001 - metadata fail in any way
            number = orientation(opened.info.get("exif", b""))
        turn = TURNS.get(number if isinstance(number, int) else None) or TURNS.get(orientation(exif))
        image = opened.copy() if turn is None else opened.transpose(Image.Transpose[turn])
    if image.mode == "I" and opened.format == "PPM":  # 16 bits, kept in 32
        image = Image.frombytes("L", image.size, image.tobytes()[1 if sys.byteorder == "little" else 2 :: 4])
    return image


def orientation(exif: bytes) -> int | None:
    """Return the orientation in an EXIF block, None if none can be read; any bytes will do."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    try:
        (at,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, at)
        for start in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, length, value = struct.unpack_from(f"{order}HHIH", exif, start)
            if (tag, kind, length) == (0x0112, 3, 1):
                return value
    except struct.error:  # the block is cut, or of no byte order
        pass
    return None


def without_metadata(content: bytes) -> tuple[bytes, bytes]:
    """Return a PNG or a JPEG with nothing that its pixels don't need, and its EXIF block; other files as they are."""
    is_png = content.startswith(b"\x89PNG\r\n\x1a\n")
    at = 8 if is_png else 2
    kept, exif = [content[:at]], b""
    while is_png and at + 8 <= len(content):  # chunks: length, name, content, checksum
        length, name = struct.unpack_from(">I4s", content, at)
        chunk, at = content[at : at + length + 12], at + length + 12
        exif = chunk[8:-4] if name == b"eXIf" else exif
        kept += [chunk] if name in {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"} else []
    is_jpeg = content.startswith(b"\xff\xd8")
    while is_jpeg and at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] not in (0xD9, 0xDA):
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")  # segments: marker, length, content
        exif = content[at + 4 : end] if content[at + 4 : at + 10] == b"Exif\0\0" else exif
        is_metadata = content[at + 1] in (*range(0xE0, 0xEE), 0xEF, 0xFE)  # 0xEE says how colours are coded
        kept += [] if is_metadata else [content[at:end]]
        at = end
    return b"".join(kept) + content[at:], exif


def read_preprocessing(path: Path) -> dict[str, Any]:
    """Read `preprocessing.json`: `mean` and `std`, a number a channel, and the names of the `classes`."""
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or not all(isinstance(value, list) for value in map(found.get, ("mean", "std"))):
        raise ValueError("preprocessing.json must hold lists of mean and std")
    return found


def classify(network: Network, path: Path, count: int) -> list[dict[str, Any]]:
    """Return the `count` most probable classes of an image with their probabilities, the first the most probable."""
    classes = read_preprocessing(HERE / "preprocessing.json")["classes"]
    with torch.inference_mode():
        probabilities = network(read_image(path))[0].softmax(0)  # (classes,)
    top = probabilities.topk(min(count, len(classes)))
    return [{"name": classes[i], "probability": p} for p, i in zip(top.values.tolist(), top.indices.tolist())]


def one_line(error: BaseException) -> str:
    """Return an error as one line of text."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(" ".join(text.split())) or type(error).__name__


def printable(text: str) -> str:
    """Return a name as it is, or with escapes if it holds line breaks or commands to a terminal."""
    return text if text.isprintable() else ascii(text)[1:-1]


def positive(text: str) -> int:
    """Return a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def main(arguments: list[str]) -> int:
    """Print the most probable classes of each image; return 0, or 1 if one could not be read."""
    parser = argparse.ArgumentParser(prog="model.py", description="Print the most probable classes of each image.")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="an image file that Pillow reads")
    parser.add_argument("--topk", type=positive, default=5, metavar="N", help="number of classes to print (5)")
    parser.add_argument("--json", action="store_true", help="print one JSON document: a list with an object a file")
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a console may lack letters of a class or a file
    warnings.simplefilter("ignore")  # Pillow's, about odd metadata
    try:
        read_preprocessing(HERE / "preprocessing.json")["classes"]
        network = load()
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the files, it is said in a line
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        print(f"model.py: the files beside it must be those of its export, {reason}", file=sys.stderr)
        return 1
    results = []
    for path in options.images:
        try:
            result = {"file": path, "classes": classify(network, Path(path), options.topk)}
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one file, the others follow
            result = {"file": path, "error": one_line(error)}
            print(f"{printable(path)}: {result['error']}", file=sys.stderr)
        results.append(result)
        if "classes" in result and not options.json:
            if len(options.images) > 1:
                print(printable(path))
            for found in result["classes"]:
                print(f"{found['probability']:8.2%}  {printable(found['name'])}")
    if options.json:
        print(json.dumps(results, indent=2))
    return int(any("error" in result for result in results))


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
        print(end="", flush=True)
    except OSError as error:  # the output is closed or full
        print(f"model.py: standard output: {one_line(error)}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 1
    sys.exit(code)
'''
