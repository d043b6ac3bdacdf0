"""Shape ops: equal to PyTorch, views exactly where PyTorch has views, derivatives of both orders."""

from __future__ import annotations

import numpy as np
import pytest
from both_sides import OURS, check, check_derivatives, leaf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

import tinyrnn
from tinyrnn.autograd.wengert import tape
from tinyrnn.engine.backward import gradients_of
from tinyrnn.engine.base import wrap

X = np.random.default_rng(1).standard_normal((2, 3, 4))
ONES = np.random.default_rng(2).standard_normal((1, 3, 1, 2))

CASES = {
    "reshape varargs": lambda lib, x: x.reshape(6, 4),
    "reshape tuple": lambda lib, x: x.reshape((4, -1)),
    "reshape function": lambda lib, x: lib.reshape(x, (-1,)),
    "reshape named": lambda lib, x: lib.reshape(x, shape=(3, 8)),
    "reshape of a transposed copy": lambda lib, x: x.transpose(0, 2).reshape(4, 6),
    "reshape list": lambda lib, x: lib.reshape(x, [24]),
    "view": lambda lib, x: x.view(2, -1),
    "view of a transposed": lambda lib, x: x.transpose(1, 2).view(2, 2, 2, 3),
    "view_as": lambda lib, x: x.view_as(x.reshape(4, 6)),
    "reshape_as": lambda lib, x: x.reshape_as(x.view(4, 6)),
    "flatten": lambda lib, x: x.flatten(),
    "flatten some": lambda lib, x: lib.flatten(x, 1),
    "flatten named": lambda lib, x: x.flatten(start_dim=-3, end_dim=-2),
    "ravel": lambda lib, x: x.ravel(),
    "unflatten": lambda lib, x: x.unflatten(-1, (2, -1)),
    "permute": lambda lib, x: x.permute(2, 0, 1),
    "permute negative": lambda lib, x: lib.permute(x, (-1, 0, -2)),
    "permute named": lambda lib, x: lib.permute(x, dims=(1, 0, 2)),
    "transpose": lambda lib, x: x.transpose(0, -1),
    "swapaxes": lambda lib, x: lib.swapaxes(x, 0, 1),
    "swapdims": lambda lib, x: x.swapdims(0, 1),
    "t": lambda lib, x: x[0].t(),
    "t of a vector": lambda lib, x: x[0, 0].t(),
    "T": lambda lib, x: x[0].T,
    "mT": lambda lib, x: x.mT,
    "movedim": lambda lib, x: lib.movedim(x, 0, 2),
    "movedim several": lambda lib, x: x.movedim((0, 1), (-1, 0)),
    "moveaxis": lambda lib, x: x.moveaxis(-1, 0),
    "unsqueeze": lambda lib, x: x.unsqueeze(0),
    "unsqueeze last": lambda lib, x: lib.unsqueeze(x, -1),
    "squeeze one not of size 1": lambda lib, x: x.squeeze(1),
    "expand": lambda lib, x: x.unsqueeze(1).expand(5, -1, 3, -1, 4),
    "expand tuple": lambda lib, x: x[:1].expand((2, 3, 4)),
    "expand_as": lambda lib, x: x[:1].expand_as(x),
    "broadcast_to": lambda lib, x: lib.broadcast_to(x, (2, 2, 3, 4)),
    "broadcast_tensors": lambda lib, x: lib.broadcast_tensors(x[0], x[:, :1], x),
    "meshgrid ij": lambda lib, x: lib.meshgrid(x[0, 0], x[0, :, 0], indexing="ij"),
    "meshgrid xy": lambda lib, x: lib.meshgrid(x[0, 0], x[0, :, 0], x[:, 0, 0], indexing="xy"),
    "repeat": lambda lib, x: x.repeat(2, 1, 3),
    "repeat new dims": lambda lib, x: x.repeat((2, 3, 1, 2)),
    "tile": lambda lib, x: lib.tile(x, (2,)),
    "tile varargs": lambda lib, x: x.tile(2, 1, 1, 2),
    "repeat_interleave": lambda lib, x: x.repeat_interleave(2),
    "repeat_interleave dim": lambda lib, x: lib.repeat_interleave(x, 3, dim=1),
    "flip": lambda lib, x: x.flip(0, 2),
    "flip tuple": lambda lib, x: lib.flip(x, (-1,)),
    "roll": lambda lib, x: lib.roll(x, 1, 0),
    "roll several": lambda lib, x: x.roll((1, -2), (0, 2)),
    "roll flat": lambda lib, x: x.roll(5),
    "tril": lambda lib, x: x.tril(),
    "triu": lambda lib, x: lib.triu(x, diagonal=-1),
    "clone": lambda lib, x: x.clone(),
    "contiguous": lambda lib, x: x.transpose(0, 2).contiguous(),
    "narrow": lambda lib, x: x.narrow(-1, 1, 2),
    "narrow negative": lambda lib, x: lib.narrow(x, 1, -2, 2),
    "select": lambda lib, x: x.select(1, -1),
    "unbind": lambda lib, x: x.unbind(1),
    "unbind one used": lambda lib, x: x.unbind(-1)[2],
    "iterate": lambda lib, x: [row * 2 for row in x],
    "split": lambda lib, x: x.split(3, dim=-1),
    "split sections": lambda lib, x: lib.split(x, [1, 2], 1),
    "split one used": lambda lib, x: lib.split(x, 1, 2)[1],
    "chunk": lambda lib, x: x.chunk(2, 1),
    "chunk fewer": lambda lib, x: lib.chunk(x, 3, dim=2),
    "cat": lambda lib, x: lib.cat([x, x[:, :1], x * 2], dim=1),
    "cat negative": lambda lib, x: lib.concat((x, x), -1),
    "cat skips empty": lambda lib, x: lib.cat([x[0, 0, :0], x, x], 0),
    "stack": lambda lib, x: lib.stack([x, x * 2]),
    "stack last": lambda lib, x: lib.stack(x.unbind(0), -1),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_pytorch(name):
    check(CASES[name], X)
    check(CASES[name], X.astype(np.float32))


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name):
    check_derivatives(CASES[name], X)


