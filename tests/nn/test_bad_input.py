"""What a wrong call is told: one sentence that says what is wrong, where, what was expected, and mostly how to mend it."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn


def ones(*shape):
    return tinyrnn.ones(*shape)


def ids(*shape):
    return tinyrnn.zeros(*shape, dtype=tinyrnn.int64)


def lstm(**options):
    return nn.LSTM(3, 4, **options)


def gru(**options):
    return nn.GRU(3, 4, **options)


class Model(nn.Module):
    """The path of a layer is in the sentence."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, 3), nn.LSTM(3, 4))

    def forward(self, x):
        return self.encoder(x)


class Mistaken(nn.CustomCell):
    def forward(self, x, h):
        return h[:, :2]


X = ones(5, 2, 3)
pack = nn.utils.rnn.pack_padded_sequence

WRONG = [
    (lambda: lstm()(ones(5, 2, 7)), RuntimeError,
     "LSTM: input has 7 features, expected input_size=3; is the tensor (batch, time, feature)? pass batch_first=True"),
    (lambda: lstm()(ones(2, 3, 5)), RuntimeError,
     "LSTM: input has 5 features, expected input_size=3; the last dimension must be the features"),
    (lambda: lstm(batch_first=True)(ones(5, 2, 7)), RuntimeError, "LSTM: input has 7 features, expected input_size=3"),
    (lambda: lstm()(ones(3)), ValueError,
     "LSTM: input has 1 dimensions (shape (3,)), expected 3, (time, batch, feature), or 2 without batch"),
    (lambda: lstm()(ones(5, 2, 3, 1)), ValueError,
     "LSTM: input has 4 dimensions (shape (5, 2, 3, 1)), expected 3, (time, batch, feature), or 2 without batch"),
    (lambda: lstm()(ones(0, 2, 3)), ValueError,
     "LSTM: input of shape (0, 2, 3) is empty, expected at least one sequence of one step"),
    (lambda: lstm()(ones(5, 0, 3)), ValueError,
     "LSTM: input of shape (5, 0, 3) is empty, expected at least one sequence of one step"),
    (lambda: lstm()(np.ones((5, 2, 3))), TypeError,
     "LSTM: input is a ndarray, expected a tensor; convert it with tinyrnn.tensor(...)"),
    (lambda: lstm()([[1.0, 2.0, 3.0]]), TypeError,
     "LSTM: input is a list, expected a tensor; convert it with tinyrnn.tensor(...)"),
    (lambda: lstm()(X.double()), ValueError,
     "LSTM: input is tinyrnn.float64, expected tinyrnn.float32 like the weights; convert it with "
     "input.to(tinyrnn.float32) or the model with model.to(tinyrnn.float64)"),
    (lambda: lstm()(ids(5, 2, 3)), ValueError,
     "LSTM: input is tinyrnn.int64, expected tinyrnn.float32 like the weights; convert it with "
     "input.to(tinyrnn.float32)"),
    (lambda: lstm()(None), TypeError, "LSTM: input is a NoneType, expected a tensor; convert it with tinyrnn.tensor(...)"),
    (lambda: lstm()(X, ones(1, 2, 4)), TypeError, "LSTM: the initial state is one Tensor, expected the pair (h_0, c_0)"),
    (lambda: lstm()(X, (ones(1, 2, 4),)), TypeError, "LSTM: the initial state is 1 values, expected the pair (h_0, c_0)"),
    (lambda: lstm()(X, (ones(1, 2, 4), ones(1, 2, 4), ones(1, 2, 4))), TypeError,
     "LSTM: the initial state is 3 values, expected the pair (h_0, c_0)"),
    (lambda: lstm()(X, (ones(2, 4), ones(2, 4))), RuntimeError,
     "LSTM: h_0 has shape (2, 4), expected (1, 2, 4): states are (layers*directions, batch, hidden), never batch-first"),
    (lambda: lstm()(X, (ones(2, 1, 4), ones(2, 1, 4))), RuntimeError,
     "LSTM: h_0 has shape (2, 1, 4), expected (1, 2, 4): states are (layers*directions, batch, hidden), never batch-"
     "first"),
    (lambda: lstm(batch_first=True)(ones(2, 5, 3), (ones(2, 1, 4), ones(2, 1, 4))), RuntimeError,
     "LSTM: h_0 has shape (2, 1, 4), expected (1, 2, 4): states are (layers*directions, batch, hidden), never batch-"
     "first"),
    (lambda: lstm(bidirectional=True)(X, (ones(1, 2, 4), ones(1, 2, 4))), RuntimeError,
     "LSTM: h_0 has shape (1, 2, 4), expected (2, 2, 4): states are (layers*directions, batch, hidden), never batch-"
     "first"),
    (lambda: lstm()(X, (ones(1, 2, 4), ones(1, 3, 4))), RuntimeError,
     "LSTM: c_0 has shape (1, 3, 4), expected (1, 2, 4): states are (layers*directions, batch, hidden), never batch-"
     "first"),
    (lambda: lstm()(X, (ones(1, 2, 4).double(), ones(1, 2, 4))), ValueError,
     "LSTM: h_0 is tinyrnn.float64, expected tinyrnn.float32 like the weights; convert it with h_0.to(tinyrnn.float32)"
     " or the model with model.to(tinyrnn.float64)"),
    (lambda: lstm()(ones(5, 3), (ones(1, 2, 4), ones(1, 2, 4))), RuntimeError,
     "LSTM: h_0 has shape (1, 2, 4), expected (1, 4): states of an unbatched input are (layers*directions, hidden)"),
    (lambda: lstm(proj_size=2)(X, (ones(1, 2, 4), ones(1, 2, 4))), RuntimeError,
     "LSTM: h_0 has shape (1, 2, 4), expected (1, 2, 2): states are (layers*directions, batch, hidden), never batch-"
     "first"),
    (lambda: gru()(X, (ones(1, 2, 4), ones(1, 2, 4))), TypeError,
     "GRU: h_0 is a tuple, expected a tensor; convert it with tinyrnn.tensor(...)"),
    (lambda: gru()(X, 0), TypeError, "GRU: h_0 is a int, expected a tensor; convert it with tinyrnn.tensor(...)"),
    (lambda: gru()(X, ones(1, 2, 5)), RuntimeError,
     "GRU: h_0 has shape (1, 2, 5), expected (1, 2, 4): states are (layers*directions, batch, hidden), never batch-"
     "first"),
    (lambda: lstm()(X, lengths=[5]), ValueError,
     "LSTM: lengths have shape (1,), expected (2,): one for each sequence of the batch"),
    (lambda: lstm()(X, lengths=[5, 6]), ValueError, "LSTM: lengths[1] is 6, expected 0 to 5, the number of time steps"),
    (lambda: lstm()(X, lengths=[5, -1]), ValueError, "LSTM: lengths[1] is -1, expected 0 to 5, the number of time steps"),
    (lambda: lstm()(X, lengths=[5.0, 1.0]), TypeError, "LSTM: lengths are float64, expected integers"),
    (lambda: lstm()(X, lengths=[[5], [1, 2]]), TypeError,
     "LSTM: lengths are a nested list, expected 2 integers, one for each sequence"),
    (lambda: lstm()(X, lengths=5), ValueError,
     "LSTM: lengths have shape (), expected (2,): one for each sequence of the batch"),
    (lambda: lstm()(X, lengths="ab"), ValueError,
     "LSTM: lengths have shape (), expected (2,): one for each sequence of the batch"),
    (lambda: lstm()(X, lengths=tinyrnn.tensor([True, False])), TypeError, "LSTM: lengths are bool, expected integers"),
    (lambda: lstm()(pack(X, [5, 2]), lengths=[5, 2]), TypeError,
     "LSTM: input is a PackedSequence, which knows its lengths; leave out lengths="),
    (lambda: lstm()(pack(ones(5, 2, 7), [5, 2])), RuntimeError,
     "LSTM: the data of the PackedSequence has shape (7, 7), expected (rows, input_size=3)"),
    (lambda: lstm()(pack(X, [5, 2]), (ones(1, 3, 4), ones(1, 3, 4))), RuntimeError,
     "LSTM: h_0 has shape (1, 3, 4), expected (1, 2, 4): states are (layers*directions, batch, hidden), never batch-"
     "first"),
    (lambda: nn.RNN(3, 4)(X, gates=True), ValueError,
     "RNN: gates=True, but this cell has no gates; return_all_states=True returns its states"),
    (lambda: lstm().step(X), ValueError,
     "LSTM: input has 3 dimensions (shape (5, 2, 3)), expected 2, (batch, feature), or 1 without batch"),
    (lambda: lstm().step(ones(2, 7)), RuntimeError, "LSTM: input has 7 features, expected input_size=3"),
    (lambda: lstm().step(ones(2, 3), ones(1, 2, 4)), TypeError,
     "LSTM: the initial state is one Tensor, expected the pair (h_0, c_0)"),
    (lambda: lstm(bidirectional=True).step(ones(2, 3)), ValueError,
     "LSTM: step reads a stream forward, but this layer is bidirectional, which needs whole sequences; call it"),
    (lambda: gru(recurrent_dropout=0.1).step(ones(2, 3)), ValueError,
     "GRU: step would draw new masks of input_dropout and recurrent_dropout at every step, expected the same at all "
     "steps of a sequence; call eval() first, or give the layer whole sequences"),
    (lambda: nn.LSTM(0, 4), ValueError, "input_size must be greater than zero"),
    (lambda: nn.LSTM(3.5, 4), TypeError, "input_size should be of type int, got: float"),
    (lambda: nn.LSTM(3, -1), ValueError, "hidden_size must be greater than zero"),
    (lambda: nn.LSTM(3, 4, 0), ValueError, "num_layers must be greater than zero"),
    (lambda: nn.LSTM(3, 4, "2"), TypeError, "num_layers should be of type int, got: str"),
    (lambda: nn.LSTM(3, 4, bias=1), TypeError, "bias should be of type bool, got: int"),
    (lambda: nn.LSTM(3, 4, 2, dropout=1.5), ValueError,
     "dropout should be a number in range [0, 1], the probability of an element being zeroed, got 1.5"),
    (lambda: nn.LSTM(3, 4, 2, dropout="high"), ValueError,
     "dropout should be a number in range [0, 1], the probability of an element being zeroed, got 'high'"),
    (lambda: nn.LSTM(3, 4, batch_first="yes"), TypeError, "batch_first should be of type bool, got: str"),
    (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "proj_size has to be smaller than hidden_size=4, got 4"),
    (lambda: nn.LSTM(3, 4, proj_size=-2), ValueError,
     "proj_size should be a positive integer or zero to disable projections, got -2"),
    (lambda: nn.LSTM(3, 4, forget_bias=1.0, bias=False), ValueError,
     "forget_bias is a matter of the biases, expected bias=True with it, got bias=False"),
    (lambda: nn.LSTM(3, 4, forget_bias="1"), TypeError, "forget_bias should be a number, got: str"),
    (lambda: nn.LSTM(3, 4, single_bias=True, bias=False), ValueError,
     "single_bias is a matter of the biases, expected bias=True with it, got bias=False"),
    (lambda: nn.LSTM(3, 4, zoneout=-0.1), ValueError,
     "zoneout should be a number in range [0, 1], the probability of a unit keeping its old state, got -0.1"),
    (lambda: nn.LSTM(3, 4, zoneout=(0.1, 0.2, 0.3)), ValueError,
     "zoneout should be a number, or of an LSTM a pair for h and c, got (0.1, 0.2, 0.3)"),
    (lambda: nn.LSTM(3, 4, recurrent_dropout=None), ValueError,
     "recurrent_dropout should be a number in range [0, 1], the probability of a unit of the state being zeroed, got "
     "None"),
    (lambda: nn.LSTM(3, 4, layer_norm=1), TypeError, "layer_norm should be of type bool, got: int"),
    (lambda: nn.LSTM(3, 4, residual=True), ValueError,
     "residual=True adds the input of every layer but the first to its output, expected num_layers > 1"),
    (lambda: nn.GRU(3, 4, zoneout=(0.1, 0.2)), ValueError,
     "zoneout should be a number, or of an LSTM a pair for h and c, got (0.1, 0.2)"),
    (lambda: nn.GRU(3, 4, reset_after=1), TypeError, "reset_after should be of type bool, got: int"),
    (lambda: nn.RNN(3, 4, nonlinearity="gelu"), ValueError, "Unknown nonlinearity 'gelu'. Select from 'tanh' or 'relu'."),
    (lambda: nn.LSTM(3, 4, dtype=tinyrnn.int64), RuntimeError,
     "Parameter: only tensors of floating point dtype can require gradients, got tinyrnn.int64; pass "
     "requires_grad=False or convert the tensor with .float()"),
    (lambda: nn.LSTMCell(3, 4)(ones(2, 7)), RuntimeError, "LSTMCell: input has 7 features, expected input_size=3"),
    (lambda: nn.LSTMCell(3, 4)(ones(5, 2, 3)), ValueError,
     "LSTMCell: input has 3 dimensions (shape (5, 2, 3)), expected 2, (batch, feature), or 1 without batch"),
    (lambda: nn.LSTMCell(3, 4)(ones(2, 3), ones(2, 4)), TypeError,
     "LSTMCell: the initial state is one Tensor, expected the pair (h, c)"),
    (lambda: nn.LSTMCell(3, 4)(ones(2, 3), (ones(3, 4), ones(3, 4))), RuntimeError,
     "LSTMCell: h has shape (3, 4), expected (2, 4): states are (batch, hidden)"),
    (lambda: nn.GRUCell(3, 4)(ones(2, 3), ones(2, 5)), RuntimeError,
     "GRUCell: h has shape (2, 5), expected (2, 4): states are (batch, hidden)"),
    (lambda: nn.GRUCell(3, 4)(ones(2, 3).double()), ValueError,
     "GRUCell: input is tinyrnn.float64, expected tinyrnn.float32 like the weights; convert it with "
     "input.to(tinyrnn.float32) or the model with model.to(tinyrnn.float64)"),
    (lambda: nn.RNNCell(3, 4, nonlinearity="elu"), ValueError, "Unknown nonlinearity 'elu'. Select from 'tanh' or 'relu'."),
    (lambda: nn.Bidirectional(nn.Linear(3, 4)), TypeError,
     "layer is a Linear, expected a recurrent layer such as nn.LSTM(...)"),
    (lambda: nn.Bidirectional(lstm(bidirectional=True)), ValueError,
     "layer reads in both directions already, expected bidirectional=False"),
    (lambda: nn.Bidirectional(lstm())(X, (ones(1, 2, 4), ones(1, 2, 4))), RuntimeError,
     "Bidirectional: h_0 has shape (1, 2, 4), expected (2*layers=2, ...): layer by layer, in each forward first"),
    (lambda: nn.Bidirectional(lstm())(X, lengths=[6, 1]), ValueError,
     "Bidirectional: lengths[0] is 6, expected 0 to 5, the number of time steps"),
    (lambda: nn.Bidirectional(lstm())(ones(5, 2, 7)), RuntimeError,
     "forward_layer: input has 7 features, expected input_size=3; is the tensor (batch, time, feature)? pass "
     "batch_first=True"),
    (lambda: nn.CustomRNN(nn.LSTMCell, 3, 4), TypeError,
     "CustomRNN: cell made a LSTMCell, expected a CustomCell; derive it from nn.CustomCell"),
    (lambda: Model()(ones(5, 2, 7)), ValueError,
     "encoder.0: input has 7 features, expected in_features=3; its shape is (5, 2, 7), the last dimension must be the "
     "features"),
    (lambda: Model().encoder[1](ones(5, 2, 7)), RuntimeError,
     "LSTM: input has 7 features, expected input_size=3; is the tensor (batch, time, feature)? pass batch_first=True"),
    (lambda: pack(X, [5, 0]), RuntimeError,
     "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0; layers take "
     "empty sequences by lengths="),
    (lambda: pack(X, [5]), ValueError,
     "pack_padded_sequence: expected 2 lengths, one for each sequence of the batch, got shape (1,)"),
    (lambda: pack(X, [6, 1]), RuntimeError,
     "pack_padded_sequence: expected lengths of at most 5, the steps of the input, got 6"),
    (lambda: nn.utils.rnn.pad_packed_sequence(X), TypeError,
     "expected a PackedSequence, got Tensor; pack_padded_sequence makes one"),
    (lambda: nn.utils.rnn.pad_packed_sequence(pack(X, [5, 2]), total_length=4), ValueError,
     "Expected total_length to be at least the length of the longest sequence in input, but got total_length=4 and max"
     " sequence length being 5"),
    (lambda: nn.utils.rnn.pad_sequence([]), RuntimeError,
     "pad_sequence: expected a list of at least one tensor with a first dimension of time, got []"),
    (lambda: nn.utils.rnn.PackedSequence(X), ValueError,
     "PackedSequence: batch_sizes are missing; pack_padded_sequence(input, lengths) makes both"),
    (lambda: nn.Linear(3, 4)(ones(2, 5)), ValueError,
     "Linear: input has 5 features, expected in_features=3; its shape is (2, 5), the last dimension must be the "
     "features"),
    (lambda: nn.Linear(3, 4)(np.ones((2, 3))), TypeError,
     "Linear: input is ndarray, expected a tensor; convert it with tinyrnn.tensor(...)"),
    (lambda: nn.Linear(3, 4)(ids(2, 3)), TypeError,
     "Linear: input is tinyrnn.int64, expected tinyrnn.float32 like the weight; convert it with x.to(tinyrnn.float32)"),
    (lambda: nn.Embedding(5, 3)(ones(2)), RuntimeError,
     "Embedding: ids must be integers, got float32; convert them with .long()"),
    (lambda: nn.Embedding(5, 3)(tinyrnn.tensor([5])), IndexError,
     "Embedding: id 5 at position (0,) is out of range: num_embeddings=5, so expected 0 to 4"),
    (lambda: nn.Embedding(5, 3)(tinyrnn.tensor([-1])), IndexError,
     "Embedding: id -1 at position (0,) is out of range: num_embeddings=5, so expected 0 to 4"),
    (lambda: nn.Embedding(5, 3, padding_idx=7), ValueError, "Embedding: padding_idx=7 must be within num_embeddings=5"),
    (lambda: nn.LayerNorm(4)(ones(2, 3)), ValueError,
     "LayerNorm: input of shape (2, 3) ends in (3,), expected normalized_shape=(4,) as its last dimensions"),
    (lambda: nn.Dropout(1.5), ValueError, "dropout probability has to be between 0 and 1, but got 1.5"),
    (lambda: nn.Dropout(0.5)(ids(2)), RuntimeError,
     "dropout(): expected a floating-point tensor, got tinyrnn.int64; convert it with .float()"),
    (lambda: nn.CrossEntropyLoss()(ones(2, 5), ids(3)), ValueError,
     "cross_entropy: an input of shape (2, 5) needs targets of shape (2,), got (3,)"),
    (lambda: nn.CrossEntropyLoss()(ones(2, 5), tinyrnn.tensor([0, 5])), IndexError,
     "cross_entropy: target 5 at position (1,) is out of range: classes=5, so expected 0 to 4 or ignore_index=-100"),
    (lambda: nn.CrossEntropyLoss()(ones(2, 5), ones(2)), RuntimeError,
     "cross_entropy: float targets are class probabilities and need the shape of the input (2, 5), got (2,); for class"
     " indices convert them with .long()"),
    (lambda: nn.CrossEntropyLoss(reduction="average"), ValueError,
     "CrossEntropyLoss: reduction='average', expected 'mean', 'sum' or 'none'"),
    (lambda: nn.CrossEntropyLoss(weight=ones(4))(ones(2, 5), ids(2)), RuntimeError,
     "weight tensor should be defined either for all 5 classes or no classes but got weight tensor of shape (4,)"),
    (lambda: nn.NLLLoss()(ones(2, 5), ids(2, 1)), ValueError,
     "nll_loss: an input of shape (2, 5) needs targets of shape (2,), got (2, 1)"),
    (lambda: nn.BCELoss()(ones(2) * 2, ones(2)), RuntimeError,
     "binary_cross_entropy: all elements of input should be between 0 and 1; for scores of any size use "
     "binary_cross_entropy_with_logits"),
    (lambda: nn.MSELoss()(ones(2), None), TypeError,
     "target is a NoneType, expected a tensor; convert it with tinyrnn.tensor(...)"),
    (lambda: nn.GeneralAttention(4, 3)(ones(2, 3, 7), ones(2, 5, 3)), ValueError,
     "GeneralAttention: query has 7 features, expected query_size=4"),
    (lambda: nn.GeneralAttention(4, 3)(ones(2, 3, 4), ones(2, 5, 3), mask=ones(2, 5)), TypeError,
     "GeneralAttention: mask is float32, expected a bool tensor (True = keep); compare it with != 0"),
    (lambda: nn.GeneralAttention(4, 3)(ones(2, 3, 4), ones(2, 5, 3), mask=ones(2, 4).bool()), ValueError,
     "GeneralAttention: mask has shape (2, 4), expected (batch, source) = (2, 5) or (batch, queries, source)"),
    (lambda: nn.GeneralAttention(4, 3)(ones(2, 3, 4), ones(2, 5, 3), lengths=[5, 6]), ValueError,
     "GeneralAttention: lengths[1] is 6, expected 0 to 5, the number of source positions"),
    (lambda: nn.DotAttention()(ones(2, 3, 4), ones(2, 5, 3)), ValueError,
     "DotAttention: query has 4 features and the keys have 3, expected the same number; GeneralAttention takes "
     "different ones"),
    (lambda: nn.DotAttention()(ones(2, 3, 4), ids(2, 5, 4)), TypeError,
     "DotAttention: keys is tinyrnn.int64, expected floating-point numbers; convert it with .float()"),
    (lambda: nn.ScaledDotAttention()(ones(2, 3, 4), ones(2, 5, 4).double()), TypeError,
     "ScaledDotAttention: query is tinyrnn.float32, expected tinyrnn.float64 like the keys; convert one with .to(...)"),
    (lambda: nn.AdditiveAttention(4, 3, 6)(ones(2, 3, 4), ones(2, 5, 3), ones(2, 5, 3).double()), TypeError,
     "AdditiveAttention: values is tinyrnn.float64, expected tinyrnn.float32 like the keys; convert one with .to(...)"),
    (lambda: nn.GeneralAttention(4, 3)(ones(2, 3, 4).double(), ones(2, 5, 3).double()), TypeError,
     "GeneralAttention: keys is tinyrnn.float64, expected tinyrnn.float32 like the weights; convert one with .to(...)"),
    (lambda: nn.CoverageAttention(4, 3, 6)(ones(2, 3, 4), ones(2, 5, 3), alignment=ids(2, 5)), TypeError,
     "CoverageAttention: alignment is tinyrnn.int64, expected tinyrnn.float32 like the keys; convert one with .to(...)"),
    (lambda: nn.AdditiveAttention(4, 3, 0), ValueError, "hidden_size must be greater than zero"),
    (lambda: nn.GeneralAttention(4, 3.0), TypeError, "key_size should be of type int, got: float"),
    (lambda: nn.MultiheadAttention(4, True), TypeError, "num_heads should be of type int, got: bool"),
    (lambda: nn.MultiheadAttention(4, 2, kdim=-1), ValueError, "kdim must be greater than zero"),
    (lambda: nn.MultiheadAttention(4, 2, dropout=1.5), ValueError,
     "dropout should be a number in range [0, 1], the probability of a weight being dropped, got 1.5"),
    (lambda: nn.MultiheadAttention(4, 2)(ones(3, 2, 4), ones(3, 2, 4).double(), ones(3, 2, 4)), TypeError,
     "MultiheadAttention: key is tinyrnn.float64, expected tinyrnn.float32 like the weights; convert one with .to(...)"),
    (lambda: nn.LSTM(3, 4).to(tinyrnn.int32), TypeError,
     "nn.Module.to only accepts floating point dtypes, but got desired dtype=tinyrnn.int32"),
    (lambda: tinyrnn.optim.SGD([], lr=0.1), ValueError, "optimizer got an empty parameter list"),
    (lambda: tinyrnn.optim.SGD(lstm().parameters(), lr=-1), ValueError, "Invalid lr: -1, expected 0.0 <= lr"),
    (lambda: tinyrnn.optim.Adam(lstm().parameters(), betas=(1.5, 0.9)), ValueError,
     "Invalid betas: 1.5, expected 0.0 <= betas < 1.0"),
    (lambda: nn.CustomRNN(Mistaken, 3, 4)(X), ValueError,
     "cell_l0: forward returned states [(2, 2)], expected [(2, 4)]: h"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "sentence"), WRONG, ids=range(len(WRONG)))
@pytest.mark.parametrize("mode", [tinyrnn.enable_grad, tinyrnn.no_grad], ids=["recorded", "not_recorded"])
def test_the_sentence(call, kind, sentence, mode):
    with mode(), pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == sentence
    assert type(caught.value) is kind


def test_there_are_at_least_sixty():
    assert len({sentence for _, _, sentence in WRONG}) >= 60


def test_nothing_is_lost_by_a_wrong_call():
    layer, state = lstm(), (ones(1, 2, 4), ones(1, 2, 4))
    before = layer(X, state)[0].detach().numpy().copy()
    for call in (lambda: layer(ones(5, 2, 7)), lambda: layer(X, lengths=[6, 1]), lambda: layer.load_state_dict({})):
        with pytest.raises((ValueError, RuntimeError)):
            call()
    assert (layer(X, state)[0].detach().numpy() == before).all()
