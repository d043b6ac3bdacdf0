"""A language model with dropped recurrent weights, whole words dropped and penalties on activations (Merity et al. 2018)."""

import torch
import torch.nn as nn
from common import integers, seeded
from torch.nn import Parameter


class WeightDrop(nn.Module):
    def __init__(self, module, weights, dropout=0.0):
        super().__init__()
        self.module, self.weights, self.dropout = module, weights, dropout
        if issubclass(type(self.module), nn.RNNBase):
            self.module.flatten_parameters = lambda *args: None
        for name in self.weights:
            weight = getattr(self.module, name)
            del self.module._parameters[name]
            self.module.register_parameter(name + "_raw", Parameter(weight.data))

    def forward(self, *args):
        for name in self.weights:
            raw = getattr(self.module, name + "_raw")
            setattr(self.module, name, nn.functional.dropout(raw, p=self.dropout, training=self.training))
        return self.module.forward(*args)


def embedded_dropout(embed, words, dropout):
    mask = embed.weight.data.new().resize_((embed.weight.size(0), 1)).bernoulli_(1 - dropout)
    weight = mask.expand_as(embed.weight) / (1 - dropout) * embed.weight
    padding_idx = -1 if embed.padding_idx is None else embed.padding_idx
    return nn.functional.embedding(
        words, weight, padding_idx, embed.max_norm, embed.norm_type, embed.scale_grad_by_freq, embed.sparse
    )


class Model(nn.Module):
    def __init__(self, vocab, size, hidden):
        super().__init__()
        self.encoder = nn.Embedding(vocab, size)
        layers = [nn.LSTM(size, hidden), nn.LSTM(hidden, size)]
        self.rnns = nn.ModuleList([WeightDrop(layer, ["weight_hh_l0"]) for layer in layers])
        self.decoder = nn.Linear(size, vocab)
        self.decoder.weight = self.encoder.weight

    def forward(self, words, hidden):
        output, new = embedded_dropout(self.encoder, words, 0.0), []
        for rnn, state in zip(self.rnns, hidden, strict=True):
            output, state = rnn(output, state)
            new.append(tuple(each.detach() for each in state))
        return self.decoder(output), new, output


def main(report):
    model = seeded(Model(21, 8, 11))
    data = integers(21, 22, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, weight_decay=1.2e-6)
    weight = next(model.parameters()).data
    hidden = [(weight.new(1, 3, n).zero_(), weight.new(1, 3, n).zero_()) for n in (11, 8)]
    for start in range(0, 21, 7):
        words, targets = data[start : start + 7], data[start + 1 : start + 8]
        words = words[: len(targets)]
        logits, hidden, output = model(words, hidden)
        loss = nn.CrossEntropyLoss()(logits.view(-1, 21), targets.view(-1))
        total = loss + 2 * output.pow(2).mean() + (output[1:] - output[:-1]).pow(2).mean()
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
        report("loss", total)
        report("raw weight", model.rnns[0].module.weight_hh_l0_raw)
