"""Sequence to sequence with attention and input feeding (Luong et al. 2015), a decoder cell stepped by hand."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from common import integers, seeded
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Encoder(nn.Module):
    def __init__(self, vocab, size):
        super().__init__()
        self.embed = nn.Embedding(vocab, size, padding_idx=0)
        self.rnn = nn.GRU(size, size // 2, bidirectional=True, batch_first=True)
        self.bridge = nn.Linear(size, size)

    def forward(self, source, lengths):
        packed = pack_padded_sequence(self.embed(source), lengths, batch_first=True, enforce_sorted=False)
        memory, h = self.rnn(packed)
        memory, _ = pad_packed_sequence(memory, batch_first=True)
        return memory, torch.tanh(self.bridge(torch.cat([h[0], h[1]], dim=1)))


class Decoder(nn.Module):
    def __init__(self, vocab, size):
        super().__init__()
        self.embed = nn.Embedding(vocab, size)
        self.cell = nn.LSTMCell(2 * size, size)
        self.attention = nn.Linear(size, size, bias=False)
        self.combine = nn.Linear(2 * size, size)
        self.out = nn.Linear(size, vocab)

    def forward(self, token, feed, state, memory, mask):
        h, c = self.cell(torch.cat([self.embed(token), feed], dim=-1), state)
        scores = torch.bmm(self.attention(memory), h.unsqueeze(2)).squeeze(2)
        weights = F.softmax(scores.masked_fill(~mask, float("-inf")), dim=1)
        context = (weights.unsqueeze(1) @ memory).squeeze(1)
        feed = torch.tanh(self.combine(torch.cat([context, h], dim=1)))
        return self.out(feed), feed, (h, c), weights


def main(report):
    vocab, size, batch = 17, 12, 4
    encoder, decoder = seeded(Encoder(vocab, size), 1), seeded(Decoder(vocab, size), 2)
    source, target = integers(vocab, batch, 7, seed=1), integers(vocab, batch, 5, seed=2)
    lengths = torch.tensor([7, 2, 5, 1])
    mask = torch.arange(7)[None, :] < lengths[:, None]
    params = list(encoder.parameters()) + list(decoder.parameters())
    optimizer = torch.optim.Adam(params, lr=3e-3)
    for _ in range(3):
        memory, h = encoder(source, lengths)
        feed, state, loss = torch.zeros(batch, size), (h, torch.zeros_like(h)), 0.0
        for t in range(4):
            logits, feed, state, weights = decoder(target[:, t], feed, state, memory, mask)
            loss = loss + F.cross_entropy(logits, target[:, t + 1], ignore_index=0)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        report("loss", loss)
        report("weights", weights)
    report("embedding gradient", encoder.embed.weight.grad)
