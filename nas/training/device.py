"""Device of a training: its precision, and the settings of torch for a GPU."""

from __future__ import annotations

import sys

import torch

HALF, FULL = "bf16-mixed", "32-true"


def device_of(accelerator: str) -> str:
    """Return Lightning's name of the device of a training, for `auto` a CUDA GPU if there is one, and else the CPU.

    Lightning's own `auto` would take a Mac's GPU, which slots, memory and images do not know: each slot of a machine
    without CUDA is a CPU core with the images in the machine's memory.
    """
    if accelerator != "auto":
        return accelerator
    return "cuda" if torch.cuda.is_available() else "cpu"


def configure_gpu(*, deterministic: bool) -> None:
    """Set how torch multiplies on this process's GPUs.

    Float32 products of matrices are computed in TF32, as torch does those of convolutions anyway. cuDNN tries its
    algorithms at the first batch of each shape and takes the fastest.

    Args:
        deterministic: whether cuDNN takes algorithms that are deterministic instead, without trying.
    """
    # Not the newer `fp32_precision`: after it, torch raises where Lightning 2.6 reads this setting.
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = not deterministic
    torch.backends.cudnn.deterministic = deterministic


def automatic_precision(accelerator: str, begun: str | None = None) -> str:
    """Return the precision of a training with `training.precision=auto`, and write it to standard error.

    Args:
        accelerator: Lightning's name of the device; `auto` for a GPU if there is one.
        begun: precision that the training has begun with, which it keeps where the device has it.
    """
    has_half = accelerator not in ("cpu", "mps") and _has_bf16()
    best = HALF if has_half else FULL
    kept = best if begun is None or (begun == HALF and not has_half) else begun
    told = f"training.precision=auto is {kept} on this device"
    sys.stderr.write(f"{told}\n" if begun in (None, kept) else f"{told}; the training has begun in {begun}\n")
    return kept


def _has_bf16() -> bool:
    """Return whether there is a GPU that multiplies bfloat16 numbers itself."""
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
