"""Grad modes: what is recorded, nested, as decorators, in generators of errors, and per thread."""

from __future__ import annotations

import threading

import pytest

import tinyrnn
from tinyrnn import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from tinyrnn.autograd import detect_anomaly, is_anomaly_enabled


def records():
    return (tinyrnn.ones(1, requires_grad=True) * 2.0).requires_grad


@pytest.fixture(autouse=True)
def modes_are_left_as_they_were():
    assert is_grad_enabled() and records()
    yield
    assert is_grad_enabled() and records() and not is_anomaly_enabled() and not tinyrnn.is_inference_mode_enabled()


def test_no_grad_and_enable_grad_nest():
    with no_grad():
        assert not is_grad_enabled() and not records()
        with enable_grad():
            assert is_grad_enabled() and records()
            with no_grad():
                assert not records()
            assert records()
        assert not records()


def test_an_error_ends_the_block():
    with pytest.raises(KeyError), no_grad():
        raise KeyError


def test_one_object_used_twice():
    block = no_grad()
    for _ in range(2):
        with block:
            assert not records()
        assert records()


def test_decorators():
    @no_grad()
    def count(n):
        assert not is_grad_enabled()
        return n if n == 0 else count(n - 1)

    assert count(3) == 0 and is_grad_enabled()

    @inference_mode()
    def infer():
        return records(), tinyrnn.is_inference_mode_enabled()

    assert infer() == (False, True)


def test_leaves_made_inside_keep_requires_grad():
    with no_grad():
        x = tinyrnn.ones(1, requires_grad=True)
    assert x.requires_grad and (x * 2.0).requires_grad


@pytest.mark.parametrize("mode", [True, False])
def test_set_grad_enabled_as_a_block(mode):
    with set_grad_enabled(mode):
        assert is_grad_enabled() is mode and records() is mode


def test_set_grad_enabled_as_a_call():
    set_grad_enabled(False)
    try:
        assert not records()
    finally:
        set_grad_enabled(True)


def test_inference_mode():
    with inference_mode():
        assert tinyrnn.is_inference_mode_enabled() and not records()
        with inference_mode(False):
            assert not tinyrnn.is_inference_mode_enabled()
    with inference_mode(False):
        assert records()


def test_inference_mode_false_inside_records_again():
    """PyTorch: leaving inference mode for a block means recording in it."""
    with inference_mode(), inference_mode(False):
        assert records()


def test_modes_belong_to_their_thread():
    seen = {}
    inside, done = threading.Event(), threading.Event()

    def other():
        with no_grad(), detect_anomaly():
            seen["other"] = (is_grad_enabled(), records(), is_anomaly_enabled())
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    here = (is_grad_enabled(), records(), is_anomaly_enabled())
    with no_grad():
        late = {}
        third = threading.Thread(target=lambda: late.update(mode=is_grad_enabled()))
        third.start()
        third.join()
    done.set()
    thread.join()
    assert here == (True, True, False) and seen["other"] == (False, False, True) and late["mode"]


def test_a_thread_that_ends_in_no_grad_leaves_nothing_behind():
    def work():
        set_grad_enabled(False)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert is_grad_enabled() and records()


def test_backward_runs_with_recording_off_unless_create_graph():
    from tinyrnn.engine.tape import record

    seen = []

    def backward(node, g):
        seen.append(is_grad_enabled())
        return g

    x = tinyrnn.ones(2, requires_grad=True)
    y = record(backward, (x,), x.array + 0, ()).sum()
    y.backward(retain_graph=True)
    y.backward(create_graph=True)
    with no_grad():
        y.backward(retain_graph=True)
    assert seen == [False, True, False]


def test_backward_that_fails_puts_the_mode_back():
    from tinyrnn.engine.tape import record

    def backward(node, g):
        raise KeyError("broken")

    x = tinyrnn.ones(2, requires_grad=True)
    with pytest.raises(KeyError, match="broken"):
        record(backward, (x,), x.array + 0, ()).sum().backward()


def test_decorators_without_parentheses():
    @no_grad
    def silent():
        return records()

    @inference_mode
    def inferring():
        return records()

    @enable_grad
    def loud():
        return records()

    assert not silent() and not inferring()
    with no_grad():
        assert loud()


def test_a_decorated_generator_records_nothing_in_its_body_and_leaves_its_caller_alone():
    seen = []

    @no_grad()
    def generator():
        try:
            while True:
                seen.append((yield records()))
        except ValueError:
            yield "caught"
        return "end"

    running = generator()
    assert next(running) is False and records()
    assert running.send("sent") is False and seen == ["sent"]
    assert running.throw(ValueError()) == "caught" and records()
    with pytest.raises(StopIteration, match="end"):
        next(running)
    closed = generator()
    next(closed)
    closed.close()


def test_set_grad_enabled_as_a_decorator_switches_nothing_else():
    @set_grad_enabled(False)
    def silent():
        return records()

    assert records() and not silent() and records()


def test_enable_grad_does_not_leave_inference_mode():
    with inference_mode(), enable_grad():
        assert not records() and tinyrnn.is_inference_mode_enabled()


def test_set_detect_anomaly_as_a_block():
    with tinyrnn.autograd.set_detect_anomaly(True):
        assert is_anomaly_enabled()
    assert not is_anomaly_enabled()
