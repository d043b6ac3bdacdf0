# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The fused sweep of recurrent layers, forward and backward: a layer's arrays brought into the form of cpp/recurrent.h.

Float32 and float64 arrays are computed here, whatever their layout (weights and states are made contiguous if they are not);
everything else, and empty layers, by the reference.
"""

cimport numpy as cnp
from libc.string cimport memset

import numpy as np

from tinyrnn.kernels import reference
from tinyrnn.kernels.sweeps import Saved, Sweep

from tinyrnn.kernels.cpu.native cimport kernels, threads
from tinyrnn.kernels.cpu.table cimport GRU, GRU_RESET_BEFORE, LSTM, RNN_RELU, RNN_TANH, LayerProblem, RecurrentMode, SweepProblem

cnp.import_array()

cdef dict MODES = {"RNN_TANH": RNN_TANH, "RNN_RELU": RNN_RELU, "LSTM": LSTM, "GRU": GRU, "GRU_RESET_BEFORE": GRU_RESET_BEFORE}


cdef class Arrays:
    """New and converted arrays of one call, which live as long as the pointers to them."""

    cdef int kind
    cdef list alive

    def __cinit__(self, cnp.ndarray x):
        self.kind = cnp.PyArray_TYPE(x)
        self.alive = []

    cdef void* get(self, object array) except? NULL:
        """The memory of an array's elements, one behind the other; NULL of None."""
        if array is None:
            return NULL
        if not cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>array):
            array = np.ascontiguousarray(array)
        self.alive.append(array)
        return cnp.PyArray_DATA(<cnp.ndarray>array)

    cdef cnp.ndarray empty(self, long rows, long columns):
        cdef cnp.npy_intp[2] shape = [rows, columns]
        return cnp.PyArray_EMPTY(1 if columns < 0 else 2, shape, self.kind, 0)

    cdef object like(self, object array):
        return None if array is None else self.empty(
            cnp.PyArray_DIM(array, 0), cnp.PyArray_DIM(array, 1) if cnp.PyArray_NDIM(array) == 2 else -1
        )

    cdef const void* rows(self, object array, long* row) except? NULL:
        """The memory of a matrix, and the elements from row to row; columns one behind the other."""
        row[0] = 0
        if array is None:
            return NULL
        cdef cnp.ndarray matrix = array
        cdef long size = cnp.PyArray_ITEMSIZE(matrix)
        cdef bint contiguous = cnp.PyArray_STRIDE(matrix, 1) == size or cnp.PyArray_DIM(matrix, 1) <= 1
        if not (contiguous and cnp.PyArray_ISBEHAVED_RO(matrix) and cnp.PyArray_STRIDE(matrix, 0) % size == 0):
            matrix = np.ascontiguousarray(matrix)
        self.alive.append(matrix)
        row[0] = cnp.PyArray_STRIDE(matrix, 0) // size
        return cnp.PyArray_DATA(matrix)


cdef bint is_float(object array, int kind) noexcept:
    """An exact array of this type, or None, or a number."""
    if array is None or type(array) is float or type(array) is int:
        return True
    return cnp.PyArray_CheckExact(array) and cnp.PyArray_TYPE(<cnp.ndarray>array) == kind


cdef bint can_run(object x, list sweeps, object batch_sizes):
    """Whether this layer is computed here."""
    if not cnp.PyArray_CheckExact(x):
        return False
    cdef int kind = cnp.PyArray_TYPE(<cnp.ndarray>x)
    if kind != cnp.NPY_FLOAT and kind != cnp.NPY_DOUBLE or cnp.PyArray_SIZE(<cnp.ndarray>x) == 0:
        return False
    for sweep in sweeps:
        for array in sweep:
            if type(array) is tuple:
                if not (is_float(array[0], kind) and is_float(array[1], kind)):
                    return False
            elif not (type(array) is bool or is_float(array, kind)):
                return False
    return len(batch_sizes) > 0 and cnp.PyArray_SIZE(sweeps[0].h_0) > 0 and cnp.PyArray_SIZE(sweeps[0].weight_hh) > 0


