"""How alike vectors are: normalize, cosine similarity, distances, and the losses that rank."""

from __future__ import annotations

from tinyrnn.ops import arithmetic, autocasting, powers
from tinyrnn.ops.arithmetic import mul, sub
from tinyrnn.ops.casting import array
from tinyrnn.ops.losses import check_reduction, old_reductions, reduce
from tinyrnn.ops.norms import norm
from tinyrnn.ops.reductions import require_float
from tinyrnn.ops.reductions import sum as sum_along
from tinyrnn.ops.selection import clamp_min, minimum, where
from tinyrnn.ops.shaping import unsqueeze


def normalize(input, p=2.0, dim=1, eps=1e-12):
    """Vectors along `dim` divided by their p-norm, or by `eps` where that is larger."""
    return arithmetic.div(input, clamp_min(norm(input, p, dim, True), eps))


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """``x1 . x2 / (|x1| |x2|)`` over `dim`, each norm at least `eps`; the two broadcast."""
    if autocasting.regions:
        x1, x2 = autocasting.prepared("cosine_similarity", (x1, x2))
    lengths = [clamp_min(norm(x, 2, dim, True), eps) for x in (x1, x2)]
    return sum_along(mul(arithmetic.div(x1, lengths[0]), arithmetic.div(x2, lengths[1])), dim)


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The p-norm of ``x1 - x2 + eps`` over the last dimension; the two broadcast."""
    return norm(arithmetic.add(sub(x1, x2), eps), p, -1, keepdim)


def cdist(x1, x2, p=2.0):
    """The p-norm of every row of `x1` (..., M, D) minus every row of `x2` (..., N, D): (..., M, N).

    All differences are in memory at once, (..., M, N, D).

    Raises
    ------
    RuntimeError
        If the two are not matrices of as many columns, or not floating-point.
    """
    if autocasting.regions:
        x1, x2 = autocasting.prepared("cdist", (x1, x2))
    shapes = [require_float(x, "cdist").shape for x in (x1, x2)]
    if any(len(shape) < 2 for shape in shapes) or shapes[0][-1] != shapes[1][-1]:
        raise RuntimeError(f"cdist: expected x1 (..., M, D) and x2 (..., N, D), got shapes {shapes[0]} and {shapes[1]}")
    return norm(sub(unsqueeze(x1, -2), unsqueeze(x2, -3)), p, -1)


@old_reductions
def cosine_embedding_loss(input1, input2, target, margin=0.0, *, reduction="mean"):
    """1 - cos(input1, input2) where `target` is 1, max(0, cos - margin) where it is -1: (N, D) or (D,), target (N,) or ().

    Raises
    ------
    RuntimeError
        If the target has not one dimension less than the inputs.
    """
    check_reduction(reduction)
    if array(target).ndim + 1 != array(input1).ndim or array(target).ndim > 1:
        raise RuntimeError(
            f"cosine_embedding_loss: inputs of shape (N, D) need a target of shape (N,), and (D,) one of (), got "
            f"{array(input1).shape} and {array(target).shape}"
        )
    products = [sum_along(mul(a, b), -1) for a, b in ((input1, input2), (input1, input1), (input2, input2))]
    lengths = powers.sqrt(mul(arithmetic.add(products[1], 1e-12), arithmetic.add(products[2], 1e-12)))
    cosine = arithmetic.div(products[0], lengths)
    positive = array(target) == 1
    losses = where(positive, sub(1, cosine), where(array(target) == -1, clamp_min(sub(cosine, margin), 0), 0.0))
    return reduce(losses, reduction)


@old_reductions
def margin_ranking_loss(input1, input2, target, margin=0.0, *, reduction="mean"):
    """max(0, -target (input1 - input2) + margin): with `target` 1, input1 should be larger by `margin`, with -1 input2.

    Raises
    ------
    RuntimeError
        If the tensors differ in their number of dimensions.
    """
    check_reduction(reduction)
    shapes = [array(x).shape for x in (input1, input2, target)]
    if len({len(shape) for shape in shapes}) > 1:
        raise RuntimeError(f"margin_ranking_loss: expected tensors of as many dimensions each, got shapes {shapes}")
    return reduce(clamp_min(sub(margin, mul(target, sub(input1, input2))), 0), reduction)


@old_reductions
def triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, *, reduction="mean"):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d being `pairwise_distance` (Balntas et al. 2016).

    With `swap`, d(positive, negative) takes the place of d(anchor, negative) where it is smaller.

    Raises
    ------
    RuntimeError
        If the tensors differ in their number of dimensions.
    ValueError
        If the margin is not larger than 0.
    """
    check_reduction(reduction)
    if margin <= 0:
        raise ValueError(f"triplet_margin_loss: margin must be greater than 0, got {margin}")
    shapes = [array(x).shape for x in (anchor, positive, negative)]
    if len({len(shape) for shape in shapes}) > 1:
        raise RuntimeError(f"triplet_margin_loss: expected tensors of as many dimensions each, got shapes {shapes}")
    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = minimum(far, pairwise_distance(positive, negative, p, eps))
    return reduce(clamp_min(arithmetic.add(sub(near, far), margin), 0), reduction)
