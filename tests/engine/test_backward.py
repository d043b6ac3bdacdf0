"""The backward walk: what it computes, what it keeps, what it frees, and what it refuses."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

import tinyrnn
from tinyrnn import autograd
from tinyrnn.engine.tape import record


def leaf(*shape, seed=0):
    return tinyrnn.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


def with_gradient(backward, *outputs, inputs, saved=()):
    """An op with a given backward."""
    return record(backward, inputs, outputs if len(outputs) > 1 else outputs[0], saved)


# ---- sums of gradients ----


def test_a_tensor_used_often_gets_the_sum():
    x = leaf(3)
    (x * 2.0 + x * 3.0 + x + x * x).sum().backward()
    assert np.allclose(x.grad.numpy(), 6 + 2 * x.detach().numpy())


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
@pytest.mark.parametrize("times", [1, 2, 3, 4, 5, 9])
def test_sums_of_the_same_leaf(shape, times):
    """Also 0-d, where NumPy's sum of two arrays is a scalar that `+=` does not change."""
    x = leaf(*shape)
    for start in (x, x * 1.0):
        x.grad = None
        y = start
        for _ in range(times - 1):
            y = y + start
        y.sum().backward()
        assert isinstance(x.grad.array, np.ndarray)
        assert np.array_equal(x.grad.numpy(), np.full(shape, float(times)))


def test_diamond_of_shared_subgraphs():
    x = leaf(2)
    y = x
    for _ in range(60):
        y = (y + y) * 0.5  # 2**60 paths
    y.sum().backward()
    assert np.allclose(x.grad.numpy(), 1)


def test_several_outputs_with_gradients_missing():
    x = leaf(3)
    given = []

    def backward(node, g, h):
        given.append((g is None, h is None))
        return (0 if g is None else g) + (0 if h is None else 2 * h)

    def both():
        return with_gradient(backward, x.array + 0, x.array * 2, inputs=(x,))

    _, second = both()
    second.sum().backward()
    assert given == [(False, True)] or given == [(True, False)]
    assert given[-1] == (True, False) and np.array_equal(x.grad.numpy(), [2, 2, 2])
    first, second = both()
    (first * 3.0).sum().backward()
    assert given[-1] == (False, True) and np.array_equal(x.grad.numpy(), [5, 5, 5])
    first, second = both()
    (first * second).sum().backward()
    assert given[-1] == (False, False)


def test_an_op_nobody_needs_does_not_run():
    x, calls = leaf(2), []

    def backward(node, g, h):
        calls.append(1)
        return g

    _, second = with_gradient(backward, x.array + 0, x.array + 1, inputs=(x,))
    second.detach().sum()
    (x * 2.0).sum().backward()
    assert not calls


# ---- .grad ----


def test_gradients_accumulate_in_place():
    x = leaf(3)
    x.sum().backward()
    first = x.grad
    array = first.array
    x.sum().backward()
    assert x.grad is first and x.grad.array is array and np.array_equal(array, [2, 2, 2])


def test_the_gradient_given_is_never_the_one_kept():
    x = leaf(3)
    given = tinyrnn.ones(3, dtype=tinyrnn.float64)
    (x + 0.0 * x).backward(given)
    x.grad.mul_(7.0)
    assert np.array_equal(given.numpy(), [1, 1, 1])
    x.grad = None
    x.backward(given)
    x.grad.mul_(7.0)
    assert np.array_equal(given.numpy(), [1, 1, 1])


def test_two_leaves_never_share_a_gradient():
    x, y = leaf(3), leaf(3, seed=1)
    (x + y).backward(tinyrnn.ones(3, dtype=tinyrnn.float64))
    assert not np.shares_memory(x.grad.array, y.grad.array)
    z = leaf(3)
    z.reshape(3, 1).reshape(3).backward(given := tinyrnn.ones(3, dtype=tinyrnn.float64))
    assert not np.shares_memory(z.grad.array, given.array)
    for one, two in (autograd.grad((x + y).sum(), [x, y]), autograd.grad((x * 1.0 + y).sum(), [x, y])):
        assert not np.shares_memory(one.array, two.array)


def test_gradient_keeps_dtype_and_shape():
    x = tinyrnn.ones(2, 3, dtype=tinyrnn.float16, requires_grad=True)
    (x * tinyrnn.ones(3, dtype=tinyrnn.float64)).sum().backward()
    assert x.grad.dtype is tinyrnn.float16 and x.grad.shape == (2, 3)


