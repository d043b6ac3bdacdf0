"""Calls in PyTorch's names, whose result dtypes inside autocast are compared with PyTorch's own."""

from __future__ import annotations

import numpy as np

# Of what `given` makes: x and y (3, 4), m (4, 5), v (4,) and so on are floats, p positive ones, q probabilities, w and z what v
# and y are in the dtype of the region.
CALLS = """
x @ m; x.matmul(v); x.mv(v); v.dot(v); v.dot(w); torch.mm(x, m); torch.bmm(x3, m3); torch.addmm(a, x, m); torch.outer(v, v)
torch.baddbmm(a3, x3, m3); torch.einsum("ij,jk->ik", x, m); torch.einsum("ij,ij->i", x, y); F.linear(x, y); F.linear(x, y, u)
F.prelu(x, v); F.scaled_dot_product_attention(x3, x3, x3); F.scaled_dot_product_attention(x3, x3, x3, mask)
x.exp(); p.log(); p.log2(); p.log10(); p.log1p(); x.expm1(); x.sin(); x.cos(); x.erf(); x.abs(); p.sqrt(); p.rsqrt(); x.floor()
p.reciprocal(); 2 / p; x / p; p**2; p**p; 2.0**x; p.pow(0.5); x.square(); x.clamp(0, 1); x.sign(); torch.tril(x)
x.tanh(); x.sigmoid(); x.relu(); F.gelu(x); F.silu(x); F.softplus(x); F.logsigmoid(x); F.elu(x); F.leaky_relu(x); F.hardtanh(x)
F.softsign(x); F.glu(x); F.relu6(x); x.softmax(1); x.log_softmax(1); x.softmax(1, dtype=torch.float64); F.gumbel_softmax(x)
x.logsumexp(1); torch.logaddexp(x, y); x.sum(); x.sum(1); x.sum(1, dtype=torch.float64); x.mean(); x.mean(1); x.var(); x.std()
p.prod(); p.prod(1); x.cumsum(1); p.cumprod(1); x.norm(); x.norm(dim=1); x.norm(1); x.norm(dtype=torch.float64); x.max()
x.amax(1); x.sort(1)[0]; x.median(); F.layer_norm(x, (4,)); F.layer_norm(x, (4,), v, v); F.layer_norm(z, (4,), v, v)
F.normalize(x); F.cosine_similarity(x, y); F.pairwise_distance(x, y); torch.cdist(x, y); F.mse_loss(x, y); F.l1_loss(x, y)
F.smooth_l1_loss(x, y); F.huber_loss(x, y); F.cross_entropy(x, i); F.cross_entropy(x, p); F.nll_loss(x, i)
F.kl_div(x, p, reduction="sum"); F.binary_cross_entropy_with_logits(x, p)
F.triplet_margin_loss(x, y, p); F.margin_ranking_loss(x, y, p); F.cosine_embedding_loss(x, y, s); x + y; x * z; x + z
torch.cat([x, z]); torch.stack([x, z]); torch.addcmul(x, y, z); torch.addcdiv(x, z, p); torch.lerp(x, y, 0.5)
torch.where(x > 0, x, z); torch.maximum(x, y); F.dropout(x); F.embedding(i, x); x.masked_fill(x > 0, 1.0)
"""
CALLS = [call.strip() for call in CALLS.replace("\n", ";").split(";") if call.strip()]

# What a GPU alone, or the CPU alone, is asked: PyTorch refuses it elsewhere, or cannot say without a GPU.
ON_CPU = [
    *CALLS, "F.gaussian_nll_loss(x, y, p)", "F.ctc_loss(x3, t, n3, n1)", "F.binary_cross_entropy(q, q)",
    "x.index_copy(0, i, z)",
]  # fmt: skip
ON_CUDA = [*CALLS, "x.scatter_add(0, i2, z)"]


def given(library, dtype, narrow):
    """The tensors of the calls, on the CPU, by name."""
    rng = np.random.default_rng(0)
    shapes = {
        "x": (3, 4), "y": (3, 4), "m": (4, 5), "v": (4,), "u": (3,), "a": (3, 5), "x3": (2, 3, 4), "m3": (2, 4, 5),
        "a3": (2, 3, 5), "mask": (3, 3),
    }  # fmt: skip
    floats = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    floats |= {"p": rng.uniform(0.5, 2, (3, 4)), "q": rng.uniform(0.1, 0.9, (3, 4))}
    whole = {"i": [0, 2, 1], "i2": rng.integers(0, 3, (3, 4)).tolist(), "s": [1, -1, 1]}
    whole |= {"t": [[1], [1], [1]], "n3": [2, 2, 2], "n1": [1, 1, 1]}
    tensors = {name: library.tensor(values.tolist(), dtype=getattr(library, dtype)) for name, values in floats.items()}
    tensors |= {name: library.tensor(values) for name, values in whole.items()}
    return tensors | {"w": tensors["v"].to(getattr(library, narrow)), "z": tensors["y"].to(getattr(library, narrow))}


def dtypes_of(library, calls, tensors):
    """The dtype of what every call gives, by call; an error as its type."""
    names = {"torch": library, "F": library.nn.functional, **tensors}
    return {call: _dtype_of(call, names) for call in calls}


def _dtype_of(call, names):
    try:
        return str(eval(call, names).dtype).split(".")[1]
    except Exception as error:
        return type(error).__name__
