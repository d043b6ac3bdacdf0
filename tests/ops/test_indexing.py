"""Indexing ops: equal to PyTorch for every kind of index, derivatives of both orders, clear errors."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from both_sides import check, check_derivatives, leaf
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyrnn
from tinyrnn.engine.backward import gradients_of
from tinyrnn.engine.base import wrap
from tinyrnn.engine.tape import requires_grad
from tinyrnn.ops.indexing import ALL, add_at

X = np.random.default_rng(1).standard_normal((3, 4, 2, 3))
M = np.random.default_rng(2).standard_normal((4, 5))
ROWS = np.array([2, 0, -1, 2])
MATRIX = np.array([[0, 1], [2, 0]])
MASK = np.array([True, False, True])

INDICES = {
    "int": lambda i, m: 1,
    "negative": lambda i, m: -1,
    "ints": lambda i, m: (0, 2, 1, -1),
    "slice": lambda i, m: slice(1, None),
    "steps": lambda i, m: (slice(None, None, 2), slice(-3, 100, 2)),
    "empty slice": lambda i, m: (slice(2, 1),),
    "none": lambda i, m: (None, slice(None), None, 1),
    "ellipsis": lambda i, m: (..., 0),
    "ellipsis between": lambda i, m: (1, ..., slice(1, 2)),
    "only ellipsis": lambda i, m: ...,
    "nothing": lambda i, m: (),
    "true": lambda i, m: True,
    "false": lambda i, m: (False, 1),
    "tensor": lambda i, m: i,
    "matrix": lambda i, m: i.reshape(2, 2),
    "second": lambda i, m: (slice(None), i),
    "two": lambda i, m: (i, i),
    "two apart": lambda i, m: (i, slice(None), slice(0, 1), i),
    "int and tensor apart": lambda i, m: (0, slice(None), slice(None), i),
    "int next to tensor": lambda i, m: (i, 1),
    "slice int tensor": lambda i, m: (slice(1, 3), 1, slice(None), i),
    "broadcast": lambda i, m: (i.reshape(4, 1), i[:2] - i[:2]),
    "none and tensor": lambda i, m: (None, i, None, i),
    "tensor ellipsis": lambda i, m: (..., i),
    "mask": lambda i, m: m,
    "mask last": lambda i, m: (..., m),
    "mask and int": lambda i, m: (m, 0),
    "mask and tensor": lambda i, m: (m, i[:2]),
    "list": lambda i, m: [0, 2, 2],
    "list of bools": lambda i, m: [True, False, True],
    "list in tuple": lambda i, m: (slice(None), [1, 1]),
    "empty list": lambda i, m: [],
    "ndarray": lambda i, m: np.array([1, 0]),
    "0-d tensor": lambda i, m: i[0],
    "0-d tensors in slices": lambda i, m: slice(i[1], i[0]),
}


@pytest.mark.parametrize("name", INDICES)
def test_getitem_equals_pytorch(name):
    make = INDICES[name]
    check(lambda lib, x, i, m: x[make(i, m)], X, ROWS, MASK)


def test_every_plain_index_equals_pytorch():
    """All indices of up to four of these parts: the same elements, or an error on both sides."""
    torch = pytest.importorskip("torch")
    x = torch.arange(24.0).reshape(2, 3, 4)
    y = tinyrnn.tensor(x.numpy())
    parts = [0, -1, 2, slice(None), slice(1, 9), slice(-2, None), slice(None, None, 2), None, ...]
    for index in itertools.chain(parts, *[itertools.product(parts, repeat=count) for count in range(5)]):
        if isinstance(index, tuple) and index.count(...) > 1:  # PyTorch takes it
            continue
        try:
            expected = x[index].tolist()
        except IndexError:
            with pytest.raises(IndexError):
                y[index]
        else:
            assert y[index].tolist() == expected, index


@pytest.mark.parametrize("name", [name for name in INDICES if name not in ("empty slice", "false", "empty list")])
def test_getitem_derivatives(name):
    make = INDICES[name]
    check_derivatives(lambda lib, x: x[make(ROWS, MASK)], X)


def test_masks_of_several_dimensions():
    mask = X[:, :, 0, 0] > 0
    check(lambda lib, x, m: (x[m], x[m, 1], x[m, ..., 0], x[x > 0], x[:, m[0]]), X, mask)
    check_derivatives(lambda lib, x: x[mask, 1], X)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_indices(data):
    """Tuples that mix every kind of index, on both sides."""
    torch = pytest.importorskip("torch")
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    length = data.draw(st.integers(1, 3))
    index, dim = [], 0
    while dim < len(shape):
        n = shape[dim]
        kind = data.draw(st.sampled_from(["int", "slice", "none", "tensor", "mask", "true", "stop"]))
        if kind == "stop":
            break
        if kind == "int":
            index.append(data.draw(st.integers(-n, n - 1)))
        elif kind == "slice":
            index.append(slice(data.draw(st.integers(-n, n)), data.draw(st.integers(-n, n)), data.draw(st.integers(1, 2))))
        elif kind == "tensor":
            index.append(np.array(data.draw(st.lists(st.integers(-n, n - 1), min_size=length, max_size=length))))
        elif kind == "mask":
            mask = np.zeros(n, bool)
            mask[: min(length, n)] = True
            if n < length:
                continue
            index.append(mask)
        else:
            index.append({"none": None, "true": True}[kind])
        dim += kind in ("int", "slice", "tensor", "mask")
    if data.draw(st.booleans()):
        index.insert(len(index), Ellipsis)
    x = np.arange(float(np.prod(shape))).reshape(shape)
    ours, theirs = leaf(x), torch.tensor(x, requires_grad=True)
    mine = ours[tuple([wrap(part) if isinstance(part, np.ndarray) else part for part in index])]
    its = theirs[tuple([torch.tensor(part) if isinstance(part, np.ndarray) else part for part in index])]
    np.testing.assert_array_equal(mine.array, its.detach().numpy())
    assert mine.array.shape == tuple(its.shape)
    weight = np.random.default_rng(0).standard_normal(mine.array.shape)
    (g,) = gradients_of([mine], [ours], [wrap(weight)])
    (expected,) = torch.autograd.grad(its, theirs, torch.tensor(weight))
    np.testing.assert_allclose(g.array, expected.numpy(), atol=1e-12)


def test_basic_indexing_is_a_view_and_0d_results_are_arrays():
    x = leaf(X)
    for index in (0, (0, 1, 1, 2), (..., None), slice(1, 2), (0, 1, 1, np.int64(2))):
        assert np.shares_memory(x[index].array, x.array)
        assert isinstance(x[index].array, np.ndarray)
    assert x[0, 1, 1, 2].array.shape == ()
    assert not np.shares_memory(x[[0, 1]].array, x.array)


def test_a_nested_list_is_one_index_tensor():
    x = leaf(X)  # PyTorch has announced this; until then it takes the outer list for a tuple
    np.testing.assert_array_equal(x[[[0, 1], [2, 2]]].array, X[np.array([[0, 1], [2, 2]])])


def test_an_index_tensor_may_change_before_backward():
    x, i = leaf(M), wrap(np.array([0, 1]))
    y = x[i]
    i.array[...] = 3
    (g,) = gradients_of([y], [x], [wrap(np.ones((2, 5)))])
    assert g.array[:2].all() and not g.array[2:].any()


CASES = {
    "gather": (lambda lib, x, i: x.gather(1, i), M, np.array([[0, 4, 4], [1, 1, 0]])),
    "gather dim 0": (lambda lib, x, i: lib.gather(x, dim=-2, index=i), M, np.array([[3, 0, 0, 2, 1]])),
    "scatter": (lambda lib, x, i: x.scatter(1, i, x[:2, :3] * 2), M, np.array([[0, 4, 2], [1, 3, 0]])),
    "scatter value": (lambda lib, x, i: lib.scatter(x, 1, i, 5.0), M, np.array([[0, 4, 4]])),
    "scatter value named": (lambda lib, x, i: x.scatter(dim=0, index=i, value=1), M, np.array([[0, 3, 2]])),
    "scatter_add": (lambda lib, x, i: x.scatter_add(0, i, x * 3), M, np.array([[0, 3, 2, 2, 2]] * 3 + [[0] * 5])),
    "index_select": (lambda lib, x, i: x.index_select(1, i), M, np.array([4, 0, 4])),
    "diag": (lambda lib, x, i: x.diag() * i[0], M, np.array([2])),
    "diag above": (lambda lib, x, i: lib.diag(x, 2) + i[0], M, np.array([2])),
    "diag below": (lambda lib, x, i: lib.diag(x, -3) + i[0], M, np.array([2])),
    "diag outside": (lambda lib, x, i: lib.diag(x, diagonal=5).sum() + i[0], M, np.array([2])),
    "diag of a vector": (lambda lib, x, i: lib.diag(x[0]) * i[0], M, np.array([2])),
    "diag of a vector below": (lambda lib, x, i: x[1].diag(-2) * i[0], M, np.array([2])),
    "index_select 0-d": (lambda lib, x, i: lib.index_select(x, dim=0, index=i), M, np.array(2)),
    "index_add": (lambda lib, x, i: x.index_add(0, i, x[:3] * x[:3], alpha=2), M, np.array([1, 1, 3])),
    "index_copy": (lambda lib, x, i: x.index_copy(1, i, x[:, :2] * 2), M, np.array([4, 0])),
    "index_fill": (lambda lib, x, i: x.index_fill(1, i, 2.0), M, np.array([4, 0, 0])),
    "masked_fill": (lambda lib, x, i: x.masked_fill(i, 7), M, M > 0),
    "masked_fill broadcast": (lambda lib, x, i: x.masked_fill(mask=i, value=-1.5), M, M[0] > 0),
    "masked_fill tensor": (lambda lib, x, i: x.masked_fill(i, x[0, 0]), M, M > 0),
    "masked_select": (lambda lib, x, i: lib.masked_select(x, i), M, M > 0),
    "masked_select broadcast": (lambda lib, x, i: x.masked_select(i), M, np.array([[True], [False], [False], [True]])),
    "take_along_dim": (lambda lib, x, i: lib.take_along_dim(x, i, 1), M, np.array([[2, 0]])),
    "take_along_dim flat": (lambda lib, x, i: x.take_along_dim(i), M, np.array([[19, 0]])),
    "repeat_interleave counts": (lambda lib, x, i: x.repeat_interleave(i, dim=0), M, np.array([2, 0, 1, 3])),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_equals_pytorch(name):
    program, x, i = CASES[name]
    check(program, x, i)
    check(program, x.astype(np.float32), i)


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name):
    program, x, i = CASES[name]
    check_derivatives(lambda lib, x: program(lib, x, wrap(i)), x)


def test_scatter_gives_the_gradient_to_the_value_that_stayed():
    index = np.array([[0, 0, 2]])
    check_derivatives(lambda lib, x, src: lib.scatter(x, 1, index, src), M[:1], M[1:2, :3])


def test_0d_and_empty():
    for program in (
        lambda lib, x, i: x.gather(0, i),
        lambda lib, x, i: x.scatter(0, i, 2.0),
        lambda lib, x, i: x.index_select(0, i),
    ):
        check(program, np.array(1.5), np.array(0))
    check(lambda lib, x, i: (x.gather(1, i), x.scatter_add(1, i, x[:0])), M, np.zeros((0, 5), np.int64))
    check(lambda lib, x, i: (x.index_select(0, i), x[i], x[:, i]), M, np.zeros(0, np.int64))


def test_without_gradient():
    counts = np.array([[0, 2], [3, 0]])
    check(lambda lib, x: (x.nonzero(), *x.nonzero(as_tuple=True), lib.nonzero(x > 1)), counts)
    check(lambda lib, x: (x.nonzero(), *x.nonzero(as_tuple=True)), np.array(2))
    check(lambda lib, x: lib.repeat_interleave(x), np.array([2, 0, 3]))


def test_len_iter_contains():
    x = leaf(M)
    assert len(x) == 4 and len(list(x)) == 4
    assert M[1, 2] in x and 77 not in x
    for broken in (len, iter):
        with pytest.raises(TypeError, match="0-d tensor"):
            broken(x[0, 0])
    assert not requires_grad(wrap(M)[0])


ERRORS = {
    "range": (lambda x: x[4], IndexError, "index 4 is out of bounds for dimension 0 with size 4"),
    "range second": (lambda x: x[:, -6], IndexError, "index -6 is out of bounds for dimension 1 with size 5"),
    "range tensor": (lambda x: x[:, [1, 9]], IndexError, "index 9 is out of bounds for dimension 1 with size 5"),
    "too many": (lambda x: x[0, 0, 0], IndexError, "too many indices for tensor of dimension 2"),
    "0-d": (lambda x: x[0, 0][0], IndexError, "0-dim tensor"),
    "step": (lambda x: x[::-1], ValueError, "step must be greater than zero"),
    "ellipses": (lambda x: x[..., ...], IndexError, "single ellipsis"),
    "mask": (lambda x: x[np.array([True, False])], IndexError, r"shape of the mask \[2\] at index 0"),
    "float": (lambda x: x[1.0], IndexError, "valid indices"),
    "float tensor": (lambda x: x[x], IndexError, "must be long, int, byte or bool"),
    "string": (lambda x: x["a"], IndexError, "valid indices"),
    "broadcast": (lambda x: x[[0, 1], [0, 1, 2]], IndexError, "cannot be broadcast together"),
    "gather": (
        lambda x: x.gather(1, np.array([[5]])),
        RuntimeError,
        "index 5 is out of bounds for dimension 1 with size 5",
    ),
    "gather ndim": (lambda x: x.gather(1, np.array([0])), RuntimeError, "same number of dimensions"),
    "gather size": (lambda x: x.gather(1, np.zeros((5, 1), int)), RuntimeError, "no larger than"),
    "gather float": (lambda x: x.gather(1, np.zeros((1, 1))), RuntimeError, "Expected dtype int64"),
    "scatter dtype": (
        lambda x: x.scatter(1, np.zeros((1, 1), int), np.zeros((1, 1), np.float32)),
        RuntimeError,
        "src.dtype",
    ),
    "scatter nothing": (lambda x: x.scatter(1, np.zeros((1, 1), int)), TypeError, "either src"),
    "scatter both": (lambda x: x.scatter(1, np.zeros((1, 1), int), x[:1, :1], value=2.0), TypeError, "either src"),
    "index_select": (lambda x: x.index_select(0, np.array([-1])), IndexError, "out of bounds"),
    "index_add": (lambda x: x.index_add(0, np.array([1]), x), RuntimeError, r"expected source of shape \[1, 5\]"),
    "masked_fill": (lambda x: x.masked_fill(x, 1), RuntimeError, "boolean masks"),
    "masked_fill value": (
        lambda x: wrap(np.arange(3)).masked_fill(wrap(MASK), 1e30),
        RuntimeError,
        "cannot be converted",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    program, kind, sentence = ERRORS[name]
    with pytest.raises(kind, match=sentence):
        program(leaf(M))


def test_gather_by_a_single_index():
    check(lambda lib, x, i: x[0].gather(0, i), M[0], np.array(0))
    check(lambda lib, x, i: x.gather(0, i), M[0], np.array(3))


def test_a_few_rows_of_many_are_added_up_without_a_second_table():
    total = np.zeros((4000, 64))
    tracemalloc.start()
    try:
        add_at(total, (np.array([3, 3999, 3]), ALL), np.ones((3, 64)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < total.nbytes / 2
    assert total[3].tolist() == [2] * 64 and total[3999].tolist() == [1] * 64 and total.sum() == 192
