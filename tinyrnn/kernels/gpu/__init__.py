"""The GPU kernels. Nothing in here imports CuPy before loader.py has found it and a GPU."""
