"""A character model trained by truncated backpropagation through time: the state is carried on, and detached."""

import torch
import torch.nn as nn
from common import integers, seeded


class CharModel(nn.Module):
    def __init__(self, vocab_size, hidden_size, num_layers):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.rnn = nn.LSTM(hidden_size, hidden_size, num_layers)
        self.decoder = nn.Linear(hidden_size, vocab_size)
        self.hidden_size, self.num_layers = hidden_size, num_layers

    def init_hidden(self, batch_size):
        weight = next(self.parameters())
        shape = (self.num_layers, batch_size, self.hidden_size)
        return weight.new_zeros(shape), weight.new_zeros(shape)

    def forward(self, x, hidden):
        output, hidden = self.rnn(self.embedding(x), hidden)
        return self.decoder(output.view(-1, output.size(2))), hidden


def repackage(hidden):
    return tuple(h.detach() for h in hidden)


def main(report):
    model = seeded(CharModel(30, 24, 2))
    text = integers(30, 61, 5)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
    for _ in range(2):
        hidden = model.init_hidden(5)
        for start in range(0, 60, 15):
            hidden = repackage(hidden)
            optimizer.zero_grad()
            output, hidden = model(text[start : start + 15], hidden)
            loss = criterion(output, text[start + 1 : start + 16].reshape(-1))
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            report("loss", loss.item())
            report("norm", norm.item())
        scheduler.step()
        report("lr", scheduler.get_last_lr())
    model.eval()
    with torch.no_grad():
        logits, _ = model(text[:1, :1], model.init_hidden(1))
    report("next", logits.softmax(-1))