@pytest.mark.parametrize(
    "program",
    [
        lambda lib, x: x.squeeze(),
        lambda lib, x: x.squeeze(0),
        lambda lib, x: x.squeeze((0, -2)),
        lambda lib, x: lib.squeeze(x, dim=1),
        lambda lib, x: x[0, 0, 0, 0].squeeze(0),
        lambda lib, x: x[0, 0, 0, 0].squeeze(),
        lambda lib, x: x[0, 0, 0, 0].flatten(),
        lambda lib, x: x[0, 0, 0, 0].reshape(()),
        lambda lib, x: x[0, 0, 0, 0].expand(2, 3),
        lambda lib, x: x[0, 0, 0, 0].repeat(2),
        lambda lib, x: x[0, 0, 0, 0].unsqueeze(-1),
        lambda lib, x: lib.stack([x[0, 0, 0, 0], x[0, 1, 0, 1]]),
        lambda lib, x: x[:, :0].reshape(0, 5),
        lambda lib, x: x[:, :0].unbind(1),
        lambda lib, x: lib.cat([x[:, :0], x], 1),
        lambda lib, x: x[:, :0].split(2, 1),
        lambda lib, x: x[:, :0].chunk(3, 1),
        lambda lib, x: x[:, :0].flip(1),
        lambda lib, x: x.repeat(0, 1, 1, 1),
        lambda lib, x: lib.split(x, [1, 0, 2], 1),
        lambda lib, x: x[:, :0].roll(1, 0),
    ],
)
def test_small_and_empty(program):
    check(program, ONES)


@pytest.mark.parametrize(
    ("pad", "value"), [((1, 2), None), ((0, 0, 2, 0), 1.5), ((-1, 1), 0.0), ((1, 1, -1, 0, 2, 3), -1.0), ((), None)]
)
def test_pad(pad, value):
    torch = pytest.importorskip("torch")
    check(lambda lib, x: (OURS.pad if lib is OURS else torch.nn.functional.pad)(x, pad, value=value), X)
    check_derivatives(lambda lib, x: lib.pad(x, pad, value=value), X)


