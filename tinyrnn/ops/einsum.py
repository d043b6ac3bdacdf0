"""einsum: sums of products named by letters, made of permutations, sums and one matrix product per pair of operands."""

from __future__ import annotations

import functools
import math
import string

from tinyrnn.ops.broadcasting import expand_to
from tinyrnn.ops.casting import array
from tinyrnn.ops.products import matmul
from tinyrnn.ops.reductions import sum as sum_along
from tinyrnn.ops.shaping import permute, reshape


def einsum(equation, *operands):
    """``einsum("bij,bjk->bik", x, y)`` multiplies what has the same letter and sums over letters that are not in the output.

    Parameters
    ----------
    equation : the letters of each operand's dimensions, then, after ``->``, those of the output; without it the output has
        those letters that occur once, in alphabetical order. ``...`` stands for dimensions that broadcast.
    operands : tensors, one by one or as one list. Several are multiplied from left to right.

    ``einsum(x, [0, 1, 2], y, [0, 2, 3], [0, 1, 3])`` is the same with numbers from 0 to 51 and ``...`` in place of letters.

    Raises
    ------
    RuntimeError
        If letters and dimensions do not fit together.
    NotImplementedError
        For a letter that occurs twice in one operand (a diagonal).
    """
    equation, labels, output, operands = parsed(equation, operands)
    sizes = _sizes(equation, labels, operands)
    tensors = [_broadcast(x, names, sizes) for x, names in zip(operands, labels)]
    tensor, names = tensors[0], labels[0]
    for number in range(1, len(tensors)):
        later = set(output).union(*labels[number + 1 :])
        tensor, names = _product(tensor, names, tensors[number], labels[number], later, sizes)
    tensor, names = _without(tensor, names, set(output))
    return tensor if names == output and len(tensors) > 1 else permute(tensor, tuple([names.index(name) for name in output]))


def parsed(equation, operands):
    """The equation, the labels of every operand and of the output, and the operands, from any form that `einsum` takes."""
    if not isinstance(equation, str):
        equation, operands = _spelled((equation, *operands))
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    return equation, *_parsed(equation, tuple([array(x).ndim for x in operands])), operands


def _spelled(arguments):
    """The equation with letters for one with numbers, and its operands."""
    terms = []
    for labels in arguments[1::2] + arguments[-1:] * (len(arguments) % 2):
        if not isinstance(labels, (list, tuple)) or not all(each is ... or each in range(52) for each in labels):
            raise RuntimeError(
                f"einsum: expected an equation, or each operand followed by a list of numbers from 0 to 51, got {labels!r}"
            )
        terms.append("".join("..." if each is ... else string.ascii_letters[each] for each in labels))
    count = len(arguments) // 2
    return "->".join([",".join(terms[:count]), *terms[count:]]), arguments[: 2 * count : 2]


@functools.lru_cache(256)
def _parsed(equation, dims):
    """The labels of every operand and of the output, with capital Greek letters for the dimensions of an ellipsis."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(dims):
        raise RuntimeError(f"einsum: {equation!r} names {len(terms)} operands, but {len(dims)} were given")
    extra = [ndim - len(term.replace("...", "")) for term, ndim in zip(terms, dims)]
    for number, (term, rest) in enumerate(zip(terms, extra)):
        if rest < 0 or (rest > 0 and "..." not in term):
            raise RuntimeError(f"einsum: operand {number} has {dims[number]} dimensions, but {equation!r} calls them {term!r}")
    most = max(extra)
    batch = "".join(chr(ord("\u0391") + i) for i in range(most))
    labels = [term.replace("...", batch[most - rest :]) for term, rest in zip(terms, extra)]
    if arrow:
        output = right.replace("...", batch)
    else:
        together = "".join(labels)
        output = batch + "".join(sorted(name for name in set(together) - set(batch) if together.count(name) == 1))
    for names in labels:
        if len(set(names)) < len(names):
            raise NotImplementedError(f"einsum: {equation!r} takes a diagonal (a letter twice in one operand); index it first")
    known = set(string.ascii_letters + batch)
    if not set("".join(labels)) <= known or not set(output) <= set("".join(labels)) or len(set(output)) < len(output):
        raise RuntimeError(
            f"einsum: {equation!r} is invalid: letters are a-z and A-Z, those of the output in an operand, and once"
        )
    return tuple(labels), output


def _sizes(equation, labels, operands):
    sizes: dict[str, int] = {}
    for x, names in zip(operands, labels):
        for name, size in zip(names, array(x).shape):
            if sizes.get(name, 1) == 1:
                sizes[name] = size
            elif size not in (1, sizes[name]):
                raise RuntimeError(f"einsum: in {equation!r} the dimensions {name!r} have sizes {sizes[name]} and {size}")
    return sizes


def _broadcast(x, names, sizes):
    return expand_to(x, tuple([sizes[name] for name in names]))


def _without(x, names, kept):
    """`x` summed over what is not in `kept`."""
    summed = tuple([index for index, name in enumerate(names) if name not in kept])
    return (sum_along(x, summed), "".join(name for name in names if name in kept)) if summed else (x, names)


def _product(a, a_names, b, b_names, later, sizes):
    """The product of two operands, summed over the letters that do not occur `later`, as one batched matrix product."""
    a, a_names = _without(a, a_names, later | set(b_names))
    b, b_names = _without(b, b_names, later | set(a_names))
    both = [name for name in a_names if name in b_names]
    batch = [name for name in both if name in later]
    inner = [name for name in both if name not in later]
    rows = [name for name in a_names if name not in both]
    columns = [name for name in b_names if name not in both]

    def matrices(x, names, *groups):
        order = tuple([names.index(name) for group in groups for name in group])
        ordered = x if order == tuple(range(len(names))) else permute(x, order)
        if [len(group) for group in groups] == [1, 1, 1]:  # as it is already
            return ordered
        return reshape(ordered, tuple([math.prod([sizes[name] for name in group]) for group in groups]))

    product = matmul(matrices(a, a_names, batch, rows, inner), matrices(b, b_names, batch, inner, columns))
    names = [*batch, *rows, *columns]
    if len(batch) == len(rows) == len(columns) == 1:
        return product, "".join(names)
    return reshape(product, tuple([sizes[name] for name in names])), "".join(names)
