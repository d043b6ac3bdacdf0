"""Every operation that can be exported gives the same numbers in ONNX Runtime, for other sizes of batch and time too."""

from __future__ import annotations

import pytest

import tinyrnn
import tinyrnn as torch
import tinyrnn.nn.functional as F

X = ((5, 7, 4), (3, 9, 4))  # (B, T, F) of the example, and of another call


def floats(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator)


ELEMENTWISE = {
    "tanh": lambda x: x.tanh(),
    "sigmoid": lambda x: torch.sigmoid(x),
    "relu": lambda x: torch.relu(x) + F.relu(x) * 2,
    "exp": lambda x: x.exp(),
    "log": lambda x: (x.abs() + 1).log(),
    "sqrt": lambda x: (x * x + 1).sqrt().rsqrt().reciprocal(),
    "trigonometry": lambda x: torch.sin(x) - x.cos(),
    "erf": lambda x: torch.erf(x),
    "rounding": lambda x: torch.floor(x * 3) + torch.ceil(x) - x.sign(),
    "square": lambda x: x.square() - x**2 + 2**x,
    "arithmetic": lambda x: 1 - (x * 2 - x / 4 + 3) / (1 + x * x) - (+x) + (-x),
    "bools": lambda x: [(x > 0) + (x > 1), (x > 0) * (x < 1), (x > 0) + True, torch.maximum(x > 0, x < -1), (x > 0) < (x > 1)],
    "floor division": lambda x: [
        x // 0.3,
        (x * 9).round() // 0.1,
        x // 0,
        -x // 0.3,
        2 // x,
        (x * 9).long() // 4,
        7 // ((x * 9).int() * 2 + 1),
        x // x.size(1),
        x // (x > 0),
        torch.floor_divide(x, -0.7),
        torch.div(x, 0.3, rounding_mode="floor"),
        torch.div(x, 0.3, rounding_mode="trunc"),
        torch.div((x * 9).int(), -4, rounding_mode="trunc"),
    ],
    "remainder": lambda x: [
        x % 0.3,
        x % -0.3,
        -2 % x,
        (x * 9).long() % 4,
        (x * 9).int() % -4,
        -7 % ((x * 9).int() * 2 + 1),
        x % x.size(0),
    ],
    "halves to even": lambda x: [
        ((x * 8).round() / 2).round(),
        torch.round((x * 800).round() / 8, decimals=2),
        (x * 99).round(decimals=-1),
        x.int().round(),
    ],
    "alpha": lambda x: torch.add(x, x * x, alpha=2) - torch.sub(x, 1.5, alpha=3),
    "division": lambda x: 2 / (x * x + 1) + torch.rsub(x, 1),
    "promotion": lambda x: (x > 0) + x + (x > 0).long() * 2 + (x * 3).int() / 2,
    "extremes": lambda x: torch.maximum(x, x * 2) - torch.minimum(x, -x) + torch.max(x, x * 3),
    "comparisons": lambda x: [x > 0, x >= 0.5, x < 0, x <= x, x == x, x != 0, x < x * 2],
    "logic": lambda x: [(x > 0) & (x < 1), (x > 0) | (x < -1), (x > 0) ^ (x > 1), ~(x > 0), torch.logical_not(x > 0)],
    "where": lambda x: [torch.where(x > 0, x, 0.0), x.where(x > 0, -x), x.masked_fill(x > 0, 7.0)],
    "clamp": lambda x: [x.clamp(-0.5, 0.5), x.clamp(min=0), x.clamp_max(0.1), torch.clamp_min(x, 0.2)],
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "elu": lambda x: F.elu(x, 0.7),
    "relu6": lambda x: F.relu6(x * 9),
    "hardtanh": lambda x: F.hardtanh(x, -0.3, 0.8),
    "silu": lambda x: F.silu(x),
    "softplus": lambda x: F.softplus(x * 9, 2.0, 5.0),
    "logsigmoid": lambda x: F.logsigmoid(x),
    "gelu": lambda x: [F.gelu(x), F.gelu(x, approximate="tanh")],
    "inplace": lambda x: [F.relu(x, inplace=True), x],
    "dropout": lambda x: F.dropout(x, 0.5, False),
    "casts": lambda x: [(x * 3).long(), x.double().float(), (x > 0).float(), x.to(torch.float64), (x * 2).int().bool()],
}

