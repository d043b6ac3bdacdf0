"""The tape-based autograd engine: base (tensor state), tape (recording), backward (the walk), modes (what is recorded).

Cython compiles these files as they are. ``TINYRNN_PURE=1`` runs the uncompiled files instead, for reading and stepping
through them with a debugger; both behave the same.
"""
