"""The tape: nodes, how an op is recorded, and the nodes behind a tensor."""

from __future__ import annotations

try:
    import cython
except ImportError:
    from tinyrnn import _uncompiled as cython

import operator
import os

from tinyrnn.engine.base import TensorBase, as_array, version_of, wrap
from tinyrnn.engine.modes import change_modes, recording

if not cython.compiled:  # else they come from cinterpreter.pxd
    from tinyrnn._uncompiled import code_file, frame_code, frame_instruction, innermost_frame

_last_seq = 0
_get_seq = operator.attrgetter("seq")
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


@cython.freelist(1024)
@cython.final
@cython.cclass
class SavedOutput:
    """An output that backward needs: its array, its number (`index`), and the write counter it shares with its tensor."""


@cython.freelist(1024)
@cython.trashcan(True)
@cython.final
@cython.cclass
class Node:
    """One recorded op.

    seq : place on the tape; numbers grow, so the order of creation is a topological order.
    op : the backward function, ``op(node, *output gradients, *saved) -> input gradients``.
    sources : one per input: where its gradient goes, a node or a leaf tensor; None if nobody wants it.
    slots : one per input: which output of that node it is.
    saved : what backward needs: input tensors, SavedOutput, constants; None once freed.
    stamps : how often each of `saved` had been written when it was saved; None if never, as nearly always.
    shapes : the shape of every output.
    hooks : ``(output index, function)`` for every hook on an output.
    code, lasti : the user's line that ran the op, as code object and instruction offset.
    """

    @property
    def name(self):
        """The op's name: ``mul_backward`` belongs to ``mul``."""
        return self.op.__name__.removesuffix("_backward")

    @property
    def where(self):
        """``file:line`` of the call."""
        lines = (line for start, end, line in self.code.co_lines() if start <= self.lasti < end)
        return f"{self.code.co_filename}:{next(lines, None) or self.code.co_firstlineno}"

    def needs(self, index):
        """Whether anybody wants the gradient of input `index`."""
        return self.sources[index] is not None

    def slot(self, index):
        """Which output of its source input `index` is."""
        return 0 if self.slots is None else self.slots[index]

    def __repr__(self):
        return f"<{self.name} #{self.seq} -> {', '.join(map(str, self.shapes))} at {self.where}>"


def record(op, inputs, output, saved=()):
    """Turn what an op computed into tensors, and write the op onto the tape if a gradient is wanted.

    op : the backward function, see Node.
    inputs : tuple of tensors, arrays and numbers, in the order in which `op` returns gradients.
    output : the array, or the tuple of arrays, that the op computed.
    saved : what `op` is called with after the output gradients: inputs, outputs, constants. Inputs and outputs come
        back as arrays, or as tensors with their history when backward itself is recorded.

    Returns tensors if any input is one, else `output` as it is: backward functions are written with the same ops and
    run on plain arrays unless a graph is wanted.
    """
    mixed = tracked = False
    for x in inputs:
        if isinstance(x, TensorBase):
            mixed = True
            tracked = tracked or requires_grad(x)
    if type(output) is not tuple:
        array = as_array(output)
        if not mixed:
            return array
        tensor = wrap(array)
        if tracked and recording():
            _write_down(op, inputs, (output,), (tensor,), saved)
        return tensor
    arrays = tuple([as_array(y) for y in output])
    if not mixed:
        return arrays
    tensors = tuple([wrap(y) for y in arrays])
    if tracked and recording():
        _write_down(op, inputs, output, tensors, saved)
    return tensors


def _write_down(op, inputs, outputs, tensors, saved):
    global _last_seq
    node = Node.__new__(Node)
    node.op = op
    node.sources = _sources(inputs)
    node.slots = _slots(inputs)
    node.saved = _pack(saved, outputs, tensors)
    _last_seq += 1  # only now: looking up the sources may have replayed views, whose nodes come before this one
    node.seq = _last_seq
    node.stamps = _stamps(saved)
    node.shapes = (tensors[0].array.shape,) if len(tensors) == 1 else tuple([t.array.shape for t in tensors])
    node.hooks = None
    _note_place(node)
    for index, tensor in enumerate(tensors):
        tensor.node, tensor.output = node, index


def _note_place(node):
    """Note the innermost line outside this package: the user's."""
    frame = innermost_frame()
    code = frame_code(frame)
    filename = code_file(code)
    while filename.startswith(_PACKAGE) and frame.f_back is not None:
        frame = frame.f_back
        code = frame_code(frame)
        filename = code_file(code)
    node.code = code
    node.lasti = frame_instruction(frame)


