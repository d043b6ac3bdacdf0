"""Kernels: arrays in, arrays out. Nothing in here knows a tensor.

interface.py says what each kernel takes and gives, reference.py is all of them in NumPy, cpu/ holds the compiled ones, and
dispatch.py picks by the type of the array.
"""
