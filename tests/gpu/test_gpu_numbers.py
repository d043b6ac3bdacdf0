"""16-bit numbers on a GPU: how they are rounded, that sums are carried in more, and what tensor cores are given."""

from __future__ import annotations

import re

import numpy as np
import pytest
from on_gpu import back, there

import tinyrnn
from tinyrnn.kernels.gpu import launch, loader

CODE = """
#include "numbers.cuh"
template <typename T> __global__ void there_and_back(const float *x, T *y, float *z, long long count) {
    for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
        store(y + i, x[i]);
        z[i] = wide(y[i]);
    }
}
"""


@pytest.fixture(params=["float16", "bfloat16"])
def dtype(request):
    return np.dtype(pytest.importorskip("ml_dtypes").bfloat16 if request.param == "bfloat16" else request.param)


def hard_to_round(dtype, rng):
    """Every number of 16 bits, what lies half way to the next and just beside that, and any numbers of float32."""
    every = np.arange(2**16, dtype=np.uint16).view(dtype).astype(np.float32).view(np.uint32)
    half = 1 << (15 if dtype.name == "bfloat16" else 12)
    near = [every, *(every + np.uint32(half + by) for by in (-1, 0, 1))]
    tiny = (np.arange(2048, dtype=np.float32) + np.float32(0.5)) * np.float32(2**-24)  # half way between denormals of float16
    return np.concatenate([*near, tiny.view(np.uint32), rng.integers(0, 2**32, 2**16, dtype=np.uint32)]).view(np.float32)


def test_numbers_are_rounded_to_the_nearest(cuda, rng, dtype):
    """As NumPy and ml_dtypes do: halves to even, beyond the largest to infinity, and NaN stays NaN."""
    x = hard_to_round(dtype, rng)
    y, z = loader.cupy().empty(x.shape, dtype), loader.cupy().empty(x.shape, np.float32)
    name = f"there_and_back<{launch.TYPES[dtype.name]}>"
    module = loader.cupy().RawModule(code=CODE, options=("-std=c++17", f"-I{launch.FOLDER}"), name_expressions=(name,))
    module.get_function(name)((4,), (128,), (there(x), y, z, np.int64(len(x))))
    with np.errstate(all="ignore"):
        expected = x.astype(dtype)
    nan = np.isnan(expected.astype(np.float32))
    assert nan.any() and np.isnan(back(z)[nan]).all()
    np.testing.assert_array_equal(back(y).view(np.uint16)[~nan], expected.view(np.uint16)[~nan])
    np.testing.assert_array_equal(back(z)[~nan], expected.astype(np.float32)[~nan])


def test_long_sums_are_carried_in_32_bits(cuda, rng, dtype):
    """A sum of thousands that is carried in 16 bits comes to a place where what is added is less than half of the last bit."""
    from tinyrnn.kernels.gpu import kernels

    grad = rng.uniform(0, 1, (5000, 3)).astype(dtype)
    expected = grad.astype(np.float64).sum(axis=0)
    tolerance = 2e-3 if dtype.name == "float16" else 1e-2  # of rounding once
    for got in (
        kernels.embedding_backward(*there((grad, np.full(5000, 1))), 2, None)[1],
        kernels.sum_segments(*there((grad, np.array([0]))))[0],
    ):
        np.testing.assert_allclose(back(got).astype(np.float64), expected, rtol=tolerance)


def test_products_of_a_row_and_a_column_are_rounded_once(cuda, dtype):
    from tinyrnn.kernels.gpu import kernels

    row, large = np.full((1, 64), 1.125).astype(dtype), np.full((1, 2), 300).astype(dtype)
    assert back(kernels.matmul_forward(*there((row, row.T)))).item() == 81
    assert back(kernels.matmul_forward(*there((large, np.array([[300], [-300]]).astype(dtype))))).item() == 0


def test_operands_of_tensor_cores():
    """The one line that nothing executes without a GPU: its operands are D, A, B and C, in this order and each in its own."""
    text = (launch.FOLDER / "products.cuh").read_text()
    found = re.search(r"#define TINYRNN_MMA\(T, SHAPE, KIND\)(.*?)\n(?!.*\\\n)(?=TINYRNN_MMA)", text, re.S)[1].replace(
        "\\\n", " "
    )
    statement = re.search(r"asm volatile\((.*?)\);", found, re.S)[1]
    template, outputs, inputs = re.split(r'(?<=["\s\)]):', statement)
    assert re.findall(r'"mma\.sync\.aligned\." SHAPE "\.row\.col\.f32\." KIND "\." KIND "\.f32 ', template)
    names = [(kind, name) for kind, name in re.findall(r'"(\+f|r)"\(([^)]*)\)', outputs + inputs)]
    written = "".join(re.findall(r'"([^"]*)"', template)).partition(" ")[2]
    operands = [[names[int(i)] for i in re.findall(r"%(\d+)", group)] for group in re.findall(r"\{([^}]*)\}", written)]

    def registers(kind, name, count):
        return [(kind, f"{name}[{i}]") for i in range(count)]

    sums = registers("+f", "sums", 4)
    assert operands == [sums, registers("r", "a", 4), registers("r", "b", 2), sums]
    used = re.findall(r'^TINYRNN_MMA\((\w+), "(\w+)", "(\w+)"\)', text, re.M)
    assert used == [("Half", "m16n8k16", "f16"), ("Bfloat", "m16n8k16", "bf16"), ("Tf32", "m16n8k8", "tf32")]


@pytest.mark.parametrize("number", [3, -0.3, 65536.0, 1e-8])
def test_factors_and_divisors_are_not_rounded(cuda, rng, dtype, number):
    numbers = (rng.normal(size=300) * 10 ** np.linspace(-4, 4, 300)).astype(dtype)

    def results(device):
        x = tinyrnn.tensor(numbers, device=device)
        results = [x * number, number * x, x / number, number / x, x.clone().mul_(number), x.clone().div_(number)]
        assert {(each.dtype.name, each.device) for each in results} == {(dtype.name, device)}
        return [each.float().cpu().numpy() for each in results]

    for result, expected in zip(results(cuda), results(tinyrnn.device("cpu")), strict=True):
        np.testing.assert_array_equal(result, expected)
