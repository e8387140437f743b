"""Random shift: a window of the image padded with a border of the mean color (He et al. 2015, arXiv:1512.03385)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.data.augment.base import Chunk, ChunkAugmentation
from nas.data.copies import place
from nas.data.normalise import as_images, bordered
from nas.data.statistics import Shape


class Crop(ChunkAugmentation):
    """Random shift by at most `padding` pixels; draws and results are those of kornia's `RandomCrop`, bit for bit.

    kornia cuts image by image, with one synchronisation an image on a GPU. Here a whole batch is one selection of rows
    of pixels, all channels at once.
    """

    def __init__(self, padding: int) -> None:
        super().__init__()
        self.padding = padding

    def corners(self, count: int) -> tuple[Tensor, Tensor]:
        """Draw the left and the upper edge of each window, both (count,) int64 in [0, 2 padding]."""
        left, upper = torch.rand(count), torch.rand(count)
        choices = 2 * self.padding + 1
        return (left * choices).floor().long(), (upper * choices).floor().long()

    def forward(self, images: Tensor, chunk: Chunk) -> Tensor:
        """Cut a window out of each padded image."""
        values = images.permute(0, 2, 3, 1)
        return as_images(cut(bordered(values, self.padding), self.corners(len(chunk)), values.new_empty(values.shape)))


def cut(padded: Tensor, corners: tuple[Tensor, Tensor], windows: Tensor) -> Tensor:
    """Cut one window out of each image.

    Args:
        padded: contiguous (B, rows, columns, C).
        corners: left and upper edges of the windows, (B,) int64 on the CPU.
        windows: contiguous (B, H, W, C), which is filled.

    Returns:
        The windows.
    """
    count, rows, columns, channels = padded.shape
    height, width = windows.shape[1:3]
    left, upper = corners
    firsts = place((torch.arange(count) * rows + upper) * columns + left, padded.device)  # pixels before each window
    starts = firsts[:, None] + torch.arange(height, device=padded.device) * columns
    runs = padded.as_strided((count * rows * columns - width + 1, width * channels), (channels, 1))
    torch.index_select(runs, 0, starts.flatten(), out=windows.view(count * height, width * channels))
    return windows


def make(shape: Shape, *, padding: float = 0.125) -> nn.Module:
    """Return a random shift by at most `padding` of the image's side, and by at least a pixel."""
    if not 0 < padding <= 1:
        raise ValueError(f"option padding of crop must lie in (0, 1], got {padding:g}")
    return Crop(max(1, round(padding * max(shape[1:]))))
