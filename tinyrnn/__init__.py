"""tinyrnn: a tape-based autograd micro-framework for sequence models, under PyTorch's names.

Every public name is listed here, by subject. The parts above tensors (`nn`, `optim`, `training`, ...) load when they are
first asked for.
"""

# ruff: noqa: I001  (names stand by subject)
from __future__ import annotations

from math import e, inf, nan, pi

from tinyrnn import _compiled  # noqa: F401, RUF100  (first: it decides whether what follows runs compiled)
from tinyrnn._tensor import Tensor
from tinyrnn.configuration import (
    are_deterministic_algorithms_enabled, get_float32_matmul_precision, get_num_threads, set_float32_matmul_precision,
    set_num_threads, show_config, use_deterministic_algorithms,
)  # fmt: skip
from tinyrnn.conversion import is_complex, is_floating_point, is_tensor, numel
from tinyrnn.creation import (
    tensor, as_tensor, asarray, from_numpy, from_dlpack, zeros, ones, empty, full, arange, linspace, eye,
    zeros_like, ones_like, empty_like, full_like,
)  # fmt: skip
from tinyrnn.devices import device, get_default_device, set_default_device
from tinyrnn.dtypes import (
    bool_ as bool, uint8, int8, int16, int32, int64, short, int_ as int, long, bfloat16, float16, float32, float64, half,
    float_ as float, double, dtype, finfo, iinfo, can_cast, promote_types, result_type, get_default_dtype,
    set_default_dtype,
)  # fmt: skip
from tinyrnn.memory_formats import contiguous_format, preserve_format
from tinyrnn.grad_modes import (
    no_grad, enable_grad, inference_mode, set_grad_enabled, is_grad_enabled, is_inference_mode_enabled,
)  # fmt: skip
from tinyrnn.autograd.wengert import tape
from tinyrnn.generator import (
    Generator, default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state,
)  # fmt: skip
from tinyrnn.legacy import (
    BFloat16Tensor, BoolTensor, ByteTensor, CharTensor, DoubleTensor, FloatTensor, HalfTensor, IntTensor, LongTensor,
    ShortTensor, set_default_tensor_type,
)  # fmt: skip
from tinyrnn.ops.activations import tanh, sigmoid, relu
from tinyrnn.ops.autocasting import get_autocast_dtype, is_autocast_enabled
from tinyrnn.ops.arithmetic import (
    add, sub, rsub, neg, positive, mul, subtract, multiply, negative,
)  # fmt: skip
from tinyrnn.ops.comparison import (
    eq, ne, lt, le, gt, ge, isnan, isinf, isfinite, logical_not, logical_and, logical_or, logical_xor,
    bitwise_and, bitwise_or, bitwise_xor, bitwise_not, equal, isclose, allclose, not_equal, less, less_equal,
    greater, greater_equal,
)  # fmt: skip
from tinyrnn.ops.counting import bincount, unique, unique_consecutive
from tinyrnn.ops.division import div, divide, floor_divide, remainder, true_divide
from tinyrnn.ops.ternary import lerp, addcmul, addcdiv
from tinyrnn.ops.einsum import einsum
from tinyrnn.ops.elementary import (
    exp, expm1, log, log2, log10, log1p, sin, cos, erf, abs, absolute, sign, floor, ceil, trunc, round,
)  # fmt: skip
from tinyrnn.ops.extremes import amax, amin, max, min, argmax, argmin
from tinyrnn.ops.flipping import flip, roll
from tinyrnn.ops.gathering import (
    gather, scatter, scatter_add, take_along_dim, index_select, index_add, index_copy, index_fill, diag,
)  # fmt: skip
from tinyrnn.ops.masking import masked_fill, masked_select, tril, triu, nonzero
from tinyrnn.ops.normalization import layer_norm
from tinyrnn.ops.norms import norm
from tinyrnn.ops.powers import pow, reciprocal, square, sqrt, rsqrt
from tinyrnn.ops.products import matmul, mm, bmm, mv, dot, outer, addmm, baddbmm
from tinyrnn.ops.reductions import (
    sum, mean, var, std, logsumexp, logaddexp, cumsum, cumprod, prod, all, any, count_nonzero,
)  # fmt: skip
from tinyrnn.ops.repeating import tile, repeat_interleave
from tinyrnn.ops.selection import where, maximum, minimum, clamp, clip, clamp_min, clamp_max, nan_to_num
from tinyrnn.ops.shaping import (
    reshape, flatten, ravel, unflatten, permute, transpose, swapaxes, swapdims, t, movedim, moveaxis, squeeze,
    unsqueeze, broadcast_to, broadcast_tensors, meshgrid, clone,
)  # fmt: skip
from tinyrnn.ops.slicing import narrow, select, unbind, split, chunk, cat, concat, concatenate, stack, hstack, vstack
from tinyrnn.ops.similarity import cdist, cosine_similarity, pairwise_distance
from tinyrnn.ops.softmax import softmax, log_softmax
from tinyrnn.ops.sorting import sort, argsort, topk, median
from tinyrnn.printing import set_printoptions
from tinyrnn.random import (
    bernoulli, multinomial, normal, rand, rand_like, randint, randint_like, randn, randn_like, randperm,
)  # fmt: skip
from tinyrnn.saving import load, save
from tinyrnn.size import Size

