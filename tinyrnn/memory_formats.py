"""Memory formats under PyTorch's names: in which order the elements of a tensor lie."""

from __future__ import annotations

from typing import Any


class memory_format:  # noqa: N801 (PyTorch's name)
    """`contiguous_format`: the last dimension fastest; `preserve_format`: as in the tensor that is copied.

    `order` is NumPy's letter for it.
    """

    __slots__ = ("name", "order")

    def __init__(self, name: str, order: str) -> None:
        self.name = name
        self.order = order

    def __repr__(self) -> str:
        return f"tinyrnn.{self.name}"


contiguous_format = memory_format("contiguous_format", "C")
preserve_format = memory_format("preserve_format", "K")


def order_of(format: Any) -> str:
    """NumPy's letter for a memory format; None is `preserve_format`.

    Raises
    ------
    NotImplementedError
        For what is neither of the two.
    """
    if format is None:
        return preserve_format.order
    if not isinstance(format, memory_format):
        raise NotImplementedError(
            f"memory_format={format!r} is none that tinyrnn has; pass tinyrnn.contiguous_format or tinyrnn.preserve_format"
        )
    return format.order