cdef int describe_layer(LayerProblem* layer, Arrays arrays, str mode, object x, cnp.ndarray batch_sizes, list sweeps) except -1:
    """Everything of the problem that is given, forward and backward."""
    memset(layer, 0, sizeof(LayerProblem))
    layer.mode = <RecurrentMode><int>MODES[mode]
    layer.x = arrays.rows(x, &layer.x_row)
    layer.T = cnp.PyArray_DIM(batch_sizes, 0)
    layer.batch_sizes = <const long*>cnp.PyArray_DATA(batch_sizes)
    layer.directions = len(sweeps)
    layer.I = cnp.PyArray_DIM(<cnp.ndarray>x, 1)
    cdef long d
    for d in range(layer.directions):
        describe_sweep(&layer.sweep[d], arrays, sweeps[d])
    h_0, weight_hh = sweeps[0].h_0, sweeps[0].weight_hh
    layer.B = cnp.PyArray_DIM(<cnp.ndarray>h_0, 0)
    layer.P = cnp.PyArray_DIM(<cnp.ndarray>h_0, 1)
    layer.H = cnp.PyArray_DIM(<cnp.ndarray>weight_hh, 0) // gates_of(layer.mode)
    return 0


cdef int gates_of(RecurrentMode mode) noexcept:
    return 4 if mode == LSTM else 3 if mode == GRU or mode == GRU_RESET_BEFORE else 1


cdef int describe_sweep(SweepProblem* to, Arrays arrays, object sweep) except -1:
    (
        weight_ih, weight_hh, bias_ih, bias_hh, h_0, c_0, reverse, weight_hr, peephole, norm_h, norm_c, mask, zoneout_h, zoneout_c
    ) = sweep
    to.weight_ih = arrays.get(weight_ih)
    to.weight_hh = arrays.get(weight_hh)
    to.bias_ih = arrays.get(bias_ih)
    to.bias_hh = arrays.get(bias_hh)
    to.h_0 = arrays.get(h_0)
    to.c_0 = arrays.get(c_0)
    to.reverse = reverse
    to.weight_hr = arrays.get(weight_hr)
    to.peephole = arrays.get(peephole)
    if norm_h is not None:
        to.norm_h_weight, to.norm_h_bias = arrays.get(norm_h[0]), arrays.get(norm_h[1])
    if norm_c is not None:
        to.norm_c_weight, to.norm_c_bias = arrays.get(norm_c[0]), arrays.get(norm_c[1])
    to.recurrent_mask = arrays.get(mask)
    if isinstance(zoneout_h, (float, int)):
        to.zoneout_h_rate = zoneout_h
    else:
        to.zoneout_h = arrays.get(zoneout_h)
    if isinstance(zoneout_c, (float, int)):
        to.zoneout_c_rate = zoneout_c
    else:
        to.zoneout_c = arrays.get(zoneout_c)
    return 0


cdef int run(bint backward, LayerProblem* layer, int kind) except -1:
    cdef int number = threads(), wide = kind == cnp.NPY_DOUBLE, failed
    with nogil:
        if backward:
            failed = kernels().recurrent_backward[wide](layer, number)
        else:
            failed = kernels().recurrent_forward[wide](layer, number)
    if failed:
        raise MemoryError("no memory for the work space of a recurrent layer")
    return 0


def recurrent_forward(mode, x, batch_sizes, sweeps, save):
    if not can_run(x, sweeps, batch_sizes):
        return reference.recurrent_forward(mode, x, batch_sizes, sweeps, save)
    cdef Arrays arrays = Arrays(x)
    cdef LayerProblem layer
    describe_layer(&layer, arrays, mode, x, batch_sizes, sweeps)
    cdef long N = cnp.PyArray_DIM(<cnp.ndarray>x, 0), D = layer.directions, itemsize = cnp.PyArray_ITEMSIZE(<cnp.ndarray>x)
    output = arrays.empty(N, D * layer.P)
    finals, saved = [], []
    cdef SweepProblem* sweep
    cdef long d
    for d in range(D):
        sweep = &layer.sweep[d]
        sweep.output = <char*>cnp.PyArray_DATA(<cnp.ndarray>output) + d * layer.P * itemsize
        sweep.output_row = D * layer.P
        h_n = arrays.empty(layer.B, layer.P)
        sweep.h_n = cnp.PyArray_DATA(<cnp.ndarray>h_n)
        if layer.mode == LSTM:
            c_n = arrays.empty(layer.B, layer.H)
            sweep.c_n = cnp.PyArray_DATA(<cnp.ndarray>c_n)
            finals.append((h_n, c_n))
        else:
            finals.append((h_n,))
        saved.append(room_for_backward(&layer, sweep, arrays, N) if save else None)
    run(False, &layer, arrays.kind)
    return output, finals, saved


