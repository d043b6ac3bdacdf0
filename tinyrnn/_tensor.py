"""Tensor: the list of methods and operators, each of them an op from tinyrnn.ops."""

from __future__ import annotations

from tinyrnn import _lazy, conversion, creation, devices, dtypes, printing, random
from tinyrnn.autograd import gradients
from tinyrnn.engine.base import TensorBase, register, version_of
from tinyrnn.engine.tape import requires_grad as engine_requires_grad
from tinyrnn.engine.tape import source_of
from tinyrnn.ops import (
    activations,
    arithmetic,
    comparison,
    counting,
    division,
    elementary,
    extremes,
    flipping,
    gathering,
    indexing,
    masking,
    norms,
    powers,
    products,
    reductions,
    repeating,
    selection,
    shaping,
    slicing,
    sorting,
    ternary,
    windows,
    writing,
)
from tinyrnn.ops import softmax as softmaxes
from tinyrnn.size import Size


class _InstanceGrad:
    """``TensorBase.grad`` as a descriptor, for the engine that is not compiled: there it lies in the instance."""

    def __get__(self, tensor, owner=None):
        return vars(tensor)["grad"]

    def __set__(self, tensor, value):
        vars(tensor)["grad"] = value


_engine_grad = getattr(TensorBase, "grad", None) or _InstanceGrad()


