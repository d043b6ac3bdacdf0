"""A classifier of padded sentences: LSTM, multi-head self-attention that leaves out the padding, mean over the words."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from common import integers, seeded


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(30, 12, padding_idx=0)
        self.lstm = nn.LSTM(12, 8, batch_first=True, bidirectional=True)
        self.attention = nn.MultiheadAttention(16, 4, dropout=0.0, batch_first=True)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 3)

    def forward(self, words):
        padding = words == 0
        output, _ = self.lstm(self.embedding(words))
        attended, weights = self.attention(output, output, output, key_padding_mask=padding)
        states = self.norm(output + attended).masked_fill(padding.unsqueeze(-1), 0.0)
        return self.head(states.sum(1) / (~padding).sum(1, keepdim=True)), weights


def main(report):
    lengths = integers(9, 12, seed=1) + 1
    words = integers(29, 12, 9, seed=2) + 1
    words[torch.arange(9) >= lengths.unsqueeze(1)] = 0
    labels = words[:, 0] % 3
    model = seeded(Classifier())
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(6):
        for rows in torch.arange(12).split(4):
            logits, weights = model(words[rows])
            loss = F.cross_entropy(logits, labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        report("loss", loss)
        report("weights", weights)
    report("in_proj", model.attention.in_proj_weight)
    model.eval()
    with torch.no_grad():
        states, _ = model.lstm(model.embedding(words))
        future = torch.triu(torch.ones(9, 9), diagonal=1).bool()
        report("causal", model.attention(states, states, states, attn_mask=future, need_weights=False)[0])
        report("pooled", F.scaled_dot_product_attention(states, states, states, is_causal=True).mean(1))
        report("logits", model(words)[0])
