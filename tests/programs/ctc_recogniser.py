"""A recogniser of made-up speech: frames that last a while each, a bidirectional LSTM, CTCLoss, best paths decoded."""

import numpy as np
import torch
from common import seeded
from torch import nn
from torch.nn.utils.rnn import pad_sequence

BLANK, LETTERS, FEATURES = 0, 5, 8


def utterances(count):
    """Letters, each spoken as two to four noisy copies of its sound."""
    rng = np.random.default_rng(3)
    sounds = rng.normal(size=(LETTERS + 1, FEATURES))
    for _ in range(count):
        letters = rng.integers(1, LETTERS + 1, rng.integers(2, 6))
        frames = sounds[np.repeat(letters, rng.integers(2, 5, len(letters)))]
        yield frames + 0.3 * rng.normal(size=frames.shape), letters


def collate(pairs):
    frames = [torch.from_numpy(frames.astype(np.float32)) for frames, _ in pairs]
    targets = [torch.from_numpy(letters) for _, letters in pairs]
    lengths = [torch.tensor([len(each) for each in group]) for group in (frames, targets)]
    return pad_sequence(frames, batch_first=True), torch.cat(targets), *lengths


class Recogniser(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(FEATURES, 16, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(32, LETTERS + 1)

    def forward(self, frames):
        return self.head(self.lstm(frames)[0]).log_softmax(2)


def greedy(log_probs, lengths):
    decoded = []
    for path, length in zip(log_probs.argmax(dim=-1), lengths):
        merged = torch.stack([label for t, label in enumerate(path[:length]) if t == 0 or label != path[t - 1]])
        decoded.append([label.item() for label in merged if label != BLANK])
    return decoded


def main(report):
    model = seeded(Recogniser())
    frames, targets, frame_lengths, target_lengths = collate(list(utterances(12)))
    criterion = nn.CTCLoss(blank=BLANK, zero_infinity=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(20):
        log_probs = model(frames)
        loss = criterion(log_probs.transpose(0, 1), targets, frame_lengths, target_lengths)
        optimizer.zero_grad()
        loss.backward()
        report("norm", nn.utils.clip_grad_norm_(model.parameters(), 5.0))
        optimizer.step()
        report("loss", loss.item())
    model.eval()
    with torch.no_grad():
        decoded = greedy(model(frames), frame_lengths)
    report("letters", [letter for letters in decoded for letter in letters])
    losses = nn.functional.ctc_loss(
        log_probs.transpose(0, 1), targets, frame_lengths.tolist(), tuple(target_lengths.tolist()), reduction="none"
    )
    report("losses", losses)
