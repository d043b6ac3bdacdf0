# cython: language_level=3
"""Which of the C++ kernels run, and on how many threads.

The kernels (cpp/) are compiled once per instruction set; the best table that this processor can run is picked here, when the
module is imported. Two variables of the environment have a say:

TINYRNN_INSTRUCTION_SET   use this one (x86-64-v2, x86-64-v3, x86-64-v4) and not the best: to test or compare
TINYRNN_NUM_THREADS       threads to start with; else OMP_NUM_THREADS, else as many as this process may run on
"""

import os

from tinyrnn.kernels.cpu.table cimport Kernels, Table, available_tables, built_with_openmp, is_forked_child

MOST_THREADS = 1024  # OpenMP ends the process if the system does not give it as many as it asked for

cdef const Table* _table = NULL
cdef int _threads = 1


cdef const Kernels* kernels(bint wide) noexcept nogil:
    """The running kernels for float32, or if `wide` for float64."""
    return _table.of[wide]


cdef int threads() noexcept nogil:
    """How many threads a kernel may use. In a forked child it is one: OpenMP's threads do not survive a fork."""
    return 1 if is_forked_child() or not built_with_openmp() else _threads


def available_instruction_sets():
    """The names of the instruction sets with kernels that this processor can run, the best first."""
    names = []
    cdef const Table* const* table = available_tables()
    while table[0] != NULL:
        names.append(table[0].name.decode())
        table += 1
    return names


def instruction_set():
    """The name of the instruction set whose kernels run."""
    return _table.name.decode()


def use_instruction_set(name):
    """Use the kernels for this instruction set, one of `available_instruction_sets()`, from now on."""
    global _table
    names = available_instruction_sets()
    if name not in names:
        raise ValueError(f"expected an instruction set that this processor runs, {', '.join(names)}, got {name!r}")
    _table = available_tables()[names.index(name)]


def has_openmp():
    """Whether the kernels were built with OpenMP; without it they run on one thread."""
    return bool(built_with_openmp())


def is_forked():
    """Whether this process was forked from one that had imported this module."""
    return bool(is_forked_child())


def get_num_threads():
    """How many threads a kernel may use."""
    return threads()


def set_num_threads(int number):
    """Let kernels use up to `number` threads, where there can be more than one."""
    global _threads
    if not 1 <= number <= MOST_THREADS:
        raise ValueError(f"set_num_threads: expected a number from 1 to {MOST_THREADS}, got {number}")
    _threads = number


def peak_flops(num_threads=None, double seconds=0.2, int double_precision=False):
    """Floating-point operations per second of nothing but multiply-adds in registers, on `num_threads` threads together."""
    cdef int count = threads() if num_threads is None else num_threads
    cdef double rate
    with nogil:
        rate = kernels(double_precision).peak_rate(seconds, count)
    return rate


def _threads_to_start_with():
    text = os.environ.get("TINYRNN_NUM_THREADS")
    if text:
        if not text.strip().isdecimal() or not 1 <= int(text) <= MOST_THREADS:
            raise ValueError(f"TINYRNN_NUM_THREADS: expected a number from 1 to {MOST_THREADS}, got {text!r}")
        return int(text)
    text = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # "4,2": of nested teams, which there are none of here
    if text.isdecimal() and int(text) > 0:
        number = int(text)
    else:
        number = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        number = min(number, _cpu_quota() or number)
    return min(number, MOST_THREADS)


def _cpu_quota():
    """How many processors' time a container may use, as Linux's control groups say it; None if there is no limit."""
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
        return None if quota == "max" else max(1, -(-int(quota) // int(period)))
    except (OSError, ValueError):
        return None


def _from_environment():
    if available_tables()[0] == NULL:
        raise ImportError("this processor is older than x86-64-v2 (SSE4.2), which the compiled kernels need")
    try:
        use_instruction_set(os.environ.get("TINYRNN_INSTRUCTION_SET") or available_instruction_sets()[0])
    except ValueError as error:
        raise ValueError(f"TINYRNN_INSTRUCTION_SET: {error}") from None
    set_num_threads(_threads_to_start_with())


_from_environment()
