from setuptools import setup, Extension
from Cython.Build import cythonize
import numpy as np
setup(ext_modules=cythonize([Extension("tinyrnn.engine."+n, [f"tinyrnn/engine/{n}.py"]) for n in ("base","tape","backward")]+[Extension("tinyrnn.kernels.cpu."+n, [f"tinyrnn/kernels/cpu/{n}.pyx"], include_dirs=[np.get_include()]) for n in ("elementwise",)]
  +[Extension("tinyrnn.ops."+n, [f"tinyrnn/ops/{n}.py"]) for n in ("arithmetic","activations","casting","broadcasting")]+[Extension("tinyrnn.kernels.dispatch", [f"tinyrnn/kernels/dispatch.py"])]
, language_level=3))
