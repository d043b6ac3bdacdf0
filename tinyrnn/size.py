"""Size: the shape of a tensor."""

from __future__ import annotations

import math
from typing import Any


class Size(tuple):
    """A tuple of ints with `numel()`; slices, sums and multiples of it are Sizes, as in PyTorch."""

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements of a tensor of this shape."""
        return math.prod(self)

    def __getitem__(self, index: Any) -> Any:
        item = tuple.__getitem__(self, index)
        return Size(item) if isinstance(index, slice) else item

    def __add__(self, other: Any) -> Any:
        return Size(tuple.__add__(self, other)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, times: Any) -> Size:
        return Size(tuple.__mul__(self, times))

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"tinyrnn.Size([{', '.join(map(str, self))}])"
