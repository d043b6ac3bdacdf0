"""What the tests of ONNX files share."""

from __future__ import annotations

import io

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn


def tensors_in(x):
    if isinstance(x, tinyrnn.Tensor):
        return [x]
    if isinstance(x, dict):
        x = x.values()
    return [tensor for each in x for tensor in tensors_in(each)] if hasattr(x, "__iter__") else []


class Function(nn.Module):
    """A function as a model."""

    def __init__(self, function):
        super().__init__()
        self.forward = function


@pytest.fixture
def model_of():
    """``model_of(function, **modules)``: a model with these modules, whose ``forward(x)`` is ``function(model, x)``."""

    def make(function, **modules):
        class Model(nn.Module):
            def __init__(self):
                super().__init__()
                for name, module in modules.items():
                    setattr(self, name, module)

            def forward(self, x):
                return function(self, x)

        return Model()

    return make


@pytest.fixture
def same_in_onnx_runtime():
    """``check(model, *calls)``: export with the first call's arguments; ONNX Runtime gives the same for all of them.

    A call is a tuple of arguments, the last of which may be a dict of arguments by name. Returns the model that was exported.
    """
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    from tinyrnn.interop.onnx import export

    def check(model, *calls, atol=2e-5, **options):
        model = model if isinstance(model, nn.Module) else Function(model)
        calls = [call if isinstance(call[-1], dict) else (*call, {}) for call in calls]
        file = io.BytesIO()
        *args, kwargs = calls[0]
        proto = export(model, tuple(args), file, kwargs=kwargs, **options)
        session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
        model.eval()
        for *args, kwargs in calls:
            fed = dict(zip([each.name for each in session.get_inputs()], [x.numpy() for x in tensors_in((args, kwargs))]))
            expected = [x.detach().numpy() for x in tensors_in(model(*args, **kwargs))]
            results = session.run(None, fed)
            assert len(results) == len(expected)
            for result, right in zip(results, expected):
                assert (result.shape, result.dtype) == (right.shape, right.dtype)
                np.testing.assert_allclose(result, right, atol=atol, rtol=1e-4)
        return proto

    return check
