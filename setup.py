"""Builds the compiled parts; everything else about the package is in pyproject.toml.

Extensions are every ``.pyx``, and every ``.py`` that has C types in a ``.pxd`` beside it. They are optional: without
Cython or a C compiler the package installs as plain Python. Three variables change that:

TINYRNN_REQUIRE_EXT=1   an extension that does not build is an error
TINYRNN_NO_EXT=1        build none
TINYRNN_SANITIZE=1      build them to run under AddressSanitizer and UndefinedBehaviorSanitizer
"""

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import SetupError

ROOT = Path(__file__).resolve().parent
NATIVE = Path("tinyrnn/kernels/cpu/native.pyx")  # the module that the C++ kernels are linked into
CPP = Path("tinyrnn/kernels/cpu/cpp")
SHARED = "tinyrnn._cython_shared"  # what Cython would otherwise put into every module: 300 kB in all
SHARED_SOURCE = Path("build/cython/_cython_shared.c")
REQUIRED = os.environ.get("TINYRNN_REQUIRE_EXT") == "1"
LEFT_OUT = os.environ.get("TINYRNN_NO_EXT") == "1"
SANITIZED = os.environ.get("TINYRNN_SANITIZE") == "1"

# Modules of which every op runs some, small arrays through little else. The others may be small: their arithmetic is in CPP.
EVERY_OP = re.compile(r"tinyrnn/(engine/.*|kernels/(dispatch|cpu/elementwise)|ops/(activations|arithmetic))")

