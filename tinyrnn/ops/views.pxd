# C types for views.py.
from tinyrnn.engine.base cimport TensorBase, View, version_of
from tinyrnn.engine.modes cimport recording
from tinyrnn.engine.tape cimport record

cpdef object record_view(object op, object source, object array, object replay, tuple saved=*)
cpdef attach_view(TensorBase tensor, TensorBase source, object replay)
