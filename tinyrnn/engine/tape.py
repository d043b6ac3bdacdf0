"""The tape: nodes, how an op is recorded, and the list of nodes behind a tensor.

Plain Python, compiled by Cython from this very file (types in ``tape.pxd``).
"""

from __future__ import annotations

import itertools
import operator
import os
import sys

from tinyrnn.engine.base import TensorBase, View, as_array, edge_to, version_of, wrap
from tinyrnn.engine.modes import modes

_numbers = itertools.count(1)
_getframe = sys._getframe
_get_seq = operator.attrgetter("seq")
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Saved:
    """An array that backward needs, its version counter, and the count (`stamp`) when it was saved.

    To wrap it again there is the `edge` of an input, or the number of an `output` (else -1): a node that held its own
    output would keep itself alive.
    """


class Node:
    """One recorded op.

    seq : place on the tape; numbers grow, so the order of creation is a topological order.
    op : the backward function, ``op(node, *output gradients, *saved) -> input gradients``.
    edges : one per input: where its gradient goes, or None.
    saved : what backward needs, Saved arrays and plain constants; None once freed.
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
        return self.edges[index] is not None

    def __repr__(self):
        return f"<{self.name} #{self.seq} -> {', '.join(map(str, self.shapes))} at {self.where}>"


def record(op, inputs, output, saved=()):
    """Turn what an op computed into tensors, and write the op onto the tape if a gradient is wanted.

    Parameters
    ----------
    op : the backward function, see Node.
    inputs : tuple of tensors, arrays and numbers, in the order in which `op` returns gradients.
    output : the array, or the tuple of arrays, that the op computed.
    saved : what `op` is called with after the output gradients: inputs, outputs, constants. Inputs and outputs come
        back as arrays, or as tensors with their history when backward itself is recorded.

    Returns
    -------
    Tensors if any input is one, else `output` as it is: backward functions are written with the same ops and run on
    plain arrays unless a graph is wanted.
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
        if tracked and modes.grad:
            _write_down(op, inputs, (tensor,), saved)
        return tensor
    arrays = tuple([as_array(y) for y in output])
    if not mixed:
        return arrays
    tensors = tuple([wrap(y) for y in arrays])
    if tracked and modes.grad:
        _write_down(op, inputs, tensors, saved)
    return tensors


def _write_down(op, inputs, tensors, saved):
    node = Node.__new__(Node)
    node.seq = next(_numbers)
    node.op = op
    node.edges = tuple([edge_of(x) if isinstance(x, TensorBase) else None for x in inputs])
    node.saved = tuple([_pack(item, tensors) for item in saved]) if saved else saved
    node.shapes = tuple([tensor.array.shape for tensor in tensors])
    node.hooks = None
    _note_place(node)
    for index, tensor in enumerate(tensors):
        tensor.edge = edge_to(node, index)


def _note_place(node):
    """Note the innermost line outside this package: the user's."""
    frame = _getframe()
    code = frame.f_code
    filename = code.co_filename
    while filename.startswith(_PACKAGE) and frame.f_back is not None:
        frame = frame.f_back
        code = frame.f_code
        filename = code.co_filename
    node.code = code
    node.lasti = frame.f_lasti


def _pack(item, tensors):
    if isinstance(item, TensorBase):
        return _saved(item.array, version_of(item), edge_of(item), -1)
    for index, tensor in enumerate(tensors):
        if item is tensor.array:
            return _saved(item, version_of(tensor), None, index)
    return item


def _saved(array, version, edge, output):
    saved = Saved.__new__(Saved)
    saved.array = array
    saved.version = version
    saved.stamp = version.count
    saved.edge = edge
    saved.output = output
    return saved


