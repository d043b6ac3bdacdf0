"""The tape as a list: order, contents, and how it prints."""

from __future__ import annotations

import sys

import numpy as np

import tinyrnn
from tinyrnn import tape
from tinyrnn.engine.tape import record


def here():
    """The line of the caller."""
    return sys._getframe(1).f_lineno


def test_nodes_come_in_the_order_in_which_they_ran():
    x = tinyrnn.ones(2, requires_grad=True)
    h = x * 2.0
    k = h.tanh()
    y = (h + k).sum()
    nodes = tape(y)
    assert [node.name for node in nodes] == ["mul", "tanh", "add", "sum"]
    assert [node.seq for node in nodes] == sorted(node.seq for node in nodes)
    assert nodes[-1] is y.grad_fn and nodes[0] is h.grad_fn


def test_only_what_the_tensor_depends_on():
    x = tinyrnn.ones(2, requires_grad=True)
    x.tanh()
    y = x * x
    y.tanh()
    assert [node.name for node in tape(y)] == ["mul"]
    assert list(tape(x)) == [] and list(tape(tinyrnn.ones(2))) == []


def test_table_names_ops_inputs_shapes_and_lines():
    x = tinyrnn.ones(2, 3, requires_grad=True)
    h, line = x * tinyrnn.ones(2, 3), here()
    y = h.tanh() + x
    lines = repr(tape(y)).splitlines()
    assert lines[0].split() == ["#", "op", "inputs", "output", "where"]
    assert lines[1].split("  ")[0] == "0" and "leaf(2, 3), constant" in lines[1] and f"test_tape.py:{line}" in lines[1]
    assert "tanh" in lines[2] and "#0" in lines[2] and f"test_tape.py:{line + 1}" in lines[2]
    assert "#1, leaf(2, 3)" in lines[3] and "(2, 3)" in lines[3]
    assert len(lines) == 4


def test_table_says_which_output():
    x = tinyrnn.ones(4, requires_grad=True)
    first, second = x.chunk(2)
    assert "#0.0, #0.1" in repr(tape(first * second)) or "#0, #1" in repr(tape(first * second))

    def backward(node, g, h):
        return g

    one, two = record(backward, (x,), (np.ones(2), np.ones(2)), ())
    assert "#0.1, #0.0" in repr(tape(two * one))


def test_grad_fn_prints_its_line():
    y, line = tinyrnn.ones(2, requires_grad=True).tanh(), here()
    assert repr(y.grad_fn).startswith("<tanh #") and f"test_tape.py:{line}" in repr(y.grad_fn)


def test_tape_of_a_walk_that_was_recorded():
    x = tinyrnn.ones(2, requires_grad=True)
    (gradient,) = tinyrnn.autograd.grad((x * x).sum(), x, create_graph=True)
    assert "mul" in [node.name for node in tape(gradient)]


def test_constants_are_not_recorded():
    y = tinyrnn.ones(2) * 2.0
    assert y.grad_fn is None and not y.requires_grad and y.is_leaf


def test_node_lives_only_as_long_as_somebody_needs_it():
    import weakref

    x = tinyrnn.ones(2, requires_grad=True)
    h = x.exp()
    array = weakref.ref(h.array)
    y = h + 1.0  # saves nothing of h, but exp has saved its output
    del h
    assert array() is not None
    del y
    assert array() is None
