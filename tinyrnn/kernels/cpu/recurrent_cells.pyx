# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The recurrent cells: all that one step does to a row of gates, in one pass over it.

Float32 and float64 matrices whose rows are contiguous (they may be slices of wider or reversed arrays) are computed here,
everything else by the reference. So is what NumPy's vectorised exp and tanh do faster. The loops are in recurrent_cells.h.
"""

from cpython.pyport cimport PY_SSIZE_T_MAX
cimport numpy as cnp

from tinyrnn.kernels import reference

cdef extern from "vector_math.h":  # the next includes it; named here, so that a change of it is built
    pass

cdef extern from "recurrent_cells.h" nogil:
    # in C, void* are float* and double*
    void rnn_tanh_forward_float "tinyrnn_rnn_tanh_forward_float" (void* gates_x, void* gates_h, void* new_h, Py_ssize_t H)
    void rnn_tanh_forward_double "tinyrnn_rnn_tanh_forward_double" (void* gates_x, void* gates_h, void* new_h, Py_ssize_t H)
    void rnn_relu_forward_float "tinyrnn_rnn_relu_forward_float" (void* gates_x, void* gates_h, void* new_h, Py_ssize_t H)
    void rnn_relu_forward_double "tinyrnn_rnn_relu_forward_double" (void* gates_x, void* gates_h, void* new_h, Py_ssize_t H)
    void rnn_tanh_backward_float "tinyrnn_rnn_tanh_backward_float" (void* grad_h, void* h, void* grad_gates, Py_ssize_t H)
    void rnn_tanh_backward_double "tinyrnn_rnn_tanh_backward_double" (void* grad_h, void* h, void* grad_gates, Py_ssize_t H)
    void rnn_relu_backward_float "tinyrnn_rnn_relu_backward_float" (void* grad_h, void* h, void* grad_gates, Py_ssize_t H)
    void rnn_relu_backward_double "tinyrnn_rnn_relu_backward_double" (void* grad_h, void* h, void* grad_gates, Py_ssize_t H)
    void lstm_forward_float "tinyrnn_lstm_forward_float" (
        void* gates_x, void* gates_h, void* c, void* new_h, void* new_c, void* gates, Py_ssize_t H
    )
    void lstm_forward_double "tinyrnn_lstm_forward_double" (
        void* gates_x, void* gates_h, void* c, void* new_h, void* new_c, void* gates, Py_ssize_t H
    )
    void lstm_backward_float "tinyrnn_lstm_backward_float" (
        void* grad_h, void* grad_c, void* c, void* new_c, void* gates, void* grad_gates, void* grad_before, Py_ssize_t H
    )
    void lstm_backward_double "tinyrnn_lstm_backward_double" (
        void* grad_h, void* grad_c, void* c, void* new_c, void* gates, void* grad_gates, void* grad_before, Py_ssize_t H
    )
    void gru_forward_float "tinyrnn_gru_forward_float" (
        void* gates_x, void* gates_h, void* h, void* new_h, void* gates, Py_ssize_t H
    )
    void gru_forward_double "tinyrnn_gru_forward_double" (
        void* gates_x, void* gates_h, void* h, void* new_h, void* gates, Py_ssize_t H
    )
    void gru_backward_float "tinyrnn_gru_backward_float" (
        void* grad_h, void* h, void* gates, void* grad_gates_x, void* grad_gates_h, void* grad_before, Py_ssize_t H
    )
    void gru_backward_double "tinyrnn_gru_backward_double" (
        void* grad_h, void* h, void* gates, void* grad_gates_x, void* grad_gates_h, void* grad_before, Py_ssize_t H
    )

cnp.import_array()

# Up to how many hidden units, B H, a kernel beats NumPy where it does not always: Elman's tanh, which is little more than a
# call of np.tanh, and what takes the double functions of libm, which are scalar.
cdef Py_ssize_t SMALL_TANH = 2048
cdef Py_ssize_t SMALL_TANH_DOUBLE = 64
cdef Py_ssize_t SMALL_DOUBLE = 1024
cdef Py_ssize_t ANY = PY_SSIZE_T_MAX

ctypedef void (*three_rows)(void* a, void* b, void* out, Py_ssize_t H) noexcept nogil


cdef struct Rows:
    char* start
    Py_ssize_t stride  # from row to row, in bytes


cdef inline Rows rows_of(cnp.ndarray x) noexcept:
    return Rows(cnp.PyArray_BYTES(x), cnp.PyArray_STRIDE(x, 0))


cdef inline void* row(Rows rows, Py_ssize_t r) noexcept nogil:
    return rows.start + r * rows.stride


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


cdef bint is_small(cnp.ndarray state, Py_ssize_t single, Py_ssize_t wide) noexcept:
    """Whether a float32 `state` has at most `single`, or a float64 one at most `wide`, elements."""
    return cnp.PyArray_SIZE(state) <= (single if cnp.PyArray_TYPE(state) == cnp.NPY_FLOAT else wide)


cdef inline cnp.ndarray new(cnp.ndarray state, int gates):
    """An empty array of the type of `state`, (B, H), of shape (B, gates H)."""
    cdef cnp.npy_intp[2] shape = [cnp.PyArray_DIM(state, 0), gates * cnp.PyArray_DIM(state, 1)]
    return cnp.PyArray_EMPTY(2, shape, cnp.PyArray_TYPE(state), 0)


cdef cnp.ndarray rnn_rows(three_rows single, three_rows wide, cnp.ndarray a, cnp.ndarray b):
    """Run the float32 or the float64 form of a loop over the rows of two matrices."""
    cdef cnp.ndarray result = new(a, 1)
    cdef Py_ssize_t B = cnp.PyArray_DIM(a, 0), H = cnp.PyArray_DIM(a, 1), r
    cdef Rows first = rows_of(a), second = rows_of(b), out = rows_of(result)
    cdef three_rows loop = single if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT else wide
    with nogil:
        for r in range(B):
            loop(row(first, r), row(second, r), row(out, r), H)
    return result


def rnn_cell_forward(gates_x, gates_h, nonlinearity):
    if not (is_state(gates_x) and is_like(gates_h, gates_x, 1)):
        return reference.rnn_cell_forward(gates_x, gates_h, nonlinearity)
    if nonlinearity == "tanh":
        if not is_small(gates_x, SMALL_TANH, SMALL_TANH_DOUBLE):
            return reference.rnn_cell_forward(gates_x, gates_h, nonlinearity)
        return rnn_rows(<three_rows>rnn_tanh_forward_float, <three_rows>rnn_tanh_forward_double, gates_x, gates_h)
    return rnn_rows(<three_rows>rnn_relu_forward_float, <three_rows>rnn_relu_forward_double, gates_x, gates_h)


def rnn_cell_backward(grad_h, h, nonlinearity):
    if not (is_state(grad_h) and is_like(h, grad_h, 1)):
        return reference.rnn_cell_backward(grad_h, h, nonlinearity)
    if nonlinearity == "tanh":
        return rnn_rows(<three_rows>rnn_tanh_backward_float, <three_rows>rnn_tanh_backward_double, grad_h, h)
    return rnn_rows(<three_rows>rnn_relu_backward_float, <three_rows>rnn_relu_backward_double, grad_h, h)


def lstm_cell_forward(gates_x, gates_h, c):
    if not (is_state(c) and is_like(gates_x, c, 4) and is_like(gates_h, c, 4) and is_small(c, ANY, SMALL_DOUBLE)):
        return reference.lstm_cell_forward(gates_x, gates_h, c)
    cdef cnp.ndarray state = c
    new_h, new_c, gates = new(state, 1), new(state, 1), new(state, 4)
    cdef Rows a = rows_of(gates_x), b = rows_of(gates_h), before = rows_of(state)
    cdef Rows out_h = rows_of(new_h), out_c = rows_of(new_c), out = rows_of(gates)
    cdef Py_ssize_t B = cnp.PyArray_DIM(state, 0), H = cnp.PyArray_DIM(state, 1), r
    cdef bint single = cnp.PyArray_TYPE(state) == cnp.NPY_FLOAT
    with nogil:
        for r in range(B):
            if single:
                lstm_forward_float(row(a, r), row(b, r), row(before, r), row(out_h, r), row(out_c, r), row(out, r), H)
            else:
                lstm_forward_double(row(a, r), row(b, r), row(before, r), row(out_h, r), row(out_c, r), row(out, r), H)
    return new_h, new_c, gates


def lstm_cell_backward(grad_h, grad_c, c, new_c, gates):
    if not (
        is_state(c)
        and is_like(grad_h, c, 1)
        and is_like(grad_c, c, 1)
        and is_like(new_c, c, 1)
        and is_like(gates, c, 4)
        and is_small(c, ANY, SMALL_DOUBLE)
    ):
        return reference.lstm_cell_backward(grad_h, grad_c, c, new_c, gates)
    cdef cnp.ndarray state = c
    grad_gates, grad_before = new(state, 4), new(state, 1)
    cdef Rows gh = rows_of(grad_h), gc = rows_of(grad_c), before = rows_of(state), after = rows_of(new_c), a = rows_of(gates)
    cdef Rows out = rows_of(grad_gates), out_c = rows_of(grad_before)
    cdef Py_ssize_t B = cnp.PyArray_DIM(state, 0), H = cnp.PyArray_DIM(state, 1), r
    cdef bint single = cnp.PyArray_TYPE(state) == cnp.NPY_FLOAT
    with nogil:
        for r in range(B):
            if single:
                lstm_backward_float(
                    row(gh, r), row(gc, r), row(before, r), row(after, r), row(a, r), row(out, r), row(out_c, r), H
                )
            else:
                lstm_backward_double(
                    row(gh, r), row(gc, r), row(before, r), row(after, r), row(a, r), row(out, r), row(out_c, r), H
                )
    return grad_gates, grad_before


def gru_cell_forward(gates_x, gates_h, h):
    if not (is_state(h) and is_like(gates_x, h, 3) and is_like(gates_h, h, 3) and is_small(h, ANY, SMALL_DOUBLE)):
        return reference.gru_cell_forward(gates_x, gates_h, h)
    cdef cnp.ndarray state = h
    new_h, gates = new(state, 1), new(state, 4)
    cdef Rows a = rows_of(gates_x), b = rows_of(gates_h), before = rows_of(state)
    cdef Rows out_h = rows_of(new_h), out = rows_of(gates)
    cdef Py_ssize_t B = cnp.PyArray_DIM(state, 0), H = cnp.PyArray_DIM(state, 1), r
    cdef bint single = cnp.PyArray_TYPE(state) == cnp.NPY_FLOAT
    with nogil:
        for r in range(B):
            if single:
                gru_forward_float(row(a, r), row(b, r), row(before, r), row(out_h, r), row(out, r), H)
            else:
                gru_forward_double(row(a, r), row(b, r), row(before, r), row(out_h, r), row(out, r), H)
    return new_h, gates


def gru_cell_backward(grad_h, h, gates):
    if not (is_state(h) and is_like(grad_h, h, 1) and is_like(gates, h, 4)):
        return reference.gru_cell_backward(grad_h, h, gates)
    cdef cnp.ndarray state = h
    grad_gates_x, grad_gates_h, grad_before = new(state, 3), new(state, 3), new(state, 1)
    cdef Rows gh = rows_of(grad_h), before = rows_of(state), a = rows_of(gates)
    cdef Rows out_x = rows_of(grad_gates_x), out_h = rows_of(grad_gates_h), out = rows_of(grad_before)
    cdef Py_ssize_t B = cnp.PyArray_DIM(state, 0), H = cnp.PyArray_DIM(state, 1), r
    cdef bint single = cnp.PyArray_TYPE(state) == cnp.NPY_FLOAT
    with nogil:
        for r in range(B):
            if single:
                gru_backward_float(row(gh, r), row(before, r), row(a, r), row(out_x, r), row(out_h, r), row(out, r), H)
            else:
                gru_backward_double(row(gh, r), row(before, r), row(a, r), row(out_x, r), row(out_h, r), row(out, r), H)
    return grad_gates_x, grad_gates_h, grad_before
