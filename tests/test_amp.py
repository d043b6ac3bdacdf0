"""autocast as programs use it, GradScaler beside PyTorch's."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest

import tinyrnn
from tinyrnn import amp, nn
from tinyrnn.nn import functional as F
from tinyrnn.ops import autocasting

pytest.importorskip("ml_dtypes", reason="NumPy's bfloat16 comes from the package ml_dtypes")


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def product():
    x = tinyrnn.ones(2, 2)
    return (x @ x).dtype


# ---- autocast ------------------------------------------------------------------------------------------------------


def test_nesting_and_errors_leave_nothing_behind():
    region = tinyrnn.autocast("cpu")
    with region:
        assert product() == tinyrnn.bfloat16
        with tinyrnn.autocast("cpu", enabled=False):
            assert product() == tinyrnn.float32
            with region, region:  # the same object, inside its own block
                assert product() == tinyrnn.bfloat16
            assert product() == tinyrnn.float32
        with tinyrnn.autocast("cpu", dtype=tinyrnn.float16):
            assert product() == tinyrnn.float16
        with pytest.raises(ZeroDivisionError), tinyrnn.autocast("cpu", tinyrnn.float16):
            1 / 0
        assert product() == tinyrnn.bfloat16
    assert product() == tinyrnn.float32 and autocasting.regions == 0 and autocasting._here.kept is None


def test_decorator():
    @tinyrnn.autocast("cpu", dtype=tinyrnn.float16)
    def narrow(depth):
        """Its docstring."""
        return narrow(depth - 1) if depth else product()

    assert narrow(2) == tinyrnn.float16 and product() == tinyrnn.float32 and narrow.__doc__ == "Its docstring."
    with pytest.raises(TypeError, match=r"requires a callable, but got Tensor"):
        tinyrnn.autocast("cpu")(tinyrnn.ones(1))


def test_threads_may_share_one_object():
    """Each goes back to what it was before, also when the blocks of two overlap."""
    region, seen, inside, over = tinyrnn.autocast("cpu", dtype=tinyrnn.float16), [], threading.Event(), threading.Event()

    def other():
        with tinyrnn.autocast("cpu", dtype=tinyrnn.bfloat16):
            with region:
                inside.set()
                over.wait(10)
            seen.append(product())

    thread = threading.Thread(target=other)
    with region:
        thread.start()
        assert inside.wait(10)
    seen.append(product())
    over.set()
    thread.join()
    assert seen == [tinyrnn.float32, tinyrnn.bfloat16] and autocasting.regions == 0


def test_what_is_said_of_a_region_is_pytorchs(torch):
    def told(library):
        def now():
            enabled = [library.is_autocast_enabled(*place) for place in ((), ("cpu",), ("cuda",))]
            return enabled, [str(library.get_autocast_dtype(place)).split(".")[1] for place in ("cpu", "cuda")]

        yield now()
        with library.autocast("cpu", dtype=library.float16):
            yield now()
            with library.autocast("cpu", enabled=False):
                yield now()
        yield now()

    assert list(told(tinyrnn)) == list(told(torch))


def test_wrong_devices_and_dtypes(torch):
    for library in (tinyrnn, torch):
        with pytest.raises(ValueError, match="Expected `device_type` of type `str`"):
            library.autocast(3)
        with pytest.raises(RuntimeError, match="device"):
            library.autocast("gpu")
        with pytest.raises(RuntimeError, match="device"):
            library.is_autocast_enabled("gpu")
        with pytest.warns(UserWarning, match="dtype is not supported. Disabling autocast"):
            region = library.autocast("cpu", dtype=library.float64)
        with region:
            assert (library.ones(2, 2) @ library.ones(2, 2)).dtype == library.float32
    with pytest.raises(TypeError, match="expected a dtype"):
        tinyrnn.autocast("cpu", dtype="half")


def test_without_a_gpu_cuda_is_disabled():
    if tinyrnn.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.warns(UserWarning, match="CUDA is not available. Disabling autocast"):
        region = tinyrnn.cuda.amp.autocast()
    with region:
        assert product() == tinyrnn.float32 and not tinyrnn.is_autocast_enabled()
    with pytest.warns(UserWarning, match="CUDA is not available"):
        assert not tinyrnn.cuda.amp.GradScaler().is_enabled()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tinyrnn.cuda.amp.autocast(enabled=False)
        assert not amp.GradScaler(enabled=False).is_enabled()


def test_names_under_torch(run_python):
    code = """
import sys, warnings, tinyrnn
warnings.simplefilter("ignore")
sys.modules["torch"] = tinyrnn
assert not {"tinyrnn.amp", "tinyrnn.cuda"} & set(sys.modules)
import torch
torch.cuda.amp.autocast(); torch.amp.autocast("cpu"); torch.cuda.amp.GradScaler(); torch.amp.GradScaler("cpu")
from torch.cuda.amp import autocast, GradScaler
from torch.amp import autocast, GradScaler
import torch.cuda.amp as amp
with autocast("cpu"), torch.autocast("cpu"):
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr


# ---- layers --------------------------------------------------------------------------------------------------------

X, STEP = (7, 3, 8), (3, 8)
OPTIONS = [
    {}, {"num_layers": 2, "bidirectional": True}, {"layer_norm": True}, {"layer_norm": True, "bidirectional": True},
    {"recurrent_dropout": 0.3, "input_dropout": 0.2}, {"zoneout": 0.2}, {"num_layers": 2, "residual": True, "dropout": 0.3},
    {"single_bias": True}, {"bias": False},
]  # fmt: skip
LAYERS = [(name, options) for name in ("LSTM", "GRU", "RNN") for options in OPTIONS]
LAYERS += [("LSTM", {"proj_size": 4, "peephole": True, "layer_norm": True}), ("GRU", {"reset_after": False})]


class Cell(nn.CustomCell):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.x, self.h = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size)

    def forward(self, x, h):
        return (self.x(x) + self.h(h)).tanh()


def tensors(value):
    if isinstance(value, tinyrnn.Tensor):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else ()
    return [each for item in values for each in tensors(item)]


def narrowed(value):
    """A tensor, or a tuple of them, in the dtype of the region around, if there is one."""
    if isinstance(value, tuple):
        return tuple(narrowed(each) for each in value)
    return value.to(tinyrnn.get_autocast_dtype("cpu")) if tinyrnn.is_autocast_enabled("cpu") else value


def check(layer, call, dtype=tinyrnn.bfloat16, slack=0.08):
    """What a layer gives inside autocast is in 16 bits and near what it gives outside, and so are the gradients, in float32."""
    found = []
    for enabled in (True, False):
        tinyrnn.manual_seed(1)
        x = tinyrnn.randn(*X).requires_grad_()
        with tinyrnn.autocast("cpu", dtype=dtype, enabled=enabled):
            results = [y for y in tensors(call(layer, x)) if y.is_floating_point()]
        if enabled:
            assert {y.dtype for y in results} == {dtype}
        layer.zero_grad()
        sum((y.float() * tinyrnn.randn(y.shape)).sum() for y in results if y.requires_grad).backward()
        gradients = [leaf.grad for leaf in (x, *layer.parameters()) if leaf.grad is not None]
        assert gradients and {g.dtype for g in gradients} == {tinyrnn.float32}
        found.append([y.detach().float().numpy() for y in (*results, *gradients)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=slack * max(np.abs(b).max(), 0.1))


@pytest.mark.parametrize("name, options", LAYERS)
def test_recurrent_layers(name, options):
    check(getattr(nn, name)(8, 16, **options), lambda layer, x: layer(x))


@pytest.mark.parametrize("dtype", [tinyrnn.bfloat16, tinyrnn.float16])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_ways_to_call_a_recurrent_layer(name, dtype):
    layer = getattr(nn, name)(8, 16, num_layers=2)
    packed = nn.utils.rnn.pack_padded_sequence
    h = tinyrnn.randn(2, 3, 16)
    state = (h, h) if name == "LSTM" else h
    check(layer, lambda layer, x: layer(x, state, lengths=[7, 0, 4]), dtype)
    check(layer, lambda layer, x: layer(narrowed(x), state, return_all_states=True), dtype)
    check(layer, lambda layer, x: layer(x, narrowed(state), return_all_states=True, gates=name != "RNN"), dtype)
    check(layer, lambda layer, x: layer(packed(x, [7, 5, 5])), dtype)
    check(layer, lambda layer, x: layer.step(x[0], state), dtype)
    check(layer, lambda layer, x: layer(x[:, 0]), dtype)
    check(nn.Bidirectional(layer), lambda layer, x: layer(x, lengths=[7, 1, 4]), dtype)
    with tinyrnn.autocast("cpu", dtype=dtype), tinyrnn.no_grad():
        x = tinyrnn.randn(*X)
        for y in (layer(x, state), layer(x, narrowed(state)), layer.step(x[0], state), layer(x[:1]), layer(x.to(dtype))):
            assert {each.dtype for each in tensors(y)} == {dtype}
    with tinyrnn.autocast("cpu", dtype=dtype), pytest.raises(ValueError, match=r"input is tinyrnn\.float64"):
        layer(tinyrnn.randn(*X).double())
    assert {each.dtype for each in tensors(layer(x))} == {tinyrnn.float32}


@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "RNNCell"])
def test_cells(name):
    check(getattr(nn, name)(8, 16), lambda cell, x: cell(x[1], cell(x[0])))


