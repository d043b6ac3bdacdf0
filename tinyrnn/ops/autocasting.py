"""Mixed precision: which ops cast their tensors in the regions of `tinyrnn.amp.autocast`, and to which dtype.

An op in the table begins with ``if autocasting.regions: x = autocasting.prepared("its name", x)``. Casts are ops of their own
on the tape, so that the gradient of a float32 weight is float32.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinyrnn import devices, dtypes
from tinyrnn.engine.base import TensorBase, version_of
from tinyrnn.engine.tape import record
from tinyrnn.ops.casting import cast, cast_backward

regions = 0  # how many all threads are in: while it is 0, ops look no further
_lock = threading.Lock()

# PyTorch's lists, without ops made of others (mm and einsum of matmul, normalize of norm). "recurrent" is for the input, states
# and weights of recurrent layers and cells.
_LOWER = "addmm baddbmm linear matmul prelu recurrent scaled_dot_product_attention"
_FLOAT32 = """
    binary_cross_entropy_with_logits cdist cosine_embedding_loss cross_entropy ctc_loss huber_loss kl_div l1_loss
    margin_ranking_loss mse_loss nll_loss prod smooth_l1_loss triplet_margin_loss
"""
_FLOAT32_ON_CUDA = """
    cosine_similarity cumprod cumsum exp expm1 layer_norm log log10 log1p log2 log_softmax logsumexp masked_softmax norm pow
    rdiv reciprocal rsqrt softmax softplus sum
"""


def _rules(**ops: str) -> dict[str, str]:
    return {op: rule for rule, names in ops.items() for op in names.split()}


_RULES = {
    "cpu": _rules(lower=_LOWER, float32=_FLOAT32 + " binary_cross_entropy", widest="index_copy"),
    "cuda": _rules(
        lower=_LOWER + " mv", float32=_FLOAT32 + _FLOAT32_ON_CUDA, widest="dot scatter_add", refused="binary_cross_entropy"
    ),
}


class _Here(threading.local):
    """What holds in this thread. Modes are (whether to cast, to which dtype) by device type, and `lower` those that do.

    `keeps` : whether weights are cast once for all uses; `kept` : those that were, by identity, None outside of regions.
    """

    def __init__(self) -> None:
        self.modes = {"cpu": (False, dtypes.bfloat16), "cuda": (False, dtypes.float16)}
        self.lower: dict[str, np.dtype] = {}
        self.keeps = True
        self.kept: dict[int, tuple] | None = None


_here = _Here()


def enter(device_type: str, enabled: bool, dtype: dtypes.dtype, keep: bool | None) -> dict[str, Any]:
    """Begin a region in this thread; returns what `leave` needs to end it."""
    global regions
    before = vars(_here).copy()
    modes = {**_here.modes, device_type: (enabled, dtype)}
    lower = {place: chosen.numpy for place, (casts, chosen) in modes.items() if casts}
    _here.modes, _here.lower, _here.keeps = modes, lower, _here.keeps if keep is None else keep
    _here.kept = (_here.kept or {}) if _here.keeps else None
    with _lock:
        regions += 1
    return before


def leave(before: dict[str, Any]) -> None:
    """End the region that was begun by the `enter` that returned `before`."""
    global regions
    vars(_here).update(before)
    with _lock:
        regions -= 1


def type_of(device_type: str) -> str:
    """The kind of device meant, "cpu" or "cuda"; an error for anything else."""
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    return devices.device(device_type).type


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether ops on tensors of that kind of device are cast in this thread now."""
    return _here.modes[type_of(device_type)][0]


def get_autocast_dtype(device_type: str) -> dtypes.dtype:
    """The dtype to which autocast casts on that kind of device, now or by default."""
    return _here.modes[type_of(device_type)][1]


def outside(function: Callable) -> Callable:
    """`function`, which then sees no region around it."""
    if not regions:
        return function

    def run(*args: Any, **kwargs: Any) -> Any:
        before, _here.lower = _here.lower, {}
        try:
            return function(*args, **kwargs)
        finally:
            _here.lower = before

    return run


def prepared(op: str, given: Any) -> Any:
    """`given`, tensors in any nesting of tuples, lists and dicts, in the dtypes in which `op` runs here."""
    for place, lower in _here.lower.items():
        rule = _RULES[place].get(op)
        if rule == "refused" and any(True for _ in _members(given, place)):
            raise RuntimeError(f"{op} and BCELoss are unsafe to autocast; use {op}_with_logits or BCEWithLogitsLoss")
        if rule is not None:
            wide = rule == "float32" or (rule == "widest" and any(x.array.itemsize == 4 for x in _members(given, place)))
            given = _converted(given, place, _FLOAT32_DTYPE if wide else lower)
    return given


_FLOAT32_DTYPE = np.dtype(np.float32)


def reconciles(x: Any, y: Any) -> bool:
    """Whether in the region around us a product of these tensors of different dtypes is no mistake."""
    return any(_takes_part(x, place) and _takes_part(y, place) for place in _here.lower)


def _takes_part(x: Any, place: str) -> bool:
    """Whether `x` is a tensor on that type of device with floats, but not float64."""
    if not isinstance(x, TensorBase) or devices.of_array(x.array).type != place:
        return False
    return x.array.dtype.kind in dtypes.FLOATS and x.array.itemsize < 8


def _members(given: Any, place: str) -> Iterator[TensorBase]:
    """The tensors in `given` that take part."""
    if isinstance(given, (list, tuple, dict)):
        for each in given.values() if isinstance(given, dict) else given:
            yield from _members(each, place)
    elif _takes_part(given, place):
        yield given


def _converted(given: Any, place: str, dtype: np.dtype) -> Any:
    if isinstance(given, TensorBase):
        return _cast(given, dtype) if _takes_part(given, place) else given
    if isinstance(given, dict):
        return {name: _converted(x, place, dtype) for name, x in given.items()}
    if isinstance(given, (list, tuple)):
        items = [_converted(x, place, dtype) for x in given]
        return type(given)(*items) if hasattr(given, "_fields") else type(given)(items)
    return given


def _cast(x: TensorBase, dtype: np.dtype) -> Any:
    """`cast`, but the numbers of a float32 weight are kept until it is written to."""
    if _here.kept is None or not x.tracked or x.array.itemsize != 4 or dtype.itemsize != 2:
        return cast(x, dtype)
    known, count = _here.kept.get(id(x)), version_of(x).count
    if known is None or known[0] is not x.array or known[1:3] != (count, dtype):
        known = _here.kept[id(x)] = (x.array, count, dtype, cast(x, dtype).array, x)  # with x, so that its id stays its own
    return record(cast_backward, (x,), known[3], (x.array.dtype,))
