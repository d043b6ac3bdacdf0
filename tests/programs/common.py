"""Weights and data from NumPy, the same for every library."""

import numpy as np
import torch


def seeded(model, seed=0):
    """Fill all parameters with small normal numbers; returns the model."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for _, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(rng.normal(0, 0.15, tuple(parameter.shape)).astype(np.float32)))
    return model


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def integers(high, *shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, high, shape))
