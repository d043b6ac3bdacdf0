"""Training that is interrupted, saved and resumed: model, optimizer, schedule and random state in one file."""

import io
import os
import tempfile

import torch
import torch.nn as nn
from common import integers, normal, seeded


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(15, 8, padding_idx=0)
        self.gru = nn.GRU(8, 9, batch_first=True, bidirectional=True)
        self.out = nn.Linear(18, 3)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        _, h = self.gru(self.embedding(x))
        return self.out(torch.cat([h[0], h[1]], dim=-1))


def build(seed):
    model = seeded(Classifier(), seed)
    optimizer = torch.optim.AdamW(
        [{"params": model.gru.parameters(), "lr": 0.01}, {"params": [*model.embedding.parameters(), *model.out.parameters()]}],
        lr=0.02,
        weight_decay=0.1,
    )
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[2, 4], gamma=0.5)
    return model, optimizer, scheduler


def train(model, optimizer, scheduler, epochs, report):
    criterion = nn.CrossEntropyLoss()
    for epoch in epochs:
        x, y = integers(15, 6, 7, seed=epoch), integers(3, 6, seed=epoch)
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()
        model.steps += 1
        report("loss", loss.item())
        report("lr", scheduler.get_last_lr())


def checkpoint(model, optimizer, scheduler, epoch):
    return {
        "epoch": epoch,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "history": [(0, 0.5), (1, 0.25)],
        "extra": {"name": "gru", "mean": normal(3), "flags": [True, None]},
    }


def main(report):
    parts = build(0)
    train(*parts, range(3), report)
    directory = tempfile.mkdtemp()
    path = os.path.join(directory, "checkpoint.pt")
    torch.save(checkpoint(*parts, 3), path)
    buffer = io.BytesIO()
    torch.save(parts[0].state_dict(), buffer)

    resumed = build(1)
    saved = torch.load(path, map_location=torch.device("cpu"))
    for part, name in zip(resumed, ("model", "optimizer", "scheduler")):
        part.load_state_dict(saved[name])
    assert saved["extra"]["name"] == "gru" and saved["extra"]["flags"] == [True, None] and saved["history"][1] == (1, 0.25)
    report("mean", saved["extra"]["mean"])
    train(*resumed, range(saved["epoch"], 6), report)
    train(*parts, range(3, 6), report)
    for one, other in zip(parts[0].parameters(), resumed[0].parameters()):
        assert torch.equal(one, other)
    report("steps", resumed[0].steps.item())

    buffer.seek(0)
    fresh = Classifier()
    fresh.load_state_dict(torch.load(buffer, weights_only=True))
    report("logits", fresh.eval()(integers(15, 2, 5)))
    os.remove(path)
    os.rmdir(directory)
