"""Memory of a training step in eager PyTorch: an estimate by the storages that autograd keeps, and their lifetimes.

A fold over the graph writes a tape of operations in the order of the forward pass, each with the storages that it
reads, writes and keeps for the backward pass. The tape is then run: a storage lives until its last reader has run, or,
where it is kept, until the backward pass of the first operation that keeps it has. The backward pass goes from the last
operation to the first; the gradient of a tensor lives until the operation that wrote it has used it, and gradients of
parameters until the end. `search_space.cost.training_bytes` is the upper bound, for which nothing is ever freed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from search_space.cost import FLOAT_BYTES, cost, leaf_params
from search_space.eager import filters_mib, weights_mib
from search_space.graph import (
    LRN,
    Activation,
    Concat,
    Conv,
    Dropout,
    GlobalPool,
    Graph,
    Identity,
    Linear,
    Node,
    Norm,
    Pool,
    Residual,
    Scale,
    Seq,
    Shape,
    Slice,
    Tap,
)

MIB = 2**20
INDEX = 2
"""Values of four bytes that an index takes."""
PARTS = 256
"""Parts in which a processor's kernel sums the gradient of a depthwise convolution's filters, as seen in torch 2.13."""
NARROW = 3
"""Largest width of a depthwise convolution's filters whose gradient is summed otherwise, where the images have it."""


@dataclass(frozen=True, slots=True)
class Operation:
    """Operation of a tape; sizes are in values of four bytes.

    Attributes:
        reads: tensors that it reads.
        writes: tensor that it writes.
        keeps: storages that it keeps for the backward pass.
        apart: values an image that it keeps beside them, such as a mask.
        params: its trained parameters.
        views: whether the gradients of what it reads are views of that of what it writes.
        work: values, whatever the number of images, that its backward pass takes while it runs.
    """

    reads: tuple[int, ...]
    writes: int
    keeps: tuple[int, ...]
    apart: int
    params: int
    views: bool
    work: int = 0


@dataclass
class Tape:
    """Operations in the order of the forward pass; tensor 0 is the images, which need no gradient.

    Attributes:
        sizes: values an image of each tensor.
        storages: storage of each tensor, which is the number of the first tensor in it.
        needs: whether the tensor needs a gradient.
        operations: the operations.
    """

    sizes: list[int] = field(default_factory=list)
    storages: list[int] = field(default_factory=list)
    needs: list[bool] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)

    def tensor(self, size: int, *, within: int | None = None, needs: bool = True) -> int:
        """Append a tensor, in the storage of another one or its own, and return its number."""
        self.sizes.append(size)
        self.storages.append(len(self.storages) if within is None else self.storages[within])
        self.needs.append(needs)
        return len(self.sizes) - 1

    def add(
        self,
        reads: Sequence[int],
        size: int,
        keeps: Sequence[int] = (),
        apart: int = 0,
        params: int = 0,
        work: int = 0,
    ) -> int:
        """Append an operation that writes a new storage, and return the tensor that it writes.

        Args:
            reads: tensors that it reads.
            size: values an image of what it writes.
            keeps: tensors that it keeps.
            apart: values an image that it keeps beside them.
            params: its trained parameters.
            work: values, whatever the number of images, that its backward pass takes while it runs.
        """
        written = self.tensor(size, needs=params > 0 or self._any_needs(reads))
        storages = tuple(self.storages[tensor] for tensor in keeps)
        return self._record(Operation(tuple(reads), written, storages, apart, params, views=False, work=work))

    def join(self, reads: Sequence[int], size: int) -> int:
        """Append a concatenation or a sum, which keeps nothing, and return the tensor that it writes."""
        written = self.tensor(size, needs=self._any_needs(reads))
        return self._record(Operation(tuple(reads), written, (), 0, 0, views=True))

    def rectify(self, x: int, *, in_place: bool) -> int:
        """Append a ReLU, which keeps its output, and return that."""
        written = self.tensor(self.sizes[x], within=x if in_place else None, needs=self.needs[x])
        return self._record(Operation((x,), written, (self.storages[written],), 0, 0, views=False))

    def view(self, x: int, size: int) -> int:
        """Append a view of a part of a tensor, whose gradient is a tensor of the whole, and return it."""
        written = self.tensor(size, within=x, needs=self.needs[x])
        return self._record(Operation((x,), written, (), 0, 0, views=False))

    def _any_needs(self, reads: Sequence[int]) -> bool:
        return any(self.needs[tensor] for tensor in reads)

    def _record(self, operation: Operation) -> int:
        """Append an operation, which keeps nothing where no gradient is asked for, and return what it writes."""
        if not self.needs[operation.writes]:
            operation = replace(operation, keeps=(), apart=0)
        self.operations.append(operation)
        return operation.writes


