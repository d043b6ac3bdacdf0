"""A classifier of series: bidirectional GRU, mean over time, BCELoss, a schedule that waits for plateaus, early stopping."""

import numpy as np
import torch
import torch.nn as nn
from common import normal, seeded
from torch.utils.data import DataLoader, Subset, TensorDataset


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(2, 8, num_layers=1, batch_first=True, bidirectional=True)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Sequential(nn.Linear(16, 8), nn.Tanh(), nn.Dropout(0.0), nn.Linear(8, 1), nn.Sigmoid())

    def forward(self, x):
        output, _ = self.gru(x)
        return self.head(self.norm(output.mean(dim=1)))[:, 0]


def main(report):
    x = normal(40, 12, 2)
    y = (x[:, :, 0].sum(1) > 0).float()
    data = TensorDataset(x, y)
    train, dev = Subset(data, range(30)), Subset(data, range(30, 40))
    model = seeded(Classifier())
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.05)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", factor=0.5, patience=0)
    criterion, best, waited = nn.BCELoss(), 0.0, 0
    for _ in range(8):
        model.train()
        losses = []
        for inputs, labels in DataLoader(train, batch_size=8):
            optimizer.zero_grad()
            loss = criterion(model(inputs), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            right = torch.cat([(model(inputs) > 0.5).float() == labels for inputs, labels in DataLoader(dev, batch_size=4)])
        accuracy = right.float().mean().item()
        scheduler.step(accuracy)
        report("loss", np.mean(losses))
        report("accuracy", accuracy)
        report("lr", optimizer.param_groups[0]["lr"])
        best, waited = (accuracy, 0) if accuracy > best else (best, waited + 1)
        if waited > 4:
            break
