"""One step of a cell, as one node (rung L1) and as primitive ops (L0), against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from recurrent_cases import MODES, leaf

from tinyrnn.autograd import gradcheck, gradgradcheck
from tinyrnn.kernels.sweeps import MODES as KERNEL_MODES
from tinyrnn.kernels.sweeps import Sweep
from tinyrnn.ops.recurrent_cells import CELLS


def test_there_is_a_cell_for_every_mode_of_the_kernels():
    assert tuple(CELLS) == KERNEL_MODES


def one_node(cell, gates_x, state, weight_hh, bias_hh):
    return cell.step(gates_x, state, weight_hh, bias_hh)


def composed(cell, gates_x, state, weight_hh, bias_hh):
    return cell.step_composed(gates_x, state, state[0], Sweep(None, weight_hh, None, bias_hh, state[0]))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("step", [one_node, composed])
def test_one_step_by_finite_differences(mode, bias, step):
    cell = CELLS[mode]
    if step is one_node and cell.step is None:
        pytest.skip("there is no such node")
    draw = np.random.default_rng(2).standard_normal
    B, H, count = 2, 3, len(cell.states)
    shapes = [(B, cell.gates * H), *[(B, H)] * count, (cell.gates * H, H), *[(cell.gates * H,)] * bias]

    def call(gates_x, *rest):
        return step(cell, gates_x, rest[:count], rest[count], rest[count + 1] if bias else None)

    inputs = [leaf(draw(shape)) for shape in shapes]
    assert gradcheck(call, inputs)
    assert gradgradcheck(call, inputs)
