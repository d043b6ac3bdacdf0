"""A variational autoencoder of sentences (Bowman et al. 2016): packed LSTM encoder, word dropout, annealed KL."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from common import integers, normal, seeded
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

PAD, SOS, EOS, UNK = 0, 1, 2, 3


class SentenceVAE(nn.Module):
    def __init__(self, vocab, embed=8, hidden=10, latent=4):
        super().__init__()
        self.embedding = nn.Embedding(vocab, embed, padding_idx=PAD)
        self.encoder_rnn = nn.LSTM(embed, hidden, batch_first=True, bidirectional=True)
        self.decoder_rnn = nn.LSTM(embed + latent, hidden, batch_first=True)
        self.hidden2mean = nn.Linear(2 * hidden, latent)
        self.hidden2logv = nn.Linear(2 * hidden, latent)
        self.latent2hidden = nn.Linear(latent, 2 * hidden)
        self.outputs2vocab = nn.Linear(hidden, vocab)

    def encode(self, sentences, lengths):
        packed = pack_padded_sequence(self.embedding(sentences), lengths.tolist(), batch_first=True, enforce_sorted=False)
        _, (hidden, _) = self.encoder_rnn(packed)
        hidden = hidden.permute(1, 0, 2).reshape(sentences.size(0), -1)
        return self.hidden2mean(hidden), self.hidden2logv(hidden)

    def decode(self, z, words, lengths):
        h, c = torch.tanh(self.latent2hidden(z)).unsqueeze(0).chunk(2, dim=-1)
        embedded = self.embedding(words)
        inputs = torch.cat([embedded, z.unsqueeze(1).expand(-1, words.size(1), -1)], dim=-1)
        packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = self.decoder_rnn(packed, (h.contiguous(), c.contiguous()))
        outputs, _ = pad_packed_sequence(outputs, batch_first=True, total_length=words.size(1))
        return self.outputs2vocab(outputs)

    def forward(self, sentences, lengths, noise, dropped):
        mean, logv = self.encode(sentences, lengths)
        z = mean + torch.exp(0.5 * logv) * noise
        words = torch.where(dropped & (sentences > EOS), torch.full_like(sentences, UNK), sentences)
        return self.decode(z, words, lengths), mean, logv

    @torch.no_grad()
    def greedy(self, z, steps):
        state = tuple(s.contiguous() for s in torch.tanh(self.latent2hidden(z)).unsqueeze(0).chunk(2, dim=-1))
        word, words = torch.full((z.size(0), 1), SOS), []
        running = torch.ones(z.size(0), dtype=torch.bool)
        for _ in range(steps):
            inputs = torch.cat([self.embedding(word), z.unsqueeze(1)], dim=-1)
            outputs, state = self.decoder_rnn(inputs, state)
            _, word = torch.topk(self.outputs2vocab(outputs)[:, -1], 1, dim=-1)
            words.append(word.masked_fill(~running.unsqueeze(1), PAD))
            running &= word.squeeze(1) != EOS
            if not running.any():
                break
        return torch.cat(words, dim=1)


def kl_anneal(step, k=0.5, x0=5):
    return 1 / (1 + math.exp(-k * (step - x0)))


def main(report):
    vocab, batch = 15, 4
    lengths = torch.tensor([6, 3, 5, 2])
    tokens = integers(vocab - 4, batch, 6, seed=1) + 4
    tokens[:, 0] = SOS
    target = torch.cat([tokens[:, 1:], torch.full((batch, 1), EOS)], dim=1)
    padding = torch.arange(6).unsqueeze(0) >= lengths.unsqueeze(1)
    tokens, target = tokens.masked_fill(padding, PAD), target.masked_fill(padding, PAD)
    target[torch.arange(batch), lengths - 1] = EOS
    model = seeded(SentenceVAE(vocab))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(6):
        noise, dropped = normal(batch, 4, seed=step), integers(4, batch, 6, seed=step) == 0
        logits, mean, logv = model(tokens, lengths, noise, dropped)
        nll = F.cross_entropy(logits.view(-1, vocab), target.view(-1), ignore_index=PAD, reduction="sum")
        kl = -0.5 * torch.sum(1 + logv - mean.pow(2) - logv.exp())
        loss = (nll + kl_anneal(step) * kl) / batch
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        report("nll", nll / lengths.sum())
        report("kl", kl)
    report("between", model.decode(torch.lerp(mean[0], mean[1], 0.5)[None], tokens[:1], lengths[:1]))
    report("greedy", model.greedy(mean.detach(), 5))