def test_inputs_restricts_backward():
    x, y = leaf(2), leaf(2, seed=1)
    h = x * y
    (h * h).sum().backward(inputs=[x])
    assert x.grad is not None and y.grad is None
    h = x * y
    (h * h).sum().backward(inputs=[h, y])
    assert np.allclose(h.grad.numpy(), 2 * h.detach().numpy()) and y.grad is not None
    with pytest.raises(RuntimeError, match="cannot be empty"):
        x.sum().backward(inputs=[])


# ---- freeing ----


def test_second_backward_says_what_to_do():
    x = leaf(3)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"backward through the graph a second time.*retain_graph=True.*detach\(\)"):
        y.backward()


def test_retain_graph():
    x = leaf(3)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert np.allclose(x.grad.numpy(), 4 * x.detach().numpy())
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_saved_arrays_are_freed_by_backward_and_by_forgetting():
    gc.disable()
    try:
        for walk in (True, False):
            x = leaf(3)
            h = x * 2.0
            alive = weakref.ref(h.array)
            y = (h * h).sum()
            del h
            assert alive() is not None
            if walk:
                y.backward()
            else:
                del y
            assert alive() is None
    finally:
        gc.enable()


def test_no_reference_cycles():
    gc.collect()
    gc.disable()
    try:
        x = leaf(3)
        h = (x * x).tanh()
        h.retain_grad()
        h.register_hook(lambda g: g * 2.0)
        first, second = h.chunk(2)
        y = (first.sum() + second.sum()).sigmoid()
        alive = [weakref.ref(t) for t in (h, first, y)] + [weakref.ref(h.array)]
        y.backward(retain_graph=True)
        del h, first, second, y
        assert [r() for r in alive] == [None] * 4
        y = x * x
        (gradient,) = autograd.grad(y.sum(), x, create_graph=True)
        alive = [weakref.ref(gradient), weakref.ref(gradient.array)]
        autograd.grad(gradient.sum(), x)
        del y, gradient
        assert [r() for r in alive] == [None] * 2
        assert gc.collect() == 0
    finally:
        gc.enable()


LONG_TAPE = """
import gc, weakref
import tinyrnn
gc.disable()
x = tinyrnn.ones(1, requires_grad=True)
for walk in (True, False):
    y = x
    for _ in range({nodes}):
        y = y + x
    first = y.grad_fn
    while first.seq % 1000:
        first = first.sources[0]
    alive = weakref.ref(y.array)
    if walk:
        y.backward()
        assert x.grad.item() == {nodes} + 1, x.grad
    del y, first
    assert alive() is None
print("done")
"""


@pytest.mark.slow
@pytest.mark.parametrize("pure, nodes", [("0", 1_000_000), ("1", 200_000)])
def test_a_long_tape_runs_and_is_freed(run_python, pure, nodes):
    done = run_python(LONG_TAPE.format(nodes=nodes), TINYRNN_PURE=pure)
    assert done.stdout.strip() == "done", done.stderr[-2000:]


# ---- overwritten arrays ----


def test_overwriting_a_saved_input_is_an_error():
    x = leaf(3)
    h = x * 2.0
    y = (h * h).sum()
    with tinyrnn.no_grad():
        h.add_(1.0)
    message = r"modified by an inplace operation: mul at .*test_backward.py:\d+ saved a tensor of shape \(3,\)"
    with pytest.raises(RuntimeError, match=message):
        y.backward()


def test_overwriting_a_saved_output_or_through_a_view_or_data():
    writes = [lambda h: h.zero_(), lambda h: h[0:1].zero_(), lambda h: h.detach().zero_(), lambda h: h.data.zero_()]
    for write in writes:
        h = leaf(3).tanh()
        y = h.sum()
        with tinyrnn.no_grad():
            write(h)
        with pytest.raises(RuntimeError, match="modified by an inplace operation: tanh"):
            y.backward()


def test_overwriting_what_was_not_saved_is_fine():
    x = leaf(3)
    h = x * 2.0
    y = (h + 1.0).sum()
    with tinyrnn.no_grad():
        h.zero_()
    y.backward()
    assert np.array_equal(x.grad.numpy(), [2, 2, 2])


# ---- hooks ----


