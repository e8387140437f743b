"""Configuration of the training recipe; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any

from nas.config.augmentation import AugmentationSpec
from nas.config.ranges import Inside, Range, ShareBelowOne, check_fields, show

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("one_cycle", "cosine")
AUTO_PRECISION = "auto"
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", AUTO_PRECISION)
CLASS_WEIGHTS = ("none", "balanced")
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune")
_SPEED = ("compile", "cuda_graph")
"""Settings of speed, which follow the machine: a study or a training may be resumed with others."""
_PLACES = ("weights",)
"""Settings that say where something lies, of which other settings say what it is."""
_FIRST = (
    *("epochs", "batch_size", "optimizer", "learning_rate", "momentum", "weight_decay", "schedule", "warmup"),
    *("label_smoothing", "ema_decay", "gradient_clip", "precision"),
)
"""Settings of the first version, which every stored recipe holds."""


@dataclass(frozen=True)
class Recipe:
    """Training recipe: every setting of a training except the network, the data and the seed.

    Weight decay does not apply to one-dimensional parameters (normalisation scales and shifts, biases).

    Attributes:
        epochs: epochs of a full training, at least 1; the schedule spans all of them, also if the training is split
            into several jobs.
        batch_size: images a training step, at least 2 (batch normalisation needs two).
        optimizer: `sgd` (with Nesterov momentum) or `adamw`.
        learning_rate: peak learning rate of the schedule, positive.
        momentum: momentum of SGD, or first decay rate of AdamW, in (0, 1).
        weight_decay: weight decay, at least 0; SGD adds it to the gradient, AdamW decouples it.
        decoupled_decay: whether SGD decouples weight decay too: a step multiplies weights by 1 - learning rate × decay,
            apart from gradient and momentum. The same pull as added to the gradient takes 1 / (1 - momentum) times the
            decay.
        norm_learning_rate: learning rate of normalisation shifts over that of other parameters, positive.
        schedule: `one_cycle` (cosine increase, cosine decay) or `cosine` (linear warm-up, cosine decay).
        warmup: share of the epochs over which the learning rate rises, in [0, 1).
        label_smoothing: share of the target distribution that is spread over all classes, in [0, 1).
        class_weights: weights of the classes in the training loss: `none`, or `balanced`, the inverse of each class'
            share of the training images, so that rare classes count as much as frequent ones; validation has none.
        ema_decay: decay a step of an exponential moving average of the weights, which validation then uses, in
            (0, 1), warmed up over the first steps; None for no average.
        gradient_clip: largest norm of the whole gradient, positive; None for no clipping.
        precision: `32-true`, `bf16-mixed`, `16-mixed`, or `auto`: `bf16-mixed` on a GPU that multiplies such numbers
            itself, else `32-true`.
        progressive_resize: side of the training images in the first epoch, as a share of their full side, in (0, 1): it
            grows linearly, and is full in the last third of the epochs; None for full images in every epoch.
        validate_every: epochs from one validation to the next, counted over the whole training; the last epoch of a job
            and one after which it is asked to stop are validated too. Epochs at which a fidelity compares trials must
            be multiples of it.
        augmentation: the augmentations of the training images, selected as augmentation=[crop,flip,...]; none leaves it
            to data.crop_padding and data.flip, which named ones replace.
        compile: mode of torch.compile for the network, `default`, `reduce-overhead` or `max-autotune`; None to train
            it as it is. Each network is compiled anew, which takes a minute or so.
        cuda_graph: whether a step is captured as a CUDA graph and replayed, which spares the launches of its kernels.
            No effect without a CUDA device, with several devices a trial, and on batches in parts.
        weights: file of a trained network's weights that every training starts from, where its network continues that
            one; None for fresh weights.
        weights_sha256: SHA-256 of that file's content, which a study keeps; None for any.
        head_epochs: first epochs, of `epochs`, in which the classifier alone is trained; all other weights and the
            statistics of their normalisations keep the values of `weights`. 0 for none.
        backbone_learning_rate: learning rate of all weights but the classifier's over the classifier's, positive.
        keep_zeros: whether weights of convolutions and dense layers that are zero at first stay zero, so that a network
            whose small weights were removed is trained on without them.

    Raises:
        ValueError: a setting out of range, or settings that exclude one another.
    """

    epochs: Annotated[int, Range(1, 100_000)] = 12
    batch_size: Annotated[int, Range(2, 2**20)] = 64
    optimizer: str = "sgd"
    learning_rate: Annotated[float, Range(0, 1000, above=True)] = 0.3
    momentum: Inside = 0.9
    weight_decay: Annotated[float, Range(0, 1000)] = 0.0005
    decoupled_decay: bool = False
    norm_learning_rate: Annotated[float, Range(0, 1000, above=True)] = 1.0
    schedule: str = "one_cycle"
    warmup: ShareBelowOne = 0.25
    label_smoothing: ShareBelowOne = 0.0
    class_weights: str = "none"
    ema_decay: Inside | None = None
    gradient_clip: Annotated[float, Range(0, 1e9, above=True)] | None = None
    precision: str = "32-true"
    validate_every: Annotated[int, Range(1, 100_000)] = 1
    progressive_resize: Inside | None = None
    augmentation: tuple[AugmentationSpec, ...] = ()
    compile: str | None = None
    cuda_graph: bool = False
    weights: str | None = None
    weights_sha256: str | None = None
    head_epochs: Annotated[int, Range(0, 100_000)] = 0
    backbone_learning_rate: Annotated[float, Range(0, 1000, above=True)] = 1.0
    keep_zeros: bool = False

    def __post_init__(self) -> None:
        check_fields(self, "training")
        words = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "precision": PRECISIONS}
        for name, known in {**words, "class_weights": CLASS_WEIGHTS}.items():
            given = getattr(self, name)
            if given not in known:
                raise ValueError(f"training.{name} must be one of {', '.join(known)}, got {show(given)}")
        self._check_speed()
        self._check_head()

    def _check_head(self) -> None:
        if self.head_epochs > self.epochs:
            raise ValueError(
                f"training.head_epochs must be at most training.epochs, {self.epochs}, got {self.head_epochs}"
            )

    def _check_speed(self) -> None:
        if self.compile is not None and self.compile not in COMPILE_MODES:
            raise ValueError(
                f"training.compile must be one of {', '.join(COMPILE_MODES)} or null, got {show(self.compile)}"
            )
        if self.cuda_graph and self.compile not in (None, "default"):
            raise ValueError(
                f"training.compile={self.compile} captures CUDA graphs itself, got training.cuda_graph=true"
            )
        if self.cuda_graph and self.precision == "16-mixed":
            raise ValueError("training.cuda_graph can't capture the loss scale of training.precision=16-mixed")

    @property
    def state_slots(self) -> int:
        """Number of values that the optimizer keeps for each parameter."""
        return 2 if self.optimizer == "adamw" else 1

    def settings(self) -> dict[str, Any]:
        """Return the settings that identify the recipe in studies and checkpoints.

        A setting that the first version lacked is left out at its default, so that what was stored before there was
        such a setting is resumed. Settings of speed are always left out: they change rounding at most, and a search may
        be resumed on another machine. A file of weights is identified by its content, not by its path.

        >>> "decoupled_decay" in Recipe().settings(), Recipe(decoupled_decay=True).settings()["decoupled_decay"]
        (False, True)
        >>> Recipe(cuda_graph=True).settings() == Recipe().settings()
        True
        """
        usual, found = {field.name: field.default for field in fields(self)}, asdict(self)
        found["augmentation"] = [asdict(each) for each in self.augmentation]
        shown = [name for name in found if name in _FIRST or getattr(self, name) != usual[name]]
        return {name: found[name] for name in shown if name not in (*_SPEED, *_PLACES)}

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Recipe:
        """Return the recipe of stored settings.

        Raises:
            TypeError: a setting that this version does not know.
            ValueError: one out of range.

        >>> Recipe.of(Recipe(augmentation=(AugmentationSpec("flip", "flip"),)).settings()).augmentation[0].module
        'flip'
        """
        augmentations = tuple(AugmentationSpec(**each) for each in settings.get("augmentation", ()))
        return cls(**{**settings, "augmentation": augmentations})