def step_mib(graph: Graph, batch_size: int, *, optimizer_slots: int = 1, ema: bool = False) -> float:
    """Return an estimate of the peak memory of a training step in float32, in MiB.

    Of the workspaces of kernels, it counts the filters of the largest convolution and their gradient in blocks, and the
    parts of the gradients of depthwise filters.

    Args:
        graph: the network.
        batch_size: images in a step, at least 1.
        optimizer_slots: values that the optimizer keeps for each parameter: 1 for momentum, 2 for Adam.
        ema: whether averaged weights are kept.
    """
    tape = tape_of(graph)
    params, whole = cost(graph).params, cost(graph, training=True).params
    values = whole * (1 + optimizer_slots + ema) - params  # weights_mib has the parameters that count in inference
    values += max(forward_peak(tape, batch_size), backward_peak(tape, batch_size))
    return weights_mib(graph) + FLOAT_BYTES * values / MIB + 2 * filters_mib(graph)


def tape_of(graph: Graph) -> Tape:
    """Return the operations of a network in training, with its auxiliary heads."""
    tape = Tape()
    tape.tensor(graph.input.size, needs=False)
    _emit(tape, graph.root, 0, graph.input)
    return tape


def kept_by(tape: Tape, batch_size: int) -> list[int]:
    """Return for each operation the values that are kept until its backward pass has run.

    Args:
        tape: the tape.
        batch_size: images in a step.
    """
    totals: list[int] = []
    known: set[int] = set()
    total = 0
    for operation in tape.operations:
        new = set(operation.keeps) - known
        known |= new
        total += batch_size * (operation.apart + sum(tape.sizes[storage] for storage in new))
        totals.append(total)
    return totals


def forward_peak(tape: Tape, batch_size: int) -> int:
    """Return the largest number of values alive in the forward pass, the images among them."""
    last: dict[int, int] = {}
    for moment, operation in enumerate(tape.operations):
        for tensor in (*operation.reads, operation.writes):
            last[tape.storages[tensor]] = moment
    kept: set[int] = set()
    alive, now, peak = {0}, tape.sizes[0], tape.sizes[0]
    for moment, operation in enumerate(tape.operations):
        storage = tape.storages[operation.writes]
        if storage not in alive:
            alive.add(storage)
            now += tape.sizes[storage]
        now += operation.apart
        peak = max(peak, now)
        kept.update(operation.keeps)
        gone = {found for found in alive - kept if last[found] <= moment} - {0}
        now -= sum(tape.sizes[found] for found in gone)
        alive -= gone
    return batch_size * peak


def backward_peak(tape: Tape, batch_size: int) -> int:
    """Return the largest number of values alive in the backward pass, with gradients and the images."""
    remaining = kept_by(tape, batch_size)
    images = 0 if any(0 in operation.keeps for operation in tape.operations) else batch_size * tape.sizes[0]
    gradients = _Gradients()
    params, peak = 0, 0
    for moment, operation in reversed(list(enumerate(tape.operations))):
        if not tape.needs[operation.writes]:
            continue
        own = gradients.take(operation.writes, batch_size * tape.sizes[operation.writes])
        params += operation.params
        for tensor in operation.reads:
            if tape.needs[tensor]:
                gradients.give(tensor, batch_size * tape.sizes[tensor], own if operation.views else None)
        peak = max(peak, images + remaining[moment] + params + gradients.now + operation.work)
        gradients.drop(own)
        gradients.join()
    return peak


class _Gradients:
    """Gradients alive: storages with their users, and the storages of each tensor's gradient."""

    def __init__(self) -> None:
        self.now = 0
        self._sizes: list[int] = []
        self._users: list[int] = []
        self._of: dict[int, list[int]] = {}

    def take(self, tensor: int, size: int) -> int:
        """Return the storage of a tensor's gradient, which the caller uses from now on; a new one for an output."""
        found = self._of.pop(tensor, None)
        return self._new(size) if found is None else found[0]

    def give(self, tensor: int, size: int, view: int | None) -> None:
        """Add to a tensor's gradient: a new storage, or a view of another one."""
        if view is None:
            storage = self._new(size)
        else:
            storage = view
            self._users[view] += 1
        self._of.setdefault(tensor, []).append(storage)

    def drop(self, storage: int) -> None:
        """End one use of a storage."""
        self._users[storage] -= 1
        if not self._users[storage]:
            self.now -= self._sizes[storage]

    def join(self) -> None:
        """Add gradients of one tensor into the first of them."""
        for storages in self._of.values():
            for storage in storages[1:]:
                self.drop(storage)
            del storages[1:]

    def _new(self, size: int) -> int:
        self._sizes.append(size)
        self._users.append(1)
        self.now += size
        return len(self._sizes) - 1


