# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The recurrent cells: all that one step does to a row of gates, in one pass over it (cpp/recurrent_cells.h).

Float32 and float64 matrices whose rows are contiguous (they may be slices of wider or reversed arrays) are computed here,
everything else by the reference.
"""

cimport numpy as cnp

from tinyrnn.kernels import reference
from tinyrnn.kernels.cpu.native cimport kernels, threads
from tinyrnn.kernels.cpu.plain cimport empty, is_wide
from tinyrnn.kernels.cpu.table cimport (
    GRU_BACKWARD, GRU_FORWARD, LSTM_BACKWARD, LSTM_FORWARD, RNN_RELU_BACKWARD, RNN_RELU_FORWARD, RNN_TANH_BACKWARD,
    RNN_TANH_FORWARD, CellProblem
)

cnp.import_array()


cdef bint is_like(object x, cnp.ndarray state, int gates) noexcept:
    """A native matrix of the type of `state`, (B, H), of shape (B, gates H), whose rows are contiguous."""
    if not cnp.PyArray_CheckExact(x):
        return False
    cdef cnp.ndarray a = <cnp.ndarray>x
    return (
        cnp.PyArray_NDIM(a) == 2
        and cnp.PyArray_TYPE(a) == cnp.PyArray_TYPE(state)
        and cnp.PyArray_ISBEHAVED_RO(a)
        and cnp.PyArray_DIM(a, 0) == cnp.PyArray_DIM(state, 0)
        and cnp.PyArray_DIM(a, 1) == gates * cnp.PyArray_DIM(state, 1)
        and (cnp.PyArray_STRIDE(a, 1) == cnp.PyArray_ITEMSIZE(a) or cnp.PyArray_DIM(a, 1) <= 1)
    )


cdef bint is_state(object x) noexcept:
    """A native float32 or float64 matrix whose rows are contiguous."""
    if not (cnp.PyArray_CheckExact(x) and cnp.PyArray_NDIM(<cnp.ndarray>x) == 2):
        return False
    cdef int kind = cnp.PyArray_TYPE(<cnp.ndarray>x)
    return (kind == cnp.NPY_FLOAT or kind == cnp.NPY_DOUBLE) and is_like(x, <cnp.ndarray>x, 1)


cdef tuple run(int step, cnp.ndarray state, tuple arguments, tuple gates):
    """The results of a step: new matrices of the type of `state`, (B, H), of the shapes (B, k H) for k in `gates`."""
    cdef CellProblem problem
    cdef cnp.ndarray each
    cdef Py_ssize_t k
    cdef bint wide = is_wide(state)
    problem.B, problem.H = cnp.PyArray_DIM(state, 0), cnp.PyArray_DIM(state, 1)
    for k, each in enumerate(arguments):
        problem.in_[k], problem.in_row[k] = cnp.PyArray_DATA(each), cnp.PyArray_STRIDE(each, 0)
    results = [empty(problem.B, number * problem.H, state) for number in gates]
    for k, each in enumerate(results):
        problem.out[k], problem.out_row[k] = cnp.PyArray_DATA(each), cnp.PyArray_STRIDE(each, 0)
    with nogil:
        kernels(wide).cell_step[step](&problem, threads())
    return tuple(results)


def rnn_cell_forward(gates_x, gates_h, nonlinearity):
    if not (is_state(gates_x) and is_like(gates_h, gates_x, 1)):
        return reference.rnn_cell_forward(gates_x, gates_h, nonlinearity)
    step = RNN_TANH_FORWARD if nonlinearity == "tanh" else RNN_RELU_FORWARD
    return run(step, gates_x, (gates_x, gates_h), (1,))[0]


def rnn_cell_backward(grad_h, h, nonlinearity):
    if not (is_state(grad_h) and is_like(h, grad_h, 1)):
        return reference.rnn_cell_backward(grad_h, h, nonlinearity)
    step = RNN_TANH_BACKWARD if nonlinearity == "tanh" else RNN_RELU_BACKWARD
    return run(step, grad_h, (grad_h, h), (1,))[0]


def lstm_cell_forward(gates_x, gates_h, c):
    if not (is_state(c) and is_like(gates_x, c, 4) and is_like(gates_h, c, 4)):
        return reference.lstm_cell_forward(gates_x, gates_h, c)
    return run(LSTM_FORWARD, c, (gates_x, gates_h, c), (1, 1, 4))


def lstm_cell_backward(grad_h, grad_c, c, new_c, gates):
    if not (
        is_state(c)
        and is_like(grad_h, c, 1)
        and is_like(grad_c, c, 1)
        and is_like(new_c, c, 1)
        and is_like(gates, c, 4)
    ):
        return reference.lstm_cell_backward(grad_h, grad_c, c, new_c, gates)
    return run(LSTM_BACKWARD, c, (grad_h, grad_c, c, new_c, gates), (4, 1))


def gru_cell_forward(gates_x, gates_h, h):
    if not (is_state(h) and is_like(gates_x, h, 3) and is_like(gates_h, h, 3)):
        return reference.gru_cell_forward(gates_x, gates_h, h)
    return run(GRU_FORWARD, h, (gates_x, gates_h, h), (1, 4))


def gru_cell_backward(grad_h, h, gates):
    if not (is_state(h) and is_like(grad_h, h, 1) and is_like(gates, h, 4)):
        return reference.gru_cell_backward(grad_h, h, gates)
    return run(GRU_BACKWARD, h, (grad_h, h, gates), (3, 3, 1))
