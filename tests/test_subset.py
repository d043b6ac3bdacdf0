"""The subset of PyTorch: what recurrent programs call is there, under PyTorch's parameter names, order and defaults."""

from __future__ import annotations

import importlib
import inspect

import pytest

import tinyrnn

# Kinds of programs found in tutorials and repositories, and what they call.
PROGRAMS = {
    "word language model": """
        nn.Embedding nn.RNN nn.GRU nn.LSTM nn.Dropout nn.init.uniform_ nn.init.zeros_ nn.functional.log_softmax
        nn.NLLLoss nn.utils.clip_grad_norm_ Tensor.narrow Tensor.t Tensor.contiguous Tensor.new_zeros Tensor.detach
        Tensor.data Tensor.add_ manual_seed no_grad topk multinomial device save load accelerator.is_available
    """,
    "old language model": """
        autograd.Variable Tensor.new LongTensor FloatTensor Tensor.type_as Tensor.zero_ Tensor.normal_
        cuda.manual_seed nn.Module.parameters backends.cudnn.benchmark
    """,
    "char-rnn": """
        nn.Module.zero_grad Tensor.div Tensor.exp Tensor.cpu multinomial Tensor.unsqueeze LongTensor optim.Adam
        nn.CrossEntropyLoss Tensor.item Tensor.view Tensor.squeeze
    """,
    "names to countries": """
        zeros cat nn.Linear nn.LogSoftmax nn.NLLLoss Tensor.topk Tensor.item randint nn.functional.one_hot
        Tensor.grad optim.SGD utils.data.random_split utils.data.DataLoader nn.utils.rnn.pad_sequence
    """,
    "translation with attention": """
        nn.Embedding nn.GRU nn.Parameter bmm tanh softmax cat nn.functional.softmax nn.functional.relu
        Tensor.transpose Tensor.permute Tensor.unsqueeze empty Tensor.fill_ Tensor.topk Tensor.detach
        utils.data.TensorDataset utils.data.RandomSampler no_grad nn.functional.log_softmax
    """,
    "translation with packed batches": """
        nn.utils.rnn.pack_padded_sequence nn.utils.rnn.pad_packed_sequence nn.utils.rnn.pad_sequence
        nn.utils.rnn.PackedSequence Tensor.masked_fill Tensor.masked_fill_ Tensor.repeat Tensor.max Tensor.argmax
        nn.init.normal_ nn.init.constant_ optim.lr_scheduler.ReduceLROnPlateau Tensor.tolist Tensor.bool Tensor.sort
        Tensor.index_select
    """,
    "beam search": """
        topk Tensor.expand Tensor.index_select Tensor.view_as Tensor.floor_divide full Tensor.eq Tensor.any
        Tensor.all arange stack Tensor.gather log_softmax
    """,
    "tagger with a CRF": """
        max log exp sum full zeros Tensor.expand Tensor.view cat logsumexp Tensor.gather Tensor.masked_select
        Tensor.flip where Tensor.long Tensor.float nn.init.uniform_ Tensor.sum Tensor.logsumexp
    """,
    "tagger of characters and words": """
        nn.utils.rnn.pack_padded_sequence Tensor.index_select Tensor.sort argsort Tensor.gather nn.ModuleList
        nn.Dropout Tensor.size Tensor.split nn.functional.tanh
    """,
    "sentiment classifier": """
        nn.Embedding.from_pretrained nn.BCEWithLogitsLoss sigmoid round Tensor.round Tensor.mean
        nn.utils.rnn.pack_padded_sequence cat Tensor.squeeze nn.Sequential nn.ReLU Tensor.numel Tensor.requires_grad
    """,
    "self-attentive sentence embedding": """
        tanh softmax bmm eye Tensor.expand norm Tensor.transpose nn.functional.softmax Tensor.pow
    """,
    "hierarchical attention": "tanh einsum Tensor.masked_fill softmax unbind stack nn.LayerNorm Tensor.new_tensor",
    "matching of sentences": """
        nn.CosineSimilarity nn.CosineEmbeddingLoss nn.MarginRankingLoss abs cat nn.functional.cosine_similarity
        nn.functional.normalize exp norm
    """,
    "L-BFGS on sines": "optim.LBFGS Tensor.split nn.LSTMCell double from_numpy nn.MSELoss nn.Module.double cat",
    "forecaster of windows": """
        Tensor.unfold nn.MSELoss nn.L1Loss nn.SmoothL1Loss nn.HuberLoss Tensor.float utils.data.Dataset
        utils.data.TensorDataset optim.lr_scheduler.StepLR optim.lr_scheduler.OneCycleLR set_default_dtype
        optim.lr_scheduler.CosineAnnealingLR nn.init.xavier_uniform_ nn.init.orthogonal_ nn.Module.named_parameters
    """,
    "forecaster of distributions": """
        nn.GaussianNLLLoss nn.Softplus nn.functional.softplus normal randn log sqrt Tensor.clamp
        nn.functional.gaussian_nll_loss Tensor.std Tensor.var maximum
    """,
    "series with missing values": """
        isnan nan_to_num where exp clamp relu Tensor.fill_ nn.Parameter Tensor.cumsum logical_and isfinite
    """,
    "anomaly detector": "nn.LSTM Tensor.repeat Tensor.unsqueeze nn.L1Loss flip nn.Module.state_dict nn.Module.load_state_dict",
    "variational autoencoder": """
        randn_like exp Tensor.pow Tensor.mul Tensor.add_ nn.functional.cross_entropy nn.functional.kl_div sum
        nn.functional.gumbel_softmax nn.KLDivLoss Tensor.exp_ lerp
    """,
    "policy with memory": """
        nn.LSTMCell multinomial softmax log_softmax Tensor.gather tensor stack Tensor.detach nn.SmoothL1Loss
        nn.functional.mse_loss optim.RMSprop nn.utils.clip_grad_value_ Tensor.max no_grad Tensor.clamp_ exp minimum
    """,
    "speech with CTC": """
        nn.functional.log_softmax unique bincount argmax nn.Hardtanh nn.functional.pad Tensor.permute Tensor.int
    """,
    "hand-written LSTM": """
        nn.Parameter empty sigmoid tanh chunk Tensor.chunk mm addmm matmul nn.init.uniform_ stack Tensor.unbind
        nn.ParameterList zeros nn.functional.linear nn.functional.hardsigmoid
    """,
    "layer-normalised and highway cells": """
        nn.LayerNorm nn.functional.layer_norm rsqrt nn.functional.glu nn.ModuleList Tensor.mean square
    """,
    "echo state network": "rand bernoulli linspace Tensor.uniform_ eye matmul tril Tensor.abs Tensor.max masked_select norm",
    "copy and adding tasks": """
        randint zeros scatter Tensor.scatter_ cat nn.functional.one_hot ones Tensor.scatter_add_ randperm
    """,
    "neural Turing machine": """
        nn.functional.softplus nn.functional.softmax nn.functional.cosine_similarity outer roll cumprod
        Tensor.cumprod sort bmm Tensor.unsqueeze Tensor.baddbmm
    """,
    "memory and pointer networks": "einsum logaddexp log tanh argmax gather ones_like zeros_like Tensor.masked_fill inf",
    "gradient penalty": """
        autograd.grad autograd.backward Tensor.norm Tensor.requires_grad_ ones_like enable_grad autograd.gradcheck
    """,
    "own op": """
        autograd.Function autograd.function.once_differentiable autograd.Function.apply autograd.gradgradcheck
        autograd.set_detect_anomaly autograd.detect_anomaly
    """,
    "gradient visualiser": """
        Tensor.register_hook Tensor.retain_grad nn.Module.register_forward_hook set_printoptions Tensor.grad_fn
        nn.Module.register_forward_pre_hook nn.Module.modules nn.Module.apply Tensor.is_leaf count_nonzero
    """,
    "tied and frozen models": """
        nn.Module.requires_grad_ nn.Module.named_modules nn.Module.children nn.Module.get_parameter
        nn.Module.register_buffer nn.Module.named_buffers nn.Module.to nn.ModuleDict nn.ParameterDict nn.Identity
        Tensor.copy_ nn.utils.parameters_to_vector nn.utils.vector_to_parameters optim.Optimizer.add_param_group
    """,
    "meta learning": """
        autograd.grad nn.Module.named_parameters stack Tensor.sub Tensor.mul_ nn.utils.parameters_to_vector equal
        allclose
    """,
    "reproducible experiment": """
        manual_seed cuda.manual_seed_all use_deterministic_algorithms get_rng_state set_rng_state Generator
        backends.cudnn.deterministic backends.mps.is_available set_num_threads get_num_threads cuda.empty_cache
        initial_seed utils.data.DataLoader utils.data.Subset __version__
    """,
    "mixed precision": """
        autocast amp.autocast amp.GradScaler cuda.amp.autocast cuda.amp.GradScaler is_autocast_enabled get_autocast_dtype
        nn.utils.clip_grad_norm_ nn.BCEWithLogitsLoss cuda.is_bf16_supported
    """,
    "trainer with schedules": """
        optim.AdamW optim.Adagrad optim.lr_scheduler.LambdaLR optim.lr_scheduler.MultiStepLR
        optim.lr_scheduler.ExponentialLR optim.lr_scheduler._LRScheduler optim.lr_scheduler.SequentialLR
        inference_mode optim.lr_scheduler.LinearLR optim.Optimizer.state_dict optim.Optimizer.load_state_dict
        set_grad_enabled is_tensor
    """,
}


