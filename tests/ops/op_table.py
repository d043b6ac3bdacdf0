"""Every op once, by name, on small arrays: for what has to hold of all of them, on another device or in another dtype."""

from __future__ import annotations

import tinyrnn
from tinyrnn.nn import functional as F


def arrays_for(rng):
    """The arrays that the functions in OPS take, floats in float64."""
    x, y = rng.normal(size=(2, 3, 4))
    floats = {"x": x, "y": y, "p": rng.uniform(0.5, 2, (3, 4)), "m": rng.normal(size=(4, 5))}
    whole = {"i": rng.integers(0, 3, (3, 4)), "j": rng.permutation(3)[[0, 1, 2, 1]]}
    return {**floats, "b": rng.random((3, 4)) < 0.5, **whole}


# Of x and y (3, 4) and positive p (3, 4), floats that require gradients, m (4, 5), whole numbers i (3, 4) in [0, 3), j (4,) in
# [0, 3), and the mask b (3, 4).
OPS = {
    "arithmetic": lambda x, y, **_: [x + y, x - y, x * y, x / (y.abs() + 1), -x, x + 2, 2 - x, 3 / (x.abs() + 1), x * 0.5],
    "alpha": lambda x, y, **_: [tinyrnn.add(x, y, alpha=2), tinyrnn.lerp(x, y, 0.3), tinyrnn.addcmul(x, y, y, value=2)],
    "powers": lambda p, x, y, **_: [p**2.5, p**y, 2.0**x, x**2, p.sqrt(), p.rsqrt(), p.reciprocal(), x.square()],
    "division": lambda x, p, i, **_: [x // p, x % p, tinyrnn.div(x, p, rounding_mode="trunc"), i // 2, i % 2],
    "whole numbers": lambda i, **_: [
        i + 1, i * 2, 3 - i, i / 2, i**2, i & 1, i | 2, i ^ 3, ~i, i == 1, i > 1, i.sum(), i.max(),
    ],
    "elementary": lambda x, p, **_: [x.exp(), p.log(), p.log1p(), x.expm1(), x.sin(), x.cos(), x.abs(), x.erf(), p.log2()],
    "rounding": lambda x, **_: [x.floor(), x.ceil(), x.trunc(), x.round(), x.sign(), tinyrnn.round(x, decimals=1)],
    "activations": lambda x, **_: [
        x.tanh(), x.sigmoid(), x.relu(), F.leaky_relu(x), F.elu(x), F.hardtanh(x), F.softplus(x), F.logsigmoid(x), F.silu(x),
        F.gelu(x), F.gelu(x, approximate="tanh"), F.relu6(x),
    ],
    "softmax": lambda x, **_: [x.softmax(0), x.softmax(-1), x.log_softmax(1), x.logsumexp(1), tinyrnn.logaddexp(x, x * 2)],
    "reductions": lambda x, p, b, **_: [
        x.sum(), x.sum(0), x.mean(1, keepdim=True), x.std(), x.var(0), p.prod(), p.prod(1), x.norm(), x.norm(dim=1),
        x.max(), x.min(), x.amax(1), x.amin(0), x.argmax(1), x.argmin(), b.any(), b.all(1), x.cumsum(1), x.median(1)[0],
    ],
    "extremes": lambda x, y, **_: [
        *x.max(1), *x.min(0), tinyrnn.maximum(x, y), tinyrnn.minimum(x, y), x.clamp(-1, 1), x.clamp(min=0), x.clamp(max=y),
    ],
    "choosing": lambda x, y, b, **_: [
        tinyrnn.where(b, x, y), x.where(b, tinyrnn.zeros_like(x)), x.masked_fill(b, 2.0), x.nan_to_num(), x.masked_select(b),
    ],
    "sorting": lambda x, **_: [*x.sort(1), *x.topk(2), x.argsort(0, descending=True)],
    "comparison": lambda x, y, b, **_: [
        x > y, x <= 0, x == x, x != y, b & ~b, b | b, b ^ b, x.isnan(), x.isfinite(), x.isinf(), tinyrnn.isclose(x, x + 1e-9),
        tinyrnn.logical_not(b),
    ],
    "products": lambda x, y, m, **_: [
        x @ m, x.T @ y, x.matmul(m[:, 0]), tinyrnn.bmm(x[None], m[None]), x.mv(m[:, 1]), x[0].dot(y[0]),
        tinyrnn.outer(x[0], y[1]), tinyrnn.addmm(tinyrnn.zeros_like(x @ m), x, m), tinyrnn.einsum("ij,jk->ki", x, m),
        tinyrnn.baddbmm((x @ m)[None], x[None], m[None]),
    ],
    "shaping": lambda x, **_: [
        x.reshape(2, 6), x.view(-1), x.T, x.transpose(0, 1), x.permute(1, 0), x[None].squeeze(0), x.unsqueeze(1), x.flatten(),
        x.expand(2, 3, 4), x.repeat(2, 1), x.contiguous(), x.flip(0), x.roll(1, 0), x.tril(), x.triu(1), x.diag(),
    ],
    "cutting": lambda x, y, **_: [
        *x.split(2, 1), *x.chunk(2), *x.unbind(0), tinyrnn.cat([x, y]), tinyrnn.stack([x, y], 1), x.narrow(1, 1, 2),
        x.unfold(1, 2, 1), F.pad(x, (1, 2)), x.repeat_interleave(2, 0), tinyrnn.hstack([x, y]), x.movedim(0, 1),
    ],
    "indexing": lambda x, i, j, b, **_: [
        x[1], x[:, 2], x[1:, ::2], x[..., -1], x[j], x[:, j], x[i[:, 0], j[:3]], x[b], x[[0, 2]], x[j[:, None], j], x[i > 0],
        x[None, 0],
    ],
    "gathering": lambda x, y, i, j, **_: [
        x.gather(0, i), x.gather(1, i), x.index_select(0, j), x.scatter(0, i, y), x.scatter_add(0, i, y),
        x.index_add(0, j[:2], y[:2]), x.index_fill(0, j[:1], 3.0), x.index_copy(0, j[:1], y[:1]),
        tinyrnn.take_along_dim(x, i, 0),
    ],
    "counting": lambda i, j, **_: [i.unique(), j.bincount(), i.nonzero(), tinyrnn.unique_consecutive(j)],
    "normalization": lambda x, p, **_: [F.layer_norm(x, (4,)), F.layer_norm(x, (4,), p[0], p[1]), F.normalize(x)],
    "similarity": lambda x, y, **_: [F.cosine_similarity(x, y), F.pairwise_distance(x, y), tinyrnn.cdist(x, y)],
    "losses": lambda x, y, p, i, j, b, **_: [
        F.mse_loss(x, y), F.l1_loss(x, y), F.smooth_l1_loss(x, y), F.huber_loss(x, y), F.cross_entropy(x, i[:, 0]),
        F.cross_entropy(x, i[:, 0], p[0], label_smoothing=0.1), F.nll_loss(x.log_softmax(1), i[:, 0]),
        F.binary_cross_entropy_with_logits(x, b.double()), F.binary_cross_entropy(x.sigmoid(), b.double()),
        F.kl_div(x.log_softmax(1), y.softmax(1), reduction="batchmean"), F.triplet_margin_loss(x, y, p),
    ],
    "embedding": lambda x, i, **_: [F.embedding(i, x), F.one_hot(i, 3)],
    "attention": lambda x, y, p, **_: [
        F.scaled_dot_product_attention(x[None], y[None], p[None]),
        F.scaled_dot_product_attention(x[None], y[None], p[None], is_causal=True),
    ],
    "casting": lambda x, i, b, **_: [x.float(), x.half(), x.long(), x.bool(), i.double(), b.int(), x.to(tinyrnn.float32)],
    "writing": lambda x, y, i, j, b, **_: [
        x.clone().add_(y), x.clone().mul_(2), x.clone().zero_(), x.clone().fill_(3), x.clone().copy_(y), written(x, y, j, b),
        x.clone().masked_fill_(b, 1.0), x.clone().clamp_(0, 1), x.clone().scatter_add_(0, i, y),
        x.clone().index_add_(0, j[:2], y[:2]),
    ],
}  # fmt: skip


def written(x, y, j, b):
    result = x.clone()
    result[0] = 5.0
    result[1:, 1] = y[1:, 0]
    result[j[:1]] = y[:1]
    result[b] = -1.0
    result[0, :2] += 1
    return result