def test_hooks_run_in_order_on_the_whole_gradient_and_can_be_removed():
    for make in (lambda x: x, lambda x: x * 1.0):
        x = leaf(2)
        h, seen = make(x), []
        note = seen.append
        handles = [
            h.register_hook(lambda g, note=note: note(("first", g.tolist()))),
            h.register_hook(lambda g: g * 10.0),
            h.register_hook(lambda g, note=note: note(("third", g.tolist()))),
        ]
        (h * 2.0 + h * 3.0).sum().backward()
        assert seen == [("first", [5, 5]), ("third", [50, 50])]
        assert x.grad.tolist() == [50, 50]
        handles[1].remove()
        handles[1].remove()
        x.grad = None
        seen.clear()
        h = make(x) if h is not x else x
        (h * 2.0).sum().backward()
        assert x.grad.tolist() == [2, 2]


def test_a_hook_on_a_node_does_not_touch_other_outputs():
    x = leaf(4)
    first, second = x.chunk(2)
    first.register_hook(lambda g: g * 100.0)
    (first.sum() + second.sum()).backward()
    assert x.grad.tolist() == [100, 100, 1, 1]


def test_hook_errors():
    x = leaf(2)
    x.register_hook(lambda g: tinyrnn.ones(3))
    with pytest.raises(RuntimeError, match="hook returned"):
        x.sum().backward()
    with pytest.raises(RuntimeError, match="doesn't require gradient"):
        tinyrnn.ones(2).register_hook(print)


def test_hooks_run_under_create_graph():
    x = leaf(2)
    h = x * x
    h.register_hook(lambda g: g * 3.0)
    (gradient,) = autograd.grad((h * h).sum(), x, create_graph=True)
    (second,) = autograd.grad(gradient.sum(), x)
    a = x.detach().numpy()
    assert np.allclose(gradient.detach().numpy(), 12 * a**3) and np.allclose(second.numpy(), 84 * a**2)  # the hook runs again


def test_retain_grad():
    x = leaf(2)
    h = x * 3.0
    k = h + 0.0
    for t in (h, k, h):
        t.retain_grad()
    assert h.retains_grad and not x.retains_grad
    x.retain_grad()
    (k * 2.0).sum().backward()
    assert h.grad.tolist() == k.grad.tolist() == [2, 2] and x.grad.tolist() == [6, 6]
    k.grad.zero_()
    assert h.grad.tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="requires_grad=False"):
        tinyrnn.ones(2).retain_grad()


# ---- autograd.grad ----


def test_grad_for_leaves_and_what_lies_between():
    x, y = leaf(3), leaf(3, seed=1)
    h = x * y
    z = (h * h).sum()
    for_h, for_x = autograd.grad(z, [h, x])
    a, b = x.detach().numpy(), y.detach().numpy()
    assert np.allclose(for_h.numpy(), 2 * a * b) and np.allclose(for_x.numpy(), 2 * a * b * b)
    assert x.grad is None and y.grad is None and h.grad is None


def test_grad_of_a_tensor_for_itself():
    x = leaf()
    assert autograd.grad(x, x)[0].item() == 1
    h = x * 2.0
    assert autograd.grad(h, h)[0].item() == 1


def test_grad_runs_only_what_is_needed():
    x, y, calls = leaf(2), leaf(2, seed=1), []

    def backward(node, g):
        calls.append(1)
        return g

    z = x * 2.0 + with_gradient(backward, y.array + 0, inputs=(y,))
    autograd.grad(z.sum(), x)
    assert not calls


def test_grad_of_several_outputs_with_weights():
    x = leaf(3)
    total, vector = (x * x).sum(), x * 5.0
    weight = tinyrnn.tensor([1.0, 2.0, 3.0], dtype=tinyrnn.float64)
    (g,) = autograd.grad([total, vector], x, [None, weight])
    assert np.allclose(g.numpy(), 2 * x.detach().numpy() + 5 * weight.numpy())


def test_unused_inputs():
    x, y = leaf(2), leaf(2, seed=1)
    with pytest.raises(RuntimeError, match=r"appears to not have been used in the graph.*allow_unused=True"):
        autograd.grad(x.sum(), [x, y])
    assert autograd.grad(x.sum(), [x, y], allow_unused=True)[1] is None
    assert autograd.grad(x.sum(), [x, y], materialize_grads=True)[1].tolist() == [0, 0]


