"""A character-level GRU language model with truncated backpropagation through time; prints a sample as it learns.

    python examples/character_model.py [--data FILE] [--minutes 1]

Without --data it reads the English of Python's own help topics.
"""

from __future__ import annotations

import argparse
import pathlib
import time

import tinyrnn as torch
import tinyrnn.nn as nn
import tinyrnn.nn.functional as F

BATCH, STEPS, HIDDEN = 32, 64, 192


def read_text(path: str | None) -> str:
    if path is not None:
        return pathlib.Path(path).read_text(encoding="utf-8")
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics))


class CharacterModel(nn.Module):
    def __init__(self, characters: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, 48)
        self.gru = nn.GRU(48, HIDDEN, batch_first=True)
        self.output = nn.Linear(HIDDEN, characters)

    def forward(self, ids, state=None):
        outputs, state = self.gru(self.embedding(ids), state)
        return self.output(outputs), state


@torch.no_grad()
def sample(model: CharacterModel, first: int, length: int = 200, temperature: float = 0.7) -> list[int]:
    ids, state = [first], None
    for _ in range(length):
        logits, state = model(torch.tensor([[ids[-1]]]), state)
        ids.append(int(torch.multinomial(F.softmax(logits[0, -1] / temperature, dim=0), 1)))
    return ids


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a UTF-8 text file")
    parser.add_argument("--minutes", type=float, default=1.0)
    options = parser.parse_args()

    text = read_text(options.data)
    characters = sorted(set(text))
    ids = {c: i for i, c in enumerate(characters)}
    columns = (len(text) - 1) // BATCH
    stream = torch.tensor([ids[c] for c in text[: BATCH * columns + 1]])
    inputs, targets = stream[:-1].view(BATCH, columns), stream[1:].view(BATCH, columns)

    torch.manual_seed(0)
    model = CharacterModel(len(characters))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    started, step, state = time.time(), 0, None
    while time.time() - started < 60 * options.minutes:
        start = step * STEPS % (columns - STEPS)
        logits, state = model(inputs[:, start : start + STEPS], state)
        state = state.detach()  # the gradient ends here, the state goes on
        loss = F.cross_entropy(logits.flatten(0, 1), targets[:, start : start + STEPS].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 100 == 0:
            print(f"step {step}  {time.time() - started:.0f} s  loss {loss.item():.3f} nats per character")
    print("".join(characters[i] for i in sample(model, ids.get("T", 0))))


if __name__ == "__main__":
    main()