REDUCTIONS = {
    "sum": lambda x: [x.sum(), x.sum(1), x.sum((0, 2), keepdim=True), torch.sum(x, axis=-1), (x > 0).sum(1)],
    "mean": lambda x: [x.mean(), x.mean(1), torch.mean(x, dim=(0, 1))],
    "size": lambda x: x.sum(1) / x.shape[1] + x.size(0) * 2 + x.numel(),
    "max": lambda x: [*x.max(1), x.max(), *torch.min(x, -1, True), x.amax((1, 2)), x.amin(0)],
    "argmax": lambda x: [x.argmax(), x.argmax(-1), x.argmin(1, keepdim=True)],
    "quantifiers": lambda x: [(x > -9).all(), (x > 0).any(1), (x > 0).all(-1, keepdim=True)],
    "logsumexp": lambda x: [torch.logsumexp(x, 1), x.prod(2)],
    "softmax": lambda x: [
        x.softmax(1),
        F.softmax(x, dim=-1),
        F.softmax(x[0], None, 3),
        F.log_softmax(x, 0),
        torch.log_softmax(x, axis=1),
    ],
    "cumsum": lambda x: [x.cumsum(1), (x > 0).cumsum(0)],
    "topk": lambda x: [*x.topk(2, 1), *torch.topk(x, 3, dim=-1, largest=False)],
    "layer_norm": lambda x: F.layer_norm(x, (4,)),
    "of bools": lambda x: [(x > 0).amax(1), (x > 0).min()],
    "norm": lambda x: [
        x.norm(),
        torch.norm(x, 1, 2),
        x.norm(float("inf"), (0, 1)),
        x.norm(-float("inf"), 1, True),
        x.norm(0, dim=1),
        x.norm(3, -1),
        x.norm("fro", (0, 2), True),
        x.norm(dtype=torch.float64),
    ],
    "normalize": lambda x: [F.normalize(x), F.normalize(x, p=1, dim=-1), F.normalize(x * 0, dim=2), F.normalize(x, eps=9.0)],
    "cosine_similarity": lambda x: [F.cosine_similarity(x, x + 1), F.cosine_similarity(x, torch.ones(4), dim=-1)],
    "variance": lambda x: [
        x.var(),
        x.var(1),
        x.std((0, 1), keepdim=True),
        torch.std(x, -1, False),
        x.var(False),
        torch.var(x, 1, correction=2),
        torch.std(x, axis=0, keepdims=True),
    ],
    "sort": lambda x: [
        *x.sort(1),
        *torch.sort(x, descending=True),
        *(x * 2).int().sort(0, stable=True),
        x.argsort(1, True),
        *x.sort(axis=-2),
    ],
}

PRODUCTS = {
    "matmul": lambda x: [x @ x.transpose(1, 2), torch.matmul(x, torch.ones(4)), torch.ones(2, 4) @ x.mT],
    "bmm": lambda x: torch.bmm(x.transpose(1, 2), x),
    "mm": lambda x: [torch.mm(x[0], x[1].t()), torch.mv(x[0], x[0, 0]), torch.dot(x[0, 0], x[0, 1])],
    "linear": lambda x: [F.linear(x, torch.ones(3, 4) * 0.5, torch.arange(3.0)), F.linear(x[0], torch.ones(4))],
    "addmm": lambda x: [
        torch.addmm(torch.arange(5.0), x[:, 0], torch.ones(4, 5), beta=0.5, alpha=2),
        x[0].addmm(x[1], torch.eye(4)),
        torch.addmm(x[0] / 0, x[0], torch.eye(4), beta=0),
        torch.baddbmm(torch.ones(1), x, x.mT),
    ],
    "einsum": lambda x: [
        torch.einsum("btf,bsf->bts", x, x * 2),
        torch.einsum("btf -> fb", x),
        torch.einsum("btf,fg", x, torch.ones(4, 2)),
        torch.einsum("...f,f->...", x, torch.arange(4.0)),
        torch.einsum("...,b...->b", torch.ones(4), x),
        torch.einsum("bt,btf,fg->bg", x.sum(2), x, torch.ones(4, 2)),
        torch.einsum("i,j->ij", [x[0, :, 0], x[:, 0, 0]]),
        torch.einsum("btf,b->", x, torch.ones(1)),
    ],
    "glu": lambda x: [F.glu(x), F.glu(x.transpose(1, 2), 1)],
    "one_hot": lambda x: F.one_hot(x.argmax(-1), 4),
}

