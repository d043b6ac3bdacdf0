"""Ops written by hand inside recurrent networks: saturating, reversing gradients, rounding; a second derivative."""

import torch
import torch.nn as nn
from common import normal, seeded
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class Squash(Function):
    """x / (1 + |x|), which can be differentiated twice."""

    @staticmethod
    def forward(ctx, x, scale):
        ctx.scale = scale
        ctx.save_for_backward(x)
        return scale * x / (1 + x.abs())

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * ctx.scale / (1 + x.abs()) ** 2, None


class ReverseGradient(Function):
    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output.neg() * ctx.strength, None


class StraightThrough(Function):
    @staticmethod
    def forward(ctx, x):
        return (x > 0.5).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        return grad_output.clone()


class SplitExp(Function):
    """Two outputs, by the newer style."""

    @staticmethod
    def forward(x):
        return x.exp(), (-x).exp()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*output)

    @staticmethod
    def backward(ctx, grad_up, grad_down):
        up, down = ctx.saved_tensors
        return grad_up * up - grad_down * down


class SquashRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.i2h = nn.Linear(3, 7)
        self.h2h = nn.Linear(7, 7)
        self.out = nn.Linear(7, 2)
        self.domain = nn.Linear(7, 2)

    def forward(self, x):
        h = x.new_zeros(x.size(1), 7)
        for x_t in x:
            h = Squash.apply(self.i2h(x_t) + self.h2h(h), 1.5)
        up, down = SplitExp.apply(h * 0.5)
        h = (up - down) / 2
        return self.out(h), self.domain(ReverseGradient.apply(h, 0.3)), StraightThrough.apply(torch.sigmoid(h))


def main(report):
    model = seeded(SquashRNN())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    target, domain = torch.tensor([0, 1, 1, 0]), torch.tensor([0, 0, 1, 1])
    for step in range(4):
        x = normal(5, 4, 3, seed=step)
        label, guess, gates = model(x)
        loss = nn.functional.cross_entropy(label, target) + nn.functional.cross_entropy(guess, domain) + 0.01 * gates.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        report("loss", loss.item())
    x = normal(5, 4, 3).requires_grad_()
    (gradient,) = torch.autograd.grad(model(x)[0].sum(), x, create_graph=True)
    penalty = (gradient.norm(2, dim=-1) - 1).pow(2).mean()
    model.zero_grad()
    penalty.backward()
    report("penalty", penalty.item())
    report("gradient", model.h2h.weight.grad)
    assert torch.autograd.gradcheck(SplitExp.apply, (normal(3).double().requires_grad_(),))
