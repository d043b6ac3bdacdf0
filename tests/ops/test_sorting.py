"""Sorting: equal to PyTorch, NaN and ties included; derivatives of both orders."""

from __future__ import annotations

import numpy as np
import pytest
from both_sides import OURS, check, check_derivatives, leaf
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyrnn

X = np.random.default_rng(1).standard_normal((2, 3, 4))

CASES = {
    "sort": lambda lib, x: x.sort(),
    "sort dim": lambda lib, x: lib.sort(x, dim=0, descending=True),
    "sort stable": lambda lib, x: x.sort(dim=1, stable=True),
    "argsort": lambda lib, x: (x.argsort(), lib.argsort(x, dim=1, descending=True)),
    "topk": lambda lib, x: x.topk(2),
    "topk dim": lambda lib, x: lib.topk(x, 3, dim=1, largest=False),
    "topk all": lambda lib, x: x.topk(4, -1, True, True),
    "topk none": lambda lib, x: x.topk(0, dim=0),
    "median": lambda lib, x: lib.median(x),
    "median dim": lambda lib, x: x.median(dim=1),
    "median even": lambda lib, x: lib.median(x, -1, keepdim=True),
    "median 0-d": lambda lib, x: (x[0, 0, 0].median(), *x[0, 0, 0].median(0)),
    "0-d": lambda lib, x: (*x[0, 0, 0].sort(), *x[0, 0, 0].topk(1), x[0, 0, 0].argsort()),
    "empty": lambda lib, x: (*x[:, :0].sort(), *x[:, :0].topk(1)),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_pytorch(name):
    check(CASES[name], X)
    check(CASES[name], X.astype(np.float32))
    check(CASES[name], np.random.default_rng(2).permutation(24).reshape(2, 3, 4))


@pytest.mark.parametrize("name", ["sort", "sort dim", "topk", "topk dim", "topk all", "median dim", "median even"])
def test_derivatives(name):
    check_derivatives(lambda lib, x: CASES[name](lib, x)[0], X)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, np.nan, np.inf, -np.inf]), min_size=1, max_size=12), st.booleans())
def test_stable_order_with_ties_and_nan(values, descending):
    check(lambda lib, x: x.sort(stable=True, descending=descending), np.array(values), gradients=False)
    check(lambda lib, x: x.topk(len(values) // 2, largest=descending)[0], np.array(values), gradients=False)


@pytest.mark.parametrize("dim", [None, 0, 1])
def test_median_with_ties_and_nan(dim):
    data = np.array([[1.0, 1.0, 2.0, 1.0], [np.nan, 2.0, np.nan, 1.0], [3.0, 1.0, 2.0, 2.0]])
    for each in (data, data[::2]):
        check(lambda lib, x: x.median() if dim is None else x.median(dim).values, each, gradients=dim is None)
    assert tinyrnn.median(tinyrnn.tensor([1.0, np.nan, 0.0, np.nan]), 0).indices == 1
    with pytest.raises(IndexError, match=r"median\(\): expected at least one element along dimension 0"):
        leaf(X[:0]).median(0)


def test_results_have_names():
    values, indices = result = leaf(X).sort()
    assert result.values is values and result.indices is indices
    assert type(leaf(X).topk(1)).__name__ == "topk"
    assert isinstance(OURS.argsort(X), np.ndarray)


def test_errors():
    with pytest.raises(RuntimeError, match="selected index k out of range"):
        leaf(X).topk(5)
    with pytest.raises(IndexError, match="Dimension out of range"):
        leaf(X).sort(3)


def test_results_are_named_after_their_op():
    x = tinyrnn.tensor([[2.0, 1.0]])
    for name, result in {"sort": x.sort(), "topk": x.topk(1), "max": x.max(1), "median": x.median(1), "min": x.min(1)}.items():
        assert repr(result).startswith(f"{name}(values=tensor(") and result._fields == ("values", "indices")
