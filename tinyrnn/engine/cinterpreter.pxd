# The few things the engine asks of the interpreter, in C: in Python they would take longer than the rest of a small op.
# The Python for it is in tinyrnn/_uncompiled.py.
cdef extern from *:
    """
    #include <frameobject.h>
    static inline PyObject *tinyrnn_innermost_frame(void) {
        PyFrameObject *frame = PyEval_GetFrame();
        Py_XINCREF(frame);
        return (PyObject *)frame;
    }
    #define tinyrnn_frame_code(frame) ((PyObject *)PyFrame_GetCode((PyFrameObject *)(frame)))
    #define tinyrnn_frame_instruction(frame) PyFrame_GetLasti((PyFrameObject *)(frame))
    static inline PyObject *tinyrnn_new(PyObject *cls) {
        static PyObject *no_arguments = NULL;
        if (no_arguments == NULL && (no_arguments = PyTuple_New(0)) == NULL) return NULL;
        return ((PyTypeObject *)cls)->tp_new((PyTypeObject *)cls, no_arguments, NULL);
    }
    static inline PyObject *tinyrnn_code_file(PyObject *code) {
        PyObject *name = ((PyCodeObject *)code)->co_filename;
        Py_INCREF(name);
        return name;
    }
    """
    object tinyrnn_innermost_frame()
    object tinyrnn_frame_code(object frame)
    int tinyrnn_frame_instruction(object frame)
    object tinyrnn_code_file(object code)
    object tinyrnn_new(object cls)


cdef inline object innermost_frame():
    return tinyrnn_innermost_frame()


cdef inline object frame_code(object frame):
    return tinyrnn_frame_code(frame)


cdef inline int frame_instruction(object frame):
    return tinyrnn_frame_instruction(frame)


cdef inline object code_file(object code):
    return tinyrnn_code_file(code)


cdef inline object new_tensor(object cls):
    return tinyrnn_new(cls)
