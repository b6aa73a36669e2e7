"""How refgrad is tested, linted and built: ``python3 -m nox --list`` shows what there is.

``tests`` and ``conformance`` run on the interpreter that runs nox; ``core`` runs on each supported one that is found. A
missing interpreter is never downloaded: the session is skipped and says why, and is an error where CI is set.

Environment:
    REFGRAD_TORCH     the requirement by which torch is installed, "torch>=2.6" unless set: "torch==2.6.*", a path to a wheel;
                      for `matrix` several, separated by blanks
    REFGRAD_BROWSER   the Chromium that `browser` opens the report in; the system's own unless set
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
# pip installs, not uv: uv does not look where PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL point, and then fetches the CUDA build
# of torch on a machine that is configured for the CPU's.
nox.options.default_venv_backend = "virtualenv"
if hasattr(nox.options, "download_python"):  # nox before 2025.11 never downloads with this backend
    nox.options.download_python = "never"

ROOT = Path(__file__).parent
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
TORCH = os.environ.get("REFGRAD_TORCH", "torch>=2.6")
TORCHES = os.environ.get(
    "REFGRAD_TORCH", "torch==2.6.* torch>=2.6"
).split()  # the oldest supported, and the newest there is
GROUPS = nox.project.load_toml(ROOT / "pyproject.toml")

# Workers share the cores; a thread pool in each of them would only contend.
POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
ONE_THREAD = {name: os.environ.get(name, "1") for name in POOLS}


WITHOUT_TORCH = [f"--ignore=tests/{folder}" for folder in ("torch", "torch_side", "testing", "conformance")]


def group(name: str) -> tuple[str, ...]:
    """The requirements of one of pyproject.toml's dependency groups."""
    return nox.project.dependency_groups(GROUPS, name)


def workers() -> str:
    """How many test processes: one a core this process may use, at least 2, and no more than 8."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return str(min(max(cores, 2), 8))


@nox.session
def tests(session: nox.Session) -> None:
    """All tests, torch's side included. Arguments after -- go to pytest."""
    session.install("-e", ".[conformance]", TORCH, *group("test"))
    session.run("pytest", "-n", workers(), *(session.posargs or ["tests"]), env=ONE_THREAD)


@nox.session
def conformance(session: nox.Session) -> None:
    """The conformance suite, with its report. Arguments after -- go to `refgrad conformance`."""
    session.install("-e", ".[conformance]", TORCH)
    # Prints where the report is. Exit codes 1 (a gradient is wrong) and 3 (the run proved nothing) fail the session.
    session.run("refgrad", "conformance", *session.posargs)


@nox.session
def falsealarms(session: nox.Session) -> None:
    """20,000 correct programs in each dtype: none may be flagged. Any seed and number: `-- --seed 7 --programs 1000`."""
    session.install("-e", ".[conformance]", TORCH)
    session.run("python", "-m", "conformance.falsealarms", *session.posargs, env=ONE_THREAD)


@nox.session(python=PYTHONS)
def core(session: nox.Session) -> None:
    """The tests that need NumPy alone, on every interpreter found."""
    session.install("-e", ".", *group("core-test"))
    session.run("pytest", "-n", workers(), *WITHOUT_TORCH, *(session.posargs or ["tests"]), env=ONE_THREAD)


@nox.session(python=PYTHONS)
@nox.parametrize("torch", TORCHES)
def matrix(session: nox.Session, torch: str) -> None:
    """All tests by interpreter and torch. A pair for which there is no wheel is skipped, and is an error where CI is set."""
    try:
        session.install("-e", ".[conformance]", torch, *group("test"))
    except nox.command.CommandFailed:
        missing(session, f"{torch} cannot be installed for Python {session.python}")
    session.run("pytest", "-n", workers(), *(session.posargs or ["tests"]), env=ONE_THREAD)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """The tests without torch, on the oldest Python with the oldest version of everything that pyproject.toml allows."""
    wanted = {*GROUPS["project"]["dependencies"], *group("core-test")}
    session.install(*[re.sub(r">=([\d.]+)", r"==\1.*", requirement) for requirement in sorted(wanted)])
    session.install("-e", ".", "--no-deps")
    session.run("pytest", "-n", workers(), *WITHOUT_TORCH, *(session.posargs or ["tests"]), env=ONE_THREAD)


def missing(session: nox.Session, what: str) -> None:
    """Something that a session cannot do without is not here: said, and an error where CI is set."""
    if "CI" in os.environ:
        session.error(what)
    session.skip(what)


@nox.session
def report(session: nox.Session) -> None:
    """Render results again, merge shards, compare: `-- a.jsonl b.jsonl --baseline old.jsonl --out DIR`. Needs no torch."""
    session.install("-e", ".", "jinja2>=3.1")
    session.run("refgrad", "report", *(session.posargs or ["reports/results.jsonl"]))


@nox.session
def browser(session: nox.Session) -> None:
    """Open the report of 100,000 results in Chromium: search, links, copying, dark mode, axe-core, no console, no network."""
    found = os.environ.get("REFGRAD_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        missing(session, "no Chromium was found; install one, or name it in REFGRAD_BROWSER")
    session.install("-e", ".", *group("core-test"), *group("browser"))
    session.run(
        "pytest", *(session.posargs or ["tests/report/test_browser.py"]), env={"REFGRAD_BROWSER": str(found)}
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: rules and format. `nox -s lint -- --fix` repairs what can be repaired."""
    session.install(*group("lint"))
    fix = "--fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if fix else []), ".")
    session.run("ruff", "format", *([] if fix else ["--check"]), ".")


@nox.session
def typecheck(session: nox.Session) -> None:
    """Run mypy, strict, over the package. torch counts as untyped whether it is installed or not."""
    session.install(*group("lint"))
    session.run("mypy", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into docs/_build/html, without torch and without a network; a warning is an error."""
    session.install("-e", ".", *group("docs"))
    built = ROOT / "docs" / "_build"
    strict = ["--fail-on-warning", "--keep-going", "--fresh-env", "--doctree-dir", str(built / "doctrees")]
    session.run("sphinx-build", "-b", "html", *strict, "docs", str(built / "html"), *session.posargs)
    session.log(f"open {built / 'html' / 'index.html'}")


@nox.session
def build(session: nox.Session) -> None:
    """Build sdist and wheel into dist/, look inside, and try the wheel with NumPy alone."""
    session.install("build", "twine")
    dist = ROOT / "dist"
    for old in [*dist.glob("refgrad-*.whl"), *dist.glob("refgrad-*.tar.gz")]:
        old.unlink()
    # Without further options the wheel is built from the sdist, so that both are tested.
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
    session.chdir(session.create_tmp())  # away from the checkout, or its refgrad/ would be imported
    session.run("python", "-c", "import refgrad; print(refgrad.__version__)")
    session.run("refgrad", "--help", silent=True)


@nox.session
def contents(session: nox.Session) -> None:
    """What a built wheel and the repository hold, by other people's rules: check-wheel-contents, twine, sp-repo-review."""
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
    """Ratios against peers, measured side by side. Arguments after -- go to the benchmarks."""
    if not (ROOT / "benchmarks" / "__main__.py").exists():
        session.skip("there is no benchmarks/__main__.py yet")
    session.install("-e", ".[torch]", TORCH, *group("bench"))
    session.run("python", "-m", "benchmarks", *session.posargs)
