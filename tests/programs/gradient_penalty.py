"""A critic of sequences with a gradient penalty (Gulrajani et al. 2017): a second derivative through an LSTM."""

import torch
import torch.nn as nn
from common import normal, seeded


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 12, batch_first=True)
        self.score = nn.Linear(12, 1)

    def forward(self, x):
        _, (h, _) = self.lstm(x)
        return self.score(h[-1]).squeeze(-1)


def penalty(critic, real, fake, mix):
    between = (mix * real + (1 - mix) * fake).requires_grad_(True)
    scores = critic(between)
    (gradients,) = torch.autograd.grad(
        outputs=scores, inputs=between, grad_outputs=torch.ones_like(scores), create_graph=True, retain_graph=True
    )
    return ((gradients.reshape(len(gradients), -1).norm(2, dim=1) - 1) ** 2).mean()


def main(report):
    critic = seeded(Critic())
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.9))
    for step in range(4):
        real, fake = normal(6, 9, 3, seed=step), 2 * normal(6, 9, 3, seed=step + 50)
        mix = torch.sigmoid(normal(6, 1, 1, seed=step + 90))
        cost = penalty(critic, real, fake, mix)
        loss = critic(fake).mean() - critic(real).mean() + 10 * cost
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        report("penalty", cost)
        report("loss", loss)
    report("gradient", critic.lstm.weight_hh_l0.grad)
