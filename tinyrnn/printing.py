"""How a tensor is printed: like PyTorch, with four digits."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrnn import devices, dtypes
from tinyrnn.engine.tape import source_of

PRECISION, THRESHOLD, EDGE_ITEMS, LINE_WIDTH = 4, 1000, 3, 80


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
            host, separator=", ", prefix=prefix, formatter={"all": _formatter(host)}, threshold=THRESHOLD,
            edgeitems=EDGE_ITEMS, max_line_width=LINE_WIDTH,
        ).replace(", ..., ", ",  ..., ")  # fmt: skip
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
        room = LINE_WIDTH - len(lines) + lines.rfind("\n") + 1 - len(note) - 3
        lines += f", {note}" if room >= 0 else f",\n{' ' * len(prefix)}{note}"
    return lines + ")"


def grad_fn_name(node: Any) -> str:
    """``<LogSoftmaxBackward>`` for the node of log_softmax."""
    return f"<{''.join([word.capitalize() for word in node.name.split('_')])}Backward>"


def _formatter(array: np.ndarray) -> Any:
    """A function that prints one element, all to the same width."""
    shown = _shown(array)
    if array.dtype.kind != "f":
        texts = [str(value) for value in shown.tolist()]
        width = max(map(len, texts))
        return lambda value: str(value).rjust(width)
    numbers = shown.astype(np.float64)
    finite_with_sign = numbers[np.isfinite(numbers) & (numbers != 0)]
    finite = np.abs(finite_with_sign)
    plain = "{:.0f}." if (finite == np.ceil(finite)).all() else f"{{:.{PRECISION}f}}"
    form = plain
    if finite.size:
        largest, smallest = finite.max(), finite.min()
        whole = plain == "{:.0f}."
        if largest / smallest > 1000 or largest > 1e8 or (smallest < 1e-4 and not whole):
            form = f"{{:.{PRECISION}e}}"

    def text(value: Any) -> str:
        number = float(value)
        return form.format(number) if np.isfinite(number) else str(number)

    width = max([len(text(number)) for number in finite_with_sign], default=0)
    return lambda value: text(value).rjust(width)


def _shown(array: np.ndarray) -> np.ndarray:
    """The elements that are printed, flat: a large array shows only those at its edges."""
    if array.size > THRESHOLD:
        for axis, size in enumerate(array.shape):
            if size > 2 * EDGE_ITEMS:
                array = array.take([*range(EDGE_ITEMS), *range(size - EDGE_ITEMS, size)], axis)
    return array.ravel()
