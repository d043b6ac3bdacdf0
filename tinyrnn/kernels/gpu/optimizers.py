"""Clipping and optimizer steps on a GPU: one launch for all arrays of a dtype (optimizers.cu)."""

from __future__ import annotations

import functools
import math

import numpy as np

from tinyrnn.kernels import reference
from tinyrnn.kernels.gpu import launch, loader

_PIECE = 4096  # elements of an array that a block takes
_ARRAYS = ("value", "grad", "first", "second", "largest")
_PARAMETER = np.dtype([(name, np.uintp) for name in _ARRAYS] + [("size", np.int64)])


def global_norm(arrays):
    cupy = loader.cupy()
    sums = [cupy.zeros(1)]
    for dtype, group in _by_dtype(launch.contiguous(*arrays)):
        parameters, pieces, count = _tables([group])
        sums.append(cupy.empty(count))
        _launch("square_sums", dtype, parameters, pieces, count, sums[-1])
    return np.sqrt(cupy.concatenate(sums).sum())


def scale_inplace(arrays, factor):
    if not _contiguous(arrays):
        return reference.scale_inplace(arrays, factor)
    by = loader.cupy().asarray(factor, np.float64).reshape(1)
    for dtype, group in _by_dtype(arrays):
        _launch("scale_inplace", dtype, *_tables([group]), by)


def sgd_step(params, grads, momentum_buffers, lr, momentum, dampening, weight_decay, nesterov, maximize):
    if not _contiguous(params, momentum_buffers):
        return reference.sgd_step(params, grads, momentum_buffers, lr, momentum, dampening, weight_decay, nesterov, maximize)
    numbers = (*map(np.float64, (lr, momentum, dampening, weight_decay)), np.bool_(nesterov), np.bool_(maximize))
    for dtype, *groups in _by_dtype(params, launch.contiguous(*grads), momentum_buffers):
        _launch("sgd_step", dtype, *_tables(groups), *numbers)


def adam_step(
    params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize
):
    if not _contiguous(params, exp_avgs, exp_avg_sqs, max_exp_avg_sqs):
        return reference.adam_step(
            params,
            grads,
            exp_avgs,
            exp_avg_sqs,
            max_exp_avg_sqs,
            step,
            lr,
            beta1,
            beta2,
            eps,
            weight_decay,
            decoupled,
            maximize,
        )
    scales = lr / (1 - beta1**step), math.sqrt(1 - beta2**step)
    floats = map(np.float64, (*scales, lr, beta1, beta2, eps, weight_decay))
    numbers = (*floats, np.bool_(decoupled), np.bool_(maximize))
    for dtype, *groups in _by_dtype(params, launch.contiguous(*grads), exp_avgs, exp_avg_sqs, max_exp_avg_sqs):
        _launch("adam_step", dtype, *_tables(groups), *numbers)


def _contiguous(*lists):
    """Whether what is written to can be written to as if it were flat."""
    return all(array.flags.c_contiguous for each in lists for array in each or ())


def _by_dtype(*lists):
    """(dtype, the arrays of that dtype of each list); the first list says which is where, and a list may be None."""
    for dtype in dict.fromkeys(array.dtype for array in lists[0]):
        places = [place for place, array in enumerate(lists[0]) if array.dtype == dtype and array.size]
        if places:
            yield dtype, *[None if each is None else [each[place] for place in places] for each in lists]


def _tables(groups):
    """On the GPU: where the arrays of every parameter lie, and the pieces; and how many of these there are."""
    for group in groups:
        for array, first in zip(group or (), groups[0]):
            if array.dtype != first.dtype:
                raise RuntimeError(
                    f"the state of an optimizer is {array.dtype}, its parameter {first.dtype}: convert the model before the "
                    f"optimizer is made"
                )
    launch.check_current_gpu(*[array for group in groups for array in group or ()])
    parameters = np.zeros(len(groups[0]), _PARAMETER)
    for name, group in zip(_ARRAYS, groups):
        for place, array in enumerate(group or ()):
            parameters[name][place] = array.data.ptr
    parameters["size"] = sizes = tuple([array.size for array in groups[0]])
    pieces = _pieces(sizes, loader.number_of_gpu(None))
    return loader.cupy().asarray(np.frombuffer(parameters.tobytes(), np.uint8)), pieces, len(pieces)


@functools.lru_cache(maxsize=32)
def _pieces(sizes, gpu):
    """(parameter, first element) of every piece: the same in every step."""
    pieces = [(place, start) for place, size in enumerate(sizes) for start in range(0, size, _PIECE)]
    return loader.cupy().asarray(np.array(pieces, np.int64))


def _launch(kernel, dtype, parameters, pieces, count, *numbers):
    launch.run("optimizers.cu", f"{kernel}<{launch.TYPES[dtype.name]}>", (count,), (128,), (parameters, pieces, *numbers))
