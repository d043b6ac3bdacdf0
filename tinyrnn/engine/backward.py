"""The backward walk: from the outputs back along the tape, latest node first."""

from __future__ import annotations

import numpy as np

from tinyrnn.engine.base import TensorBase, add, add_into, as_array, version_of, wrap
from tinyrnn.engine.modes import change_modes, mode
from tinyrnn.engine.tape import SavedOutput, call_backward, nodes_behind, requires_grad, source_of


class Walk:
    """One walk over the tape.

    Gradients are arrays or, when the walk itself is recorded (`create_graph`), tensors; the backward functions are
    written for both.
    """

    def __init__(self, outputs, gradients, retain_graph, create_graph):
        self.retain_graph = retain_graph
        self.create_graph = create_graph
        self.anomaly = mode("anomaly")
        self.waiting = {}  # node -> the gradients of its outputs so far; leaf -> [its gradient so far]
        self.owned = set()  # leaves whose gradient so far is an array that nobody else holds
        self.wanted = {}  # source -> the indices whose gradients are asked for; empty: every leaf
        self.found = {}  # (source, index) -> gradient
        sources = [source_of(output) for output in outputs]
        self.nodes = nodes_behind(sources)
        for node in self.nodes:
            if node.saved is None:
                raise RuntimeError(
                    f"Trying to backward through the graph a second time: {node.name} at {node.where} has freed what it "
                    f"saved. Pass retain_graph=True to the first backward, or carry recurrent state over with detach()"
                )
        for source, output, gradient in zip(sources, outputs, gradients):
            self.add(source, output.output, gradient if create_graph else gradient.array, False)

    def run(self):
        """Visit every node; afterwards `waiting` holds the gradients of the leaves."""
        before = change_modes({"grad": self.create_graph})
        try:
            useful = self.nodes_that_matter()
            for node in self.nodes:
                self.visit(node, useful is None or node in useful)
        finally:
            change_modes(before)

    def nodes_that_matter(self):
        """The nodes on a way to something wanted; None if that is all of them."""
        if not self.wanted:
            return None
        useful = set()
        for node in reversed(self.nodes):
            if any([source in useful or source in self.wanted for source in node.sources]):
                useful.add(node)
        return useful

    def visit(self, node, useful):
        gradients = self.waiting.get(node)
        if gradients is None:  # nothing has arrived
            return
        del self.waiting[node]
        if node.hooks is not None:
            _run_hooks(node, gradients)
        if self.wanted and node in self.wanted:
            for index in self.wanted[node]:
                self.found[node, index] = gradients[index]
        if useful:
            returned = call_backward(node, gradients, self.create_graph)
            results = returned if type(returned) is tuple else (returned,)
            if self.anomaly:
                _check_for_nan(node, results)
            for index, source in enumerate(node.sources):
                if source is not None and results[index] is not None:
                    self.add(source, node.slot(index), results[index], _is_fresh(index, source, results, gradients))
            if not self.retain_graph:
                _release(node)

    def add(self, source, slot, gradient, fresh):
        """Add to what has arrived at `source`; in place only where the sum so far belongs to this walk."""
        gradient = as_array(gradient)
        arrived = self.waiting.get(source)
        if arrived is None:
            arrived = self.waiting[source] = [None] if isinstance(source, TensorBase) else [None] * len(source.shapes)
        so_far = arrived[slot]
        if so_far is None:
            arrived[slot] = gradient
        elif source in self.owned:
            add_into(so_far, gradient)
        else:
            arrived[slot] = as_array(add(so_far, gradient))
            fresh = True
        if fresh and not self.create_graph and isinstance(source, TensorBase):
            self.owned.add(source)

    def leaves(self):
        """Every leaf that was reached and is wanted, its gradient as a tensor of its own memory, hooks applied."""
        for leaf, (gradient,) in self.waiting.items():
            if self.wanted and leaf not in self.wanted:
                continue
            if self.create_graph:
                gradient = gradient.clone()
            else:
                gradient = wrap(gradient if leaf in self.owned else gradient.copy())
            for hook in list(leaf.hooks.values()) if leaf.hooks else ():
                gradient = _call_hook(hook, gradient)
            yield leaf, gradient


def backward(outputs, gradients, retain_graph=None, create_graph=False, inputs=None):
    """Add d(outputs)/d(leaf), weighted with `gradients`, to ``leaf.grad`` of every leaf (or of `inputs` only)."""
    walk = Walk(outputs, gradients, create_graph if retain_graph is None else retain_graph, create_graph)
    if inputs is not None:
        walk.wanted = {source_of(tensor): [] for tensor in inputs}
    walk.run()
    for leaf, gradient in walk.leaves():
        if leaf.grad is None:
            leaf.grad = gradient
        elif create_graph or requires_grad(leaf.grad):
            leaf.grad = leaf.grad + gradient
        else:  # in place, as PyTorch does
            add_into(leaf.grad.array, gradient.array)
            version = version_of(leaf.grad)
            version.count += 1


def gradients_of(outputs, inputs, gradients, retain_graph=None, create_graph=False):
    """The gradients of `outputs`, weighted with `gradients`, for `inputs`: tensors, or None where no path leads."""
    walk = Walk(outputs, gradients, create_graph if retain_graph is None else retain_graph, create_graph)
    places = [(source_of(tensor), tensor.output) for tensor in inputs]
    for source, slot in places:
        walk.wanted.setdefault(source, []).append(slot)
    walk.run()
    walk.found.update({(leaf, 0): gradient for leaf, gradient in walk.leaves()})
    found = [walk.found.get(place) for place in places]
    return [g if g is None or isinstance(g, TensorBase) else wrap(g.copy()) for g in found]


def _is_fresh(index, source, results, gradients):
    """Whether backward made a leaf's gradient for us alone: no view, not the incoming gradient, not returned twice.

    Backward functions return new arrays, their incoming gradients, or views of those; never an array that they saved.
    """
    result = results[index]
    if not isinstance(source, TensorBase) or isinstance(result, TensorBase) or getattr(result, "base", None) is not None:
        return False
    if any([result is gradient for gradient in gradients]):
        return False
    return len([1 for other in results if other is result]) == 1


def _release(node):
    """Free what a node saved. A node that saved no array stays whole, so that it may be walked again."""
    for item in node.saved:
        if isinstance(item, (TensorBase, SavedOutput)) or hasattr(item, "shape"):
            node.saved = None
            node.sources = ()
            return


def _run_hooks(node, gradients):
    for index, hook in list(node.hooks.values()):
        gradient = gradients[index]
        if gradient is not None:
            given = gradient if isinstance(gradient, TensorBase) else wrap(gradient)
            gradients[index] = _call_hook(hook, given) if given is gradient else _call_hook(hook, given).array


def _call_hook(hook, gradient):
    replaced = hook(gradient)
    if replaced is None:
        return gradient
    if not isinstance(replaced, TensorBase) or replaced.array.shape != gradient.array.shape:
        returned = getattr(replaced, "shape", type(replaced).__name__)
        raise RuntimeError(f"a gradient hook returned {returned}, expected None or a tensor of {gradient.array.shape}")
    return replaced


def _check_for_nan(node, results):
    for number, result in enumerate(results):
        array = result.array if isinstance(result, TensorBase) else result
        if array is not None and np.isnan(array).any():
            place = f"(output shapes {node.shapes}); it ran at {node.where}"
            raise RuntimeError(f"Function '{node.name}' returned nan values in its gradient of input {number} {place}")
