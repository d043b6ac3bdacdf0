"""Arithmetic, element by element: forward and backward side by side."""

from __future__ import annotations

from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops.broadcasting import operands
from tinyrnn.ops.casting import array


def add(a, b):
    a, b = operands(a, b)
    x = array(a)
    return record(add_backward, (a, b), backend(x).add_forward(x, array(b)), ())


def add_backward(node, g):
    return g, g


def sub(a, b):
    a, b = operands(a, b)
    x = array(a)
    return record(sub_backward, (a, b), backend(x).sub_forward(x, array(b)), ())


def sub_backward(node, g):
    return g, neg(g) if node.needs(1) else None


def neg(a):
    return record(neg_backward, (a,), -array(a), ())


def neg_backward(node, g):
    return neg(g)


def mul(a, b):
    a, b = operands(a, b)
    x = array(a)
    return record(mul_backward, (a, b), backend(x).mul_forward(x, array(b)), (a, b))


def mul_backward(node, g, a, b):
    return mul(g, b) if node.needs(0) else None, mul(g, a) if node.needs(1) else None
