"""Sessions that test, check and build refgrad. ``python3 -m nox --list`` lists them.

``tests``, ``coverage`` and ``conformance`` run on the interpreter that runs nox. ``core`` runs on each supported interpreter
that is found. nox downloads no interpreter: it skips the session and says why. Where CI is set this is an error.

Environment variables:
    REFGRAD_TORCH     the requirement for torch, by default "torch>=2.6"; "torch==2.6.*" or the path of a wheel are others;
                      `matrix` takes several, separated by blanks
    REFGRAD_BACKENDS  the folder of the second environments that `backend-NAME` builds, by default that of nox
    REFGRAD_BROWSER   the Chromium in which `browser` opens the report, by default the one that the system has
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "typecheck", "tests"]
nox.options.reuse_venv = "yes"  # torch is large; --reuse-venv=no makes a fresh environment
nox.options.error_on_missing_interpreters = "CI" in os.environ
# pip installs, not uv. uv ignores PIP_FIND_LINKS and PIP_EXTRA_INDEX_URL, and then fetches the CUDA build of torch on a
# machine that is configured for the CPU build.
nox.options.default_venv_backend = "virtualenv"
if hasattr(nox.options, "download_python"):  # nox before 2025.11 never downloads with this backend
    nox.options.download_python = "never"

ROOT = Path(__file__).parent
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
TORCH = os.environ.get("REFGRAD_TORCH", "torch>=2.6")
# The oldest supported, and the newest there is.
TORCHES = os.environ.get("REFGRAD_TORCH", "torch==2.6.* torch>=2.6").split()
# Another framework is judged in a Python of its own: which one, and what is installed there.
BACKENDS = {
    "autograd": ("3.12", ["autograd==1.9.*", "scipy"]),
    "jax": ("3.12", ["jax==0.12.*"]),
    "tensorflow": ("3.12", ["tensorflow-cpu==2.21.*"]),
    "pytensor": ("3.12", ["pytensor==3.3.*", "numba<=0.68.0"]),
    "mxnet": ("3.11", ["mxnet==1.9.1", "numpy<1.24"]),  # later releases of NumPy lack what it imports
    "mlx": ("3.12", ["mlx[cpu]==0.32.*", "numpy"]),
    "paddle": ("3.13", ["paddlepaddle==3.3.*", "numpy"]),
}
GROUPS = nox.project.load_toml(ROOT / "pyproject.toml")

# Each worker process has one thread: thread pools in several processes would compete for the same cores.
POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
ONE_THREAD = {name: os.environ.get(name, "1") for name in POOLS}
# Test processes, and the processes that tests start, read compiled modules, whatever the environment says: without
# bytecode each compiles the package, and each test process rewrites all tests anew. nox's environments and this checkout hold the bytecode.
TESTING = {**ONE_THREAD, "PYTHONDONTWRITEBYTECODE": ""}


WITHOUT_TORCH = [f"--ignore=tests/{folder}" for folder in ("torch", "torch_side", "testing", "conformance")]


def group(name: str) -> tuple[str, ...]:
    """The requirements of one of pyproject.toml's dependency groups."""
    return nox.project.dependency_groups(GROUPS, name)


