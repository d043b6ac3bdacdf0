"""A forecaster in the words of years ago: sums of losses by `size_average`, a softmax that guesses its dimension, Variables."""

import warnings
from collections import deque

import torch
import torch.nn as nn
import torch.nn.functional as F
from common import normal, seeded
from torch.autograd import Variable


class Forecaster(nn.Module):
    def __init__(self, features, hidden):
        super(Forecaster, self).__init__()  # noqa: UP008 (as it was written then)
        self.hidden_dim = hidden
        self.lstm = nn.LSTM(features, hidden, 2)
        self.score = nn.Linear(hidden, 1)
        self.linear = nn.Linear(hidden, 1)

    def init_hidden(self, batch):
        return [Variable(torch.zeros(2, batch, self.hidden_dim)) for _ in range(2)]

    def forward(self, input):
        output, self.hidden = self.lstm(input, tuple(self.hidden))
        weights = F.softmax(self.score(output))
        return self.linear((weights * output).sum(0)).view(-1), weights


def main(report):
    warnings.simplefilter("ignore")
    model = seeded(Forecaster(3, 6))
    loss_fn = nn.MSELoss(size_average=False)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    x, y, seen = normal(5, 4, 3), normal(4, seed=1), deque(maxlen=3)
    for _ in range(4):
        model.zero_grad()
        model.hidden = model.init_hidden(4)
        predicted, weights = model(x)
        loss = loss_fn(predicted, y)
        loss.backward()
        optimizer.step()
        seen.append(loss.data.item())
    report("losses", torch.tensor(seen))
    report("weights", weights)
    report("each", F.mse_loss(predicted, y, reduce=False))
