"""A language model whose output layer is its embedding (Press & Wolf 2017), saved and loaded by its state dict."""

import math

import torch
import torch.nn as nn
from common import integers, seeded


class TiedModel(nn.Module):
    def __init__(self, vocab, size):
        super().__init__()
        self.encoder = nn.Embedding(vocab, size)
        self.gru = nn.GRU(size, size, num_layers=2, dropout=0.0)
        self.decoder = nn.Linear(size, vocab)
        self.decoder.weight = self.encoder.weight

    def forward(self, x, h=None):
        output, h = self.gru(self.encoder(x), h)
        return self.decoder(output), h


def main(report):
    model = seeded(TiedModel(23, 16))
    report("parameters", sum(p.numel() for p in model.parameters()))
    data = integers(23, 20, 4)
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for n, p in model.named_parameters() if p.dim() > 1], "weight_decay": 0.1},
            {"params": [p for n, p in model.named_parameters() if p.dim() <= 1], "weight_decay": 0.0},
        ],
        lr=2e-3,
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 3))
    for _ in range(5):
        logits, _ = model(data[:-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), data[1:].flatten(), label_smoothing=0.1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        scheduler.step()
        report("perplexity", math.exp(loss.item()))
    assert model.decoder.weight is model.encoder.weight
    report("shared gradient", model.encoder.weight.grad)
    other = TiedModel(23, 16)
    other.load_state_dict(model.state_dict())
    other.eval()
    with torch.no_grad():
        report("loaded", other(data[:3])[0])
