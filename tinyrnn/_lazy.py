"""What ``tinyrnn.name`` does for names that are not loaded yet, and what every part says of names that do not exist."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable

# Modules above the tensor, and those that most programs do not need.
PARTS = ("accelerator", "amp", "autograd", "backends", "cli", "cuda", "interop", "nn", "optim", "seq2seq", "training", "utils")


# Where to look for names that are asked for in the wrong place.
_PUBLIC = (
    "",
    "nn",
    "nn.functional",
    "nn.init",
    "nn.utils",
    "nn.utils.rnn",
    "optim",
    "optim.lr_scheduler",
    "amp",
    "autograd",
    "utils.data",
)

# What comes nearest to names of PyTorch that are outside the subset, where it is not a name that is spelled alike.
_BY_NAMES: dict[str, str] = {
    "Adadelta Adamax ASGD NAdam RAdam Rprop SparseAdam": "Adam, AdamW, RMSprop, Adagrad, SGD and LBFGS",
    "AdaptiveLogSoftmaxWithLoss": "Linear and cross_entropy over the whole vocabulary",
    "avg_pool1d AvgPool1d adaptive_avg_pool1d AdaptiveAvgPool1d": "Tensor.unfold and mean(-1), or mean(1) over all steps",
    "batch_norm instance_norm group_norm rms_norm": "layer_norm",
    "BatchNorm1d BatchNorm2d InstanceNorm1d GroupNorm RMSNorm SyncBatchNorm": "LayerNorm",
    "Bilinear bilinear": "einsum('bi,kij,bj->bk', x1, weight, x2)",
    "channels_last": "contiguous_format and preserve_format",
    "checkpoint": "autograd.Function, whose backward computes anew what forward did not save",
    "compile jit _dynamo": "the model itself: its kernels are compiled already, so leave the call out",
    "complex64 complex128 cfloat": "two tensors, of the real and the imaginary parts",
    "Conv1d conv1d": "Linear over windows of time, which Tensor.unfold makes",
    "Conv2d conv2d": "Linear over flattened images",
    "CosineAnnealingWarmRestarts CyclicLR": "CosineAnnealingLR, OneCycleLR and LambdaLR",
    "DataParallel DistributedDataParallel parallel distributed": (
        "the model itself, whose kernels use all threads of one machine (set_num_threads)"
    ),
    "custom_fwd custom_bwd": "x.float() in forward, under autocast(..., enabled=False); backward is in no region",
    "cosh sinh tan asin acos atan fmod": "exp, sin, cos and remainder; numpy for the rest",
    "diagonal trace": "diag of a matrix; of a batch of them, indexing with two aranges",
    "distributions": "multinomial, bernoulli and normal to draw, log_softmax(-1).gather(-1, index) for log-probabilities",
    "Dropout1d Dropout2d dropout1d dropout2d AlphaDropout FeatureAlphaDropout": (
        "Dropout, and input_dropout= of LSTM, GRU and RNN, which drops a feature at all steps"
    ),
    "EmbeddingBag embedding_bag": "Embedding, and .mean(1) or .sum(1) of what it gives",
    "fft stft": "numpy.fft, before the tensor is made",
    "set_flush_denormal set_num_interop_threads": (
        "nothing to set: recurrent kernels flush denormals; set_num_threads is there"
    ),
    "func vmap functional_call": "an op over one more dimension (all of them broadcast), and autograd.grad",
    "functional": "autograd.grad, once for each row of a Jacobian",
    "hub": "a model built here, and Module.load_state_dict",
    "index_put index_put_ masked_scatter masked_scatter_": "x[indices] = values",
    "inner ger tensordot kron": "matmul, outer and einsum",
    "kthvalue mode": "sort and topk",
    "linalg": "norm, matmul and einsum; numpy.linalg for the rest",
    "lobpcg svd qr inverse cholesky det": "numpy.linalg, of Tensor.numpy()",
    "MaxPool1d max_pool1d AdaptiveMaxPool1d adaptive_max_pool1d": "Tensor.unfold and .max(-1), or .max(1) over all steps",
    "modules": "nn itself, which has every layer",
    "multiprocessing": "Python's multiprocessing, with NumPy arrays",
    "NLLLoss2d": "NLLLoss",
    "onnx": "interop.onnx.export",
    "parametrize spectral_norm prune orthogonal": "weight_norm",
    "profiler autograd_profiler": "autograd.tape(loss), which lists every op",
    "register_full_backward_hook register_backward_hook register_full_backward_pre_hook": (
        "register_forward_hook, and Tensor.register_hook on the output it is given"
    ),
    "searchsorted bucketize histc": "numpy's, of Tensor.numpy()",
    "share_memory share_memory_": "state_dict(), sent to the other process as NumPy arrays",
    "sparse to_sparse sparse_coo_tensor": "dense tensors; Embedding and index_add for sums by index",
    "storage untyped_storage": "Tensor.numpy(), which shares the memory",
    "swa_utils AveragedModel": "an average of state_dict()s, loaded with load_state_dict",
    "tensorboard": "training.Trainer(...), which writes history.jsonl and plots",
    "testing": "numpy.testing, of Tensor.numpy()",
    "Transformer TransformerEncoder TransformerEncoderLayer TransformerDecoder TransformerDecoderLayer": (
        "MultiheadAttention, LayerNorm, Linear and Dropout, or LSTM with Attention"
    ),
}
_INSTEAD = {name: instead for names, instead in _BY_NAMES.items() for name in names.split()}


def part(name: str) -> object:
    """The module ``tinyrnn.<name>``, loaded now.

    Raises
    ------
    AttributeError
        If there is none, naming what comes nearest.
    """
    if name in PARTS:
        return importlib.import_module(f"tinyrnn.{name}")
    if name == "autocast":
        return part("amp").autocast  # type: ignore[attr-defined]
    raise missing("tinyrnn", name, sys.modules["tinyrnn"].__all__)


def missing(place: str, name: str, public: Iterable[str]) -> AttributeError:
    """The error for a `name` that `place` does not have; `public` are those that it has."""
    if name.startswith("_"):  # a protocol asks whether it is supported: nothing that a person would read
        return AttributeError(f"{place} has no attribute {name!r}")
    near = _INSTEAD.get(name) or ", ".join(_elsewhere(name) or _spelled_alike(name, list(public)))
    hint = f"; the nearest there is: {near}" if near else f"; dir({place}) lists what there is"
    return AttributeError(f"{place} has no {name!r} (it is a subset of PyTorch){hint}")


def _elsewhere(name: str) -> list[str]:
    """Where else in the package there is something of this name."""
    modules = [importlib.import_module(f"tinyrnn.{part}".rstrip(".")) for part in _PUBLIC]
    found = [f"{module.__name__}.{name}" for module in modules if name in getattr(module, "__all__", ())]
    return found or ([f"Tensor.{name}"] if hasattr(sys.modules["tinyrnn"].Tensor, name) else [])


def _spelled_alike(name: str, public: list[str]) -> list[str]:
    """The same in other letters, or else up to three that nearly are."""
    import difflib  # slow to load, and seldom needed

    same = [each for each in public if each.lower() == name.lower()]
    return same or difflib.get_close_matches(name, public, n=3, cutoff=0.75)


def instead_of(name: str) -> str:
    """What to add to an error about an attribute that PyTorch has under this name, and tinyrnn otherwise; else ""."""
    return f"; the nearest there is: {_INSTEAD[name]}" if name in _INSTEAD else ""


def answering(module_name: str) -> Callable[[str], object]:
    """The ``__getattr__`` of a module with an ``__all__``: for names that it does not have, a sentence."""

    def __getattr__(name: str) -> object:  # noqa: N807 (it is one, of the module)
        raise missing(module_name, name, sys.modules[module_name].__all__)

    return __getattr__
