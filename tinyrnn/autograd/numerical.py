"""Checking backward functions against central finite differences, first and second order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyrnn.dtypes import FLOATS
from tinyrnn.engine.backward import gradients_of
from tinyrnn.engine.base import TensorBase, wrap
from tinyrnn.engine.tape import requires_grad, source_of
from tinyrnn.grad_modes import enable_grad

FULL = 300  # up to so many input elements, the whole Jacobian is compared; above, random directions
ONE_BY_ONE = 32  # up to so many output elements, each is differentiated by itself
DIRECTIONS = 3  # random directions in input and in output space
BLOCKS = 100  # parts into which a large input is cut, each with a random direction of its own: all elements are covered


class GradcheckError(RuntimeError):
    """A gradient that finite differences do not confirm."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
) -> bool:
    """Compare the gradients of `func` with central finite differences.

    Up to 300 input elements the whole Jacobian is compared, element by element; beyond that its product with random
    directions, in which every element takes part. Also checked: shape and dtype of every gradient, each output
    differentiated without the others (their gradients are then None), that a second run gives the same, and that neither
    inputs nor incoming gradients are written to.

    Parameters
    ----------
    func : takes `inputs`; returns a tensor or a tuple or list of tensors. Outputs that are not floating-point are skipped.
    inputs : a tensor or a sequence. Checked are the tensors with ``requires_grad``; they must be float64.
    eps : step of the finite differences.
    atol, rtol : a gradient g passes if ``|g - d| <= atol + rtol * |d|``, d being the finite difference.
    raise_exception : if False, the function returns False instead of raising.
    nondet_tol : how far a second run of backward may be from the first.
    fast_mode : only a few directions through all elements of an input.

    Raises
    ------
    GradcheckError
        Names the output, the input, the element, both numbers, and the line that made the output.
    ValueError
        If there is nothing to check, or an input is not float64.
    """
    check = _Check(func, _as_tuple(inputs), eps, atol, rtol, nondet_tol, fast_mode)
    try:
        with enable_grad():
            check.run()
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
) -> bool:
    """Compare second derivatives of `func` with finite differences of its first derivatives.

    The gradients of `func` under ``create_graph=True`` must equal those without (a fused kernel and the formula composed
    of ops are two pieces of code), and are then put through `gradcheck` as functions of `inputs` and `grad_outputs`.

    Parameters
    ----------
    grad_outputs : the weights of the outputs; random by default.
    func, inputs, eps, atol, rtol, raise_exception, nondet_tol, fast_mode : see `gradcheck`.
    """
    inputs = _as_tuple(inputs)
    checked = [x for x in inputs if isinstance(x, TensorBase) and requires_grad(x)]
    with enable_grad():
        outputs = [y for y in _as_tuple(func(*inputs)) if _is_differentiable(y)]
        if grad_outputs is None:
            generator = np.random.default_rng(1)
            weights = tuple([_random_like(y.array, generator) for y in outputs])
        else:
            weights = _as_tuple(grad_outputs)
        for weight in weights:
            if not requires_grad(weight):
                weight.tracked = True

    def first_derivative(*arguments: Any) -> tuple[Any, ...]:
        outputs = [y for y in _as_tuple(func(*arguments[: len(inputs)])) if _is_differentiable(y)]
        found = gradients_of(outputs, checked, list(arguments[len(inputs) :]), create_graph=True)
        return tuple([gradient for gradient in found if gradient is not None])

    try:
        with enable_grad():
            _compare_walks(func, inputs, checked, weights, nondet_tol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return gradcheck(
        first_derivative, (*inputs, *weights), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
        nondet_tol=nondet_tol, fast_mode=fast_mode,
    )  # fmt: skip


def _compare_walks(func: Any, inputs: Any, checked: Any, weights: Any, nondet_tol: float) -> None:
    """Hold the gradients of a walk that is recorded equal to those of a walk that is not."""
    found = []
    for create_graph in (False, True):
        outputs = [y for y in _as_tuple(func(*inputs)) if _is_differentiable(y)]
        given = [weight if create_graph else wrap(weight.array.copy()) for weight in weights]
        found.append(gradients_of(outputs, checked, given, create_graph=create_graph))
    for number, (plain, recorded) in enumerate(zip(*found)):
        if (plain is None) != (recorded is None):
            which = "no gradient" if recorded is None else "a gradient"
            raise GradcheckError(f"gradgradcheck: input {number} has {which} with create_graph=True, without it the contrary")
        if plain is None:
            continue
        a, b = _host(plain.array), _host(recorded.array)
        if a.shape != b.shape or a.dtype != b.dtype or not np.allclose(a, b, 1e-6, 1e-8 + nondet_tol, equal_nan=True):
            raise GradcheckError(
                f"gradgradcheck: the gradient of input {number} is not the same with create_graph=True: {b.dtype} "
                f"{b.shape} {b.tolist()}, without it {a.dtype} {a.shape} {a.tolist()}"
            )


class _Check:
    """One run of `gradcheck`."""

    def __init__(self, func, inputs, eps, atol, rtol, nondet_tol, fast_mode):
        self.func, self.inputs = func, inputs
        self.eps, self.atol, self.rtol, self.nondet_tol = eps, atol, rtol, nondet_tol
        self.random = np.random.default_rng(0)
        self.numbers = [i for i, x in enumerate(inputs) if isinstance(x, TensorBase) and requires_grad(x)]
        self.checked = [inputs[i] for i in self.numbers]
        if not self.checked:
            raise ValueError("gradcheck expects at least one input tensor to require gradient, but none of them does")
        for number, x in zip(self.numbers, self.checked):
            if x.array.dtype != np.float64:
                raise ValueError(
                    f"gradcheck: input {number} is {x.array.dtype}; finite differences need float64: pass input.double()"
                )
            layout = zip(x.array.strides, x.array.shape)
            if x.array.size and any(stride == 0 and size > 1 for stride, size in layout):
                raise ValueError(f"gradcheck: input {number} is expanded (elements share memory); pass input.clone()")
        self.blocks = 0 if fast_mode else BLOCKS
        self.full = not fast_mode and sum(x.array.size for x in self.checked) <= FULL

    def run(self) -> None:
        before = [_host(x.array).copy() for x in self.checked]
        outputs = self.outputs()
        if not outputs:
            raise ValueError("gradcheck: no output is a floating-point tensor, so there is nothing to differentiate")
        analytic = self.analytic(outputs)
        for number, x, old in zip(self.numbers, self.checked, before):
            if not np.array_equal(_host(x.array), old, equal_nan=True):
                raise GradcheckError(f"gradcheck: forward and backward of the function have changed input {number} in place")
        for position in range(len(self.checked)):
            compare = self.compare_elements if self.full else self.compare_directions
            compare(position, analytic, outputs)

    def outputs(self) -> list[Any]:
        return [y for y in _as_tuple(self.func(*self.inputs)) if _is_differentiable(y)]

    def analytic(self, outputs):
        """Triples of (output numbers, their weights, gradient per checked input), from backward."""
        weightings = []
        for number, y in enumerate(outputs):
            if not self.full or y.array.size > ONE_BY_ONE:
                continue
            for index in np.ndindex(y.array.shape):
                weight = np.zeros(y.array.shape, y.array.dtype)
                weight[index] = 1
                weightings.append(([number], [weight]))
        for numbers in [[i] for i in range(len(outputs))] + ([list(range(len(outputs)))] if len(outputs) > 1 else []):
            for _ in range(DIRECTIONS):
                weightings.append((numbers, [self.direction(outputs[i].array) for i in numbers]))
        return [(numbers, weights, self.gradients(numbers, weights, i == 0)) for i, (numbers, weights) in enumerate(weightings)]

    def direction(self, array):
        """Random weights, none of them near 0, which would hide an error."""
        magnitude = self.random.uniform(0.5, 1.5, array.shape)
        return np.asarray(magnitude * self.random.choice((-1.0, 1.0), array.shape)).astype(array.dtype)

    def gradients(self, numbers, weights, twice):
        """What backward says, as NumPy arrays; zeros where it says None."""
        arrays = []
        for _ in range(2 if twice else 1):
            outputs = self.outputs()
            chosen = [(outputs[i], w) for i, w in zip(numbers, weights) if requires_grad(outputs[i])]
            if not chosen:
                return [np.zeros(x.array.shape) for x in self.checked]
            given = [wrap(_like(w, y.array)) for y, w in chosen]
            found = gradients_of([y for y, _ in chosen], self.checked, given)
            for (_, w), g in zip(chosen, given):
                if not np.array_equal(_host(g.array), w):
                    raise GradcheckError("gradcheck: backward has written into the gradient it was given")
            arrays.append([self.validated(i, x, g) for i, x, g in zip(self.numbers, self.checked, found)])
        for number, first, again in zip(self.numbers, arrays[0], arrays[-1]):
            if not np.allclose(first, again, rtol=0, atol=self.nondet_tol, equal_nan=True):
                raise GradcheckError(f"gradcheck: backward gave two different gradients of input {number} in two equal runs")
        return arrays[0]

    def validated(self, number, x, gradient):
        if gradient is None:
            return np.zeros(x.array.shape)
        data = gradient.array
        if isinstance(data, np.generic):
            raise GradcheckError(f"gradcheck: the gradient of input {number} is a NumPy scalar, expected an array")
        if data.shape != x.array.shape or data.dtype != x.array.dtype:
            raise GradcheckError(
                f"gradcheck: the gradient of input {number} is {data.dtype} {data.shape}, expected {x.array.dtype} "
                f"{x.array.shape}, like the input"
            )
        return _host(data)

    def difference(self, x, step):
        """The change of every output for a small `step` (index and size) of one input, divided by 2 eps."""
        data = x.array
        old = data.copy()
        try:
            moved = []
            for sign in (1, -1):
                step(data, old, sign * self.eps)
                moved.append([_host(y.array).copy() for y in self.outputs()])
        finally:
            data[...] = old
        return [(plus - minus) / (2 * self.eps) for plus, minus in zip(*moved)]

    def compare_elements(self, position, analytic, outputs):
        x = self.checked[position]
        for index in np.ndindex(x.array.shape):

            def step(data, old, size, index=index):
                data[index] = old[index] + size

            numeric = self.difference(x, step)
            for numbers, weights, gradients in analytic:
                expected = sum([float((w * numeric[i]).sum()) for i, w in zip(numbers, weights)])
                self.compare(float(gradients[position][index]), expected, position, index, numbers, weights, outputs)

    def directions(self, array):
        for _ in range(DIRECTIONS):
            yield self.direction(array)
        if self.blocks and array.size:
            for part in np.array_split(self.random.permutation(array.size), min(self.blocks, array.size)):
                direction = np.zeros(array.shape)
                direction.flat[part] = self.direction(array).flat[part]
                yield direction

    def compare_directions(self, position, analytic, outputs):
        x = self.checked[position]
        for direction in self.directions(_host(x.array)):
            device_direction = _like(direction, x.array)

            def step(data, old, size, direction=device_direction):
                data[...] = old + size * direction

            numeric = self.difference(x, step)
            for numbers, weights, gradients in analytic:
                expected = sum([float((w * numeric[i]).sum()) for i, w in zip(numbers, weights)])
                found = float((gradients[position] * direction).sum())
                self.compare(found, expected, position, None, numbers, weights, outputs)

    def compare(self, found, expected, position, index, numbers, weights, outputs):
        if abs(found - expected) <= self.atol + self.rtol * abs(expected):
            return
        element = "in a random direction" if index is None else f"at element {index}"
        first, weight = outputs[numbers[0]], weights[0]
        which = " and ".join([str(number) for number in numbers])
        if len(numbers) == 1 and np.count_nonzero(weight) == 1:
            which += f" at element {tuple([int(i[0]) for i in np.nonzero(weight)])}"
        else:
            which += " (weighted sum of its elements)"
        source = source_of(first)
        maker = f"; made by {source.name} at {source.where}" if hasattr(source, "where") else ""
        raise GradcheckError(
            f"gradcheck: backward says d(output {which}) / d(input {self.numbers[position]} {element}) = {found:.9g}, finite "
            f"differences say {expected:.9g} (input shape {self.checked[position].array.shape}, output shape "
            f"{first.array.shape}{maker})"
        )


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, TensorBase) else (value,)


def _is_differentiable(value: Any) -> bool:
    return isinstance(value, TensorBase) and value.array.dtype.kind in FLOATS


def _random_like(array: Any, generator: np.random.Generator) -> Any:
    return wrap(_like(generator.uniform(0.5, 1.5, array.shape).astype(array.dtype), array))


def _like(host: Any, array: Any) -> Any:
    """A fresh array with the values of the NumPy array `host`, of the array type of `array`."""
    fresh = np.empty_like(array, order="C", subok=True)
    if isinstance(fresh, np.ndarray):
        fresh[...] = host
    else:
        fresh.set(np.ascontiguousarray(host))
    return fresh


def _host(array: Any) -> Any:
    """The array in main memory."""
    return array if isinstance(array, np.ndarray) else array.get()
