"""A forecaster of a noisy wave: windows from a Dataset, LSTM, one cycle of the learning rate, prediction step by step."""

import numpy as np
import torch
import torch.nn as nn
from common import seeded
from torch.utils.data import BatchSampler, DataLoader, Dataset, SequentialSampler


class Windows(Dataset):
    def __init__(self, series, width):
        self.series, self.width = series, width

    def __len__(self):
        return len(self.series) - self.width

    def __getitem__(self, start):
        window = self.series[start : start + self.width + 1]
        return {"past": torch.tensor(window[:-1, None]), "next": window[-1]}


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(input_size=1, hidden_size=10, num_layers=2, batch_first=True)
        self.head = nn.Linear(10, 1)
        self.register_buffer("scale", torch.tensor(1.5))

    def forward(self, past, state=None):
        output, state = self.lstm(past / self.scale, state)
        return self.head(output[:, -1]).squeeze(-1) * self.scale, state


def main(report):
    t = np.arange(60, dtype=np.float32)
    series = (np.sin(t / 4) + 0.1 * np.random.default_rng(0).normal(size=60)).astype(np.float32)
    data = Windows(series, 10)
    loader = DataLoader(data, batch_sampler=BatchSampler(SequentialSampler(data), 16, drop_last=True))
    model = seeded(Forecaster())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, epochs=3, steps_per_epoch=len(loader))
    for _ in range(3):
        for batch in loader:
            predicted, _ = model(batch["past"])
            loss = nn.SmoothL1Loss()(predicted, batch["next"])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_value_(model.parameters(), 0.5)
            optimizer.step()
            scheduler.step()
            report("loss", loss)
    model.eval()
    with torch.no_grad():
        value, state = model(torch.tensor(series[None, :20, None]))
        ahead = []
        for _ in range(5):
            ahead.append(value.item())
            value, state = model(value.view(1, 1, 1), state)
    report("ahead", ahead)
    report("scale", model.state_dict()["scale"])