def test_dtypes_of_cat_and_stack():
    for first in (np.float32, np.float64, np.int64, np.int16, np.uint8, np.bool_):
        for second in (np.float32, np.float64, np.int64, np.int8, np.bool_):
            a, b = np.ones((2, 3), first), np.ones((2, 3), second)
            check(lambda lib, a, b: (lib.cat([a, b]), lib.stack([a, b])), a, b)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_random_chain_of_views(data):
    """Any chain of shape ops equals PyTorch's, memory sharing included."""
    torch = pytest.importorskip("torch")
    shape = data.draw(array_shapes(min_dims=1, max_dims=4, max_side=4))
    base = np.arange(float(np.prod(shape))).reshape(shape)
    ours, theirs = leaf(base), torch.tensor(base, requires_grad=True)
    x, y = ours, theirs
    for _ in range(data.draw(st.integers(1, 5))):
        ndim = x.array.ndim
        dim = st.integers(-ndim, ndim - 1) if ndim else st.integers(-1, 0)
        step = data.draw(
            st.one_of(
                st.tuples(st.just("transpose"), dim, dim),
                st.tuples(st.just("unsqueeze"), st.integers(-ndim - 1, ndim)),
                st.tuples(st.just("squeeze"), dim),
                st.tuples(st.just("permute"), st.permutations(range(ndim)).map(tuple)),
                st.tuples(st.just("flatten")),
                st.tuples(st.just("reshape"), st.permutations(x.array.shape).map(tuple)),
                st.tuples(st.just("expand"), st.just((2, *x.array.shape))),
                st.tuples(st.just("flip"), st.just(tuple(range(ndim)))),
            )
        )
        x, y = getattr(x, step[0])(*step[1:]), getattr(y, step[0])(*step[1:])
        assert x.array.shape == tuple(y.shape)
        np.testing.assert_array_equal(x.array, y.detach().numpy())
        shares = y.untyped_storage().data_ptr() == theirs.untyped_storage().data_ptr()
        assert np.may_share_memory(x.array, ours.array) == shares
    weight = np.random.default_rng(0).standard_normal(x.array.shape)
    (mine,) = gradients_of([x], [ours], [wrap(weight)])
    (its,) = torch.autograd.grad(y, theirs, torch.tensor(weight))
    np.testing.assert_allclose(mine.array, its.numpy(), atol=1e-12)


def test_a_loop_over_time_is_one_node():
    x = leaf(X)
    first, second = x
    assert [node.name for node in tape(first * second)] == ["unbind", "mul"]


@pytest.mark.parametrize("name", ["preserve_format", "contiguous_format"])
def test_memory_formats(name):
    torch = pytest.importorskip("torch")
    strides = []
    for lib in (tinyrnn, torch):
        x, wanted = lib.zeros(3, 4).t(), getattr(lib, name)
        copies = [x.clone(memory_format=wanted), x.to(lib.float64, memory_format=wanted), x.to(memory_format=wanted, copy=True)]
        copies += [getattr(lib, f"{kind}_like")(x, memory_format=wanted) for kind in ("zeros", "ones", "empty")]
        copies += [lib.full_like(x, 2, memory_format=wanted), x.contiguous(memory_format=lib.contiguous_format)]
        strides.append([each.stride() for each in copies])
    assert strides[0] == strides[1]
    assert repr(getattr(tinyrnn, name)) == f"tinyrnn.{name}"


def test_other_memory_formats_are_refused():
    with pytest.raises(NotImplementedError, match="memory_format='channels_last' is none that tinyrnn has; pass"):
        tinyrnn.ones(2).clone(memory_format="channels_last")
    with pytest.raises(RuntimeError, match="preserve_format keeps any order"):
        tinyrnn.ones(2).contiguous(memory_format=tinyrnn.preserve_format)


def test_contiguous_is_the_tensor_itself_where_nothing_is_to_do():
    x = leaf(X)
    assert x.contiguous() is x and x.is_contiguous()
    assert not x.mT.is_contiguous()
    assert not np.shares_memory(x.clone().array, x.array)