def workers() -> str:
    """The number of test processes, as text: one for each core that this process may use, at least 2 and at most 8."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return str(min(max(cores, 2), 8))


@nox.session
def tests(session: nox.Session) -> None:
    """All tests, also those that need torch. Arguments after -- go to pytest."""
    session.install("-e", ".[conformance]", TORCH, *group("test"))
    session.run("pytest", "-n", workers(), *(session.posargs or ["tests"]), env=TESTING)


@nox.session
def coverage(session: nox.Session) -> None:
    """All tests, with line and branch coverage of refgrad/. Below the floor in pyproject.toml the session fails.

    Arguments after -- go to pytest; the floor does not apply to such a selection.
    """
    session.install("-e", ".[conformance]", TORCH, *group("test"), *group("coverage"))
    # `coverage run` measures the test processes from their first line on. A plugin of pytest would begin after `import refgrad`.
    session.run("coverage", "erase")
    session.run(
        "coverage", "run", "-m", "pytest", "-n", workers(), *(session.posargs or ["tests"]), env=TESTING
    )
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", *(["--fail-under=0"] if session.posargs else []))


@nox.session
def conformance(session: nox.Session) -> None:
    """The conformance suite, with its report. Arguments after -- go to `refgrad conformance`."""
    session.install("-e", ".[conformance]", TORCH)
    # The command prints the path of the report. Exit codes 1 (a gradient is wrong) and 3 (nothing was proved) fail the session.
    session.run("refgrad", "conformance", *session.posargs, env={"PYTHONDONTWRITEBYTECODE": ""})


@nox.session(name="compile")
def compiled(session: nox.Session) -> None:
    """200 cases compiled by inductor, which needs a C++ compiler, and the evidence of what is recorded of it, in about half an hour.

    Arguments after -- replace the scope.
    """
    session.install("-e", ".[conformance]", TORCH, *group("test"))
    recorded = ("tests/conformance/test_backends.py", "-k", "torch-compile and evidence")
    session.run("pytest", *recorded, env={**ONE_THREAD, "REFGRAD_INDUCTOR": "1"})
    families = [f"--family={name}" for name in ("graphs", "mlp", "softmax", "matmul", "ops")]
    scope = [*families, "--dtype=float32", "--device=cpu", "--examples=44"]
    session.run("refgrad", "conformance", "--compile=inductor", *(session.posargs or scope), env=ONE_THREAD)


@nox.session
def falsealarms(session: nox.Session) -> None:
    """Judge 20,000 correct programs in each dtype; none may be flagged. `-- --seed 7 --programs 1000` chooses others."""
    session.install("-e", ".[conformance]", TORCH)
    session.run("python", "-m", "conformance.falsealarms", *session.posargs, env=ONE_THREAD)


@nox.session
def constructions(session: nox.Session) -> None:
    """Judge the textbook and drawn graphs on graphs declared first and on recorded ones: `-- --backend mxnet-symbol --backend mxnet`.

    REFGRAD_PYTHON_NAME names the Python that has a framework.
    """
    session.install("-e", ".[conformance]", TORCH)
    session.run("python", "-m", "conformance.constructions", *session.posargs, env=ONE_THREAD)


def judge_backend(session: nox.Session, name: str) -> None:
    """Judge a framework in a second environment: 2,000 cases of five families, its recorded findings, and planted errors."""
    version, requirements = BACKENDS[name]
    session.install("-e", ".[conformance]", TORCH, "virtualenv", *group("test"))
    listed = "from refgrad.backends.shipped import SHIPPED, framework_of as of"
    code = f"{listed}; print(*[worker for worker in SHIPPED if of(worker) == {name!r}])"
    workers_of = str(session.run("python", "-c", code, silent=True)).split()
    if not workers_of:
        session.skip(f"refgrad ships no worker for {name}")
    folder = Path(os.environ.get("REFGRAD_BACKENDS") or session.cache_dir).resolve() / f"backend-{name}"
    python = folder / "bin" / "python"
    if not python.exists():
        try:
            session.run("virtualenv", "--quiet", "--python", version, str(folder))
            session.run(str(python), "-m", "pip", "install", "--quiet", *requirements, external=True)
        except nox.command.CommandFailed:
            shutil.rmtree(folder, ignore_errors=True)
            missing(session, f"{' '.join(requirements)} cannot be installed for Python {version}")
    found = {**ONE_THREAD, f"REFGRAD_PYTHON_{name.upper()}": str(python)}
    session.run("refgrad", "backends", env=found)
    session.run("pytest", "tests/backends", "tests/conformance/test_backends.py", env=found)
    families = [
        word for family in ("graphs", "mlp", "softmax", "matmul", "ops") for word in ("--family", family)
    ]
    usual = [*families, "--dtype", "float32", "--examples", "460"]  # what a framework lacks is not counted
    for worker in workers_of:
        options = session.posargs or [*usual, "--out", str(Path("reports") / worker)]
        session.run("refgrad", "conformance", "--backend", worker, *options, env=found)


for _name in BACKENDS:

    @nox.session(name=f"backend-{_name}")
    def backend(session: nox.Session, name: str = _name) -> None:
        """Judge another framework in an environment of its own. Arguments after -- go to `refgrad conformance`."""
        judge_backend(session, name)


@nox.session(python=PYTHONS)
def core(session: nox.Session) -> None:
    """The tests that need no torch, on each supported interpreter that is found."""
    session.install("-e", ".", *group("core-test"))
    session.run("pytest", "-n", workers(), *WITHOUT_TORCH, *(session.posargs or ["tests"]), env=TESTING)


@nox.session(python=PYTHONS)
@nox.parametrize("torch", TORCHES)
def matrix(session: nox.Session, torch: str) -> None:
    """All tests, for each interpreter with each torch. A pair without a wheel is skipped; where CI is set it is an error."""
    try:
        session.install("-e", ".[conformance]", torch, *group("test"))
    except nox.command.CommandFailed:
        missing(session, f"{torch} cannot be installed for Python {session.python}")
    session.run("pytest", "-n", workers(), *(session.posargs or ["tests"]), env=TESTING)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """The tests without torch, on the oldest Python with the oldest version of everything that pyproject.toml allows."""
    wanted = {*GROUPS["project"]["dependencies"], *group("core-test")}
    session.install(*[re.sub(r">=([\d.]+)", r"==\1.*", requirement) for requirement in sorted(wanted)])
    session.install("-e", ".", "--no-deps")
    session.run("pytest", "-n", workers(), *WITHOUT_TORCH, *(session.posargs or ["tests"]), env=TESTING)


def missing(session: nox.Session, what: str) -> None:
    """Skip the session because a requirement is missing. Where CI is set this is an error."""
    if "CI" in os.environ:
        session.error(what)
    session.skip(what)


@nox.session
def report(session: nox.Session) -> None:
    """Render results, merge shards, compare: `-- a.jsonl b.jsonl --baseline old.jsonl --out DIR`. This needs no torch."""
    session.install("-e", ".", "jinja2>=3.1")
    session.run("refgrad", "report", *(session.posargs or ["reports/results.jsonl"]))


@nox.session
def browser(session: nox.Session) -> None:
    """Test the report of 100,000 results in Chromium: search, links, copying, dark mode, accessibility, no network."""
    found = os.environ.get("REFGRAD_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        missing(session, "no Chromium was found; install one, or name it in REFGRAD_BROWSER")
    session.install("-e", ".", *group("core-test"), *group("browser"))
    session.run(
        "pytest", *(session.posargs or ["tests/report/test_browser.py"]), env={"REFGRAD_BROWSER": str(found)}
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff's rules and format, and the changelog fragments. `nox -s lint -- --fix` repairs what ruff can repair."""
    session.install(*group("lint"), *group("changelog"))
    fix = "--fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if fix else []), ".")
    session.run("ruff", "format", *([] if fix else ["--check"]), ".")
    # It fails on a fragment that it cannot read.
    session.run("towncrier", "build", "--draft", "--version", "next", silent=True)