__version__ = "0.1.0"

__all__ = [
    # _tensor.py
    "Tensor",
    # legacy.py
    "BFloat16Tensor", "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "HalfTensor", "IntTensor",
    "LongTensor", "ShortTensor", "set_default_tensor_type",
    # size.py
    "Size",
    # devices.py
    "device", "get_default_device", "set_default_device",
    # dtypes.py
    "bool", "uint8", "int8", "int16", "int32", "int64", "short", "int", "long", "bfloat16", "float16", "float32", "float64",
    "half", "float", "double", "dtype", "finfo", "iinfo", "can_cast", "promote_types", "result_type",
    "get_default_dtype", "set_default_dtype",
    # memory_formats.py
    "contiguous_format", "preserve_format",
    # creation.py
    "tensor", "as_tensor", "asarray", "from_numpy", "from_dlpack", "zeros", "ones", "empty", "full", "arange",
    "linspace", "eye", "zeros_like", "ones_like", "empty_like", "full_like",
    # conversion.py
    "is_complex", "is_floating_point", "is_tensor", "numel",
    # generator.py
    "Generator", "default_generator", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state",
    # random.py
    "bernoulli", "multinomial", "normal", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like",
    "randperm",
    # printing.py
    "set_printoptions",
    # saving.py
    "load", "save",
    # grad_modes.py
    "no_grad", "enable_grad", "inference_mode", "set_grad_enabled", "is_grad_enabled",
    "is_inference_mode_enabled",
    # autograd/wengert.py
    "tape",
    # configuration.py
    "show_config", "get_num_threads", "set_num_threads", "are_deterministic_algorithms_enabled",
    "get_float32_matmul_precision", "set_float32_matmul_precision",
    "use_deterministic_algorithms",
    # ops/arithmetic.py
    "add", "sub", "rsub", "neg", "positive", "mul", "subtract", "multiply", "negative",
    # ops/division.py
    "div", "divide", "floor_divide", "remainder", "true_divide",
    # ops/ternary.py
    "lerp", "addcmul", "addcdiv",
    # ops/powers.py
    "pow", "reciprocal", "square", "sqrt", "rsqrt",
    # ops/elementary.py
    "exp", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "erf", "abs", "absolute", "sign", "floor",
    "ceil", "trunc", "round",
    # ops/comparison.py
    "eq", "ne", "lt", "le", "gt", "ge", "isnan", "isinf", "isfinite", "logical_not", "logical_and",
    "logical_or", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "equal", "isclose",
    "allclose", "not_equal", "less", "less_equal", "greater", "greater_equal",
    # ops/selection.py
    "where", "maximum", "minimum", "clamp", "clip", "clamp_min", "clamp_max", "nan_to_num",
    # ops/activations.py
    "tanh", "sigmoid", "relu",
    # ops/products.py
    "einsum", "matmul", "mm", "bmm", "mv", "dot", "outer", "addmm", "baddbmm",
    # ops/reductions.py
    "sum", "mean", "var", "std", "logsumexp", "logaddexp", "cumsum", "cumprod", "prod", "all", "any", "count_nonzero",
    # ops/extremes.py
    "amax", "amin", "max", "min", "argmax", "argmin",
    # ops/norms.py, ops/similarity.py
    "norm", "cdist", "cosine_similarity", "pairwise_distance",
    # ops/softmax.py
    "softmax", "log_softmax",
    # ops/shaping.py
    "reshape", "flatten", "ravel", "unflatten", "permute", "transpose", "swapaxes", "swapdims", "t", "movedim",
    "moveaxis", "squeeze", "unsqueeze", "broadcast_to", "broadcast_tensors", "meshgrid", "clone",
    # ops/repeating.py
    "tile", "repeat_interleave",
    # ops/flipping.py
    "flip", "roll",
    # ops/slicing.py
    "narrow", "select", "unbind", "split", "chunk", "cat", "concat", "concatenate", "stack", "hstack",
    "vstack",
    # ops/gathering.py
    "gather", "scatter", "scatter_add", "take_along_dim", "index_select", "index_add", "index_copy",
    "index_fill", "diag",
    # ops/masking.py
    "masked_fill", "masked_select", "tril", "triu", "nonzero",
    # ops/sorting.py, ops/counting.py
    "sort", "argsort", "topk", "median", "bincount", "unique", "unique_consecutive",
    # ops/normalization.py
    "layer_norm",
    # amp.py, ops/autocasting.py
    "autocast", "get_autocast_dtype", "is_autocast_enabled",
    # numbers, and the parts that load when asked for
    "e", "inf", "nan", "pi", "newaxis",
    "accelerator", "amp", "autograd", "backends", "cuda", "interop", "nn", "optim", "seq2seq", "training", "utils",
]  # fmt: skip

newaxis = None


def __getattr__(name: str) -> object:
    from tinyrnn._lazy import part

    return part(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
