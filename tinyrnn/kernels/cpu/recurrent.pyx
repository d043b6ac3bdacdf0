# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The fused sweep of recurrent layers, forward and backward: a layer's arrays brought into the form of cpp/recurrent.h.

Float32 and float64 arrays are computed here, whatever their layout (weights and states are made contiguous if they are not), and
16-bit floats in float32; everything else, and empty layers, by the reference.
"""

cimport numpy as cnp
from libc.string cimport memset

import numpy as np

from tinyrnn.kernels import reference
from tinyrnn.kernels.narrow import in_32_bits, is_narrow
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
            array = np.require(array, requirements=("C", "A"))
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
            matrix = np.require(matrix, requirements=("C", "A"))
        self.alive.append(matrix)
        row[0] = cnp.PyArray_STRIDE(matrix, 0) // size
        return cnp.PyArray_DATA(matrix)


cdef bint fits(object array, int kind, long rows, long columns) noexcept:
    """None, or an exact native array of this type and shape: (rows, columns), or (rows,) if `columns` is -1."""
    if array is None:
        return True
    if not (cnp.PyArray_CheckExact(array) and cnp.PyArray_TYPE(<cnp.ndarray>array) == kind):
        return False
    cdef cnp.ndarray a = <cnp.ndarray>array
    if not cnp.PyArray_ISNOTSWAPPED(a) or cnp.PyArray_NDIM(a) != (1 if columns < 0 else 2):
        return False
    return cnp.PyArray_DIM(a, 0) == rows and (columns < 0 or cnp.PyArray_DIM(a, 1) == columns)


cdef bint share_fits(object zoneout, int kind, long rows, long columns) noexcept:
    return isinstance(zoneout, (float, int)) or fits(zoneout, kind, rows, columns)


cdef bint pair_fits(object pair, int kind, long size) noexcept:
    return pair is None or (fits(pair[0], kind, size, -1) and fits(pair[1], kind, size, -1))


cdef bint can_run(str mode, object x, list sweeps, object batch_sizes):
    """Whether this layer is computed here: everything is of one type, has the shape it should, and is not empty."""
    if not (cnp.PyArray_CheckExact(x) and cnp.PyArray_NDIM(<cnp.ndarray>x) == 2):
        return False
    cdef cnp.ndarray first = x, sizes = batch_sizes
    cdef int kind = cnp.PyArray_TYPE(first)
    cdef long N = cnp.PyArray_DIM(first, 0), I = cnp.PyArray_DIM(first, 1)
    if kind != cnp.NPY_FLOAT and kind != cnp.NPY_DOUBLE or not fits(x, kind, N, I) or N * I == 0:
        return False
    if not (cnp.PyArray_TYPE(sizes) == cnp.NPY_INT64 and cnp.PyArray_NDIM(sizes) == 1 and cnp.PyArray_ISCARRAY_RO(sizes)):
        return False
    h_0, weight_hh = sweeps[0].h_0, sweeps[0].weight_hh
    if not (cnp.PyArray_CheckExact(h_0) and cnp.PyArray_NDIM(h_0) == 2 and cnp.PyArray_CheckExact(weight_hh)):
        return False
    cdef long B = cnp.PyArray_DIM(h_0, 0), P = cnp.PyArray_DIM(h_0, 1), wide = cnp.PyArray_DIM(weight_hh, 0)
    cdef long gates = gates_of(<RecurrentMode><int>MODES[mode]), H = wide // gates
    if not sizes_fit(<const long*>cnp.PyArray_DATA(sizes), cnp.PyArray_DIM(sizes, 0), B, N) or P * H == 0 or wide % gates:
        return False
    for sweep in sweeps:
        (
            weight_ih, weight_hh, bias_ih, bias_hh, h_0, c_0, _, weight_hr, peephole, norm_h, norm_c, mask, zoneout_h, zoneout_c
        ) = sweep
        if not (
            (fits(weight_ih, kind, wide, I) if weight_ih is not None else I == wide)
            and weight_hh is not None
            and fits(weight_hh, kind, wide, P)
            and fits(bias_ih, kind, wide, -1)
            and fits(bias_hh, kind, wide, -1)
            and h_0 is not None
            and fits(h_0, kind, B, P)
            and (c_0 is not None or gates != 4)
            and fits(c_0, kind, B, H)
            and (fits(weight_hr, kind, P, H) if weight_hr is not None else P == H)
            and fits(peephole, kind, 3, H)
            and pair_fits(norm_h, kind, wide)
            and pair_fits(norm_c, kind, H)
            and fits(mask, kind, B, P)
            and share_fits(zoneout_h, kind, N, P)
            and share_fits(zoneout_c, kind, N, H)
        ):
            return False
    return True


cdef bint sizes_fit(const long* sizes, long T, long B, long N) noexcept nogil:
    """Whether the rows of all steps are N, fall, and begin with at most B."""
    cdef long t, rows = 0, before = B
    for t in range(T):
        if sizes[t] > before or sizes[t] < 1:
            return False
        before = sizes[t]
        rows += before
    return T > 0 and rows == N


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
            failed = kernels(wide).recurrent_backward(layer, number)
        else:
            failed = kernels(wide).recurrent_forward(layer, number)
    if failed:
        raise MemoryError("no memory for the work space of a recurrent layer")
    return 0


def recurrent_forward(mode, x, batch_sizes, sweeps, save):
    if not can_run(mode, x, sweeps, batch_sizes):
        kernel = in_32_bits(recurrent_forward, 1) if is_narrow(x) else reference.recurrent_forward
        return kernel(mode, x, batch_sizes, sweeps, save)
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
    if not can_step(mode, x, states, weights):
        kernel = in_32_bits(recurrent_step, 1) if is_narrow(x) else reference.recurrent_step
        return kernel(mode, x, states, weights)
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


cdef inline bint lies_plainly(object array, int kind, long rows, long columns) noexcept:
    """`fits`, and its elements lie one behind the other."""
    return fits(array, kind, rows, columns) and (array is None or cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>array))


cdef bint can_step(str mode, object x, tuple states, list weights):
    if not (cnp.PyArray_CheckExact(x) and cnp.PyArray_NDIM(<cnp.ndarray>x) == 2):
        return False
    cdef int kind = cnp.PyArray_TYPE(<cnp.ndarray>x)
    cdef long B = cnp.PyArray_DIM(<cnp.ndarray>x, 0), I = cnp.PyArray_DIM(<cnp.ndarray>x, 1), H, wide, number
    if kind != cnp.NPY_FLOAT and kind != cnp.NPY_DOUBLE or B * I == 0 or not lies_plainly(x, kind, B, I):
        return False
    cdef long layers = len(weights)
    for array in states:
        if not (cnp.PyArray_CheckExact(array) and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>array)):
            return False
        state = <cnp.ndarray>array
        H = cnp.PyArray_DIM(state, 2) if cnp.PyArray_NDIM(state) == 3 else 0
        if cnp.PyArray_TYPE(state) != kind or H == 0 or cnp.PyArray_DIM(state, 0) != layers or cnp.PyArray_DIM(state, 1) != B:
            return False
    H = cnp.PyArray_DIM(<cnp.ndarray>states[0], 2)
    wide = gates_of(<RecurrentMode><int>MODES[mode]) * H
    for number in range(layers):
        weight_ih, weight_hh, bias_ih, bias_hh = weights[number]
        if not (
            lies_plainly(weight_ih, kind, wide, H if number else I)
            and lies_plainly(weight_hh, kind, wide, H)
            and lies_plainly(bias_ih, kind, wide, -1)
            and lies_plainly(bias_hh, kind, wide, -1)
        ):
            return False
    return cnp.PyArray_DIM(<cnp.ndarray>states[len(states) - 1], 2) == H


def recurrent_backward(mode, grad_output, grad_finals, grad_cells, x, batch_sizes, sweeps, output, saved, needs_x):
    if not can_run(mode, x, sweeps, batch_sizes):
        kernel = in_32_bits(recurrent_backward, 4) if is_narrow(x) else reference.recurrent_backward
        return kernel(mode, grad_output, grad_finals, grad_cells, x, batch_sizes, sweeps, output, saved, needs_x)
    cdef Arrays arrays = Arrays(x)
    cdef LayerProblem layer
    describe_layer(&layer, arrays, mode, x, batch_sizes, sweeps)
    check_gradient("output", grad_output, arrays.kind, cnp.PyArray_DIM(<cnp.ndarray>x, 0), layer.directions * layer.P)
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
        check_gradient("final h", grad_finals[d][0], arrays.kind, layer.B, layer.P)
        sweep.grad_h_n = arrays.get(grad_finals[d][0])
        if layer.mode == LSTM:
            check_gradient("final c", grad_finals[d][1], arrays.kind, layer.B, layer.H)
            check_gradient("cell states", grad_cells[d], arrays.kind, cnp.PyArray_DIM(<cnp.ndarray>x, 0), layer.H)
            sweep.grad_c_n = arrays.get(grad_finals[d][1])
            sweep.grad_cells = arrays.get(grad_cells[d])
        describe_saved(sweep, arrays, saved[d])
        results.append(room_for_gradients(sweep, arrays, sweeps[d]))
    run(True, &layer, arrays.kind)
    return grad_x, results


cdef int check_gradient(str name, object grad, int kind, long rows, long columns) except -1:
    if not fits(grad, kind, rows, columns):
        expected = np.dtype(np.float32 if kind == cnp.NPY_FLOAT else np.float64)
        raise TypeError(
            f"recurrent layer: the gradient of its {name} is {grad.dtype} {grad.shape}, expected {expected} ({rows}, {columns}); "
            f"does a hook return something else than it was given?"
        )
    return 0


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