SHAPES = {
    "reshape": lambda x: [x.reshape(-1, 4), x.view(x.size(0), -1), x.reshape(x.shape[0] * x.shape[1], 2, 2)],
    "named": lambda x: [x.view_as(x), x.reshape_as(x), x.flatten(), x.flatten(1), x.ravel(), x.unflatten(-1, (2, 2))],
    "heads": lambda x: x.view(x.size(0), x.size(1), 2, -1).transpose(1, 2).reshape(x.size(0) * 2, x.size(1), 2),
    "halves": lambda x: x.reshape(x.shape[0], x.shape[1] * x.shape[2] // 2, 2),
    "permute": lambda x: [x.permute(2, 0, 1), x.transpose(0, 1), x.swapaxes(-1, 0), x[0].t(), x.T, x.mT],
    "squeeze": lambda x: [x.unsqueeze(1).squeeze(1), x[:, :1].squeeze(1), x.unsqueeze(-1), x.unsqueeze(0).squeeze()],
    "expand": lambda x: [x.unsqueeze(0).expand(3, -1, -1, -1), x[:, :1].expand_as(x), x[:1].expand(x.size(0), -1, 4)],
    "repeat": lambda x: [x.repeat(2, 1, 3), x.repeat(2, 1, 1, 1)],
    "flip": lambda x: [x.flip(1), torch.flip(x, (0, 2))],
    "triangles": lambda x: [
        x.tril(),
        x.triu(1),
        torch.tril(x, -2),
        torch.ones(x.size(1), x.size(1)).triu(1) > 0,
        (x > 0).triu(x.size(1) - 6),
        (x * 9).int().tril(),
    ],
    "pad": lambda x: [F.pad(x, (1, 2)), F.pad(x, (0, 0, 1, 0), value=3.0)],
    "cat": lambda x: [
        torch.cat([x, x * 2], 1),
        torch.cat((x, x > 0), dim=-1),
        torch.stack([x, -x], 1),
        torch.stack((x, x), -1),
    ],
    "split": lambda x: [*x.split(3, -1), *x.chunk(2, 2), *torch.split(x, [1, 3], dim=2), *x.chunk(1, 2), *x.unbind(2)],
    "narrow": lambda x: [x.narrow(1, 1, 2), x.narrow(1, -3, 2), x.select(1, -1)],
}

INDEXING = {
    "last": lambda x: [x[:, -1], x[-1], x[0], x[..., 0], x[:, 0, 1:3]],
    "slices": lambda x: [x[1:], x[:, ::2], x[:, :-1], x[:, 1:5:3, -2:], x[..., None, :2], x[None]],
    "sizes": lambda x: [x[:, x.size(1) - 1], x[:, : x.size(1) // 2], x[x.shape[0] - 2 :]],
    "last step of each": lambda x: x[torch.arange(x.size(0)), (x[:, 0, 0] > 0).long() + x.size(1) - 2],
    "rows": lambda x: [x[torch.tensor([1, 0, -1])], x[x.argmax(1)[:, 0] * 0], x[x[:, 0, 0].argmax()]],
    "two that broadcast": lambda x: [
        x[torch.arange(x.size(0))[:, None], torch.arange(x.size(1) - 1)],
        x[torch.tensor([[1], [-1]]), [[0, 2, -1]], [1, 0, 2]],
        x[x.argmax(0)[:1, None] * 0, x.argmax(1)[:, :, None]],
    ],
    "one among slices": lambda x: [
        x[:, torch.tensor([1, 0, -1])],
        x[..., [3, 0]],
        x[0, torch.tensor([[1], [0]])],
        x[1, :, [2, 1]],
        x[:, None, [1], 1:],
        x[1:, x[0, :, 0].argsort()],
    ],
    "gather": lambda x: x.gather(1, x.argmax(1, keepdim=True)),
    "index_select": lambda x: x.index_select(2, torch.tensor([3, 0])),
}

NEW = {
    "zeros": lambda x: torch.zeros(2, x.size(0), 3) + x.new_ones(x.shape[0], 1),
    "full": lambda x: [torch.full((x.size(1), 2), 7), x.new_full((x.size(0),), 1.5), torch.ones(x.shape[:2])],
    "like": lambda x: [torch.zeros_like(x), torch.ones_like(x > 0), torch.full_like(x, 2.0), x.new_zeros(x.size(0), 2)],
    "arange": lambda x: [torch.arange(x.size(1)), torch.arange(1, x.size(1) + 1, 2), torch.arange(x.size(0)).float()],
    "range of floats": lambda x: torch.arange(x.size(0), dtype=torch.float32),
    "positions": lambda x: x + torch.arange(x.size(1)).unsqueeze(-1) / x.size(1),
    "state": lambda x: [x.detach().clone().contiguous().cpu(), x.data],
}  # fmt: skip

CASES = ELEMENTWISE | REDUCTIONS | PRODUCTS | SHAPES | INDEXING | NEW


@pytest.mark.filterwarnings("ignore:Implicit dimension choice for softmax has been deprecated:UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_same_numbers(name, same_in_onnx_runtime):
    def run(x):
        return CASES[name](x + 0)  # what writes in place leaves the input as it is

    first, second = X
    same_in_onnx_runtime(run, (floats(first),), (floats(second, 1),))


def test_loops_over_sizes_that_are_fixed(same_in_onnx_runtime):
    def run(x):
        return [row + 1 for row in x.transpose(0, 2)], [x[..., k] for k in range(x.size(-1))]

    same_in_onnx_runtime(run, (floats((2, 3, 4)),), (floats((5, 6, 4)),), dynamic_axes={"x": [0, 1]})


def test_arithmetic_of_sizes(same_in_onnx_runtime):
    def run(x):
        return x[:, x.size(1) % 3 :], x.reshape(x.size(0), (x.size(1) + 1 - 1) * 4)

    same_in_onnx_runtime(run, (floats((2, 7, 4)),), (floats((3, 9, 4)),), (floats((3, 8, 4)),))


def test_every_public_operation_is_exported_or_refused(same_in_onnx_runtime):
    """None slips through and leaves its numbers as constants."""
    from tinyrnn.interop.onnx.tracing import Traced

    kept = {"__init__", "__getattr__", "__hash__", "__repr__", "__format__", "__copy__", "__deepcopy__"}
    kept |= {"dim", "element_size", "is_floating_point", "is_contiguous", "requires_grad_"}
    own = {name for name, member in vars(tinyrnn.Tensor).items() if callable(member)}
    assert own - kept <= set(vars(Traced))
    for name, *arguments in (("cumprod", 0), ("outer", floats((3,))), ("nonzero",), ("unique",), ("roll", 1), ("trunc",)):
        x = floats((3,)) if name == "outer" else floats((3, 3))
        with pytest.raises(
            NotImplementedError, match=rf"^{name}, called at .*test_onnx_operations\.py:\d+, cannot be exported"
        ):
            same_in_onnx_runtime(lambda x, name=name, more=tuple(arguments): getattr(torch, name)(x, *more), (x,))