ERRORS = {
    "reshape": (lambda x: x.reshape(5, 5), RuntimeError, r"shape '\[5, 5\]' is invalid for input of size 24"),
    "reshape -1": (lambda x: x.reshape(7, -1), RuntimeError, "is invalid for input of size 24"),
    "two -1": (lambda x: x.reshape(-1, -1), RuntimeError, "only one dimension can be inferred"),
    "ambiguous": (lambda x: x[:0].reshape(-1, 0), RuntimeError, "ambiguous"),
    "not a size": (lambda x: x.reshape("2"), TypeError, "expected sizes as integers"),
    "float size": (lambda x: x.reshape(2.0, 12), TypeError, "expected sizes as integers"),
    "view": (lambda x: x.transpose(0, 1).view(-1), RuntimeError, r"Use .reshape\(...\) instead"),
    "transpose": (lambda x: x.transpose(0, 3), IndexError, r"expected to be in range of \[-3, 2\], but got 3"),
    "permute": (lambda x: x.permute(0, 1), RuntimeError, "does not match the length"),
    "permute twice": (lambda x: x.permute(0, 1, 1), RuntimeError, "duplicate dims"),
    "t": (lambda x: x.t(), RuntimeError, "<= 2 dimensions"),
    "mT": (lambda x: x[0, 0].mT, RuntimeError, "matrices or batches of matrices"),
    "unsqueeze": (lambda x: x.unsqueeze(4), IndexError, r"\[-4, 3\], but got 4"),
    "flatten": (lambda x: x.flatten(2, 1), RuntimeError, "start_dim"),
    "unflatten": (lambda x: x.unflatten(0, (3, 2)), RuntimeError, "don't multiply up to the size of dim 0"),
    "expand": (
        lambda x: x.expand(2, 5, 4),
        RuntimeError,
        r"expanded size of the tensor \(5\) must match the existing size \(3\)",
    ),
    "expand too many": (lambda x: x.expand([1] * 5000 + [2, 3, 4]), RuntimeError, "at most 64 sizes, .* got 5003"),
    "expand fewer": (lambda x: x.expand(4), RuntimeError, "must be greater or equal"),
    "repeat": (lambda x: x.repeat(2), RuntimeError, "can not be smaller than number of dimensions"),
    "movedim": (lambda x: x.movedim((0, 1), 0), RuntimeError, "same number"),
    "flip": (lambda x: x.flip(0, 0), RuntimeError, "multiple times"),
    "roll": (lambda x: x.roll((1, 2), 0), RuntimeError, "must align"),
    "tril": (lambda x: x[0, 0].tril(), RuntimeError, "at least 2 dimensions"),
    "narrow": (lambda x: x.narrow(1, 2, 2), RuntimeError, "exceeds dimension size"),
    "select": (lambda x: x.select(1, 3), IndexError, "out of range"),
    "split": (lambda x: x.split([1, 1], 1), RuntimeError, "sum exactly to 3"),
    "split 0": (lambda x: x.split(0), RuntimeError, "split_size"),
    "chunk": (lambda x: x.chunk(0), RuntimeError, "greater than 0"),
    "cat": (lambda x: OURS.cat([x, x[:, :2]], 0), RuntimeError, "Expected size 3 but got size 2 for tensor number 1"),
    "cat nothing": (lambda x: OURS.cat([]), RuntimeError, "non-empty"),
    "cat scalars": (lambda x: OURS.cat([x[0, 0, 0]]), RuntimeError, "zero-dimensional"),
    "cat a tensor": (lambda x: OURS.cat(x), TypeError, "tuple or list"),
    "stack": (lambda x: OURS.stack([x, x[0]]), RuntimeError, "equal size"),
    "pad mode": (lambda x: OURS.pad(x, (1, 1), mode="reflect"), NotImplementedError, "reflect"),
    "pad odd": (lambda x: OURS.pad(x, (1,)), RuntimeError, "even number"),
    "pad cut": (lambda x: OURS.pad(x, (-3, -2)), RuntimeError, "cuts off more"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    program, kind, sentence = ERRORS[name]
    with pytest.raises(kind, match=sentence):
        program(leaf(X))


@pytest.mark.parametrize("repeats", [2, np.array([1, 2, 3])], ids=["number", "counts"])
def test_repeat_interleave_checks_the_output_size(repeats):
    x = wrap(np.arange(3.0))
    assert OURS.repeat_interleave(x, repeats, output_size=6).array.shape == (6,)
    with pytest.raises(RuntimeError, match="Invalid output_size, expected 6 but got 5"):
        OURS.repeat_interleave(x, repeats, output_size=5)


def test_repeat_interleave_of_counts_alone_checks_too():
    counts = wrap(np.array([1, 2]))
    assert OURS.repeat_interleave(counts, output_size=3).array.tolist() == [0, 1, 1]
    for wrong in (2, 4):
        with pytest.raises(RuntimeError, match="Invalid output_size"):
            OURS.repeat_interleave(counts, output_size=wrong)
    with pytest.raises(RuntimeError, match="negative"):
        OURS.repeat_interleave(wrap(np.array([1, -2])))