def test_own_cells():
    for options in ({}, {"num_layers": 2, "bidirectional": True}):
        layer = nn.CustomRNN(Cell, 8, 16, **options)
        check(layer, lambda layer, x: layer(x, lengths=[7, 2, 5]))
        check(layer, lambda layer, x: layer(narrowed(x)))


@pytest.mark.parametrize("kind", ["GeneralAttention", "AdditiveAttention", "LocationAwareAttention", "CoverageAttention"])
@pytest.mark.parametrize("narrow", [True, False])
def test_attention(kind, narrow):
    layer = getattr(nn, kind)(8, 8, *(() if kind == "GeneralAttention" else (6,)))

    def call(layer, x):
        x = x.transpose(0, 1)
        keys = narrowed(x) if narrow else x
        return layer(x, keys, lengths=[7, 3, 5])[0]

    check(layer, call)


@pytest.mark.parametrize("masked", [True, False])
def test_multihead_attention(masked):
    mask = tinyrnn.zeros(7, 7).masked_fill(tinyrnn.ones(7, 7).bool().triu(1), -np.inf) if masked else None
    for options in ({}, {"add_bias_kv": True, "add_zero_attn": True}):
        layer = nn.MultiheadAttention(8, 2, **options)
        check(layer, lambda layer, x: layer(x, x, x, attn_mask=mask)[0])
        check(layer, lambda layer, x: layer(narrowed(x), narrowed(x), x, attn_mask=mask)[0])


def test_weights_that_are_computed():
    layer = nn.utils.weight_norm(nn.LSTM(8, 16), "weight_hh_l0")
    check(layer, lambda layer, x: layer(x))


def test_a_module_before_and_after_in_float32():
    model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 2), nn.LogSoftmax(-1))
    check(model, lambda layer, x: layer(x))
    with tinyrnn.autocast("cpu"):
        assert F.cross_entropy(model(tinyrnn.randn(4, 8)), tinyrnn.tensor([0, 1, 1, 0])).dtype == tinyrnn.float32


def test_double_backward_through_layers():
    for layer in (nn.LSTM(8, 4), nn.GRU(8, 4, layer_norm=True), nn.LSTM(8, 4, num_layers=2, bidirectional=True)):
        found = []
        for enabled in (True, False):
            tinyrnn.manual_seed(0)
            x = tinyrnn.randn(*X).requires_grad_()
            with tinyrnn.autocast("cpu", enabled=enabled):
                y = layer(x)[0]
                (g,) = tinyrnn.autograd.grad(y.float().square().sum(), x, create_graph=True)
            layer.zero_grad()
            g.square().sum().backward()
            found.append([g.detach().numpy(), *[p.grad.numpy() for p in layer.parameters()]])
        for a, b in zip(*found, strict=True):
            assert a.dtype == np.float32 and np.abs(a - b).max() < 0.1 * np.abs(b).max()


# ---- GradScaler ----------------------------------------------------------------------------------------------------


def train(library, steps):
    """A loop in which some losses overflow: the scale, whether the optimizer stepped, and the weights, after every step."""
    weight = library.tensor([1.0, -2.0, 0.5], requires_grad=True)
    other = library.tensor([0.25], requires_grad=True)
    optimizers = [library.optim.SGD([weight], lr=0.1), library.optim.Adam([other], lr=0.1)]
    scaler = library.amp.GradScaler("cpu", init_scale=2.0**12, growth_interval=3, growth_factor=4.0)
    for step in range(steps):
        before = weight.detach().clone()
        loss = (weight * weight).sum().half() * (10.0 if step % 5 == 2 else 1.0) + other.sum()
        if step in (4, 7):
            loss = loss * float("nan")
        for optimizer in optimizers:
            optimizer.zero_grad()
        first, (second,) = scaler.scale((loss, [(other * 2).sum()]))
        (first + second).backward()
        if step % 2:
            scaler.unscale_(optimizers[0])
            library.nn.utils.clip_grad_norm_([weight], 1.0)
        for optimizer in optimizers:
            scaler.step(optimizer)
        scaler.update(2.0**10 if step == 9 else None)
        skipped = bool((before == weight).all())
        yield scaler.get_scale(), skipped, *weight.tolist(), *other.tolist(), *scaler.state_dict().values()


def test_scales_and_skipped_steps_are_pytorchs(torch):
    ours, theirs = list(train(tinyrnn, 16)), list(train(torch, 16))
    np.testing.assert_allclose(np.array(ours, float), np.array(theirs, float), rtol=1e-3)
    assert 1 < sum(row[1] for row in ours) < 15 and len({row[0] for row in ours}) > 3


