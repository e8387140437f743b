"""Checks that trainings which must be equal are."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from importlib.util import find_spec

import torch

from gpu_checks.base import Context, Figures, Skipped, require
from gpu_checks.trainings import (
    RECIPE,
    Training,
    curve,
    difference,
    digits,
    exact_float32,
    inception,
    together,
)
from search_space.graph import Graph, Shape

DIGIT = Shape(1, 8, 8)
LOSS, ACCURACY = 0.02, 0.03
"""Largest differences after three epochs of sums in another order; a wrong step differs by tenths."""
SAME_LOSS = 1e-3
"""Largest difference of losses where sums have the same order but for a few."""


def equal_to_cpu(context: Context) -> Figures:
    exact_float32()
    graph, images = _small(), digits()
    trained = [
        Training(graph, images, RECIPE, device, context.folder / device).run() for device in ("cpu", context.device)
    ]
    return _close(difference(*trained), "trainings on the GPU and on the CPU")


def bf16(context: Context) -> Figures:
    if context.device == "cuda" and not torch.cuda.is_bf16_supported():
        raise Skipped("the GPU has no bf16")
    plain = Training(_small(), digits(), RECIPE, context.device, context.folder / "float32")
    half = replace(plain, recipe=replace(RECIPE, precision="bf16-mixed"), folder=context.folder / "bf16")
    outcomes = [plain.run(), half.run()]
    figures = {**difference(*outcomes), "val_accuracy": curve(outcomes[1])[-1][2]}
    require(figures["loss"] < 0.1, "losses of bf16 and of 32 bit must be within 0.1", figures)
    require(figures["loss"] > 0, "bf16 must round otherwise than 32 bit", figures)
    return figures


def resumed(context: Context) -> Figures:
    recipe = replace(RECIPE, optimizer="adamw", learning_rate=0.01, ema_decay=0.9, gradient_clip=1.0)
    whole = Training(_small(dropout=0.2), digits(), recipe, context.device, context.folder / "whole")
    pieces = replace(whole, folder=context.folder / "pieces")
    first = pieces.run(pieces.job(0, 1))
    second = pieces.run(pieces.job(1, None, first.checkpoint))
    figures = difference(whole.run(), second)
    largest = 0.0 if context.device == "cpu" else LOSS
    require(figures["loss"] <= largest, f"losses must differ by {largest} at most", figures)
    return figures


def packed(context: Context) -> Figures:
    exact_float32()
    graph, images = _small(), digits()
    alone = [Training(graph, images, RECIPE, context.device, context.folder / f"{seed}", seed) for seed in (1, 2, 3)]
    pack = together([replace(each, folder=context.folder / f"packed{each.seed}") for each in alone])
    found = [difference(one.run(), other) for one, other in zip(alone, pack, strict=True)]
    return _close({name: max(each[name] for each in found) for name in found[0]}, "networks packed and alone")


def micro_batches(context: Context) -> Figures:
    exact_float32()
    whole = Training(inception(DIGIT, 8, norm=False), digits(), RECIPE, context.device, context.folder / "whole")
    figures = difference(whole.run(), replace(whole, folder=context.folder / "parts", parts=2).run())
    require(figures["loss"] < SAME_LOSS, f"losses must differ by less than {SAME_LOSS}", figures)
    return figures


def graphed(context: Context) -> Figures:
    exact_float32()
    recipes = {
        "sgd": RECIPE,
        "decoupled": replace(RECIPE, decoupled_decay=True, norm_learning_rate=2.0, ema_decay=0.9),
        "adamw": replace(RECIPE, optimizer="adamw", learning_rate=0.01, gradient_clip=1.0),
        "resized": replace(RECIPE, progressive_resize=0.75),
    }
    figures: dict[str, float] = {}
    images = digits()
    for name, recipe in recipes.items():
        plain = Training(_small(dropout=0.2), images, recipe, context.device, context.folder / name)
        graph = replace(plain, recipe=replace(recipe, cuda_graph=True), folder=context.folder / f"{name}-graphed")
        figures[name] = difference(plain.run(), graph.run())["loss"]
        pair = [replace(each, graph=_small(), seed=seed) for each in (plain, graph) for seed in (1, 2)]
        pair = [replace(each, folder=context.folder / f"{name}-pack{index}") for index, each in enumerate(pair)]
        packs = zip(together(pair[:2]), together(pair[2:]), strict=True)
        figures[f"{name}, packed"] = max(difference(one, other)["loss"] for one, other in packs)
    require(max(figures.values()) < LOSS, f"losses must differ by less than {LOSS}", figures)
    return figures


def compiled(context: Context) -> Figures:
    if find_spec("triton") is None:
        raise Skipped("triton is not installed, which torch.compile needs on a GPU")
    if not os.environ.get("CC") and not any(map(shutil.which, ("cc", "gcc", "clang"))):
        raise Skipped("there is no C compiler, which torch.compile needs")
    exact_float32()
    plain = Training(_small(), digits(), RECIPE, context.device, context.folder / "plain")
    fast = replace(plain, recipe=replace(RECIPE, compile="default"), folder=context.folder / "compiled")
    outcomes = [plain.run(), fast.run()]
    first, *later = (row.seconds for row in outcomes[1].curve)
    figures = {**difference(*outcomes), "seconds_to_compile": first - min(later)}
    return _close(figures, "compiled and plain trainings")


def _small(dropout: float = 0.0) -> Graph:
    return inception(DIGIT, 8, dropout=dropout)


def _close(figures: dict[str, float], what: str) -> Figures:
    require(figures["loss"] < LOSS, f"losses of {what} must differ by less than {LOSS}", figures)
    require(figures["accuracy"] < ACCURACY, f"accuracies of {what} must differ by less than {ACCURACY}", figures)
    return figures
