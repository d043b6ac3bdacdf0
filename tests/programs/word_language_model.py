"""PyTorch's word_language_model: batchify, detached states, clipping and gradient descent written by hand, and sampling."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from common import integers, seeded


class RNNModel(nn.Module):
    def __init__(self, rnn_type, ntoken, ninp, nhid, nlayers, dropout=0.5, tie_weights=False):
        super().__init__()
        self.ntoken = ntoken
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, ninp)
        if rnn_type in ["LSTM", "GRU"]:
            self.rnn = getattr(nn, rnn_type)(ninp, nhid, nlayers, dropout=dropout)
        else:
            nonlinearity = {"RNN_TANH": "tanh", "RNN_RELU": "relu"}[rnn_type]
            self.rnn = nn.RNN(ninp, nhid, nlayers, nonlinearity=nonlinearity, dropout=dropout)
        self.decoder = nn.Linear(nhid, ntoken)
        if tie_weights:
            if nhid != ninp:
                raise ValueError("When using the tied flag, nhid must be equal to emsize")
            self.decoder.weight = self.encoder.weight
        self.init_weights()
        self.rnn_type = rnn_type
        self.nhid = nhid
        self.nlayers = nlayers

    def init_weights(self):
        initrange = 0.1
        nn.init.uniform_(self.encoder.weight, -initrange, initrange)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -initrange, initrange)

    def forward(self, input, hidden):
        emb = self.drop(self.encoder(input))
        output, hidden = self.rnn(emb, hidden)
        output = self.drop(output)
        decoded = self.decoder(output)
        decoded = decoded.view(-1, self.ntoken)
        return F.log_softmax(decoded, dim=1), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        if self.rnn_type == "LSTM":
            return weight.new_zeros(self.nlayers, bsz, self.nhid), weight.new_zeros(self.nlayers, bsz, self.nhid)
        return weight.new_zeros(self.nlayers, bsz, self.nhid)


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    data = data.narrow(0, 0, nbatch * bsz)
    return data.view(bsz, -1).t().contiguous()


def repackage_hidden(h):
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


def get_batch(source, i, bptt):
    seq_len = min(bptt, len(source) - 1 - i)
    return source[i : i + seq_len], source[i + 1 : i + 1 + seq_len].view(-1)


def train(model, criterion, data, lr, bptt, report):
    model.train()
    total_loss = 0.0
    hidden = model.init_hidden(data.size(1))
    for i in range(0, data.size(0) - 1, bptt):
        inputs, targets = get_batch(data, i, bptt)
        model.zero_grad()
        hidden = repackage_hidden(hidden)
        output, hidden = model(inputs, hidden)
        loss = criterion(output, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-lr)
        total_loss += loss.item()
        report("loss", loss.item())
    report("perplexity", math.exp(total_loss / len(range(0, data.size(0) - 1, bptt))))


def main(report):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(1111)
    corpus = integers(20, 210)
    for rnn_type, tied in (("LSTM", True), ("GRU", False), ("RNN_TANH", False)):
        model = seeded(RNNModel(rnn_type, 20, 10, 10, 2, dropout=0.0, tie_weights=tied)).to(device)
        criterion = nn.NLLLoss()
        data = batchify(corpus, 4).to(device)
        for epoch in range(2):
            train(model, criterion, data, 5.0 / (epoch + 1), 9, report)
        model.eval()
        hidden = model.init_hidden(1)
        word = torch.zeros(1, 1, dtype=torch.long)
        with torch.no_grad():
            for _ in range(8):
                output, hidden = model(word, hidden)
                word_weights = output.squeeze().div(0.8).exp().cpu()
                report("weights", word_weights)
                word.fill_(torch.topk(word_weights, 1)[1][0])
