"""Build mmcv's compiled operators from its source distribution, against the torch that is installed.

``python -m aligndet.ops.compiled`` (``make setup OPS=compiled``). Needs a C++ compiler; about ten minutes on
two cores. The build folder is kept, so an interrupted build continues where it was. pip's cache is avoided: a
plain install leaves an operator-less wheel of the same name there.
"""

import importlib.metadata
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

DISTRIBUTIONS, WITHOUT_OPERATORS = ("onedl-mmcv", "mmcv"), "mmcv-lite"
PROBE = "import torch, mmcv._ext; print(mmcv._ext.__file__)"
BUILD = ["--no-deps", "--no-build-isolation", "--no-cache-dir"]


def working_library() -> str | None:
    """Path of the compiled operators if a fresh Python can load them, else ``None``."""
    run = subprocess.run([sys.executable, "-I", "-c", PROBE], capture_output=True, text=True)
    return run.stdout.strip() if run.returncode == 0 and run.stdout.strip() != "None" else None


def installed_mmcv() -> tuple[str, str]:
    """Name and version of the mmcv distribution to build.

    Raises:
        SystemExit: none is installed, or one whose source has no operators.
    """
    for name in (*DISTRIBUTIONS, WITHOUT_OPERATORS):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if name == WITHOUT_OPERATORS:
            pip = f"{sys.executable} -m pip"
            raise SystemExit(
                f"{name} has no operators. To compile those of mmcv: {pip} uninstall -y {name} && "
                f"{pip} install --no-deps --no-build-isolation mmcv=={version}"
            )
        return name, version
    raise SystemExit("mmcv is not installed: run `make setup` first.")


def unpack_source(name: str, version: str, cache: Path) -> Path:
    """Download and unpack the source of ``name==version`` below ``cache``; reuse it when it is there."""
    folder = cache / "source"
    if not folder.exists():
        command = ["download", *BUILD, "--no-binary", ":all:", "-d", str(cache), f"{name}=={version}"]
        subprocess.run([sys.executable, "-m", "pip", "-q", *command], check=True)
        (archive,) = cache.glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            tar.extractall(cache / "unpacked", filter="data")
        (root,) = (cache / "unpacked").iterdir()
        os.replace(root, folder)
    return folder


def object_files(source: Path) -> tuple[int, int]:
    """Number of object files that are built, and of those that will be (0 while unknown)."""
    built = sum(1 for _ in source.glob("build/temp*/**/*.o"))
    plans = [path.read_text(encoding="utf-8") for path in source.glob("build/temp*/build.ninja")]
    return built, sum(len(re.findall(r"^build .*\.o: ", plan, re.MULTILINE)) for plan in plans)


def progress_line(seconds: float, built: int, planned: int) -> str:
    """One line: elapsed time and how far the compiler is."""
    share = f"{built} of {planned} object files" if planned else "preparing"
    return f"compiling mmcv's operators: {int(seconds) // 60}:{int(seconds) % 60:02d} elapsed, {share}"


def build_wheel(source: Path, cache: Path) -> Path:
    """Compile the wheel with a progress line on stdout; the compiler's own words go to ``build.log``.

    Raises:
        SystemExit: the compiler failed; the end of its log is shown.
    """
    log = cache / "build.log"
    environment = {**os.environ, "MMCV_WITH_OPS": "1"}
    environment.setdefault("MAX_JOBS", str(os.cpu_count() or 1))
    # ninja is installed next to Python, which need not be on PATH
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    command = [sys.executable, "-m", "pip", "wheel", *BUILD, "-w", str(cache), str(source)]
    with log.open("w", encoding="utf-8") as out:
        # an own process group, so that an interruption also ends the compilers that pip has started
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            _watch(process, source)
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise
    if process.wait() != 0:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:])
        raise SystemExit(f"{tail}\ncompiling mmcv's operators failed; the whole log: {log}")
    return max(cache.glob("*.whl"), key=lambda path: path.stat().st_mtime)


def _watch(process: subprocess.Popen[bytes], source: Path) -> None:
    """Print progress until the process ends: every second on a terminal, every half minute elsewhere."""
    terminal = sys.stdout.isatty()
    start = time.monotonic()
    while process.poll() is None:
        line = progress_line(time.monotonic() - start, *object_files(source))
        print(f"\r{line}" if terminal else line, end="" if terminal else "\n", flush=True)
        try:
            process.wait(1 if terminal else 30)
        except subprocess.TimeoutExpired:
            continue
    print(flush=True)


def build_and_install(cache_root: Path) -> str:
    """Make sure mmcv has compiled operators that load; return their path.

    Raises:
        SystemExit: no compiler, a failed build, or an installed wheel without operators.
    """
    if (library := working_library()) is not None:
        return library
    if not (shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++") or shutil.which("cl")):
        raise SystemExit("no C++ compiler found: install g++ or clang++, or use the stand-in (`make setup`).")
    name, version = installed_mmcv()
    cache = cache_root / f"{name}-{version}-torch-{importlib.metadata.version('torch')}"
    cache.mkdir(parents=True, exist_ok=True)
    wheels = sorted(cache.glob("*.whl")) or [build_wheel(unpack_source(name, version, cache), cache)]
    install = ["install", "-q", "--no-deps", "--force-reinstall", "--no-cache-dir", str(wheels[-1])]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True)
    if (library := working_library()) is None:
        shutil.rmtree(cache)  # or the next run would install the same wheel again
        raise SystemExit(f"the operators in {wheels[-1].name} do not load; it was deleted, run this again.")
    return library


if __name__ == "__main__":
    print("compiled operators:", build_and_install(Path(".cache/ops").resolve()))
