"""einsum against PyTorch's, and its derivatives."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn.autograd import gradcheck, gradgradcheck

CASES = [
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("btd,bsd->bts", (2, 3, 4), (2, 5, 4)),
    ("bts,bsd->btd", (2, 3, 5), (2, 5, 4)),
    ("bi,ij,bj->b", (3, 2), (2, 4), (3, 4)),
    ("i,i->", (4,), (4,)),
    ("i,j->ij", (3,), (2,)),
    ("ij->ji", (3, 2)),
    ("ij->", (3, 2)),
    ("ij->i", (3, 2)),
    ("ij,jk", (3, 2), (2, 4)),
    ("ba", (3, 2)),
    ("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 2)),
    ("...d,d->...", (2, 3, 4), (4,)),
    ("...d,d", (2, 3, 4), (4,)),
    ("ij,kl->", (2, 3), (2, 2)),
    ("ab,bc,cd,ad->ca", (2, 3), (3, 4), (4, 2), (2, 2)),
    ("b h d , b s h d -> b h s", (2, 3, 4), (2, 5, 3, 4)),
    ("ij,ij->ij", (2, 3), (2, 3)),
    ("bi,bj->bij", (1, 3), (4, 2)),
    ("ij,jk->ik", (0, 3), (3, 2)),
    ("ij,jk->ik", (2, 0), (0, 3)),
    ("Ab,bA->b", (2, 3), (3, 2)),
]


def arrays(shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in shapes]


@pytest.mark.parametrize("equation, shapes", [(equation, shapes) for equation, *shapes in CASES])
def test_pytorch_and_derivatives(equation, shapes):
    torch = pytest.importorskip("torch")
    data = arrays(shapes)
    ours, theirs = ([lib.tensor(x, requires_grad=True) for x in data] for lib in (tinyrnn, torch))
    a, b = tinyrnn.einsum(equation, *ours), torch.einsum(equation, *theirs)
    assert tuple(a.shape) == tuple(b.shape)
    np.testing.assert_allclose(a.detach(), b.detach(), rtol=1e-12, atol=1e-12)
    (a * a).sum().backward()
    (b * b).sum().backward()
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x.grad, y.grad, rtol=1e-12, atol=1e-12)
    assert gradcheck(lambda *x: tinyrnn.einsum(equation, *x), ours)
    assert gradgradcheck(lambda *x: tinyrnn.einsum(equation, *x), ours)


def test_operands_as_a_list():
    x, y = tinyrnn.ones(2, 3), tinyrnn.ones(3)
    assert tinyrnn.einsum("ij,j->i", [x, y]).tolist() == [3, 3]


@pytest.mark.parametrize(
    "equation, shapes, message",
    [
        ("ij,jk->ik", [(2, 3)], "names 2 operands, but 1 were given"),
        ("ij->i", [(2, 3, 4)], "operand 0 has 3 dimensions, but 'ij->i' calls them 'ij'"),
        ("ij,jk->ik", [(2, 3), (4, 2)], "in 'ij,jk->ik' the dimensions 'j' have sizes 3 and 4"),
        ("ij->k", [(2, 3)], "'ij->k' is invalid"),
        ("ij->ii", [(2, 3)], "'ij->ii' is invalid"),
        ("i?->i", [(2, 3)], "is invalid: letters are"),
    ],
)
def test_errors(equation, shapes, message):
    with pytest.raises(RuntimeError, match="^einsum: .*" + message.replace("?", r"\?")):
        tinyrnn.einsum(equation, *map(tinyrnn.tensor, arrays(shapes)))


def test_diagonals_are_out():
    with pytest.raises(NotImplementedError, match="takes a diagonal"):
        tinyrnn.einsum("ii->i", tinyrnn.ones(2, 2))


@pytest.mark.parametrize(
    "spell",
    [
        lambda einsum, x, y: einsum(x, [0, 1, 2], y, [0, 2, 3], [0, 1, 3]),
        lambda einsum, x, y: einsum(x, [7, 51, 2], y, [7, 2, 30]),
        lambda einsum, x, y: einsum(x, [..., 0, 1], y, (..., 1, 2), [..., 2, 0]),
        lambda einsum, x, y: einsum(x, [4, 2, 0], []),
        lambda einsum, x, y: einsum(x, [4, 2, 0]),
    ],
)
def test_numbers_in_place_of_letters(spell):
    torch = pytest.importorskip("torch")
    data = arrays([(2, 3, 4), (2, 4, 5)])
    ours, theirs = (spell(lib.einsum, *map(lib.tensor, data)) for lib in (tinyrnn, torch))
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-12, atol=1e-12)


def test_numbers_that_are_none():
    x = tinyrnn.ones(2, 3)
    for wrong in ([0, 52], [-1, 0], ["i", "j"], 0):
        with pytest.raises(RuntimeError, match=r"each operand followed by a list of numbers from 0 to 51, got (\[|0)"):
            tinyrnn.einsum(x, wrong)