def test_scaler_errors_are_pytorchs(torch):
    for library in (tinyrnn, torch):
        weight = library.ones(2, requires_grad=True)
        optimizer = library.optim.SGD([weight], lr=0.1)
        scaler = library.amp.GradScaler("cpu")
        for call in (scaler.step, scaler.unscale_):
            with pytest.raises(AssertionError, match="Attempted"):
                call(optimizer)
        with pytest.raises(AssertionError, match="Attempted update"):
            scaler.update()
        scaler.scale(weight.sum())
        with pytest.raises(AssertionError, match="No inf checks were recorded prior to update"):
            scaler.update()
        with pytest.raises(AssertionError, match="No inf checks were recorded for this optimizer"):
            scaler.step(optimizer)
        scaler = library.amp.GradScaler("cpu")
        scaler.scale(weight.sum()).backward()
        scaler.unscale_(optimizer)
        assert weight.grad.tolist() == [1.0, 1.0]
        with pytest.raises(RuntimeError, match="already been called on this optimizer"):
            scaler.unscale_(optimizer)
        scaler.step(optimizer)
        with pytest.raises(RuntimeError, match="step\\(\\) has already been called"):
            scaler.step(optimizer)
        with pytest.raises(RuntimeError, match="being called after step"):
            scaler.unscale_(optimizer)
        scaler.update()
        with pytest.raises(RuntimeError, match="Closure use"):
            scaler.step(optimizer, closure=lambda: None)
        with pytest.raises(ValueError, match="must be a Tensor or an iterable of Tensors"):
            scaler.scale(3)
        with pytest.raises(RuntimeError, match="empty"):
            scaler.load_state_dict({})
        with pytest.raises(AssertionError, match="growth factor"):
            library.amp.GradScaler("cpu", growth_factor=1.0)
        half = library.ones(2, dtype=library.float16, requires_grad=True)
        scaler.scale(half.sum()).backward()
        with pytest.raises(ValueError, match="FP16 gradients"):
            scaler.unscale_(library.optim.SGD([half], lr=0.1))


def test_scaler_state_goes_both_ways(torch):
    libraries = (tinyrnn, torch)
    for source, target in (libraries, libraries[::-1]):
        saved, loaded = source.amp.GradScaler("cpu", 8.0, 3.0, 0.25, 7), target.amp.GradScaler("cpu")
        saved.set_growth_interval(5)
        assert (saved.get_growth_factor(), saved.get_backoff_factor(), saved.get_growth_interval()) == (3.0, 0.25, 5)
        loaded.load_state_dict(saved.state_dict())
        assert loaded.state_dict() == saved.state_dict() and loaded.get_scale() == 8.0


def test_a_disabled_scaler_lets_everything_through():
    weight = tinyrnn.ones(2, requires_grad=True)
    optimizer, scaler = tinyrnn.optim.SGD([weight], lr=0.5), amp.GradScaler("cpu", enabled=False)
    scaler.scale(weight.sum()).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    scaler.load_state_dict({})
    assert weight.tolist() == [0.5, 0.5] and scaler.state_dict() == {} and scaler.get_scale() == 1.0


def test_a_small_loss_in_float16_is_scaled_in_float32():
    loss = tinyrnn.tensor(2.0, dtype=tinyrnn.float16)
    assert amp.GradScaler("cpu").scale(loss).item() == 131072.0


@pytest.mark.filterwarnings("error")
def test_what_overflows_in_float16_does_so_silently():
    layer, x = nn.LSTM(8, 16), tinyrnn.randn(*X)
    optimizer, scaler = tinyrnn.optim.Adam(layer.parameters()), amp.GradScaler("cpu", init_scale=2.0**30)
    with tinyrnn.autocast("cpu", dtype=tinyrnn.float16):
        loss = F.mse_loss(F.linear(layer(x)[0].softmax(-1), layer.weight_hh_l0), tinyrnn.zeros(7, 3, 64))
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 2.0**29 and all(p.isfinite().all() for p in layer.parameters())


def test_the_scale_never_becomes_infinite():
    weight = tinyrnn.ones(1, requires_grad=True)
    optimizer, scaler = tinyrnn.optim.SGD([weight], lr=0.0), amp.GradScaler("cpu", init_scale=2.0**126, growth_interval=1)
    for _ in range(4):
        optimizer.zero_grad()
        (scaler.scale(weight.sum()) * 1e-3).backward()
        scaler.step(optimizer)
        scaler.update()
    assert scaler.get_scale() == 2.0**127


def test_trainers_checkpoints_hold_a_scaler(tmp_path):
    scaler = amp.GradScaler("cpu", init_scale=32.0)
    tinyrnn.save({"scaler": scaler.state_dict()}, tmp_path / "state")
    loaded = amp.GradScaler("cpu")
    loaded.load_state_dict(tinyrnn.load(tmp_path / "state")["scaler"])
    assert loaded.state_dict() == scaler.state_dict()
