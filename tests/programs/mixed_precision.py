"""A tagger trained in bfloat16, then in float16 with a scaler whose first steps overflow."""

import common
import torch
from torch import nn, optim
from torch.amp import GradScaler


class Tagger(nn.Module):
    def __init__(self, tokens, tags, size):
        super().__init__()
        self.embedding = nn.Embedding(tokens, size)
        self.rnn = nn.RNN(size, size, num_layers=2, batch_first=True)
        self.norm = nn.LayerNorm(size)
        self.head = nn.Linear(size, tags)

    def forward(self, tokens):
        output, _ = self.rnn(self.embedding(tokens))
        return self.head(self.norm(output))


def main(report):
    tokens, tags = common.integers(30, 8, 12, seed=1), common.integers(5, 8, 12, seed=2)
    criterion = nn.CrossEntropyLoss()
    for dtype, start in ((torch.bfloat16, 1.0), (torch.float16, 2.0**24)):
        model = common.seeded(Tagger(30, 5, 24))
        optimizer = optim.Adam(model.parameters(), lr=1e-3)
        scaler = GradScaler("cpu", init_scale=start, growth_interval=4, enabled=dtype == torch.float16)
        for step in range(12):
            optimizer.zero_grad()
            with torch.autocast(device_type="cpu", dtype=dtype):
                scores = model(tokens)
                loss = criterion(scores.transpose(1, 2), tags)
            assert scores.dtype == dtype and loss.dtype == torch.float32
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            report(f"{dtype} scale {step}".replace("tinyrnn.", "torch."), scaler.get_scale())
            report(f"{dtype} loss {step}".replace("tinyrnn.", "torch."), round(loss.item(), 1))
        with torch.autocast("cpu", dtype=dtype), torch.no_grad():
            report("share of tags", (model(tokens).argmax(-1) == tags).float().mean() > 0.2)
