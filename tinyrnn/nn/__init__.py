"""Layers, containers, losses and what goes with them, under PyTorch's names."""

from tinyrnn import _lazy
from tinyrnn.nn import functional, init, utils
from tinyrnn.nn.activation import (
    ELU,
    GELU,
    Flatten,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from tinyrnn.nn.aligned_attention import CoverageAttention, CoverageLoss, LocationAwareAttention
from tinyrnn.nn.attention import AdditiveAttention, Attention, DotAttention, GeneralAttention, ScaledDotAttention
from tinyrnn.nn.bidirectional import Bidirectional
from tinyrnn.nn.container import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from tinyrnn.nn.custom import CustomCell, CustomRNN
from tinyrnn.nn.dropout import Dropout
from tinyrnn.nn.embedding import Embedding
from tinyrnn.nn.linear import Identity, Linear
from tinyrnn.nn.losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    CTCLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from tinyrnn.nn.module import Module
from tinyrnn.nn.multihead import MultiheadAttention
from tinyrnn.nn.normalization import LayerNorm
from tinyrnn.nn.parameter import Parameter
from tinyrnn.nn.recurrent import GRU, LSTM, RNN
from tinyrnn.nn.recurrent_cells import GRUCell, LSTMCell, RNNCell
from tinyrnn.nn.summarize import summary

__all__ = [
    "AdditiveAttention",
    "Attention",
    "Bidirectional",
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "CoverageAttention",
    "CoverageLoss",
    "CustomCell",
    "CustomRNN",
    "CTCLoss",
    "DotAttention",
    "Dropout",
    "ELU",
    "Embedding",
    "Flatten",
    "GELU",
    "GeneralAttention",
    "GRU",
    "GRUCell",
    "Hardtanh",
    "Identity",
    "KLDivLoss",
    "L1Loss",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LocationAwareAttention",
    "LogSigmoid",
    "LogSoftmax",
    "LSTM",
    "LSTMCell",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MSELoss",
    "MultiheadAttention",
    "NLLLoss",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "ReLU",
    "RNN",
    "RNNCell",
    "ScaledDotAttention",
    "Sequential",
    "Sigmoid",
    "SiLU",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Tanh",
    "functional",
    "init",
    "summary",
    "utils",
]

__getattr__ = _lazy.answering(__name__)
