"""In-place writes: equal to PyTorch on random programs of views and writes, derivatives of both orders, no loss."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from both_sides import OURS, check, check_derivatives, leaf
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyrnn
from tinyrnn.engine.backward import backward, gradients_of
from tinyrnn.engine.base import TensorBase, wrap
from tinyrnn.engine.tape import requires_grad
from tinyrnn.grad_modes import no_grad

X = np.random.default_rng(1).uniform(0.5, 2.0, (3, 4))
Y = np.random.default_rng(2).uniform(0.5, 2.0, (3, 4))
ROW = np.random.default_rng(3).uniform(0.5, 2.0, 4)
MASK = np.random.default_rng(4).random((3, 4)) > 0.5


def written(write):
    """A program that applies `write` to a copy of its first argument and returns the copy."""

    def program(lib, x, *others):
        copy = x.clone()
        write(copy, *others)
        return copy

    return program


def assign(index):
    return lambda x, y: x.__setitem__(index, y)


METHODS = {
    "add_": (lambda x, y: x.add_(y, alpha=3), (Y,)),
    "add_ broadcast": (lambda x, y: x.add_(y), (ROW,)),
    "add_ number": (lambda x: x.add_(2), ()),
    "sub_": (lambda x, y: x.sub_(y), (Y,)),
    "mul_": (lambda x, y: x.mul_(y), (Y,)),
    "mul_ number": (lambda x: x.mul_(2), ()),
    "mul_ broadcast": (lambda x, y: x.mul_(y), (ROW,)),
    "div_": (lambda x, y: x.div_(y), (Y,)),
    "div_ number": (lambda x: x.div_(2), ()),
    "pow_": (lambda x: x.pow_(3), ()),
    "remainder_": (lambda x, y: x.remainder_(y.mul(0.37)), (Y,)),
    "floor_": (lambda x: x.mul_(5).floor_(), ()),
    "ceil_": (lambda x: x.mul_(5).ceil_(), ()),
    "round_": (lambda x: x.mul_(5).round_(), ()),
    "trunc_": (lambda x: x.mul_(5).trunc_(), ()),
    "reciprocal_": (lambda x: x.reciprocal_(), ()),
    "rsqrt_": (lambda x: x.rsqrt_(), ()),
    "clamp_min_": (lambda x: x.clamp_min_(0.8), ()),
    "clamp_max_": (lambda x: x.clamp_max_(1.5), ()),
    "neg_": (lambda x: x.neg_(), ()),
    "abs_": (lambda x: x.abs_(), ()),
    "exp_": (lambda x: x.exp_(), ()),
    "log_": (lambda x: x.log_(), ()),
    "sqrt_": (lambda x: x.sqrt_(), ()),
    "sigmoid_": (lambda x: x.sigmoid_(), ()),
    "tanh_": (lambda x: x.tanh_(), ()),
    "relu_": (lambda x: x.sub_(1.0).relu_(), ()),
    "clamp_": (lambda x: x.clamp_(min=0.8, max=1.5), ()),
    "addcmul_": (lambda x, y, row: x.addcmul_(y, row, value=2), (Y, ROW)),
    "addcdiv_": (lambda x, y, row: x.addcdiv_(y, row, value=-1), (Y, ROW)),
    "lerp_": (lambda x, y: x.lerp_(y, 0.25), (Y,)),
    "copy_": (lambda x, y: x.copy_(y), (ROW,)),
    "zero_": (lambda x: x.zero_(), ()),
    "fill_": (lambda x: x.fill_(3), ()),
    "fill_ tensor": (lambda x, y: x.fill_(y[1]), (ROW,)),
    "nan_to_num_": (lambda x: x.nan_to_num_(0.5), ()),
    "square_": (lambda x: x.square_(), ()),
    "tril_": (lambda x: x.tril_(), ()),
    "triu_": (lambda x: x.triu_(1), ()),
    "masked_fill_": (lambda x, m: x.masked_fill_(m, 2.5), (MASK,)),
    "scatter_": (lambda x, i, y: x.scatter_(1, i, y), (np.array([[0, 3], [1, 2]]), Y[:2, :2])),
    "scatter_add_": (lambda x, i, y: x.scatter_add_(0, i, y), (np.array([[0, 0], [1, 0]]), Y[:2, :2])),
    "index_add_": (lambda x, i, y: x.index_add_(0, i, y), (np.array([2, 0, 2]), Y)),
    "index_copy_": (lambda x, i, y: x.index_copy_(0, i, y), (np.array([2, 0, 1]), Y)),
    "index_fill_": (lambda x, i: x.index_fill_(1, i, 4.0), (np.array([2, 0]),)),
    "x[0] = number": (lambda x: x.__setitem__(0, 5), ()),
    "x[0] = row": (assign(0), (ROW,)),
    "x[:, 1] = 0-d": (lambda x, y: x.__setitem__((slice(None), 1), y[0]), (ROW,)),
    "x[...] = row": (assign(...), (ROW,)),
    "x[1:, ::2] = row": (lambda x, y: x.__setitem__((slice(1, None), slice(None, None, 2)), y[:2]), (ROW,)),
    "x[0, 0] = element": (lambda x, y: x.__setitem__((0, 0), y[1:2]), (ROW,)),
    "x[None, 0] = row": (assign((None, 0)), (ROW,)),
    "x[[0, 2]] = row": (assign([0, 2]), (ROW,)),
    "x[1:, [0, 2]] = y": (lambda x, y: x.__setitem__((slice(1, None), [0, 2]), y[1:, :2]), (Y,)),
    "x[mask] = number": (lambda x, m: x.__setitem__(m, 0.5), (MASK,)),
    "x[mask] = values": (lambda x, m, y: x.__setitem__(m, y[m]), (MASK, Y)),
    "x[tensor] = y": (lambda x, i, y: x.__setitem__(i, y), (np.array([1, 0]), Y[:2])),
    "x[0] += row": (lambda x, y: x.__setitem__(0, x[0].add_(y)), (ROW,)),
    "view": (lambda x, y: x.view(2, 6)[1].mul_(2).t(), (ROW,)),
    "view of a view": (lambda x, y: x.t()[1:].unsqueeze(0).mul_(y[1:].reshape(3, 1)), (ROW,)),
    "split": (lambda x, y: x[:, 1:].t().reshape(3, 3)[0].add_(1), (ROW,)),
    "overlap": (lambda x: x[1:].copy_(x[:-1] * 1), ()),
    "itself": (lambda x: x.add_(x), ()),
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_equals_pytorch(name):
    write, others = METHODS[name]
    check(written(write), X, *others)


@pytest.mark.parametrize("name", METHODS)
def test_derivatives(name):
    write, others = METHODS[name]
    floats = [each for each in others if each.dtype.kind == "f"]

    def program(lib, x, *given):
        given = list(given)
        return written(write)(lib, x, *[given.pop(0) if each.dtype.kind == "f" else wrap(each) for each in others])

    check_derivatives(program, X, *floats)


def test_operators():
    def program(lib, x, y):
        x = x * 1
        before = x
        x += y
        x *= 2
        x -= y
        x /= y
        assert x is before
        x[1] += 1
        x[:, 0] *= y[:, 1]
        return x

    check(program, X, Y)
    check_derivatives(program, X, Y)


def test_pieces_of_several_outputs_may_be_written():
    """PyTorch forbids it; here it goes through the tensor that was cut."""

    def program(lib, x, y):
        whole = x * 2
        first, second, third = whole.unbind(0)
        left, right = whole.chunk(2, 1)
        second.mul_(y[0])
        right.add_(first[2:])
        return whole, third, left

    check_derivatives(program, X, Y)


# ---- random programs ----


VIEWS = {
    "row": lambda v, a, b: v[a % v.shape[0]] if v.ndim else v,
    "slice": lambda v, a, b: v[a % v.shape[0] :] if v.ndim else v,
    "step": lambda v, a, b: v[..., ::2] if v.ndim else v,
    "transpose": lambda v, a, b: v.transpose(0, -1) if v.ndim else v,
    "unsqueeze": lambda v, a, b: v.unsqueeze(a % (v.ndim + 1)),
    "narrow": lambda v, a, b: v.narrow(-1, 0, 1) if v.ndim else v,
    "select": lambda v, a, b: v.select(-1, b % v.shape[-1]) if v.ndim else v,
    "squeeze": lambda v, a, b: v.squeeze(),
    "permute": lambda v, a, b: v.permute(*reversed(range(v.ndim))),
    "itself": lambda v, a, b: v.view_as(v),
}
WRITES = {
    "mul_": lambda v, w, a: v.mul_(w.sum() * 0.3),
    "add_": lambda v, w, a: v.add_(w.sum(), alpha=2),
    "copy_": lambda v, w, a: v.copy_(w.sum() * 0.1),
    "zero_": lambda v, w, a: v.zero_(),
    "fill_": lambda v, w, a: v.fill_(0.5),
    "tanh_": lambda v, w, a: v.tanh_(),
    "double": lambda v, w, a: v.mul_(2),
    "neg_": lambda v, w, a: v.neg_(),
    "setitem": lambda v, w, a: v.__setitem__(..., w.sum() * 0.2),
    "setitem list": lambda v, w, a: v.__setitem__([a % v.shape[0]], w.sum()) if v.ndim else v.mul_(3),
    "sigmoid_": lambda v, w, a: v.sigmoid_(),
}


def run_program(steps, x, w):
    """Make views of views and write to them, reading other tensors meanwhile; returns every tensor there is."""
    base = x * 1.0
    tensors = [base]
    for kind, name, which, other, a, b in steps:
        target = tensors[which % len(tensors)]
        if kind == "view":
            tensors.append(VIEWS[name](target, a, b))
        elif kind == "write":
            source = w if other % 3 else tensors[other % len(tensors)].clone()
            WRITES[name](target, source, a)
        else:
            # only the product saves its operands
            tensors.append(target * w.sum() if name == "mul" else target + w.sum())
    return tensors


steps_of_a_program = st.lists(
    st.one_of(
        st.tuples(st.just("view"), st.sampled_from(sorted(VIEWS)), *[st.integers(0, 7)] * 4),
        st.tuples(st.just("write"), st.sampled_from(sorted(WRITES)), *[st.integers(0, 7)] * 4),
        st.tuples(st.just("use"), st.sampled_from(["add", "add", "add", "mul"]), *[st.integers(0, 7)] * 4),
    ),
    min_size=2,
    max_size=9,
)


def outcome(run):
    """What comes out, or that it was refused because a saved array had been overwritten."""
    try:
        return run()
    except RuntimeError as error:
        assert "inplace operation" in str(error), error
        return None


@settings(max_examples=150, deadline=None)
@given(steps_of_a_program)
def test_random_programs(steps):
    torch = pytest.importorskip("torch")
    x, w = np.random.default_rng(0).standard_normal((2, 3, 4)), np.array([0.7, -0.4])
    ours = [leaf(x), leaf(w)]
    theirs = [torch.tensor(x, requires_grad=True), torch.tensor(w, requires_grad=True)]
    mine, its = run_program(steps, *ours), run_program(steps, *theirs)
    for a, b in zip(mine, its):
        np.testing.assert_allclose(a.array, b.detach().numpy(), rtol=1e-10, atol=1e-12)
        assert requires_grad(a) == b.requires_grad
    rng = np.random.default_rng(5)
    weights = [rng.standard_normal(a.array.shape) for a in mine]
    found = outcome(lambda: gradients_of(mine, ours, [wrap(v) for v in weights], retain_graph=True))
    expected = outcome(
        lambda: torch.autograd.grad(its, theirs, [torch.tensor(v) for v in weights], allow_unused=True, create_graph=True)
    )
    if found is None:
        return  # a refusal is never wrong; how often it may happen is the next test
    if expected is None:
        return  # PyTorch saves the overwritten result of tanh_ where a copy of it is saved here
    for a, b in zip(found, expected):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a.array, b.detach().numpy(), rtol=1e-8, atol=1e-10)
    again = gradients_of(mine, ours, [wrap(v) for v in weights], create_graph=True)
    for a, b in zip(found, again):
        if a is not None:
            np.testing.assert_allclose(a.array, b.array, rtol=1e-10, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(steps_of_a_program)
def test_refuses_no_more_than_pytorch(steps):
    torch = pytest.importorskip("torch")
    x, w = np.random.default_rng(0).standard_normal((2, 3, 4)), np.array([0.7, -0.4])
    ours, theirs = [leaf(x), leaf(w)], [torch.tensor(v, requires_grad=True) for v in (x, w)]
    mine, its = run_program(steps, *ours), run_program(steps, *theirs)
    expected = outcome(lambda: torch.autograd.grad(its, theirs, [torch.ones_like(v) for v in its], allow_unused=True))
    found = outcome(lambda: gradients_of(mine, ours, [wrap(np.ones(v.array.shape)) for v in mine]))
    assert found is not None or expected is None


def test_a_stale_view_among_several_inputs():
    """Its history is replayed while the node that reads it is written down, and still comes before that node."""

    def program(lib, x):
        y = x * 1
        view = y[:1]
        y.mul_(2)
        return x[:1] + view

    check(program, X)


# ---- what must not go through ----


def overwritings():
    """Ways to write over `y`, of shape (3, 4)."""
    return {
        "itself": lambda y: y.mul_(2),
        "a view": lambda y: y[0].zero_(),
        "a view of a view": lambda y: y.t()[1].view(3).fill_(1),
        "assignment": lambda y: y.__setitem__(..., 3),
        "assignment by mask": lambda y: y.__setitem__(MASK, 3),
        "copy_": lambda y: y.copy_(wrap(Y.copy())),
        "detach": lambda y: y.detach().add_(1),
        "view of detach": lambda y: y.detach()[1].add_(1),
        "piece": lambda y: y.unbind(1)[2].zero_(),
        "without recording": lambda y: no_grad()(y.zero_)(),
        "view without recording": lambda y: no_grad()(lambda: y[:2].zero_())(),
        "list without recording": lambda y: no_grad()(lambda: y.__setitem__([0], 1))(),
        "index_add_": lambda y: y.index_add_(0, wrap(np.array([0])), wrap(Y[:1].copy())),
    }


@pytest.mark.parametrize("how", overwritings())
def test_overwriting_a_saved_array_raises_in_backward(how):
    for make in (lambda x: x.exp(), lambda x: x * 2):
        x = leaf(X)
        y = make(x)
        z = (y * y) if make(x).node.name != "exp" else y * 1  # exp saves its result, the product its operands
        overwritings()[how](y)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            backward([z], [wrap(np.ones((3, 4)))])


def test_a_leaf_may_be_written_only_while_nothing_is_recorded():
    x = leaf(X)
    for write in (lambda: x.add_(1), lambda: x[0].zero_(), lambda: x.__setitem__(0, 1), lambda: x.__setitem__([0], 1)):
        with pytest.raises(RuntimeError, match=r"leaf Variable that requires grad .*with no_grad\(\):`"):
            write()
    np.testing.assert_array_equal(x.array, X)
    with no_grad():
        x.add_(1)
        x[0] = 7
        x[[1]] = 8
        x.view(-1)[-1:].fill_(9)
    assert x.tracked and x.node is None
    assert x.array[0, 0] == 7 and x.array[1, 1] == 8 and x.array[2, 3] == 9 and x.array[2, 0] == X[2, 0] + 1


def test_views_made_under_no_grad():
    y = leaf(X) * 1
    with no_grad():
        view = y[0]
    with pytest.raises(RuntimeError, match="created in no_grad mode"):
        view.mul_(2)
    constant = wrap(X.copy())
    with no_grad():
        view = constant[0]
    view.mul_(2)  # nothing to record
    with pytest.raises(RuntimeError, match="created in no_grad mode"):
        view.mul_(leaf(ROW))


def test_expanded_memory_cannot_be_written():
    y = (leaf(ROW) * 1).expand(3, 4)
    for write in (lambda: y.add_(1), lambda: y.zero_(), lambda: y.__setitem__([0], 1), lambda: y.fill_(1)):
        with pytest.raises(RuntimeError, match=r"more than one element .*clone\(\)"):
            write()


def test_dtype_is_kept():
    integers = wrap(np.arange(3))
    with pytest.raises(RuntimeError, match="result type Float can't be cast to the desired output type Long"):
        integers += 1.5
    with pytest.raises(RuntimeError, match="result type Float can't be cast to the desired output type Long"):
        integers.div_(2)
    integers[0] = 2.9
    integers += 1
    assert integers.array.dtype == np.int64 and integers.array.tolist() == [3, 2, 3]
    single = leaf(X.astype(np.float32)) * 1
    single.mul_(leaf(Y))
    single[0] = leaf(ROW)
    assert single.array.dtype == np.float32


def test_gradients_are_cast_back_to_the_dtype_of_the_operand():
    x, y, row = leaf(X.astype(np.float32)), leaf(Y), leaf(ROW)
    copy = x.clone()
    copy.mul_(y)
    copy[0] = row
    gradients = gradients_of([copy], [x, y, row], [wrap(np.ones((3, 4), np.float32))])
    assert [g.array.dtype for g in gradients] == [np.float32, np.float64, np.float64]
    np.testing.assert_allclose(gradients[0].array[1:], Y[1:], rtol=1e-6)
    np.testing.assert_allclose(gradients[1].array[1:], X[1:], rtol=1e-6)
    np.testing.assert_array_equal(gradients[2].array, np.ones(4))


def test_shape_is_kept():
    with pytest.raises(RuntimeError, match=r"output with shape \[4\] doesn't match the broadcast shape \[3, 4\]"):
        wrap(ROW.copy()).add_(wrap(X))
    with pytest.raises(RuntimeError, match="number of sizes provided"):
        wrap(ROW.copy()).copy_(wrap(X))
    with pytest.raises(RuntimeError, match="expanded size"):
        wrap(X.copy())[0] = wrap(ROW[:3])
    with pytest.raises(TypeError, match="can't assign a list"):
        wrap(X.copy())[0] = [1, 2, 3, 4]
    with pytest.raises(RuntimeError, match="0-dimension value"):
        wrap(X.copy()).fill_(wrap(ROW))
    with pytest.raises(TypeError, match="must be Tensor"):
        wrap(X.copy()).copy_(3)


def test_a_constant_that_is_written_with_a_gradient_requires_one_from_then_on():
    y, w = wrap(np.zeros((3, 4))), leaf(ROW)
    row, early = y[1], y.t()
    y[1] = w * 2
    assert requires_grad(y) and requires_grad(row) and requires_grad(early) and not w.grad
    (g,) = gradients_of([early], [w], [wrap(np.ones((4, 3)))])
    np.testing.assert_array_equal(g.array, np.full(4, 2.0))


def test_memory_not_in_c_order():
    """The window is found again in a gradient laid out like the memory that was written."""
    source = np.asfortranarray(Y)

    def program(lib, x):
        base = wrap(source.copy(order="K"))
        base.t().view(12)[2:9].mul_(x.reshape(-1)[:7])
        return base

    check_derivatives(program, X)


def test_empty_tensors():
    y = leaf(X[:0]) * 1
    y += 1
    y[:] = 2
    y.zero_()
    assert isinstance(y, TensorBase) and y.array.shape == (0, 4)
    assert OURS.cat([y, y]).array.shape == (0, 4)


@pytest.mark.parametrize("name", ["iand", "ior", "ixor", "ifloordiv", "imod", "iadd", "isub", "imul", "ipow"])
@pytest.mark.parametrize("other", [3, np.array([3, 1, 2])], ids=["number", "tensor"])
def test_augmented_assignment_writes_into_the_tensor(name, other):
    def program(lib, x, *others):
        result = getattr(operator, name)(x, others[0] if others else other)
        assert result is x
        return x

    check(program, np.array([5, 6, 250]), *([other] if isinstance(other, np.ndarray) else []))


def test_logical_not_in_place_keeps_the_dtype():
    check(lambda lib, x: x.logical_not_(), np.array([0, 1, 5], np.uint8))


@pytest.mark.parametrize("dim", [0, 1])
def test_scatter_of_nothing_is_a_copy(dim):
    def program(lib, x):
        results = [x.scatter(dim, empty(lib), 1.0), x.scatter_add(dim, empty(lib), x[:0])]
        before = x.clone()
        for result in results:
            result.add_(1)
        assert (x == before).all()
        return results

    check(program, X)


def empty(lib):
    return wrap(np.zeros((0, 4), np.int64)) if lib is OURS else lib.zeros((0, 4), dtype=lib.int64)


# ---- another shape for the same tensor -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "args"), [("unsqueeze_", (-1,)), ("squeeze_", (1,)), ("squeeze_", ()), ("transpose_", (0, 2)), ("t_", ())]
)
def test_reshaping_in_place(name, args):
    torch = pytest.importorskip("torch")
    values = np.arange(6.0).reshape((2, 3) if name == "t_" else (2, 1, 3))
    ours, theirs = tinyrnn.tensor(values), torch.tensor(values)
    view = ours[1:]
    assert getattr(ours, name)(*args) is ours
    getattr(theirs, name)(*args)
    np.testing.assert_array_equal(ours.array, theirs.numpy())
    ours.zero_()
    assert not view.array.any(), "the memory is the same"


def test_reshaping_in_place_of_what_has_a_gradient_says_what_to_write():
    x = tinyrnn.tensor([1.0, 2.0], requires_grad=True)
    for target in (x, x * 2, x.detach()[:1]):
        if target.requires_grad:
            with pytest.raises(NotImplementedError, match=r"write x = x\.unsqueeze\(\.\.\.\)"):
                target.unsqueeze_(0)
        else:
            assert target.unsqueeze_(0).shape == (1, 1)


# ---- without a detour over new memory: floats of one dtype and shape, or Python numbers, and nothing recorded ----

DIRECT = {
    "add_": lambda lib, x, y: x.add_(y),
    "add_, scaled": lambda lib, x, y: x.add_(y, alpha=0.5),
    "add_ a number": lambda lib, x, y: x.add_(2, alpha=-3),
    "sub_": lambda lib, x, y: x.sub_(y),
    "sub_, scaled": lambda lib, x, y: x.sub_(y, alpha=2),
    "mul_": lambda lib, x, y: x.mul_(y),
    "mul_ by a number": lambda lib, x, y: x.mul_(0.5),
    "div_": lambda lib, x, y: x.div_(y),
    "div_, rounded": lambda lib, x, y: x.div_(0.5, rounding_mode="floor"),
    "clamp_": lambda lib, x, y: x.clamp_(-0.5, 0.5),
    "clamp_ from below": lambda lib, x, y: x.clamp_(min=0),
    "clamp_ by a tensor": lambda lib, x, y: x.clamp_(max=y),
    "copy_": lambda lib, x, y: x.copy_(y),
    "+=": lambda lib, x, y: operator.iadd(x, y),
    "*=": lambda lib, x, y: operator.imul(x, 3),
    "itself": lambda lib, x, y: x.mul_(x).sub_(x, alpha=0.5),
}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
@pytest.mark.parametrize("name", DIRECT)
@pytest.mark.parametrize("view", [lambda x: x, lambda x: x[1:], lambda x: x.t(), lambda x: x[:, 1]])
def test_direct_writes_equal_pytorch(name, view, dtype):
    torch = pytest.importorskip("torch")
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    numbers = np.random.default_rng(0).uniform(0.25, 2, (2, 5, 4)).astype(np.float32)
    results = []
    for lib in (torch, tinyrnn):
        x, y = (lib.tensor(each.tolist(), dtype=getattr(lib, dtype)) for each in numbers)
        written = view(x)
        version = x._version
        assert DIRECT[name](lib, written, view(y)) is written
        results.append((x.float().numpy(), x._version - version))
    (expected, counted), (found, ours) = results
    np.testing.assert_allclose(found, expected, rtol=2e-2 if dtype == "bfloat16" else 2e-3 if dtype == "float16" else 1e-6)
    assert counted == ours


@pytest.mark.parametrize("name", DIRECT)
def test_direct_writes_are_refused_where_all_are(name):
    """A leaf that requires a gradient, a view of one that was made under no_grad, several elements in one memory."""
    leaf = tinyrnn.ones(3, requires_grad=True)
    with tinyrnn.no_grad():
        seen = leaf[:]
    y = tinyrnn.full((3,), 2.0)
    for x in (leaf, seen, tinyrnn.ones(1).expand(3)):
        with pytest.raises(RuntimeError):
            DIRECT[name](tinyrnn, x, y)
    assert leaf.tolist() == [1, 1, 1]


@pytest.mark.parametrize("name", [name for name in DIRECT if name != "copy_"])
def test_backward_notices_direct_writes(name):
    x, y = tinyrnn.ones(3), tinyrnn.full((3,), 0.25)
    loss = (x * tinyrnn.ones(3, requires_grad=True)).sum()
    DIRECT[name](tinyrnn, x, y)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
