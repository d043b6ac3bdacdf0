"""A tagger over packed sentences, trained from a DataLoader that pads its batches; accuracy on what is not padding."""

import torch
from common import integers, seeded
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset


class Sentences(Dataset):
    def __init__(self, lengths):
        self.items = [(integers(19, n, seed=n) + 1, integers(5, n, seed=n + 100)) for n in lengths]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def collate(batch):
    batch.sort(key=lambda pair: len(pair[0]), reverse=True)
    words, tags = zip(*batch)
    lengths = torch.tensor([len(w) for w in words])
    return pad_sequence(words, batch_first=True), pad_sequence(tags, batch_first=True, padding_value=-100), lengths


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 16, padding_idx=0)
        self.lstm = nn.LSTM(16, 10, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Sequential(nn.Linear(20, 12), nn.ReLU(), nn.Linear(12, 5))

    def forward(self, words, lengths):
        packed = pack_padded_sequence(self.embedding(words), lengths.cpu(), batch_first=True)
        output, (h, _) = self.lstm(packed)
        output, _ = pad_packed_sequence(output, batch_first=True)
        return self.head(output), h


def main(report):
    model = seeded(Tagger())
    loader = DataLoader(Sentences([4, 9, 1, 6, 6, 3, 8]), batch_size=3, collate_fn=collate)
    criterion = nn.CrossEntropyLoss(ignore_index=-100)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3, momentum=0.5)
    for _ in range(2):
        for words, tags, lengths in loader:
            logits, h = model(words, lengths)
            loss = criterion(logits.reshape(-1, 5), tags.reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            real = tags != -100
            report("loss", loss)
            report("right", ((logits.argmax(-1) == tags) & real).sum().item() / real.sum().item())
            report("final", h)
