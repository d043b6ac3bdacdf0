"""Every op runs on the GPU and gives there what it gives on the CPU, with its gradients: none leaves its device in between."""

from __future__ import annotations

import pytest
from on_gpu import assert_close
from op_table import OPS, arrays_for

import tinyrnn


def run(function, device, arrays):
    given = {name: tinyrnn.tensor(array, device=device) for name, array in arrays.items()}
    leaves = [given[name].requires_grad_() for name in ("x", "y", "p", "m")]
    results = function(**given)
    assert {result.device for result in results} == {device}
    total = sum((r * r).sum() for r in results if r.requires_grad and r.dtype == tinyrnn.float64)
    if isinstance(total, tinyrnn.Tensor):
        total.backward()
    gradients = [leaf.grad for leaf in leaves if leaf.grad is not None]
    assert all(each.device == device for each in gradients)
    return [each.detach().cpu().numpy() for each in (*results, *gradients)]


@pytest.mark.parametrize("name", OPS)
def test_same_on_both_devices(cuda, rng, name):
    arrays = arrays_for(rng)
    for got, expected in zip(run(OPS[name], cuda, arrays), run(OPS[name], tinyrnn.device("cpu"), arrays), strict=True):
        assert_close(got, expected, 1e-10, name)