@nox.session
def typecheck(session: nox.Session) -> None:
    """Run mypy in strict mode. It treats torch as untyped, whether torch is installed or not."""
    session.install(*group("lint"))
    session.run("mypy", *session.posargs)
    session.run("mypy", "noxfile.py", ".ci/check_release.py", *session.posargs)


@nox.session
def changelog(session: nox.Session) -> None:
    """Print changes/ as the next release will show it. `-- --yes` moves it into CHANGELOG.md and deletes the fragments."""
    session.install("-e", ".", *group("changelog"))
    session.run("towncrier", "build", *(session.posargs or ["--draft"]))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into docs/_build/html, without torch and without a network. A warning is an error."""
    session.install("-e", ".", *group("docs"))
    built = ROOT / "docs" / "_build"
    strict = ["--fail-on-warning", "--keep-going", "--fresh-env", "--doctree-dir", str(built / "doctrees")]
    session.run("sphinx-build", "-b", "html", *strict, "docs", str(built / "html"), *session.posargs)
    session.log(f"open {built / 'html' / 'index.html'}")


@nox.session
def build(session: nox.Session) -> None:
    """Build sdist and wheel into dist/, check their contents, and import the wheel with NumPy alone."""
    session.install("build", "twine")
    dist = ROOT / "dist"
    for old in [*dist.glob("refgrad-*.whl"), *dist.glob("refgrad-*.tar.gz")]:
        old.unlink()
    # Without further options `build` makes the wheel from the sdist, so this tests both.
    session.run("python", "-m", "build", "--outdir", str(dist))
    session.run("twine", "check", "--strict", *map(str, sorted(dist.glob("refgrad-*"))))
    (wheel,) = dist.glob("refgrad-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    rooms = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    if rooms != {"refgrad"}:
        session.error(f"the wheel must install refgrad and nothing beside it, but it holds {sorted(rooms)}")
    for needed in ("refgrad/py.typed", "refgrad/_suite/__init__.py"):
        if needed not in names:
            session.error(f"the wheel lacks {needed}")
    session.install("--force-reinstall", str(wheel))
    session.chdir(session.create_tmp())  # outside the checkout, whose refgrad/ would be imported
    session.run("python", "-c", "import refgrad; print(refgrad.__version__)")
    session.run("refgrad", "--help", silent=True)


@nox.session
def contents(session: nox.Session) -> None:
    """Check the wheel and the repository with check-wheel-contents, twine and sp-repo-review."""
    session.install("build", "twine", "check-wheel-contents", "sp-repo-review[cli]")
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist))
    built = [str(p) for p in sorted(dist.glob("refgrad-*"))]
    session.run("twine", "check", "--strict", *built)
    session.run("check-wheel-contents", *[name for name in built if name.endswith(".whl")])
    session.run("sp-repo-review", str(ROOT))


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Measure refgrad beside comparable libraries, as ratios. Arguments after -- go to the benchmarks."""
    session.install("-e", ".[torch]", TORCH, *group("bench"))
    session.run("python", "-m", "benchmarks", *session.posargs)