def _emit(tape: Tape, node: Node, x: int, shape: Shape) -> int:
    """Append the operations of a node on tensor `x`, and return its output."""
    match node:
        case Seq():
            for child in node.nodes:
                x = _emit(tape, child, x, shape)
                shape = child.output_shape(shape)
            return x
        case Concat():
            parts = [_emit(tape, branch, x, shape) for branch in node.branches]
            return parts[0] if len(parts) == 1 else tape.join(parts, node.output_shape(shape).size)
        case Residual(activation=activation):
            sides = [_emit(tape, side, x, shape) for side in node.children]
            total = tape.join(sides, node.output_shape(shape).size)
            return _activate(tape, activation, total)
        case Tap():
            _emit(tape, node.head, x, shape)
            return x
    return _emit_leaf(tape, node, x, shape)


def _emit_leaf(tape: Tape, leaf: Node, x: int, shape: Shape) -> int:
    size = leaf.output_shape(shape).size
    match leaf:
        case Conv(norm=norm, activation=activation):
            output = leaf.output_shape(shape)
            params, work = leaf_params(leaf, shape), _depthwise_work(leaf, shape)
            written = tape.add([x], size, keeps=[x], params=params, work=work)
            return _activate(tape, activation, written if norm is None else _norm(tape, norm, written, output, 0))
        case Linear(activation=activation):
            written = tape.add([x], size, keeps=[x], params=leaf_params(leaf, shape))
            return _activate(tape, activation, written)
        case Norm():
            return _norm(tape, leaf, x, shape, leaf_params(leaf, shape))
        case Activation(kind="relu"):
            return tape.rectify(x, in_place=False)
        case Activation(kind=kind):
            return _activate(tape, kind, x)
        case LRN():
            return _lrn(tape, leaf, x, shape)
    return _emit_plain_leaf(tape, leaf, x, shape)


def _depthwise_work(leaf: Conv, shape: Shape) -> int:
    """Return the values in which a processor's kernel sums the gradient of a depthwise convolution's filters."""
    narrow = leaf.kernel[1] <= NARROW and shape.width >= leaf.kernel[1]
    if leaf.groups == 1 or leaf.groups != shape.channels or narrow:
        return 0
    return PARTS * leaf.channels * leaf.kernel[0] * leaf.kernel[1]


def _emit_plain_leaf(tape: Tape, leaf: Node, x: int, shape: Shape) -> int:
    size = leaf.output_shape(shape).size
    match leaf:
        case Pool(kind="max") | GlobalPool(kind="max"):
            return tape.add([x], size, keeps=[x], apart=INDEX * size)
        case GlobalPool(size=(1, 1)):  # a mean, which keeps nothing
            return tape.add([x], size)
        case Slice():
            return tape.view(x, size)
        case Scale(learned=True):
            return tape.add([x], size, keeps=[x], params=leaf_params(leaf, shape))
        case Scale():
            return tape.add([x], size)
        case Dropout(rate=rate):
            return tape.add([x], size, apart=size) if rate else x
        case Identity():
            return x
    return tape.add([x], size, keeps=[x])


def _activate(tape: Tape, kind: str | None, x: int) -> int:
    """Append an activation: ReLU in place, which keeps its output, or one that keeps its input."""
    match kind:
        case None:
            return x
        case "relu":
            return tape.rectify(x, in_place=True)
    return tape.add([x], tape.sizes[x], keeps=[x])


def _norm(tape: Tape, norm: Norm, x: int, shape: Shape, params: int) -> int:
    statistics = 0 if norm.kind == "batch" else 2 * shape.height * shape.width
    return tape.add([x], shape.size, keeps=[x], apart=statistics, params=params)


def _lrn(tape: Tape, leaf: LRN, x: int, shape: Shape) -> int:
    """Append square, padding, mean, multiple and sum as one, power, and quotient."""
    padded = shape.size + (leaf.size - 1) * shape.height * shape.width
    square = tape.add([x], shape.size, keeps=[x])
    wide = tape.add([square], padded)
    mean = tape.add([wide], shape.size, keeps=[wide])
    base = tape.add([mean], shape.size)
    power = tape.add([base], shape.size, keeps=[base])
    return tape.add([x, power], shape.size, keeps=[x, power])
