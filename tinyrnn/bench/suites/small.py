"""The ops of programs that are written by hand, on numbers so few that the call is all that costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np

from tinyrnn.bench.cases import Case
from tinyrnn.bench.suites.layers import numbers
from tinyrnn.bench.suites.ops import OpCase, forward, functional, training

_ROWS: Final = numbers(4, 32, seed=1)
_OTHERS: Final = numbers(4, 32, seed=2)
_ROW: Final = numbers(32, seed=3)
_WEIGHT: Final = numbers(128, 32, seed=4)
_BIAS: Final = numbers(128, seed=5)
_TABLE: Final = numbers(10, 32, seed=6)
_STEPS: Final = numbers(4, 5, 32, seed=7)
_QUERY: Final = numbers(4, 1, 32, seed=8)
_IDS: Final = np.array([1, 3, 2, 0])
_MASK: Final = _OTHERS > 0


class SmallCase(OpCase):
    suite = "small"


def _lstm_cell(f: Any, x: Any, c: Any, weight: Any, bias: Any) -> Any:
    i, forget, g, o = functional(f).linear(x, weight, bias).chunk(4, 1)
    return o.sigmoid() * (forget.sigmoid() * c + i.sigmoid() * g.tanh()).tanh()


def _attention(f: Any, query: Any, steps: Any) -> Any:
    weights = f.bmm(query, steps.transpose(1, 2)).softmax(-1)
    return f.bmm(weights, steps).squeeze(1)


_OPS: Final[dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]]] = {
    "x + y": (lambda f, x, y: x + y, (_ROWS, _OTHERS)),
    "x + row": (lambda f, x, y: x + y, (_ROWS, _ROW)),
    "x * 2.0": (lambda f, x: x * 2.0, (_ROWS,)),
    "1 - x": (lambda f, x: 1 - x, (_ROWS,)),
    "x ** 2": (lambda f, x: x**2, (_ROWS,)),
    "tanh": (lambda f, x: x.tanh(), (_ROWS,)),
    "clamp": (lambda f, x: x.clamp(-1, 1), (_ROWS,)),
    "sum": (lambda f, x: x.sum(1), (_ROWS,)),
    "mean": (lambda f, x: x.mean(), (_ROWS,)),
    "max": (lambda f, x: x.max(1)[0], (_ROWS,)),
    "softmax": (lambda f, x: x.softmax(1), (_ROWS,)),
    "linear": (lambda f, x, w, b: functional(f).linear(x, w, b), (_ROWS, _WEIGHT, _BIAS)),
    "x @ w.T": (lambda f, x, w: x @ w.T, (_ROWS, _WEIGHT)),
    "bmm": (lambda f, q, s: f.bmm(q, s.transpose(1, 2)), (_QUERY, _STEPS)),
    "einsum": (lambda f, q, s: f.einsum("bqh,bsh->bqs", q, s), (_QUERY, _STEPS)),
    "cat": (lambda f, x, y: f.cat([x, y], 1), (_ROWS, _OTHERS)),
    "stack": (lambda f, x, y: f.stack([x, y]), (_ROWS, _OTHERS)),
    "x[:, 1:9]": (lambda f, x: x[:, 1:9], (_ROWS,)),
    "x[ids]": (lambda f, x, ids: x[ids], (_TABLE, _IDS)),
    "view": (lambda f, x: x.view(2, 64), (_ROWS,)),
    "where": (lambda f, mask, x, y: f.where(mask, x, y), (_MASK, _ROWS, _OTHERS)),
    "masked_fill": (lambda f, x, mask: x.masked_fill(mask, 0.0), (_ROWS, _MASK)),
    "gather": (lambda f, x, ids: x.gather(1, ids[:, None]), (_ROWS, _IDS)),
    "topk": (lambda f, x: x.topk(3)[0], (_ROWS,)),
    "embedding": (lambda f, ids, table: functional(f).embedding(ids, table), (_IDS, _TABLE)),
    "cross_entropy": (lambda f, x, ids: functional(f).cross_entropy(x, ids), (_ROWS, _IDS)),
    "layer_norm": (lambda f, x: functional(f).layer_norm(x, (32,)), (_ROWS,)),
    "LSTM cell of ops": (_lstm_cell, (_ROWS, _OTHERS, _WEIGHT, _BIAS)),
    "attention of ops": (_attention, (_QUERY, _STEPS)),
}


def _side(framework: Any, name: str, measure: Callable[..., Any]) -> Any:
    op, arrays = _OPS[name]
    return measure(framework, op, *arrays)


def cases() -> list[Case]:
    works = {"forward": forward, "training": training}
    return [
        SmallCase(name, work, "4 x 32", partial(_side, name=name, measure=measure))
        for work, measure in works.items()
        for name in _OPS
    ]