cdef object room_for_backward(LayerProblem* layer, SweepProblem* sweep, Arrays arrays, long N):
    """Arrays for what backward needs, as a Saved."""
    cells = gates = hidden = norm_h = norm_h_scale = norm_c = norm_c_scale = None
    if layer.mode == LSTM:
        cells, gates = arrays.empty(N, layer.H), arrays.empty(N, 4 * layer.H)
    elif layer.mode == GRU:
        gates = arrays.empty(N, 4 * layer.H)
    elif layer.mode == GRU_RESET_BEFORE:
        gates = arrays.empty(N, 3 * layer.H)
    elif sweep.zoneout_h != NULL or sweep.zoneout_h_rate != 0:
        hidden = arrays.empty(N, layer.H)
    if sweep.weight_hr != NULL:
        hidden = arrays.empty(N, layer.H)
    if sweep.norm_h_weight != NULL:
        norm_h = arrays.empty(N, gates_of(layer.mode) * layer.H)
        norm_h_scale = arrays.empty(N, 2 if layer.mode == GRU_RESET_BEFORE else 1)
    if sweep.norm_c_weight != NULL:
        norm_c, norm_c_scale = arrays.empty(N, layer.H), arrays.empty(N, 1)
    saved = Saved(cells, gates, (hidden, norm_h, norm_h_scale, norm_c, norm_c_scale))
    describe_saved(sweep, arrays, saved)
    return saved


cdef int describe_saved(SweepProblem* sweep, Arrays arrays, object saved) except -1:
    cells, gates, (hidden, norm_h, norm_h_scale, norm_c, norm_c_scale) = saved
    sweep.cells = arrays.get(cells)
    sweep.gates = arrays.get(gates)
    sweep.hidden = arrays.get(hidden)
    sweep.norm_h = arrays.get(norm_h)
    sweep.norm_h_scale = arrays.get(norm_h_scale)
    sweep.norm_c = arrays.get(norm_c)
    sweep.norm_c_scale = arrays.get(norm_c_scale)
    return 0


def recurrent_step(mode, x, states, weights):
    if not (is_row_of(x, x) and can_step(x, states, weights)):
        return reference.recurrent_step(mode, x, states, weights)
    cdef cnp.ndarray first = x, h_0 = states[0]
    cdef int kind = cnp.PyArray_TYPE(first)
    cdef long one_step = cnp.PyArray_DIM(first, 0), layers = cnp.PyArray_DIM(h_0, 0), number, size
    cdef LayerProblem layer
    memset(&layer, 0, sizeof(LayerProblem))
    layer.mode = <RecurrentMode><int>MODES[mode]
    layer.T, layer.B, layer.H, layer.directions = 1, one_step, cnp.PyArray_DIM(h_0, 2), 1
    layer.P = layer.H
    layer.batch_sizes = &one_step
    size = layer.B * layer.H * cnp.PyArray_ITEMSIZE(first)
    cdef cnp.ndarray output = cnp.PyArray_EMPTY(2, cnp.PyArray_DIMS(h_0) + 1, kind, 0)
    new_states = tuple([cnp.PyArray_EMPTY(3, cnp.PyArray_DIMS(h_0), kind, 0) for _ in states])
    cdef SweepProblem* sweep = &layer.sweep[0]
    cdef char* h_n = cnp.PyArray_BYTES(<cnp.ndarray>new_states[0])
    layer.x, layer.I = cnp.PyArray_DATA(first), cnp.PyArray_DIM(first, 1)
    sweep.output, sweep.output_row = cnp.PyArray_DATA(output), layer.H
    for number in range(layers):
        weight_ih, weight_hh, bias_ih, bias_hh = weights[number]
        sweep.weight_ih, sweep.weight_hh = memory(weight_ih), memory(weight_hh)
        sweep.bias_ih, sweep.bias_hh = memory(bias_ih), memory(bias_hh)
        sweep.h_0, sweep.h_n = <char*>memory(h_0) + number * size, h_n + number * size
        if layer.mode == LSTM:
            sweep.c_0, sweep.c_n = <char*>memory(states[1]) + number * size, <char*>memory(new_states[1]) + number * size
        layer.x_row = layer.I
        run(False, &layer, kind)
        layer.x, layer.I = sweep.h_n, layer.H  # the next layer's input
    return output, new_states


cdef inline void* memory(object array) noexcept:
    return NULL if array is None else cnp.PyArray_DATA(<cnp.ndarray>array)


