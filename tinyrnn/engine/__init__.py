"""The tape-based autograd engine: base (what a tensor is to the tape), tape (recording), backward (the walk), modes.

Plain Python that Cython compiles from these very files (C types in the .pxd files). It knows no op, no layer and no
device. ``TINYRNN_PURE=1`` runs the uncompiled files, for reading and stepping through them; both behave the same.
"""
