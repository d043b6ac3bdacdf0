"""Fixtures of the kernels' tests."""

from __future__ import annotations

import pytest
from kernel_cases import native


@pytest.fixture(params=native.available_instruction_sets() if native else [])
def instruction_set(request):
    """The test runs once with the kernels of every instruction set that this processor has."""
    before = native.instruction_set()
    native.use_instruction_set(request.param)
    yield request.param
    native.use_instruction_set(before)