class Tensor(TensorBase):
    """An n-dimensional array that can record what is computed from it. See PyTorch's ``torch.Tensor``.

    Tensors are made with `tinyrnn.tensor`, `tinyrnn.zeros` and so on. The constructor is PyTorch's old one:
    ``Tensor()`` is empty, ``Tensor(2, 3)`` has that shape and uninitialised elements, and ``Tensor(data)`` is a copy of a
    sequence, array or tensor; all are of the default dtype.
    """

    __slots__ = ()
    __array_priority__ = 1000  # ndarray * tensor is left to the tensor
    __hash__ = TensorBase.__hash__

    def __init__(self, *data):
        TensorBase.__init__(self, creation.legacy_array(data))

    def __getattr__(self, name):  # only called where normal lookup found nothing
        if hasattr(type(self), name):  # a property that failed: not with the error for a name that is not there
            return object.__getattribute__(self, name)
        public = {other for other in dir(type(self)) if not other.startswith("_")}
        raise _lazy.missing("Tensor", name, public.difference(dir(TensorBase)))  # those are of the engine

    # ---- autograd (autograd/gradients.py) ----
    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Add the derivatives of this tensor to ``.grad`` of the leaves; see `tinyrnn.autograd.backward`."""
        gradients.backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    @property
    def grad(self):
        """The gradient that backward has summed up here so far: a tensor or None."""
        return _engine_grad.__get__(self)

    @grad.setter
    def grad(self, value):
        gradients.check_gradient(self, value)
        _engine_grad.__set__(self, value)

    @property
    def requires_grad(self):
        """Whether ops on this tensor are recorded."""
        return engine_requires_grad(self)

    @requires_grad.setter
    def requires_grad(self, value):
        gradients.set_requires_grad(self, value)

    def requires_grad_(self, requires_grad=True):
        """Set `requires_grad`, and return the tensor."""
        gradients.set_requires_grad(self, requires_grad)
        return self

    @property
    def is_leaf(self):
        """Whether this tensor was not computed by a recorded op."""
        return self.grad_fn is None

    @property
    def grad_fn(self):
        """The node that recorded the op this tensor came from, or None."""
        source = source_of(self)
        return None if source is self else source

    @property
    def data(self):
        """This tensor without its history, sharing memory; assigning exchanges the memory.

        A write to it counts as a write to this tensor, unlike in PyTorch: backward raises if an op had saved the numbers
        that were overwritten, in place of computing with the new ones.
        """
        return conversion.detach(self)

    @data.setter
    def data(self, value):
        conversion.replace_data(self, value)

    @property
    def _version(self):
        return version_of(self).count

    detach = conversion.detach

    def detach_(self):
        """Forget the history of this tensor itself."""
        if self.window is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self.node, self.output, self.tracked = None, 0, False
        return self

    retain_grad = gradients.retain_grad
    retains_grad = property(gradients.retains_grad)
    register_hook = gradients.register_hook

    # ---- arithmetic (ops: arithmetic, division, ternary, powers, elementary, selection) ----
    __add__ = __radd__ = add = arithmetic.add
    __sub__ = sub = subtract = arithmetic.sub
    __rsub__ = arithmetic.rsub
    __mul__ = __rmul__ = mul = multiply = arithmetic.mul
    __truediv__ = arithmetic.div
    div = divide = true_divide = division.div
    __rtruediv__ = arithmetic.rdiv
    __floordiv__ = floor_divide = division.floor_divide
    __rfloordiv__ = division.rfloordiv
    __mod__ = remainder = division.remainder
    __rmod__ = division.rmod
    __pow__ = pow = powers.pow
    __rpow__ = powers.rpow
    __neg__ = neg = negative = arithmetic.neg
    __pos__ = arithmetic.positive
    __abs__ = abs = absolute = elementary.abs
    lerp = ternary.lerp
    addcmul = ternary.addcmul
    addcdiv = ternary.addcdiv
    square = powers.square
    sqrt = powers.sqrt
    rsqrt = powers.rsqrt
    reciprocal = powers.reciprocal
    exp = elementary.exp
    expm1 = elementary.expm1
    log = elementary.log
    log2 = elementary.log2
    log10 = elementary.log10
    log1p = elementary.log1p
    sin = elementary.sin
    cos = elementary.cos
    erf = elementary.erf
    sign = elementary.sign
    floor = elementary.floor
    ceil = elementary.ceil
    trunc = elementary.trunc
    round = elementary.round
    clamp = clip = selection.clamp
    nan_to_num = selection.nan_to_num
    clamp_min = selection.clamp_min
    clamp_max = selection.clamp_max
    maximum = selection.maximum
    minimum = selection.minimum

    def where(self, condition, other):
        """Elements of this tensor where `condition` is true, else of `other`; see `tinyrnn.where`."""
        return selection.where(condition, self, other)

    # ---- comparison, logic, bits (ops/comparison.py) ----
    __eq__ = comparison.equals
    __ne__ = comparison.differs
    eq = comparison.eq
    ne = not_equal = comparison.ne
    __lt__ = lt = less = comparison.lt
    __le__ = le = less_equal = comparison.le
    __gt__ = gt = greater = comparison.gt
    __ge__ = ge = greater_equal = comparison.ge
    isnan = comparison.isnan
    isinf = comparison.isinf
    isfinite = comparison.isfinite
    logical_and = comparison.logical_and
    logical_or = comparison.logical_or
    logical_not = comparison.logical_not
    logical_xor = comparison.logical_xor
    __and__ = __rand__ = bitwise_and = comparison.bitwise_and
    __or__ = __ror__ = bitwise_or = comparison.bitwise_or
    __xor__ = __rxor__ = bitwise_xor = comparison.bitwise_xor
    __invert__ = bitwise_not = comparison.bitwise_not
    equal = comparison.equal
    isclose = comparison.isclose
    allclose = comparison.allclose

    # ---- activations (ops/activations.py) ----
    tanh = activations.tanh
    sigmoid = activations.sigmoid
    relu = activations.relu

    # ---- products (ops/products.py) ----
    __matmul__ = matmul = products.matmul
    __rmatmul__ = products.rmatmul
    mm = products.mm
    bmm = products.bmm
    mv = products.mv
    dot = products.dot
    outer = products.outer
    addmm = products.addmm
    baddbmm = products.baddbmm

    # ---- reductions, softmax (ops/reductions.py, ops/extremes.py, ops/norms.py, ops/softmax.py) ----
    sum = reductions.sum
    mean = reductions.mean
    var = reductions.var
    std = reductions.std
    prod = reductions.prod
    cumsum = reductions.cumsum
    cumprod = reductions.cumprod
    logsumexp = reductions.logsumexp
    logaddexp = reductions.logaddexp
    all = reductions.all
    any = reductions.any
    count_nonzero = reductions.count_nonzero
    max = extremes.max
    min = extremes.min
    amax = extremes.amax
    amin = extremes.amin
    argmax = extremes.argmax
    argmin = extremes.argmin
    norm = norms.norm
    softmax = softmaxes.softmax
    log_softmax = softmaxes.log_softmax

    # ---- shape (ops/shaping.py, ops/repeating.py, ops/flipping.py, ops/slicing.py, ops/windows.py) ----
    reshape = shaping.reshape
    view = shaping.view
    reshape_as = shaping.reshape_as
    view_as = shaping.view_as
    flatten = shaping.flatten
    ravel = shaping.ravel
    unflatten = shaping.unflatten
    permute = shaping.permute
    transpose = shaping.transpose
    swapaxes = shaping.swapaxes
    swapdims = shaping.swapdims
    t = shaping.t
    T = property(shaping.reverse_dims)
    mT = property(shaping.matrix_transpose)  # noqa: N815 (PyTorch's name)
    movedim = shaping.movedim
    moveaxis = shaping.moveaxis
    squeeze = shaping.squeeze
    unsqueeze = shaping.unsqueeze
    expand = shaping.expand
    expand_as = shaping.expand_as
    broadcast_to = shaping.broadcast_to
    repeat = repeating.repeat
    tile = repeating.tile
    repeat_interleave = repeating.repeat_interleave
    flip = flipping.flip
    roll = flipping.roll
    clone = shaping.clone
    contiguous = shaping.contiguous
    is_contiguous = shaping.is_contiguous
    narrow = slicing.narrow
    select = slicing.select
    unbind = slicing.unbind
    chunk = slicing.chunk
    unfold = windows.unfold

    def split(self, split_size, dim=0):
        """See `tinyrnn.split`."""
        return slicing.split(self, split_size, dim)

    # ---- indexing, masks, sorting (ops/indexing.py, gathering.py, masking.py, sorting.py, counting.py) ----
    __getitem__ = indexing.getitem
    __len__ = indexing.length
    __iter__ = indexing.iterate
    __contains__ = indexing.contains
    gather = gathering.gather
    scatter = gathering.scatter
    scatter_add = gathering.scatter_add
    take_along_dim = gathering.take_along_dim
    index_select = gathering.index_select
    index_add = gathering.index_add
    index_copy = gathering.index_copy
    index_fill = gathering.index_fill
    diag = gathering.diag
    masked_fill = masking.masked_fill
    masked_select = masking.masked_select
    tril = masking.tril
    triu = masking.triu
    nonzero = masking.nonzero
    sort = sorting.sort
    argsort = sorting.argsort
    topk = sorting.topk
    median = sorting.median
    unique = counting.unique
    unique_consecutive = counting.unique_consecutive
    bincount = counting.bincount

    # ---- in-place writes (ops/writing.py) ----
    __setitem__ = writing.setitem
    copy_ = writing.copy_
    fill_ = writing.fill_
    zero_ = writing.zero_
    __iadd__ = add_ = writing.add_
    __isub__ = sub_ = subtract_ = writing.sub_
    __imul__ = mul_ = multiply_ = writing.mul_
    __itruediv__ = div_ = divide_ = true_divide_ = writing.div_
    __ifloordiv__ = floor_divide_ = writing.floor_divide_
    __imod__ = remainder_ = writing.remainder_
    __ipow__ = pow_ = writing.pow_
    __iand__ = bitwise_and_ = writing.bitwise_and_
    __ior__ = bitwise_or_ = writing.bitwise_or_
    __ixor__ = bitwise_xor_ = writing.bitwise_xor_
    logical_not_ = writing.logical_not_
    neg_ = negative_ = writing.neg_
    floor_ = writing.floor_
    ceil_ = writing.ceil_
    round_ = writing.round_
    trunc_ = writing.trunc_
    reciprocal_ = writing.reciprocal_
    rsqrt_ = writing.rsqrt_
    abs_ = absolute_ = writing.abs_
    exp_ = writing.exp_
    log_ = writing.log_
    sqrt_ = writing.sqrt_
    sigmoid_ = writing.sigmoid_
    tanh_ = writing.tanh_
    relu_ = writing.relu_
    clamp_ = clip_ = writing.clamp_
    clamp_min_ = writing.clamp_min_
    clamp_max_ = writing.clamp_max_
    addcmul_ = writing.addcmul_
    addcdiv_ = writing.addcdiv_
    lerp_ = writing.lerp_
    nan_to_num_ = writing.nan_to_num_
    square_ = writing.square_
    tril_ = writing.tril_
    triu_ = writing.triu_
    masked_fill_ = writing.masked_fill_
    unsqueeze_ = writing.unsqueeze_
    squeeze_ = writing.squeeze_
    transpose_ = writing.transpose_
    t_ = writing.t_
    scatter_ = writing.scatter_
    scatter_add_ = writing.scatter_add_
    index_add_ = writing.index_add_
    index_copy_ = writing.index_copy_
    index_fill_ = writing.index_fill_

    # ---- dtype, device, NumPy (conversion.py, random.py, printing.py) ----
    @property
    def shape(self):
        """The size of every dimension."""
        return Size(self.array.shape)

    @property
    def ndim(self):
        """The number of dimensions."""
        return self.array.ndim

    @property
    def dtype(self):
        """The type of the elements, e.g. ``tinyrnn.float32``."""
        return dtypes.of_array(self.array)

    @property
    def device(self):
        """Where the memory lies."""
        return devices.of_array(self.array)

    @property
    def is_cuda(self):
        """Whether the memory is that of a GPU."""
        return self.device.type == "cuda"

    @property
    def is_sparse(self):
        """False: no tensor is."""
        return False

    @property
    def itemsize(self):
        """Bytes of one element."""
        return self.array.itemsize

    @property
    def nbytes(self):
        """Bytes of all elements."""
        return self.array.nbytes

    size, stride, dim = conversion.size, conversion.stride, conversion.dim
    ndimension, data_ptr = conversion.dim, conversion.data_ptr
    numel = nelement = conversion.numel
    element_size, is_floating_point = conversion.element_size, conversion.is_floating_point
    is_complex = conversion.is_complex
    item, tolist = conversion.item, conversion.tolist
    __bool__, __float__, __int__, __index__ = conversion.truth, conversion.to_float, conversion.to_int, conversion.to_index
    __format__ = conversion.formatted
    numpy, __array__, __array_wrap__ = conversion.numpy, conversion.to_array, conversion.wrap_array
    __dlpack__, __dlpack_device__ = conversion.to_dlpack, conversion.dlpack_device
    __cuda_array_interface__ = property(conversion.cuda_array_interface)
    pin_memory, get_device = conversion.pin_memory, conversion.get_device
    to, type, type_as, cpu, cuda = conversion.to, conversion.type_, conversion.type_as, conversion.cpu, conversion.cuda
    float, double, half, bfloat16 = conversion.float_, conversion.double, conversion.half, conversion.bfloat16
    int, long, short = conversion.int_, conversion.long, conversion.short
    byte, bool = conversion.byte, conversion.bool_
    new, new_tensor, resize_ = conversion.new, conversion.new_tensor, conversion.resize_
    new_full, new_empty = conversion.new_full, conversion.new_empty
    new_zeros, new_ones = conversion.new_zeros, conversion.new_ones
    uniform_, normal_, random_ = random.uniform_, random.normal_, random.random_
    bernoulli_, exponential_ = random.bernoulli_, random.exponential_
    bernoulli, multinomial = random.bernoulli, random.multinomial
    __repr__ = printing.representation
    __copy__, __deepcopy__ = conversion.shallow_copy, conversion.deep_copy


register(Tensor, arithmetic.add, arithmetic.add_into)
