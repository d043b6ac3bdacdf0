"""Layers, containers, losses and what goes with them, under PyTorch's names."""

from tinyrnn import _lazy
from tinyrnn.nn import functional, init, utils
from tinyrnn.nn.activation import (
    ELU,
    GELU,
    GLU,
    SELU,
    Flatten,
    Hardsigmoid,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
    Unflatten,
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
    CosineEmbeddingLoss,
    CosineSimilarity,
    CrossEntropyLoss,
    CTCLoss,
    GaussianNLLLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MarginRankingLoss,
    MSELoss,
    NLLLoss,
    PairwiseDistance,
    SmoothL1Loss,
    TripletMarginLoss,
)
from tinyrnn.nn.module import Module
from tinyrnn.nn.multihead import MultiheadAttention
from tinyrnn.nn.normalization import LayerNorm
from tinyrnn.nn.parameter import Parameter
from tinyrnn.nn.recurrent import GRU, LSTM, RNN, RNNBase
from tinyrnn.nn.recurrent_cells import GRUCell, LSTMCell, RNNCell, RNNCellBase
from tinyrnn.nn.summarize import summary

__all__ = [
    "AdditiveAttention",
    "Attention",
    "Bidirectional",
    "BCELoss",
    "BCEWithLogitsLoss",
    "CosineEmbeddingLoss",
    "CosineSimilarity",
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
    "GaussianNLLLoss",
    "GELU",
    "GeneralAttention",
    "GLU",
    "GRU",
    "GRUCell",
    "Hardsigmoid",
    "Hardtanh",
    "HuberLoss",
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
    "MarginRankingLoss",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MSELoss",
    "MultiheadAttention",
    "NLLLoss",
    "PairwiseDistance",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "PReLU",
    "ReLU",
    "ReLU6",
    "RNN",
    "RNNBase",
    "RNNCell",
    "RNNCellBase",
    "ScaledDotAttention",
    "SELU",
    "Sequential",
    "Sigmoid",
    "SiLU",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
    "TripletMarginLoss",
    "Unflatten",
    "functional",
    "init",
    "summary",
    "utils",
]

__getattr__ = _lazy.answering(__name__)