def found(name, root=None):
    thing = tinyrnn if root is None else root
    for part in name.split("."):
        thing = getattr(thing, part)
    return thing


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_programs_call_is_there(program):
    torch = pytest.importorskip("torch")
    importlib.import_module("torch.accelerator")
    names = PROGRAMS[program].split()
    assert not [name for name in names if not _has(torch, name)], "these are not PyTorch's"
    assert not [name for name in names if not _has(tinyrnn, name)]


def _has(library, name):
    try:
        found(name, library)
    except AttributeError:
        return False
    return True


# ---- signatures ----------------------------------------------------------------------------------------------------

MODULES = [
    "", "accelerator", "amp", "autograd", "backends", "cuda", "cuda.amp", "nn", "nn.functional", "nn.init",
    "nn.utils", "nn.utils.rnn", "optim", "optim.lr_scheduler", "utils.data",
]  # fmt: skip

DIFFERENCES = {
    "cuda.amp.autocast": ["dtype=tinyrnn.float16, in PyTorch torch.float16"],  # the same
    "dtype": ["name by position", "numpy_type by position", "category by position"],  # PyTorch's cannot be made at all
    "no_grad": ["function by position"],  # PyTorch's takes it where an instance is made
    "autograd.no_grad": ["function by position"],
    "load": ["weights_only=True, in PyTorch None"],  # None means True there
    "meshgrid": ["indexing=ij, in PyTorch None"],  # None means "ij" there, with a warning
    "utils.data.random_split": ["generator=None, in PyTorch the default generator"],  # which None means here
}