@pytest.mark.parametrize(
    "call, error",
    [
        (lambda x: (x * 1.0).backward(), "grad can be implicitly created only for scalar outputs"),
        (lambda x: tinyrnn.ones(()).backward(), "element 0 of tensors does not require grad and does not have a grad_fn"),
        (lambda x: (x * 1.0).backward(tinyrnn.ones(3)), r"Mismatch in shape: grad_output\[0\]"),
        (lambda x: autograd.grad(x.sum(), tinyrnn.ones(2)), "does not require grad"),
        (lambda x: autograd.backward([x.sum()], [None, None]), "got 1 tensors and 2 gradients"),
    ],
)
def test_errors(call, error):
    with pytest.raises(RuntimeError, match=error):
        call(leaf(2))


def test_create_graph_gives_higher_derivatives():
    x = leaf(4)
    g = x * x * x * x
    a = x.detach().numpy()
    for expected in (4 * a**3, 12 * a**2, 24 * a, 24 + 0 * a):
        (g,) = autograd.grad(g.sum(), x, create_graph=True)
        assert np.allclose(g.detach().numpy(), expected)


def test_backward_with_create_graph_leaves_a_gradient_that_can_be_differentiated():
    x = leaf(3)
    (x * x * x).sum().backward(create_graph=True)
    assert x.grad.requires_grad
    first, x.grad = x.grad, None
    first.sum().backward()
    assert np.allclose(x.grad.numpy(), 6 * x.detach().numpy())


# ---- anomalies ----


def test_detect_anomaly_names_op_shape_and_line():
    def backward(node, g):
        return g * np.nan

    def run():
        x = leaf(2)
        made = record(backward, (x * 1.0,), np.zeros((2,)))
        made.sum().backward()

    run()
    backward.__name__ = "blowup_backward"
    with autograd.detect_anomaly(), pytest.raises(RuntimeError, match=r"'blowup' returned nan.*\(2,\).*test_backward.py:\d+"):
        run()
    autograd.set_detect_anomaly(True)
    try:
        assert autograd.is_anomaly_enabled()
        with pytest.raises(RuntimeError, match="nan"):
            run()
    finally:
        autograd.set_detect_anomaly(False)
    run()


# ---- threads ----


def test_backward_in_several_threads():
    errors = []

    def work(seed):
        try:
            for _ in range(30):
                x = leaf(5, seed=seed)
                y = x
                for _ in range(20):
                    y = (y * x).tanh()
                y.sum().backward()
                expected = x.grad.numpy()
                x.grad = None
                y = x
                for _ in range(20):
                    y = (y * x).tanh()
                y.sum().backward()
                assert np.array_equal(x.grad.numpy(), expected)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


# ---- all of this again, uncompiled ----


@pytest.mark.slow
@pytest.mark.skipif(not any(tinyrnn._compiled.running().values()), reason="this run is uncompiled already")
@pytest.mark.parametrize("name", ["test_backward", "test_tape", "test_modes"])
def test_uncompiled_behaves_the_same(name):
    import os

    file = os.path.join(os.path.dirname(__file__), f"{name}.py")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", "not long_tape", file]
    root = os.path.dirname(os.path.dirname(os.path.dirname(file)))
    env = os.environ | {"TINYRNN_PURE": "1"}
    done = subprocess.run(command, env=env, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]


def test_exchanged_data_is_seen_by_backward():
    x = leaf(3)
    y = (x * x).sum()
    x.data = tinyrnn.zeros(3, dtype=tinyrnn.float64)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_what_did_not_run_is_not_freed():
    a, w = leaf(3), leaf(3)
    h = a.exp()
    y = w.exp() * h.detach() + h
    autograd.grad(y.sum(), w)
    h.sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), np.exp(a.detach().numpy()))


def test_hooks_of_leaves_that_nobody_asked_for_stay_silent():
    a, b = leaf(3), leaf(3)
    called = []
    b.register_hook(called.append)
    (a * b).sum().backward(inputs=[a])
    assert not called and a.grad is not None and b.grad is None


def test_retained_gradients_are_what_hooks_made_of_them():
    x = leaf(3)
    y = x * 2.0
    y.retain_grad()
    y.register_hook(lambda g: g * 10.0)
    y.sum().backward()
    np.testing.assert_allclose(y.grad.numpy(), 10.0)


def test_only_inputs_is_all_there_is():
    """Many programs pass only_inputs=True, some by position."""
    x = leaf(2)
    assert autograd.grad((x * 3.0).sum(), x, None, None, False, True)[0].tolist() == [3, 3]
    with pytest.raises(NotImplementedError, match="only_inputs=False, expected True"):
        autograd.grad((x * 3.0).sum(), x, only_inputs=False)
