"""How a tensor is printed: like PyTorch, by default with four digits."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrnn import devices, dtypes
from tinyrnn.engine.tape import source_of

_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": float("inf"), "edgeitems": 3, "linewidth": 80},
}
_options: dict[str, Any] = {**_PROFILES["default"], "sci_mode": None}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """How tensors are printed from now on; what is None stays as it is.

    Parameters
    ----------
    precision : digits after the point.
    threshold : the number of elements from which on only those at the edges are printed.
    edgeitems : how many these are, at each end of each dimension.
    linewidth : characters per line.
    profile : "default", "short" (2 digits) or "full" (all elements): values for the four above, which may then change some.
    sci_mode : whether numbers have an exponent; None: where their magnitudes differ much.
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"set_printoptions: profile={profile!r}, expected one of {', '.join(_PROFILES)}")
        _options.update(_PROFILES[profile])
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    _options.update({name: value for name, value in given.items() if value is not None}, sci_mode=sci_mode)


def representation(tensor: Any) -> str:
    """``tensor([[1., 2.]], grad_fn=<MulBackward>)``: the numbers, and whatever is not the default."""
    array = tensor.array
    host = array if isinstance(array, np.ndarray) else array.get()
    prefix = "tensor("
    notes = []
    if host.size == 0:
        text = "[]"
        if host.ndim != 1:
            notes.append(f"size={tuple(host.shape)}")
    else:
        text = np.array2string(
            host, separator=", ", prefix=prefix, formatter={"all": _formatter(host)}, threshold=_options["threshold"],
            edgeitems=_options["edgeitems"], max_line_width=_options["linewidth"],
        ).replace(", ...,", ",  ...,")  # fmt: skip
    device, dtype = devices.of_array(array), dtypes.of_array(array)
    if device.type != "cpu":
        notes.append(f"device='{device}'")
    understood = (dtypes.get_default_dtype(),) if host.size == 0 else (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool_)
    if dtype not in understood:
        notes.append(f"dtype={dtype}")
    source = source_of(tensor)
    if source is not None:
        notes.append("requires_grad=True" if source is tensor else f"grad_fn={grad_fn_name(source)}")
    lines = prefix + text
    for note in notes:
        room = _options["linewidth"] - len(lines) + lines.rfind("\n") + 1 - len(note) - 3
        lines += f", {note}" if room >= 0 else f",\n{' ' * len(prefix)}{note}"
    return lines + ")"


def grad_fn_name(node: Any) -> str:
    """``<LogSoftmaxBackward>`` for the node of log_softmax."""
    return f"<{''.join([word.capitalize() for word in node.name.split('_')])}Backward>"


def _formatter(array: np.ndarray) -> Any:
    """A function that prints one element, all to the same width."""
    shown = _shown(array)
    if array.dtype.kind not in dtypes.FLOATS:
        texts = [str(value) for value in shown.tolist()]
        width = max(map(len, texts))
        return lambda value: str(value).rjust(width)
    numbers = shown.astype(np.float64)
    finite_with_sign = numbers[np.isfinite(numbers) & (numbers != 0)]
    finite = np.abs(finite_with_sign)
    plain = "{:.0f}." if (finite == np.ceil(finite)).all() else f"{{:.{_options['precision']}f}}"
    form = plain
    if finite.size:
        largest, smallest = finite.max(), finite.min()
        whole = plain == "{:.0f}."
        wide = largest / smallest > 1000 or largest > 1e8 or (smallest < 1e-4 and not whole)
        if wide if _options["sci_mode"] is None else _options["sci_mode"]:
            form = f"{{:.{_options['precision']}e}}"

    def text(value: Any) -> str:
        number = float(value)
        return form.format(number) if np.isfinite(number) else str(number)

    width = max([len(text(number)) for number in finite_with_sign], default=0)
    return lambda value: text(value).rjust(width)


def _shown(array: np.ndarray) -> np.ndarray:
    """The elements that are printed, flat: a large array shows only those at its edges."""
    if array.size > _options["threshold"]:
        edge = _options["edgeitems"]
        for axis, size in enumerate(array.shape):
            if size > 2 * edge:
                array = array.take([*range(edge), *range(size - edge, size)], axis)
    return array.ravel()
