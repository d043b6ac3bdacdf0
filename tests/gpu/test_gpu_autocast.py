"""autocast("cuda"): ops are cast as PyTorch's are, which tells that without a GPU, of tensors without numbers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from autocast_calls import ON_CUDA, dtypes_of, given

import tinyrnn
from tinyrnn import nn
from tinyrnn.nn import functional as F

pytest.importorskip("ml_dtypes", reason="NumPy's bfloat16 comes from the package ml_dtypes")


def pytorchs(calls, dtype, narrow):
    torch = pytest.importorskip("torch")
    fakes = pytest.importorskip("torch._subclasses.fake_tensor")
    tensors = given(torch, dtype, narrow)
    with warnings.catch_warnings(), fakes.FakeTensorMode(allow_non_fake_inputs=True):
        warnings.simplefilter("ignore")
        fake = {name: torch.empty(x.shape, dtype=x.dtype, device="cuda") for name, x in tensors.items()}
        torch.set_autocast_enabled("cuda", True)
        torch.set_autocast_dtype("cuda", getattr(torch, narrow))
        try:
            return dtypes_of(torch, calls, fake)
        finally:
            torch.set_autocast_enabled("cuda", False)
            torch.set_autocast_dtype("cuda", torch.float16)
            torch.clear_autocast_cache()


@pytest.mark.parametrize("narrow", ["float16", "bfloat16"])
@pytest.mark.parametrize("dtype", ["float32", "narrow"])
def test_dtypes_are_pytorchs(cuda, narrow, dtype):
    dtype = narrow if dtype == "narrow" else dtype
    expected = pytorchs(ON_CUDA, dtype, narrow)
    tensors = {name: x.to(cuda) for name, x in given(tinyrnn, dtype, narrow).items()}
    with tinyrnn.autocast("cuda", dtype=getattr(tinyrnn, narrow)):
        assert dtypes_of(tinyrnn, ON_CUDA, tensors) == expected
    assert not [call for call, found in expected.items() if found.endswith("Error")]


def test_binary_cross_entropy_is_refused(cuda):
    q = tinyrnn.rand(3, device=cuda)
    with tinyrnn.cuda.amp.autocast(), pytest.raises(RuntimeError, match=r"unsafe to autocast.*with_logits"):
        F.binary_cross_entropy(q, q)
    with tinyrnn.autocast("cpu"):
        assert F.binary_cross_entropy(q, q).dtype == tinyrnn.float32


def test_tensors_on_the_cpu_are_left_alone(cuda):
    x = tinyrnn.ones(2, 2)
    with tinyrnn.autocast("cuda"):
        assert (x @ x).dtype == tinyrnn.float32
        assert (x.to(cuda) @ x.to(cuda)).dtype == tinyrnn.float16
        with tinyrnn.autocast("cpu"):
            assert (x @ x).dtype == tinyrnn.bfloat16 and (x.to(cuda) @ x.to(cuda)).dtype == tinyrnn.float16


@pytest.mark.parametrize("dtype", [tinyrnn.float16, tinyrnn.bfloat16])
def test_a_model_learns_with_a_scaler(cuda, dtype):
    tinyrnn.manual_seed(0)
    lstm, norm, head = nn.LSTM(8, 16, layer_norm=True).to(cuda), nn.LayerNorm(16).to(cuda), nn.Linear(16, 3).to(cuda)
    parameters = [*lstm.parameters(), *norm.parameters(), *head.parameters()]
    optimizer, scaler = tinyrnn.optim.Adam(parameters, 0.02), tinyrnn.amp.GradScaler("cuda", init_scale=2.0**10)
    x, y = tinyrnn.randn(5, 4, 8, device=cuda), tinyrnn.randint(0, 3, (4,), device=cuda)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        with tinyrnn.autocast("cuda", dtype=dtype):
            output, (h, c) = lstm(x, lengths=[5, 3, 4, 1])
            assert {output.dtype, h.dtype, c.dtype} == {dtype} and norm(output).dtype == tinyrnn.float32
            scores = head(norm(output)[0])
            loss = F.cross_entropy(scores, y)
        assert scores.dtype == dtype and loss.dtype == tinyrnn.float32
        scaler.scale(loss).backward()
        assert {p.grad.dtype for p in parameters} == {tinyrnn.float32}
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0] and np.isfinite(losses).all()
