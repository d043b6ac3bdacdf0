"""Module: registration, walking, state, hooks, printing; compared with PyTorch where it is installed."""

from __future__ import annotations

import copy
from collections import OrderedDict

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn


class Net(nn.Module):
    """Linear, shared and nested modules, a buffer of each kind."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 4))
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
        self.heads = nn.ModuleDict({"a": nn.Linear(4, 2), "b": nn.Identity()})
        self.scale = nn.Parameter(tinyrnn.ones(4))
        self.register_parameter("absent", None)
        self.register_buffer("steps", tinyrnn.zeros(2))
        self.register_buffer("scratch", tinyrnn.zeros(3), persistent=False)

    def forward(self, x):
        x = self.encoder(x * self.scale)
        for layer in self.layers:
            x = layer(x)
        return self.heads["a"](x)


def paths(named):
    return [name for name, _ in named]


def test_registration_and_walking():
    net = Net()
    own = ["encoder.0", "encoder.2", "layers.0", "layers.1", "layers.2", "heads.a"]
    assert paths(net.named_parameters()) == ["scale"] + [f"{n}.{w}" for n in own for w in ("weight", "bias")]
    assert paths(net.named_buffers()) == ["steps", "scratch"]
    assert paths(net.named_children()) == ["encoder", "layers", "heads"]
    assert paths(net.named_modules())[:4] == ["", "encoder", "encoder.0", "encoder.1"]
    assert len(list(net.modules())) == len(paths(net.named_modules()))
    assert paths(net.named_parameters(recurse=False)) == ["scale"]
    assert paths(net.named_parameters(prefix="m"))[0] == "m.scale"
    assert net.absent is None and "absent" not in net.state_dict()
    assert "steps" in net.state_dict() and "scratch" not in net.state_dict()
    assert net.get_parameter("encoder.2.bias") is net.encoder[2].bias
    assert net.get_submodule("layers.1") is net.layers[1] and net.get_submodule("") is net
    assert net.get_buffer("steps") is net.steps
    for wrong in ("encoder.7.bias", "encoder.0.nothing"):
        with pytest.raises(AttributeError, match="has no"):
            net.get_parameter(wrong)


def test_attributes_change_kind():
    net = nn.Module()
    net.x = 3
    net.x = nn.Parameter(tinyrnn.zeros(2))
    assert paths(net.named_parameters()) == ["x"] and "x" not in vars(net)
    with pytest.raises(TypeError, match="cannot assign 'int' as parameter 'x'"):
        net.x = 3
    net.x = None
    assert net.x is None and not list(net.parameters())
    net.x = nn.Linear(1, 1)
    assert paths(net.named_children()) == ["x"] and "x" not in net._parameters
    net.register_buffer("b", tinyrnn.zeros(1))
    net.b = tinyrnn.ones(1)
    assert net.b.tolist() == [1.0] and paths(net.named_buffers()) == ["b"]
    with pytest.raises(TypeError, match="as buffer 'b'"):
        net.b = "text"
    del net.x, net.b
    assert not hasattr(net, "x") and not hasattr(net, "b")
    with pytest.raises(AttributeError, match="'Module' object has no attribute 'x'"):
        net.x


@pytest.mark.parametrize("name, error", [("a.b", KeyError), ("", KeyError), (3, TypeError), ("forward", KeyError)])
def test_bad_names(name, error):
    for register in (nn.Module().register_parameter, nn.Module().register_buffer, nn.Module().add_module):
        with pytest.raises(error):
            register(name, None)


def test_assignment_before_init_is_an_error():
    class Early(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call"):
        Early()


def test_tied_parameters_stay_tied():
    net = nn.Module()
    net.embedding = nn.Embedding(7, 3)
    net.out = nn.Linear(3, 7, bias=False)
    net.out.weight = net.embedding.weight
    assert paths(net.named_parameters()) == ["embedding.weight"]
    assert paths(net.named_parameters(remove_duplicate=False)) == ["embedding.weight", "out.weight"]
    assert list(net.state_dict()) == ["embedding.weight", "out.weight"]
    for other in (net.double(), copy.deepcopy(net)):
        assert other.out.weight is other.embedding.weight
        assert other.out.weight.dtype is tinyrnn.float64


def test_deepcopy_is_independent():
    net = Net()
    net(tinyrnn.ones(2, 4)).sum().backward()
    other = copy.deepcopy(net)
    assert isinstance(other.scale, nn.Parameter) and other.scale.requires_grad
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        assert p is not q and not np.shares_memory(p.array, q.array)
        np.testing.assert_array_equal(p.array, q.array)
        np.testing.assert_array_equal(p.grad.array, q.grad.array)


def test_train_eval_apply_and_freezing():
    net = Net()
    assert net.eval() is net and not any(module.training for module in net.modules())
    assert all(module.training for module in net.train().modules())
    with pytest.raises(ValueError, match="expected to be boolean"):
        net.train(1)
    seen = []
    net.apply(seen.append)
    assert seen[-1] is net and set(seen) == set(net.modules())
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    net.requires_grad_()
    net(tinyrnn.ones(1, 4)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all((p.grad.array == 0).all() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_dtype_conversion():
    net = Net()
    net.register_buffer("count", tinyrnn.zeros(1, dtype=tinyrnn.int64))
    weight = net.scale
    net(tinyrnn.ones(1, 4)).sum().backward()
    assert net.double() is net and net.scale is weight
    assert all(t.dtype is tinyrnn.float64 for t in (*net.parameters(), net.steps, weight.grad))
    assert net.count.dtype is tinyrnn.int64
    for moved in (net.to("cpu"), net.to(dtype=tinyrnn.float32), net.to("cpu", tinyrnn.float16), net.float()):
        assert moved is net
    assert net.scale.dtype is tinyrnn.float32
    with pytest.raises(TypeError, match="only accepts floating point"):
        net.to(tinyrnn.int64)


def test_state_dict_shares_memory_and_round_trips():
    net, other = Net(), Net()
    state = net.state_dict()
    assert isinstance(state, OrderedDict)
    assert np.shares_memory(state["scale"].array, net.scale.array)
    assert not isinstance(state["scale"], nn.Parameter) and not state["scale"].requires_grad
    result = other.load_state_dict(state)
    assert result == ([], []) and result.missing_keys == []
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(value.array, state[name].array)
        assert not np.shares_memory(value.array, state[name].array)


def test_loading_counts_as_a_write():
    layer = nn.Linear(2, 2)
    loss = layer(layer(tinyrnn.ones(1, 2))).sum()
    layer.load_state_dict(layer.state_dict())
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_load_state_dict_lists_everything_wrong_and_loads_nothing():
    net = Net()
    before = {name: value.array.copy() for name, value in net.state_dict().items()}
    state = OrderedDict((name, value + 1) for name, value in net.state_dict().items())
    del state["scale"], state["layers.0.bias"]
    state["encoder.0.weight"] = tinyrnn.zeros(2, 2)
    state["heads.a.bias"] = "text"
    state["extra"] = tinyrnn.zeros(1)
    with pytest.raises(RuntimeError) as error:
        net.load_state_dict(state)
    message = str(error.value)
    assert message.startswith("Error(s) in loading state_dict for Net:")
    for part in (
        'Missing key(s) in state_dict: "scale", "layers.0.bias"',
        'Unexpected key(s) in state_dict: "extra"',
        "size mismatch for encoder.0.weight: copying a param with shape (2, 2)",
        '"heads.a.bias": expected a tensor, got str',
    ):
        assert part in message
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.array, before[name])
    del state["encoder.0.weight"], state["heads.a.bias"]
    result = net.load_state_dict(state, strict=False)
    assert result.unexpected_keys == ["extra"]
    assert result.missing_keys == ["scale", "encoder.0.weight", "layers.0.bias", "heads.a.bias"]
    np.testing.assert_array_equal(net.layers[1].bias.array, before["layers.1.bias"] + 1)
    with pytest.raises(TypeError, match="dict-like"):
        net.load_state_dict([1])


def test_load_state_dict_assign():
    layer = nn.Linear(2, 3)
    layer.register_buffer("steps", tinyrnn.zeros(2))
    weight, steps = layer.weight, layer.steps
    layer(tinyrnn.ones(1, 2)).sum().backward()
    state = {
        "weight": tinyrnn.ones(3, 2, dtype=tinyrnn.float64),
        "bias": np.zeros(3),
        "steps": tinyrnn.tensor([1, 2]),
    }
    assert layer.load_state_dict(state, assign=True) == ([], [])
    assert layer.weight is weight and weight.requires_grad and weight.dtype is tinyrnn.float64 and weight.grad is None
    assert np.shares_memory(weight.array, state["weight"].array) and np.shares_memory(layer.bias.array, state["bias"])
    assert layer.steps is steps and steps.dtype is tinyrnn.int64 and steps.tolist() == [1, 2]
    assert layer(tinyrnn.ones(1, 2, dtype=tinyrnn.float64)).tolist() == [[2, 2, 2]]
    with pytest.raises(RuntimeError, match=r'"weight": expected a floating-point tensor to assign, got tinyrnn\.int64'):
        layer.load_state_dict({**state, "weight": tinyrnn.arange(6).view(3, 2)}, assign=True)
    with pytest.raises(RuntimeError, match="size mismatch for bias"):
        layer.load_state_dict({**state, "bias": np.ones(4)}, assign=True)
    assert weight.dtype is tinyrnn.float64 and layer.bias.tolist() == [0, 0, 0]
    old = layer(tinyrnn.ones(1, 2, dtype=tinyrnn.float64).requires_grad_())
    layer.load_state_dict(state, assign=True)
    with pytest.raises(RuntimeError, match="modified"):
        old.sum().backward()


def test_hooks():
    layer = nn.Linear(2, 2)
    x = tinyrnn.ones(1, 2)
    plain = layer(x).tolist()
    calls = []
    handles = [
        layer.register_forward_pre_hook(lambda module, args: calls.append("second")),
        layer.register_forward_pre_hook(lambda module, args: calls.append("first"), prepend=True),
        layer.register_forward_pre_hook(lambda module, args: args[0] * 2),
        layer.register_forward_hook(lambda module, args, output: output + 1),
        layer.register_forward_hook(lambda module, args, kwargs, output: calls.append(kwargs), with_kwargs=True),
    ]
    assert layer(x).tolist() == (layer.forward(x * 2) + 1).tolist()
    assert calls == ["first", "second", {}]
    for handle in handles:
        handle.remove()
    assert layer(x).tolist() == plain


def test_errors_carry_the_path_of_the_layer():
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.stack = nn.ModuleList([nn.Linear(4, 4), nn.Linear(5, 5)])

        def forward(self, x):
            return self.stack[1](self.stack[0](x))

    model = nn.Sequential(OrderedDict(encoder=Encoder()))
    message = r"^encoder\.stack\.1: input has 4 features, expected in_features=5"
    with pytest.raises(ValueError, match=message):
        model(tinyrnn.ones(2, 4))
    with pytest.raises(ValueError, match=r"^Linear: input has 3 features"):
        nn.Linear(4, 4)(tinyrnn.ones(2, 3))
    with pytest.raises(IndexError, match=r"^0: .*9"):
        nn.Sequential(nn.Embedding(9, 2))(tinyrnn.tensor([9]))


def test_containers():
    stack = nn.Sequential(nn.Linear(1, 2), nn.Tanh(), nn.Linear(2, 3))
    assert len(stack) == 3 and stack[-1] is stack[2] and isinstance(stack[:2], nn.Sequential) and stack[:2][0] is stack[0]
    stack.append(nn.ReLU())
    assert stack(tinyrnn.ones(1, 1)).shape == (1, 3)
    del stack[1]
    assert paths(stack.named_children()) == ["0", "1", "2"]
    named = nn.Sequential(OrderedDict(first=nn.Linear(1, 2), second=nn.Tanh()))
    assert named.first is named[0] and paths(named[1:].named_children()) == ["second"]
    with pytest.raises(IndexError, match="out of range"):
        stack[7]
    with pytest.raises(TypeError, match="not a Module subclass"):
        stack.append(3)

    layers = nn.ModuleList([nn.Tanh()])
    layers += [nn.ReLU()]
    layers.insert(0, nn.Sigmoid())
    assert [type(layer).__name__ for layer in layers] == ["Sigmoid", "Tanh", "ReLU"]
    assert type(layers.pop(1)) is nn.Tanh and list(layers._modules) == ["0", "1"]

    table = nn.ModuleDict([("x", nn.Tanh()), ("y", nn.ReLU())])
    assert "x" in table and list(table) == list(table.keys()) == ["x", "y"] and len(table) == 2
    del table["x"]
    assert paths(table.items()) == ["y"]

    weights = nn.ParameterList([tinyrnn.zeros(2), nn.Parameter(tinyrnn.ones(1))])
    weights.append(tinyrnn.zeros(3))
    assert paths(weights.named_parameters()) == ["0", "1", "2"] and weights[-1].shape == (3,) and len(weights[:2]) == 2
    pairs = nn.ParameterDict({"a": tinyrnn.zeros(2)})
    pairs["b"] = nn.Parameter(tinyrnn.ones(1))
    assert paths(pairs.named_parameters()) == ["a", "b"] and pairs.pop("a").shape == (2,) and len(pairs) == 1
    with pytest.raises(KeyError):
        pairs["forward"] = tinyrnn.zeros(1)


def test_parameter():
    values = tinyrnn.zeros(3)
    p = nn.Parameter(values)
    assert isinstance(p, tinyrnn.Tensor) and p.requires_grad and np.shares_memory(p.array, values.array)
    assert repr(p).startswith("Parameter containing:\n")
    assert type(p * 2) is tinyrnn.Tensor
    with pytest.raises(RuntimeError, match="floating point"):
        nn.Parameter(tinyrnn.zeros(3, dtype=tinyrnn.int64))


def same_models(nn_):
    """The same model in either library."""

    class Nested(nn_.Module):
        def __init__(self):
            super().__init__()
            self.a = nn_.Sequential(OrderedDict(x=nn_.Linear(2, 3), y=nn_.Dropout(0.2)))
            self.b = nn_.ModuleList([nn_.Linear(1, 2), nn_.Linear(1, 2), nn_.Sequential(nn_.ReLU()), nn_.ReLU(True)])

        def extra_repr(self):
            return "one\ntwo"

    return [
        Nested(),
        nn_.ModuleDict({"a": Nested(), "b": nn_.Identity()}),
        nn_.ModuleList(),
        nn_.ModuleList([Nested(), Nested()]),
        nn_.Linear(3, 4, bias=False),
        nn_.Embedding(5, 3, padding_idx=-1),
        nn_.LayerNorm((2, 5), bias=False),
        nn_.LayerNorm(3, elementwise_affine=False),
        nn_.Flatten(),
        nn_.Sequential(nn_.Sigmoid(), nn_.LeakyReLU(0.2, True), nn_.ELU(), nn_.GELU("tanh"), nn_.Softplus(), nn_.SiLU()),
        nn_.Sequential(nn_.Softmax(-1), nn_.LogSoftmax(1), nn_.LogSigmoid(), nn_.Hardtanh(-2, 2, True), nn_.MSELoss()),
    ]


def test_repr_equals_pytorch():
    torch = pytest.importorskip("torch")
    for ours, theirs in zip(same_models(nn), same_models(torch.nn), strict=True):
        assert repr(ours) == repr(theirs)
    ours = nn.ParameterList([tinyrnn.zeros(2), nn.Parameter(tinyrnn.ones(3, 4)), 5])
    theirs = torch.nn.ParameterList([torch.zeros(2), torch.nn.Parameter(torch.ones(3, 4)), 5])
    assert repr(ours) == repr(theirs).replace("torch.", "tinyrnn.")


def test_state_dict_keys_equal_pytorch_and_values_move():
    torch = pytest.importorskip("torch")
    for ours, theirs in zip(same_models(nn), same_models(torch.nn), strict=True):
        assert list(ours.state_dict()) == list(theirs.state_dict())
        ours.load_state_dict(theirs.state_dict())
        for name, value in theirs.state_dict().items():
            np.testing.assert_array_equal(ours.state_dict()[name].array, value.numpy())


@pytest.mark.parametrize(
    ("layer", "sizes"),
    [
        (nn.LSTM, ("input_size", "hidden_size", "num_layers")),
        (nn.GRUCell, ("input_size", "hidden_size")),
        (nn.LSTM, ("input_size", "hidden_size", "num_layers", "proj_size")),
        (nn.MultiheadAttention, ("embed_dim", "num_heads", "kdim", "vdim")),
        (nn.AdditiveAttention, ("query_size", "key_size", "hidden_size")),
        (nn.LayerNorm, ("normalized_shape",)),
    ],
)
def test_sizes_may_be_numpys_integers_and_are_kept_as_ints(layer, sizes):
    # what len(), nunique() and bincount() of a data set come as, which json and repr would write otherwise than an int
    numbers = dict(zip(sizes, (8, 4, 2, 3)))
    made, plain = layer(**{name: np.int64(n) for name, n in numbers.items()}), layer(**numbers)
    assert repr(made) == repr(plain)
    assert {k: v.shape for k, v in made.state_dict().items()} == {k: v.shape for k, v in plain.state_dict().items()}
    assert not [name for name, value in vars(made).items() if isinstance(value, np.generic)]
