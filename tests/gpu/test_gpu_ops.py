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


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", OPS)
def test_dtypes_are_those_of_the_cpu(cuda, rng, name, dtype):
    """Of results and gradients: not all that CuPy has knows bfloat16, and what does not gives float32."""
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    arrays = {key: x.astype(dtype) if x.dtype.kind == "f" else x for key, x in arrays_for(rng).items()}
    found = []
    for device in (cuda, tinyrnn.device("cpu")):
        given = {key: tinyrnn.tensor(array, device=device) for key, array in arrays.items()}
        leaves = [given[key].requires_grad_() for key in ("x", "y", "p", "m")]
        results = OPS[name](**given)
        gradients = [
            each
            for r in results
            if r.requires_grad
            for each in tinyrnn.autograd.grad(r.sum(), leaves, retain_graph=True, allow_unused=True)
        ]
        found.append([None if each is None else (each.dtype, each.shape) for each in (*results, *gradients)])
    assert found[0] == found[1]
