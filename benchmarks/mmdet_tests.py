"""mmdet's own tests of dense heads, RoI heads and detectors, on the operator stand-in.

    python benchmarks/mmdet_tests.py ~/src/mmdetection                 # a checkout of mmdet 3
    python benchmarks/mmdet_tests.py ~/src/mmdetection roi_heads -k double
    python benchmarks/mmdet_tests.py ~/src/mmdetection --no-weights    # no download: checkpoints are empty
    python benchmarks/mmdet_tests.py --read mmdet_tests.xml            # sort the outcome of an earlier run

Of the checkout only the tests are used; mmdet, its configs and mmcv are those of this Python, and `aligndet`
is imported before them. Needs the package `parameterized`. Every test that does not pass is listed with its
reason; the exit status is 1 if one failed for another reason than a download, a missing optional package or
a name of numpy that the test itself uses and numpy no longer has.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import NamedTuple

FOLDERS = ("dense_heads", "roi_heads", "detectors")
PASSED, SKIPPED, DOWNLOAD, PACKAGE = "passed", "skipped", "download", "missing package"
NUMPY, FAILED = "another numpy", "FAILED"
KINDS = (PASSED, SKIPPED, DOWNLOAD, PACKAGE, NUMPY, FAILED)

#: What libraries say when there is no network.
NO_NETWORK = re.compile(
    r"URLError|HTTPError|ConnectionError|ProxyError|MaxRetryError|LocalEntryNotFoundError|OfflineModeIsEnabled"
    r"|Name or service not known|name resolution|Can't load (?:tokenizer|config)|couldn't connect to"
)
#: What an import says when a package is not there; the package's name is the first group with a value.
NO_PACKAGE = re.compile(
    r"No module named '(\w+)|(\w+) is not installed|[Pp]lease (?:run|use)[^\n]*install (\w+)"
)
#: What numpy says of a name it has dropped: a test of mmdet 3.3 uses one.
DROPPED_NAME = re.compile(r"module 'numpy' has no attribute '\w+'")
#: A plug-in of pytest: whatever checkpoint is asked for, it is empty.
NO_WEIGHTS = """
from mmengine.runner import checkpoint
checkpoint._load_checkpoint = lambda *args, **options: {"state_dict": {}}
"""


class Outcome(NamedTuple):
    """How one test ended, and why it did not pass."""

    test: str
    kind: str
    reason: str = ""


def run(checkout: Path, folders: list[str], report: Path, options: list[str], no_weights: bool) -> None:
    """Run the tests of ``folders`` in a process of their own; pytest's report goes to a file.

    With ``no_weights`` nothing is loaded into networks, so that what tests would download is not missed.

    Raises:
        SystemExit: the checkout has no such tests, or pytest could not start them.
    """
    tests = [Path("tests", "test_models", f"test_{name}") for name in folders]
    if missing := [str(checkout / path) for path in tests if not (checkout / path).is_dir()]:
        raise SystemExit(f"{', '.join(missing)}: no such folder; give a checkout of mmdet 3 with its tests")
    if importlib.util.find_spec("parameterized") is None:
        raise SystemExit(f"mmdet's tests import parameterized: {sys.executable} -m pip install parameterized")
    words = ["-m", "pytest", "-q", "--tb=short", "-o", "addopts="]
    words += [f"-p{plugin}" for plugin in ("aligndet", "no:cacheprovider", "no:warnings")]
    words += [f"--junitxml={report}", *map(str, tests), *options]
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    with tempfile.TemporaryDirectory() as folder:
        lay_out(Path(folder), checkout)
        if no_weights:
            Path(folder, "no_weights.py").write_text(NO_WEIGHTS)
            words += ["-pno_weights"]
        status = subprocess.run([sys.executable, *words], cwd=folder, env=environment).returncode
    if status not in (0, 1):
        raise SystemExit(f"pytest ended with {status}")


def lay_out(folder: Path, checkout: Path) -> None:
    """Put links into ``folder`` so that it looks like a checkout of the installed mmdet."""
    spec = importlib.util.find_spec("mmdet")
    if spec is None or spec.origin is None:
        raise SystemExit("this Python has no mmdet")
    installed = Path(spec.origin).parent
    (folder / "mmdet").symlink_to(installed)
    (folder / "configs").symlink_to(installed / ".mim" / "configs")
    (folder / "tests").symlink_to(checkout / "tests")


def outcomes(report: Path) -> list[Outcome]:
    """Read pytest's JUnit report, and say of every failure what it is for want of."""
    return [_outcome(case) for case in ElementTree.parse(report).iter("testcase")]


def _outcome(case: ElementTree.Element) -> Outcome:
    place = case.get("classname", "").removeprefix("tests.test_models.")
    name = f"{place}.{case.get('name')}"
    skipped = case.find("skipped")
    if skipped is not None:
        return Outcome(name, SKIPPED, skipped.get("message", ""))
    failure = next((found for tag in ("failure", "error") if (found := case.find(tag)) is not None), None)
    if failure is None:
        return Outcome(name, PASSED)
    said = failure.get("message", "")
    text = f"{said}\n{failure.text or ''}"
    last = said.strip().splitlines()[0] if said.strip() else "no message"
    if NO_NETWORK.search(text):
        return Outcome(name, DOWNLOAD, last)
    if package := NO_PACKAGE.search(text):
        return Outcome(name, PACKAGE, next(group for group in package.groups() if group))
    return Outcome(name, NUMPY if DROPPED_NAME.search(said) else FAILED, last)


def table(found: list[Outcome]) -> str:
    """Write numbers by folder, then every test that did not pass."""
    counts = Counter((one.test.partition(".")[0].removeprefix("test_"), one.kind) for one in found)
    lines = [f"{'':<12}" + "".join(f"{kind:>17}" for kind in KINDS)]
    for folder in [*dict.fromkeys(folder for folder, _ in counts)]:
        lines.append(f"{folder:<12}" + "".join(f"{counts[folder, kind]:>17}" for kind in KINDS))
    total = Counter(one.kind for one in found)
    lines.append(f"{'all':<12}" + "".join(f"{total[kind]:>17}" for kind in KINDS))
    lines += [f"{one.kind}: {one.test}: {one.reason}" for one in found if one.kind != PASSED]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run and sort the tests."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("checkout", type=Path, nargs="?", help="folder of mmdet's source, with its tests")
    parser.add_argument("folders", nargs="*", help=f"of {', '.join(FOLDERS)} (default: all three)")
    parser.add_argument("--report", type=Path, default=Path("mmdet_tests.xml"), help="pytest's report")
    parser.add_argument("--no-weights", action="store_true", help="load no checkpoint, so download none")
    parser.add_argument("--read", type=Path, help="only sort this report")
    args, options = parser.parse_known_args(argv)
    if args.checkout is None and args.read is None:
        parser.error("give a checkout of mmdet, or --read REPORT")
    report = (args.read or args.report).resolve()
    if args.read is None:
        run(args.checkout.resolve(), args.folders or list(FOLDERS), report, options, args.no_weights)
    found = outcomes(report)
    print(table(found))
    return int(any(one.kind == FAILED for one in found))


if __name__ == "__main__":
    raise SystemExit(main())
