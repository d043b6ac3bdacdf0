"""Builds the compiled parts; everything else about the package is in pyproject.toml.

Extensions are every ``.pyx``, and every ``.py`` that has C types in a ``.pxd`` beside it. They are optional: without
Cython or a C compiler the package installs as plain Python. Two variables change that:

TINYRNN_REQUIRE_EXT=1   an extension that does not build is an error
TINYRNN_NO_EXT=1        build none
"""

import hashlib
import json
import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
REQUIRED = os.environ.get("TINYRNN_REQUIRE_EXT") == "1"
LEFT_OUT = os.environ.get("TINYRNN_NO_EXT") == "1"


def sources():
    """What Cython compiles, as paths below the project."""
    files = sorted((ROOT / "tinyrnn").rglob("*.py*"))
    chosen = [f for f in files if f.suffix == ".pyx" or (f.suffix == ".py" and f.with_suffix(".pxd").exists())]
    return [file.relative_to(ROOT) for file in chosen]


def headers(source):
    """The C headers beside a source; any of them may be part of it."""
    return sorted(header.as_posix() for header in Path(source).parent.glob("*.h"))


def extension(source):
    unix = os.name == "posix"
    return Extension(
        ".".join(source.with_suffix("").parts),
        [source.as_posix()],
        include_dirs=[source.parent.as_posix()],
        depends=headers(source),
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        extra_compile_args=["-O3", "-g0", "-fno-math-errno"] if unix else [],
        extra_link_args=["-s"] if unix else [],
        optional=not REQUIRED,
    )


def translate(extensions):
    """Let Cython write the C files, below build/, and put them in place of the sources."""
    import numpy
    from Cython.Build import cythonize

    translated = cythonize(extensions, build_dir="build/cython", language_level=3, quiet=True)
    c_files = {each.name: each.sources for each in translated}
    for each in extensions:
        each.sources = c_files[each.name]
        each.include_dirs.append(numpy.get_include())


def fingerprints(extensions):
    """{module: {file it is made from: SHA-256}}, for tinyrnn/_compiled.py to compare with the files it finds."""
    from Cython.Build.Dependencies import create_dependency_tree

    tree = create_dependency_tree()
    package = ROOT / "tinyrnn"
    result = {}
    for each in extensions:
        files = {Path(file).resolve() for source in each.sources for file in tree.all_dependencies(source)}
        files |= {Path(header).resolve() for header in each.depends}
        ours = sorted(file for file in files if file.is_relative_to(package))
        result[each.name] = {
            file.relative_to(package).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in ours
        }
    return result


class BuildExtensions(build_ext):
    def run(self):
        try:
            made_from = fingerprints(self.extensions)
            translate(self.extensions)
        except Exception as error:  # no Cython, no NumPy, or a Cython that does not take our sources
            if REQUIRED:
                raise
            self.warn(f"tinyrnn is built without compiled extensions: {type(error).__name__}: {error}")
            self.extensions = []
            return
        super().run()
        folders = [Path(self.build_lib), *([ROOT] if self.inplace else [])]
        for folder in folders:
            names = [name for name in made_from if (folder / self.get_ext_filename(name)).exists()]
            built = {name: made_from[name] for name in names}
            (folder / "tinyrnn" / "_build.json").write_text(json.dumps(built, indent=1))

    def build_extensions(self):
        self.parallel = self.parallel or os.cpu_count()
        super().build_extensions()
        # Modules with a .pxd share C structures, so they come together or not at all.
        names = [each.name for each in self.extensions]
        shared = [name for name in names if (ROOT / name.replace(".", "/")).with_suffix(".pxd").exists()]
        modules = [Path(self.build_lib, self.get_ext_filename(name)) for name in shared]
        if not all(module.exists() for module in modules):
            for module in modules:
                module.unlink(missing_ok=True)


setup(
    ext_modules=[] if LEFT_OUT else [extension(source) for source in sources()],
    cmdclass={"build_ext": BuildExtensions},
)
