"""Sine waves predicted by two LSTM cells in float64 and trained by L-BFGS, as in PyTorch's time_sequence_prediction."""

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from common import seeded


class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm1 = nn.LSTMCell(1, 13)
        self.lstm2 = nn.LSTMCell(13, 13)
        self.linear = nn.Linear(13, 1)

    def forward(self, input, future=0):
        outputs = []
        h_t = torch.zeros(input.size(0), 13, dtype=torch.double)
        c_t = torch.zeros(input.size(0), 13, dtype=torch.double)
        h_t2 = torch.zeros(input.size(0), 13, dtype=torch.double)
        c_t2 = torch.zeros(input.size(0), 13, dtype=torch.double)
        for input_t in input.split(1, dim=1):
            h_t, c_t = self.lstm1(input_t, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            output = self.linear(h_t2)
            outputs += [output]
        for _ in range(future):
            h_t, c_t = self.lstm1(output, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            output = self.linear(h_t2)
            outputs += [output]
        return torch.cat(outputs, dim=1)


def main(report):
    np.random.seed(2)
    torch.manual_seed(0)
    phase = np.random.randint(-80, 80, 6).reshape(6, 1)
    data = np.sin((np.arange(40) + phase) / 4.0).astype("float64")
    input, target = torch.from_numpy(data[2:, :-1]), torch.from_numpy(data[2:, 1:])
    test_input, test_target = torch.from_numpy(data[:2, :-1]), torch.from_numpy(data[:2, 1:])
    seq = seeded(Sequence())
    seq.double()
    criterion = nn.MSELoss()
    for options in ({"lr": 0.8, "max_iter": 6}, {"max_iter": 5, "line_search_fn": "strong_wolfe"}):
        optimizer = optim.LBFGS(seq.parameters(), **options)

        def closure(optimizer=optimizer):
            optimizer.zero_grad()
            loss = criterion(seq(input), target)
            report("loss", loss.item())
            loss.backward()
            return loss

        optimizer.step(closure)
        with torch.no_grad():
            future = 10
            pred = seq(test_input, future=future)
            report("test loss", criterion(pred[:, :-future], test_target).item())
            report("prediction", pred.detach().numpy())
