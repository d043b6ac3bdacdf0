"""Integer ids to vectors: embedding looks up rows of a table, one_hot writes a 1 at their place."""

from __future__ import annotations

import numpy as np

from tinyrnn.engine.base import TensorBase, wrap
from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops.arithmetic import if_wanted
from tinyrnn.ops.casting import array
from tinyrnn.ops.indexing import lie_within
from tinyrnn.ops.selection import keep_where
from tinyrnn.ops.transfer import beside


def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False):
    """The rows of `weight` that `input` names.

    Parameters
    ----------
    input : integer ids, any shape.
    weight : (num_embeddings, embedding_dim).
    padding_idx : the row that gets no gradient (it may count from the end).
    max_norm, norm_type, scale_grad_by_freq, sparse : at their defaults, as programs hand them over.

    Returns
    -------
    The shape of `input` followed by embedding_dim. Rows that are used several times collect the sum of the gradients.

    Raises
    ------
    IndexError
        If an id is not in ``0 ... num_embeddings - 1``.
    RuntimeError
        If the ids are not integers or the weight is not a matrix.
    NotImplementedError
        If `max_norm`, `scale_grad_by_freq` or `sparse` is not at its default.
    """
    check_options(max_norm, scale_grad_by_freq, sparse)
    ids, table = array(input), array(weight)
    if table.ndim != 2:
        raise RuntimeError(f"embedding: 'weight' must be 2-D (num_embeddings, embedding_dim), got shape {table.shape}")
    ids = beside(ids, table)
    if ids.dtype.kind not in "iu":
        raise RuntimeError(f"embedding: ids must be integers, got {ids.dtype}; convert them with .long()")
    check_ids("embedding: id", ids, len(table), "num_embeddings")
    if padding_idx is not None:
        if not -len(table) <= padding_idx < len(table):
            raise ValueError(f"embedding: padding_idx {padding_idx} must be within num_embeddings={len(table)}")
        padding_idx %= len(table)
    rows = backend(table).embedding_forward(table, ids)
    kept = ids.copy() if if_wanted(ids, weight) is not None else None  # ours: the caller's may change before backward
    return record(embedding_backward, (weight,), rows, (kept, len(table), padding_idx))


def check_options(max_norm, scale_grad_by_freq, sparse):
    """Raise a NotImplementedError if an option of PyTorch's embedding is asked for that is not there."""
    if max_norm is not None or scale_grad_by_freq or sparse:
        raise NotImplementedError(
            f"embedding: max_norm={max_norm}, scale_grad_by_freq={scale_grad_by_freq}, sparse={sparse}, expected None, False "
            f"and False: gradients are dense and not scaled; rescale long rows of the weight under no_grad()"
        )


def check_ids(what, ids, count, limit, ignored=None):
    """Raise an IndexError that names the first of the `ids` outside ``0 ... count - 1`` and not `ignored`.

    `what` opens the sentence and `limit` names the bound, e.g. "num_embeddings".
    """
    if ids.size == 0 or (type(ids) is np.ndarray and lie_within(ids, 0, count)):
        return  # from a GPU one answer is awaited, not two
    wrong = (ids < 0) | (ids >= count)
    if ignored is not None:
        wrong &= ids != ignored
    if wrong.any():
        place = tuple([int(i) for i in np.unravel_index(int(wrong.argmax()), ids.shape)])
        where = f" at position {place}" if place else ""
        allowed = f"0 to {count - 1}" if ignored is None else f"0 to {count - 1} or ignore_index={ignored}"
        raise IndexError(f"{what} {int(ids[place])}{where} is out of range: {limit}={count}, so expected {allowed}")


def embedding_backward(node, g, ids, num_embeddings, padding_idx):
    return collect_rows(g, ids, num_embeddings, padding_idx)


def collect_rows(x, ids, num_embeddings, padding_idx):
    """The adjoint of the lookup: a table whose rows are the sums of those rows of `x` that carry their id."""
    data = array(x)
    table = backend(data).embedding_backward(data, ids, num_embeddings, padding_idx)
    return record(collect_rows_backward, (x,), table, (ids, padding_idx))


def collect_rows_backward(node, g, ids, padding_idx):
    rows = embedding(ids, g)
    return rows if padding_idx is None else keep_where((ids != padding_idx)[..., None], rows)


def one_hot(tensor, num_classes=-1):
    """Integers to vectors with a 1 at their place: (*) -> (*, num_classes), int64.

    With -1 the number of classes is one more than the largest integer.
    """
    x = array(tensor)
    if x.dtype != np.int64:
        raise RuntimeError(f"one_hot is only applicable to index tensor of type LongTensor, got {x.dtype}")
    if x.size == 0 and num_classes <= 0:
        raise RuntimeError("Can not infer total number of classes from empty tensor.")
    if x.size and x.min() < 0:
        raise RuntimeError(f"Class values must be non-negative, got {int(x.min())}.")
    if num_classes == -1:
        num_classes = int(x.max()) + 1
    if num_classes < 1:
        raise RuntimeError(f"num_classes should be positive, got {num_classes}")
    if x.size and x.max() >= num_classes:
        raise RuntimeError(f"Class values must be smaller than num_classes={num_classes}, got {int(x.max())}.")
    vectors = (x[..., None] == np.arange(num_classes, like=x)).astype(np.int64)
    return wrap(vectors) if isinstance(tensor, TensorBase) else vectors