def unpack(node, with_graph):
    """The saved things of a node, as `op` wants them; an error if somebody has written over one of them."""
    values = []
    for item in node.saved:
        if isinstance(item, Saved):
            saved = item
            if saved.version.count != saved.stamp:
                raise RuntimeError(
                    f"one of the variables needed for gradient computation has been modified by an inplace operation: "
                    f"{node.name} at {node.where} saved a {saved.array.dtype} tensor of shape {saved.array.shape} at "
                    f"version {saved.stamp}, now it is at version {saved.version.count}; write to a clone() instead"
                )
            item = _with_history(node, saved) if with_graph else saved.array
        values.append(item)
    return values


def _with_history(node, saved):
    edge = saved.edge if saved.output < 0 else edge_to(node, saved.output)
    if edge is not None and isinstance(edge.source, TensorBase):
        return edge.source  # a leaf is its own history
    tensor = wrap(saved.array)
    tensor.version = saved.version
    tensor.edge = edge
    return tensor


def requires_grad(tensor):
    """Whether a gradient flows to this tensor."""
    if tensor.view is not None:
        _refresh(tensor)
    return tensor.tracked or tensor.edge is not None


def edge_of(tensor):
    """The edge along which the tensor's gradient leaves; None for a constant."""
    if tensor.view is not None:
        _refresh(tensor)
    if tensor.edge is not None:
        return tensor.edge
    return edge_to(tensor, 0) if tensor.tracked else None


def record_view(op, source, array, replay, saved=()):
    """Like `record`, for an `array` that is a window onto the memory of `source`.

    ``replay(x)`` makes the same view of another tensor or array of the shape of `source`.
    """
    result = record(op, (source,), array, saved)
    if isinstance(source, TensorBase):
        attach_view(result, source, replay)
    return result


def attach_view(tensor, source, replay):
    """Note that the memory of `tensor` is that of `source`, seen through `replay`."""
    tensor.version = version_of(source)
    outer = source.view
    if not modes.grad or (outer is not None and outer.replay is None):
        replay = None
    elif outer is not None:
        replay = _chain(outer.replay, replay)
    tensor.view = View(source if outer is None else outer.base, replay, tensor.version.count)


def _chain(first, second):
    return lambda base: second(first(base))


def _refresh(tensor):
    """Lead a view's edge through what has been written to its base since the view was made."""
    view = tensor.view
    if view.replay is None or view.stamp == tensor.version.count:
        return
    view.stamp = tensor.version.count
    if requires_grad(view.base):
        before, modes.grad = modes.grad, True
        try:
            tensor.edge = edge_of(view.replay(view.base))
        finally:
            modes.grad = before


def nodes_behind(sources):
    """All nodes from which `sources` (nodes and leaves) were made, latest first."""
    seen = set()
    stack = [source for source in sources if isinstance(source, Node)]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            for edge in node.edges:
                if edge is not None and isinstance(edge.source, Node):
                    stack.append(edge.source)
    return sorted(seen, key=_get_seq, reverse=True)


class Tape(list):
    """The nodes behind a tensor in the order in which they ran (the Wengert list); prints as a table."""

    def __repr__(self):
        numbers = {node: number for number, node in enumerate(self)}
        rows = [("#", "op", "inputs", "output", "where")]
        for node, number in numbers.items():
            inputs = ", ".join([_input_name(edge, numbers) for edge in node.edges])
            rows.append((str(number), node.name, inputs, ", ".join(map(str, node.shapes)), node.where))
        widths = [max([len(row[column]) for row in rows]) for column in range(5)]
        return "\n".join(["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows])


def _input_name(edge, numbers):
    if edge is None:
        return "constant"
    if isinstance(edge.source, TensorBase):
        return f"leaf{edge.source.array.shape}"
    output = f".{edge.index}" if len(edge.source.shapes) > 1 else ""
    return f"#{numbers.get(edge.source, '?')}{output}"


def tape(tensor):
    """The ops that led to `tensor`, first to last, as a list of Node.

    Printed: number, op, inputs (``#3`` is the result of row 3), output shapes, and the line that ran the op.
    """
    edge = edge_of(tensor)
    return Tape(reversed(nodes_behind([edge.source] if edge is not None else [])))