def _sources(inputs):
    if len(inputs) == 1:  # most ops have one or two inputs: no detour over a list
        return (source_of(inputs[0]),)
    if len(inputs) == 2:
        return (source_of(inputs[0]), source_of(inputs[1]))
    return tuple([source_of(x) for x in inputs])


def _slots(inputs):
    """Which output of its source each input is; None if each is the first, as nearly always."""
    for x in inputs:
        if isinstance(x, TensorBase) and x.output > 0:
            return tuple([x.output if isinstance(x, TensorBase) else 0 for x in inputs])
    return None


def _pack(saved, outputs, tensors):
    """`saved` with outputs as SavedOutput: kept as tensors, they would keep their node and so themselves alive."""
    for output in outputs:
        for item in saved:
            if item is output:
                return tuple([_pack_one(item, outputs, tensors) for item in saved])
    return saved


def _pack_one(item, outputs, tensors):
    for index, output in enumerate(outputs):
        if item is output:
            packed = SavedOutput.__new__(SavedOutput)
            packed.index, packed.array, packed.version = index, tensors[index].array, version_of(tensors[index])
            return packed
    return item


def _stamps(saved):
    for item in saved:
        if isinstance(item, TensorBase) and item.version is not None and item.version.count > 0:
            return tuple([item.version.count if isinstance(item, TensorBase) and item.version else 0 for item in saved])
    return None


def call_backward(node, gradients, with_graph):
    """What `node.op` makes of the output gradients; an error if somebody has written over something that was saved."""
    saved = node.saved
    if len(gradients) == 1 and len(saved) <= 2:  # nearly always: no detour over an argument list
        if len(saved) == 0:
            return node.op(node, gradients[0])
        if len(saved) == 1:
            return node.op(node, gradients[0], _unpack(node, 0, with_graph))
        return node.op(node, gradients[0], _unpack(node, 0, with_graph), _unpack(node, 1, with_graph))
    return node.op(node, *gradients, *[_unpack(node, index, with_graph) for index in range(len(saved))])


def _unpack(node, index, with_graph):
    item = node.saved[index]
    if isinstance(item, TensorBase):
        tensor = item
        _check_stamp(node, index, tensor.array, tensor.version)
        return tensor if with_graph else tensor.array
    if isinstance(item, SavedOutput):
        output = item
        _check_stamp(node, index, output.array, output.version)
        if not with_graph:
            return output.array
        tensor = wrap(output.array)
        tensor.version, tensor.node, tensor.output = output.version, node, output.index
        return tensor
    return item


def _check_stamp(node, index, array, version):
    if version is not None and version.count != (0 if node.stamps is None else node.stamps[index]):
        raise RuntimeError(
            f"one of the variables needed for gradient computation has been modified by an inplace operation: "
            f"{node.name} at {node.where} saved a tensor of shape {array.shape}, written to since; write to a clone() instead"
        )


def requires_grad(tensor):
    """Whether a gradient flows to this tensor."""
    return source_of(tensor) is not None


def source_of(x):
    """Where the gradient of `x` goes: the node that made it, `x` itself if it is a leaf, None if it is a constant."""
    if not isinstance(x, TensorBase):
        return None
    tensor = x
    if tensor.window is not None:
        _refresh(tensor)
    if tensor.node is not None:
        return tensor.node
    return tensor if tensor.tracked else None


def adopt(tensor, other):
    """Give `tensor` the place of `other` on the tape."""
    tensor.node, tensor.output = other.node, other.output


def _refresh(tensor):
    """Lead a view's history through what has been written to its base since the view was made."""
    view = tensor.window
    stale = view.stamp != tensor.version.count
    view.stamp = tensor.version.count
    if stale and view.replay is not None and requires_grad(view.base):
        before = change_modes({"grad": True})
        try:
            adopt(tensor, view.replay(view.base))
        finally:
            change_modes(before)


def nodes_behind(sources):
    """All nodes from which `sources` (nodes, leaves, None) were made, latest first."""
    seen = set()
    nodes = []
    stack = [source for source in sources if isinstance(source, Node)]
    in_order = True
    last = _last_seq
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            in_order = in_order and node.seq <= last
            last = node.seq
            nodes.append(node)
            for source in node.sources:
                if isinstance(source, Node):
                    stack.append(source)
    if not in_order:  # a chain is
        nodes.sort(key=_get_seq, reverse=True)
    return nodes