cdef inline bint is_row_of(object array, object x) noexcept:
    """None, or an exact contiguous array of the type of `x`, float32 or float64, that is not empty."""
    if array is None:
        return True
    if not (cnp.PyArray_CheckExact(array) and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>array)):
        return False
    cdef int kind = cnp.PyArray_TYPE(<cnp.ndarray>array)
    return (
        (kind == cnp.NPY_FLOAT or kind == cnp.NPY_DOUBLE)
        and kind == cnp.PyArray_TYPE(<cnp.ndarray>x)
        and cnp.PyArray_SIZE(<cnp.ndarray>array) > 0
    )


cdef bint can_step(object x, tuple states, list weights):
    for array in states:
        if not is_row_of(array, x):
            return False
    for own in weights:
        for array in own:
            if not is_row_of(array, x):
                return False
    return True


def recurrent_backward(mode, grad_output, grad_finals, grad_cells, x, batch_sizes, sweeps, output, saved, needs_x):
    if not can_run(x, sweeps, batch_sizes):
        return reference.recurrent_backward(
            mode, grad_output, grad_finals, grad_cells, x, batch_sizes, sweeps, output, saved, needs_x
        )
    cdef Arrays arrays = Arrays(x)
    cdef LayerProblem layer
    describe_layer(&layer, arrays, mode, x, batch_sizes, sweeps)
    cdef long itemsize = cnp.PyArray_ITEMSIZE(<cnp.ndarray>x), output_row, grad_row, shift
    cdef char* outputs = <char*>arrays.rows(output, &output_row)
    cdef char* grads = <char*>arrays.rows(grad_output, &grad_row)
    grad_x = arrays.empty(cnp.PyArray_DIM(<cnp.ndarray>x, 0), layer.I) if needs_x else None
    layer.grad_x = arrays.get(grad_x)
    results = []
    cdef SweepProblem* sweep
    cdef long d
    for d in range(layer.directions):
        sweep = &layer.sweep[d]
        shift = d * layer.P * itemsize
        sweep.output = outputs + shift
        sweep.output_row = output_row
        if grads != NULL:
            sweep.grad_output = grads + shift
            sweep.grad_output_row = grad_row
        sweep.grad_h_n = arrays.get(grad_finals[d][0])
        if layer.mode == LSTM:
            sweep.grad_c_n = arrays.get(grad_finals[d][1])
            sweep.grad_cells = arrays.get(grad_cells[d])
        describe_saved(sweep, arrays, saved[d])
        results.append(room_for_gradients(sweep, arrays, sweeps[d]))
    run(True, &layer, arrays.kind)
    return grad_x, results


cdef object room_for_gradients(SweepProblem* to, Arrays arrays, object sweep):
    """Arrays for the gradients of all parameters, as a Sweep."""
    norm_h, norm_c = sweep.norm_h, sweep.norm_c
    grads = Sweep(
        weight_ih=arrays.like(sweep.weight_ih),
        weight_hh=arrays.like(sweep.weight_hh),
        bias_ih=arrays.like(sweep.bias_ih),
        bias_hh=arrays.like(sweep.bias_hh),
        h_0=arrays.like(sweep.h_0),
        c_0=arrays.like(sweep.c_0),
        weight_hr=arrays.like(sweep.weight_hr),
        peephole=arrays.like(sweep.peephole),
        norm_h=None if norm_h is None else (arrays.like(norm_h[0]), arrays.like(norm_h[1])),
        norm_c=None if norm_c is None else (arrays.like(norm_c[0]), arrays.like(norm_c[1])),
    )
    to.grad_weight_ih = arrays.get(grads.weight_ih)
    to.grad_weight_hh = arrays.get(grads.weight_hh)
    to.grad_bias_ih = arrays.get(grads.bias_ih)
    to.grad_bias_hh = arrays.get(grads.bias_hh)
    to.grad_h_0 = arrays.get(grads.h_0)
    to.grad_c_0 = arrays.get(grads.c_0)
    to.grad_weight_hr = arrays.get(grads.weight_hr)
    to.grad_peephole = arrays.get(grads.peephole)
    if norm_h is not None:
        to.grad_norm_h_weight, to.grad_norm_h_bias = arrays.get(grads.norm_h[0]), arrays.get(grads.norm_h[1])
    if norm_c is not None:
        to.grad_norm_c_weight, to.grad_norm_c_bias = arrays.get(grads.norm_c[0]), arrays.get(grads.norm_c[1])
    return grads
