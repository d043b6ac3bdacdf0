"""What ``tinyrnn.name`` does for names that are not loaded yet, and what every part says of names that do not exist."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable

# Modules above the tensor, and those that most programs do not need.
PARTS = ("accelerator", "autograd", "backends", "cli", "cuda", "interop", "nn", "optim", "seq2seq", "training", "utils")


# What comes nearest to names of PyTorch that are outside the subset, where it is not a name that is spelled alike.
_INSTEAD = {
    "amp": "model.float(), or model.half()",
    "autocast": "model.float(), or model.half()",
    "avg_pool1d": "Tensor.unfold and mean(-1)",
    "BatchNorm1d": "LayerNorm",
    "batch_norm": "layer_norm",
    "bfloat16": "float32 and float16",
    "checkpoint": "autograd.Function, whose backward computes anew what forward did not save",
    "compile": "nothing to call, as the kernels are compiled already",
    "Conv1d": "Linear over windows of time, which Tensor.unfold makes",
    "Conv2d": "Linear over flattened images",
    "conv1d": "linear over windows of time, which Tensor.unfold makes",
    "DataParallel": "the model itself, whose kernels use all threads (set_num_threads)",
    "distributions": "multinomial, bernoulli and normal to draw, log_softmax(-1).gather(-1, index) for log-probabilities",
    "EmbeddingBag": "Embedding, and .mean(1) of what it gives",
    "func": "autograd.grad with create_graph=True",
    "GroupNorm": "LayerNorm",
    "jit": "nothing to call, as the kernels are compiled already",
    "linalg": "norm, matmul and einsum; numpy.linalg for the rest",
    "MaxPool1d": "Tensor.unfold and .max(-1)",
    "max_pool1d": "Tensor.unfold and .max(-1)",
    "pin_memory": "the tensor itself, in main memory",
    "profiler": "tape(loss), which lists every op",
    "register_full_backward_hook": "register_forward_hook, and Tensor.register_hook on the output it is given",
    "register_backward_hook": "register_forward_hook, and Tensor.register_hook on the output it is given",
    "RMSNorm": "LayerNorm",
    "share_memory": "state_dict(), sent to the other process as NumPy arrays",
    "tensorboard": "training.Trainer(...), which writes history.jsonl and plots",
    "Transformer": "LSTM or GRU with Attention",
    "TransformerEncoder": "LSTM or GRU with Attention",
    "vmap": "an op over one more dimension: all of them broadcast",
    "weight_norm": "recurrent_dropout of LSTM, GRU and RNN",
}


def part(name: str) -> object:
    """The module ``tinyrnn.<name>``, loaded now.

    Raises
    ------
    AttributeError
        If there is none, naming what comes nearest.
    """
    if name in PARTS:
        return importlib.import_module(f"tinyrnn.{name}")
    raise missing("tinyrnn", name, sys.modules["tinyrnn"].__all__)


def missing(place: str, name: str, public: Iterable[str]) -> AttributeError:
    """The error for a `name` that `place` does not have; `public` are those that it has."""
    if name.startswith("_"):  # a protocol asks whether it is supported: nothing that a person would read
        return AttributeError(f"{place} has no attribute {name!r}")
    import difflib  # slow to load, and seldom needed

    near = _INSTEAD.get(name) or ", ".join(difflib.get_close_matches(name, public, n=3, cutoff=0.6))
    hint = f"; the nearest there is: {near}" if near else f"; dir({place}) lists what there is"
    return AttributeError(f"{place} has no {name!r} (it is a subset of PyTorch){hint}")


def instead_of(name: str) -> str:
    """What to add to an error about an attribute that PyTorch has under this name, and tinyrnn otherwise; else ""."""
    return f"; the nearest there is: {_INSTEAD[name]}" if name in _INSTEAD else ""


def answering(module_name: str) -> Callable[[str], object]:
    """The ``__getattr__`` of a module with an ``__all__``: for names that it does not have, a sentence."""

    def __getattr__(name: str) -> object:  # noqa: N807 (it is one, of the module)
        raise missing(module_name, name, sys.modules[module_name].__all__)

    return __getattr__