COMPILE = ["-g0", "-fno-math-errno", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"]
USUAL, SMALL = ["-O2"], ["-Os"]
# What of GCC's -O3 the kernels are faster with; all of it would make them a fifth larger.
FAST = [*USUAL, "-fpeel-loops", "-fpredictive-commoning", "-ftree-partial-pre", "-fgcse-after-reload"]
FAST_ELSEWHERE = ["-O3"]
LINK = ["-Wl,-x"] if sys.platform == "darwin" else ["-s"]  # without the names that only a debugger needs
if sys.platform == "linux":
    LINK += ["-Wl,-z,noseparate-code"]  # nor up to 12 kB of padding in each file
if SANITIZED:
    LINK = ["-fsanitize=address,undefined"]
    COMPILE = ["-O1", "-g1", "-fno-math-errno", "-fno-omit-frame-pointer", *LINK]
    FAST = FAST_ELSEWHERE = USUAL = SMALL = []
OPENMP = ["-fopenmp"]


def sources():
    """What Cython compiles, as paths below the project."""
    files = sorted((ROOT / "tinyrnn").rglob("*.py*"))
    chosen = [f for f in files if f.suffix == ".pyx" or (f.suffix == ".py" and f.with_suffix(".pxd").exists())]
    return [file.relative_to(ROOT) for file in chosen]


def headers(source):
    """The C headers beside a source; any of them may be part of it."""
    return sorted(header.as_posix() for header in Path(source).parent.glob("*.h"))


def headers_of_kernels(source):
    """Those of the C++ kernels: the modules beside `native` include the one that describes the table of kernels."""
    if source.parent != NATIVE.parent:
        return []
    return headers(CPP / "*") + headers(NATIVE.parent) if source == NATIVE else [(CPP / "table.h").as_posix()]


def module_name(source):
    return ".".join(source.with_suffix("").parts)


def extension(source):
    unix = os.name == "posix"
    native = source == NATIVE
    level = USUAL if EVERY_OP.fullmatch(source.with_suffix("").as_posix()) else SMALL
    return Extension(
        module_name(source),
        [source.as_posix(), *(file.as_posix() for file in sorted(CPP.glob("*.cpp")) if native)],
        language="c++" if native else None,
        include_dirs=[source.parent.as_posix(), CPP.as_posix()],
        depends=headers(source) + headers_of_kernels(source),
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        extra_compile_args=[*COMPILE, *level] if unix else [],
        extra_link_args=LINK if unix else [],
        optional=not REQUIRED,
    )


def shared_extension():
    unix = os.name == "posix"
    return Extension(
        SHARED,
        [SHARED_SOURCE.as_posix()],
        extra_compile_args=[*COMPILE, *SMALL] if unix else [],
        extra_link_args=LINK if unix else [],
        optional=not REQUIRED,
    )


def flags_for(source, fast):
    """What the compiler is told for one C++ file of kernels: each is for one instruction set."""
    source = Path(source)
    if source.parent.name != CPP.name:
        return []
    flags = ["-std=c++17", "-fno-exceptions", "-fno-rtti", "-fno-trapping-math", "-fvisibility=hidden"]
    level = re.fullmatch(r"x86_64_(v\d)_\w+", source.stem)
    seldom_used = source.stem.endswith("_double") or (level and level[1] == "v2")  # v2: processors from before 2013
    flags += SMALL if seldom_used else fast
    if level and platform.machine() in ("x86_64", "AMD64"):
        flags += [f"-march=x86-64-{level[1]}"] + (["-mprefer-vector-width=512"] if level[1] == "v4" else [])
    return flags


def has_openmp(compiler):
    """Whether the compiler has OpenMP."""
    return builds(compiler, "#include <omp.h>\nvoid probe() {\n#pragma omp parallel\n    omp_get_thread_num();\n}\n", OPENMP)


def builds(compiler, text, flags):
    """Whether the compiler makes a library of a C++ file with these flags."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.cpp")
        source.write_text(text)
        try:
            objects = compiler.compile([str(source)], output_dir=folder, extra_postargs=flags)
            compiler.link_shared_object(objects, str(Path(folder, "probe.so")), extra_postargs=flags, target_lang="c++")
        except Exception:  # of distutils: the compiler or the linker said no
            return False
    return True


def check_cython():
    """Raise a SetupError unless there is a Cython that can write one module for what all of them share."""
    try:
        from Cython import __version__ as found
    except ImportError:
        found = "none"
    numbers = re.match(r"(\d+)\.(\d+)", found)
    if numbers is None or tuple(map(int, numbers.groups())) < (3, 3):
        raise SetupError(
            f"the extensions need Cython 3.3 or newer to be built, but found {found}: install it, or leave out "
            f"--no-build-isolation, so that pip does"
        )


def translate(extensions):
    """Let Cython write the C files, below build/, and put them in place of the sources."""
    import numpy
    from Cython.Build import cythonize

    SHARED_SOURCE.parent.mkdir(parents=True, exist_ok=True)
    options = ["--exclude", "MemoryView,AutoPickle", "--module-name", SHARED]
    subprocess.run([sys.executable, "-m", "cython", "generate-shared", *options, str(SHARED_SOURCE)], check=True)
    ours = [each for each in extensions if each.name != SHARED]
    translated = cythonize(
        ours,
        build_dir="build/cython",
        language_level=3,
        quiet=True,
        compiler_directives={"auto_pickle": False},  # 50 kB for what nobody may do: tensors and nodes are never pickled
        shared_utility_qualified_name=SHARED,
    )
    c_files = {each.name: each.sources for each in translated}
    for each in ours:
        each.sources = c_files[each.name]
        each.include_dirs.append(numpy.get_include())


def fingerprints(extensions):
    """{module: {file it is made from: SHA-256}}, for tinyrnn/_compiled.py to compare with the files it finds."""
    from Cython.Build.Dependencies import create_dependency_tree

    tree = create_dependency_tree()
    package = ROOT / "tinyrnn"
    result = {}
    for each in extensions:
        if each.name == SHARED:
            continue
        files = {Path(file).resolve() for source in each.sources for file in tree.all_dependencies(source)}
        files |= {Path(header).resolve() for header in each.depends}
        ours = sorted(file for file in files if file.is_relative_to(package))
        result[each.name] = {
            file.relative_to(package).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in ours
        }
    return result


class BuildExtensions(build_ext):
    def run(self):
        try:
            check_cython()
            self.made_from = fingerprints(self.extensions)
            translate(self.extensions)
        except Exception as error:  # no Cython or an old one, no NumPy, or a Cython that does not take our sources
            if REQUIRED:
                raise
            self.warn(f"tinyrnn is built without compiled extensions, as plain Python: {type(error).__name__}: {error}")
            self.extensions = []
            return
        self.failed = set()
        self.inplace_asked_for = self.inplace  # setuptools builds as if it were not, and copies
        super().run()
        self.note_what_was_built(Path(self.build_lib))
        if self.inplace:
            self.note_what_was_built(ROOT)

    def note_what_was_built(self, folder):
        file = folder / "tinyrnn" / "_build.json"
        noted = json.loads(file.read_text()) if file.exists() else {}
        noted |= {name: self.made_from[name] for name in self.made_from if name not in self.failed}
        built = {name: files for name, files in noted.items() if (folder / self.get_ext_filename(name)).exists()}
        file.write_text(json.dumps(built, indent=1))

    def build_extensions(self):
        openmp = OPENMP if os.name == "posix" and has_openmp(self.compiler) else []
        if not openmp:
            self.warn("tinyrnn's kernels are built for one thread: this compiler has no OpenMP")
        for each in self.extensions:
            each.extra_link_args = [*each.extra_link_args, *(openmp if each.name == module_name(NATIVE) else [])]
        self.compile_in_parallel(openmp)
        self.extensions.sort(key=lambda each: -len(each.sources))  # what takes longest first
        self.parallel = self.parallel or os.cpu_count()
        super().build_extensions()
        self.leave_out_what_is_incomplete()

    def compile_in_parallel(self, openmp):
        """Have the compiler work on the files of an extension side by side, each with its own flags."""
        compile_file, compile_files = self.compiler._compile, self.compiler.compile
        fast = FAST if builds(self.compiler, "void probe() {}\n", FAST) else FAST_ELSEWHERE

        def compile_with_flags(obj, source, ext, cc_args, extra_postargs, pp_opts):
            flags = flags_for(source, fast)
            compile_file(obj, source, ext, cc_args, [*extra_postargs, *flags, *(openmp if flags else [])], pp_opts)

        def compile_side_by_side(sources, **options):
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                objects = pool.map(lambda source: compile_files([source], **options), sources)
                return [each for one in objects for each in one]

        self.compiler._compile = compile_with_flags
        self.compiler.compile = compile_side_by_side

    def build_extension(self, ext):
        try:
            super().build_extension(ext)
        except Exception:
            self.failed.add(ext.name)
            raise

    def leave_out_what_is_incomplete(self):
        """Modules with a .pxd share C structures, so they come together or not at all, and with them those that use them."""
        if SHARED in self.failed:  # all use it
            self.failed = {each.name for each in self.extensions}
        definitions = {
            each.name: each.name.partition(".")[2].replace(".", "/") + ".pxd" for each in self.extensions if each.name != SHARED
        }
        shared = {name: file for name, file in definitions.items() if (ROOT / "tinyrnn" / file).exists()}
        if not self.failed.isdisjoint(shared):
            users = {name for name in definitions if not self.made_from[name].keys().isdisjoint(shared.values())}
            self.failed |= shared.keys() | users
        if not self.inplace_asked_for:  # in place, what an earlier build left stays, and is stale
            for name in self.failed:
                Path(self.build_lib, self.get_ext_filename(name)).unlink(missing_ok=True)

    def copy_extensions_to_source(self):
        self.extensions = [each for each in self.extensions if each.name not in self.failed]
        super().copy_extensions_to_source()


setup(
    ext_modules=[] if LEFT_OUT else [shared_extension(), *map(extension, sources())],
    cmdclass={"build_ext": BuildExtensions},
)