def signature(function):
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # of PyTorch's functions in C++
        return None


def pairs():
    pytest.importorskip("torch")
    for place in MODULES:
        ours = importlib.import_module(f"tinyrnn.{place}".rstrip("."))
        theirs = importlib.import_module(f"torch.{place}".rstrip("."))
        for name in ours.__all__:
            if hasattr(theirs, name) and callable(getattr(ours, name)):
                mine, its = signature(getattr(ours, name)), signature(getattr(theirs, name))
                if mine is not None and its is not None:
                    yield f"{place}.{name}".lstrip("."), mine, its


def positional(parameters):
    return [p for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def differences(mine, its):
    """What is not as in PyTorch: the order and names of what may be passed by position, and any default."""
    mine, its = mine.parameters, its.parameters
    for position, (a, b) in enumerate(zip(positional(mine), positional(its))):
        if a.name != b.name:
            yield f"{a.name} at position {position}, where PyTorch has {b.name}"
    known = any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in its.values())
    for a in positional(mine)[len(positional(its)) :]:
        if not known:
            yield f"{a.name} by position"
    for name, a in mine.items():
        if name in its and a.default != its[name].default:
            yield f"{name}={shown(a.default)}, in PyTorch {shown(its[name].default)}"


def shown(default):
    if default is inspect.Parameter.empty:
        return "nothing"
    return "the default generator" if type(default).__name__ == "Generator" else default


def test_signatures_are_pytorchs():
    found = {name: list(differences(mine, its)) for name, mine, its in pairs()}
    assert len(found) > 150
    assert {name: each for name, each in found.items() if each} == DIFFERENCES
