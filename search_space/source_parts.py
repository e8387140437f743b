"""Fixed text of the files that `source.py` writes: helper classes, each written only if it is used, and the program."""

from __future__ import annotations

HEAD = '''"""{summary}

This file needs PyTorch alone, and Pillow to read an image. `python model.py image.png ...` prints the most probable
classes of each image, with the weights in `weights.safetensors` and with `preprocessing.json`, both beside this file:
`mean` and `std` of each channel, of pixels scaled to [0, 1], and the names of the `classes`. In Python, `load()`
returns the network with its weights, and `read_image(path)` an image as its input.

A comment is the output shape of the line: channels×height×width.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

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

PROGRAM = '''
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


def read_image(path: Path, preprocessing: Path = HERE / "preprocessing.json") -> Tensor:
    """Read an image file as a batch of one, (1, C, H, W): cropped to its middle, resized, over white, normalised."""
    from PIL import Image, ImageOps

    channels, height, width = INPUT
    numbers = json.loads(preprocessing.read_text(encoding="utf-8"))
    with Image.open(path) as opened:
        opened.draft(None, (3 * width, 3 * height))  # decodes a much larger JPEG at a lower resolution
        image = ImageOps.exif_transpose(opened)
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


def main(paths: list[str]) -> None:
    """Print the most probable classes of each image."""
    if not paths:
        sys.exit("usage: python model.py image.png ...")
    classes = json.loads((HERE / "preprocessing.json").read_text(encoding="utf-8"))["classes"]
    network = load()
    for path in paths:
        if len(paths) > 1:
            print(path)
        with torch.inference_mode():
            probabilities = network(read_image(Path(path)))[0].softmax(0)  # (classes,)
        for probability, index in zip(*probabilities.topk(min(5, len(classes))), strict=True):
            print(f"{probability.item():8.2%}  {classes[index]}")


if __name__ == "__main__":
    main(sys.argv[1:])
'''
