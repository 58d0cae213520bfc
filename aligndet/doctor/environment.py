"""Examine the environment: what is installed, what is broken, and the one command that mends each fault.

``python -m aligndet doctor`` prints one line per finding and exits with 1 when there is a fault. The checks
take plain data (:class:`Installed`), so they can be tried on made-up environments.
"""

import importlib.metadata
import platform
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from aligndet.doctor import machine

OK, NOTE, FAULT = "ok", "note", "FAULT"
FAMILIES = {
    "mmengine": ("onedl-mmengine", "mmengine", "mmengine-lite"),
    "mmcv": ("onedl-mmcv", "mmcv", "mmcv-full", "mmcv-lite"),
    "mmdet": ("onedl-mmdetection", "mmdet"),
    "mmpretrain": ("onedl-mmpretrain", "mmpretrain"),
}
OPENCV = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
PIP = f"{sys.executable} -m pip"


@dataclass(frozen=True)
class Finding:
    """One line of the report: how bad (ok, note or FAULT), what, and for faults the command that mends it."""

    level: str
    text: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.level:<6} {self.text}" + (f"\n{'':<6} mend:  {self.mend}" if self.mend else "")


@dataclass
class Installed:
    """One installed distribution: normalised name, version, relative file paths, requirements as written."""

    name: str
    version: str
    files: set[str] = field(default_factory=set)
    requires: list[str] = field(default_factory=list)


Packages = dict[str, Installed]


def installed_packages() -> Packages:
    """Every distribution this Python can import from; the first one on the path wins, as for ``import``."""
    found: Packages = {}
    for one in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", one.metadata["Name"] or "").lower()
        files = {str(path) for path in one.files or ()}
        found.setdefault(name, Installed(name, one.version, files, one.requires or []))
    return found


def check_torch(packages: Packages, error: str = "") -> Iterable[Finding]:
    """torch and the torchvision that was built for it; ``error`` is what importing them raised, or empty."""
    torch, vision = packages.get("torch"), packages.get("torchvision")
    if torch is None or vision is None:
        missing = " and ".join(name for name in ("torch", "torchvision") if name not in packages)
        yield Finding(FAULT, f"{missing} not installed", f"{PIP} install torch torchvision")
        return
    wanted = [match[1] for line in vision.requires if (match := re.match(r"torch\s*\(?==\s*([\w.]+)", line))]
    text = f"torch {torch.version}, torchvision {vision.version}"
    public = torch.version.split("+")[0]
    if wanted and wanted[0].split("+")[0] != public:
        text += f": this torchvision was built for torch {wanted[0]}"
        yield Finding(FAULT, text, f'{PIP} install --no-deps "torchvision=={_matching_vision(public)}"')
    elif error:
        mend = f"{PIP} install --force-reinstall torch=={torch.version} torchvision=={vision.version}"
        yield Finding(FAULT, f"{text} cannot be imported: {error}", mend)
    else:
        yield Finding(OK, text)


def _matching_vision(torch_version: str) -> str:
    """torchvision release of a torch release: torch 2.x goes with torchvision 0.(x + 15)."""
    minor = int(torch_version.split(".")[1])
    return f"0.{minor + 15}.*"


def check_families(packages: Packages) -> Iterable[Finding]:
    """Which distribution brings each OpenMMLab package; two of them overwrite each other's files."""
    for package, names in FAMILIES.items():
        present = [packages[name] for name in names if name in packages]
        if len(present) > 1:
            yield _clash(package, present)
        elif present:
            yield Finding(
                OK, f"{package} from {present[0].name} {present[0].version} ({_family(present[0].name)})"
            )
        else:
            level = NOTE if package == "mmpretrain" else FAULT
            yield Finding(level, f"{package} not installed", f"{PIP} install {names[0]}")
    used = {_family(name) for names in FAMILIES.values() for name in names if name in packages}
    if len(used) > 1:
        yield Finding(NOTE, "packages of both families (onedl, openmmlab) are mixed: not a tested set")


def _family(name: str) -> str:
    return "onedl" if name.startswith("onedl-") else "openmmlab"


def _clash(package: str, present: list[Installed]) -> Finding:
    shared = set.intersection(*(one.files for one in present))
    who = " and ".join(f"{one.name} {one.version}" for one in present)
    keep = present[0]  # the maintained family stands first
    # removing one deletes files of the other, so both go and one comes back
    mend = f"{PIP} uninstall -y {' '.join(one.name for one in present)} && "
    mend += f"{PIP} install --no-deps {keep.name}=={keep.version}"
    return Finding(FAULT, f"{package}: {who} are both installed and share {len(shared)} files", mend)


def check_opencv(packages: Packages, has_ximgproc: bool | None) -> Iterable[Finding]:
    """OpenCV distributions, which all write one ``cv2`` folder; ``has_ximgproc`` is ``None`` without cv2."""
    present = [packages[name] for name in OPENCV if name in packages]
    listed = ", ".join(f"{one.name} {one.version}" for one in present) or "not installed"
    if not present:
        yield Finding(FAULT, f"OpenCV: {listed}", f"{PIP} install opencv-python")
        return
    contrib = [one for one in present if "contrib" in one.name]
    best = (contrib or present)[0]
    again = f"{PIP} install --force-reinstall --no-deps {best.name}=={best.version}"
    if has_ximgproc is None:
        yield Finding(FAULT, f"OpenCV: {listed}; import cv2 fails", again)
    elif contrib and not has_ximgproc:
        yield Finding(FAULT, f"OpenCV: {listed}; another one overwrote contrib's cv2 (no ximgproc)", again)
    elif len({one.version for one in present}) > 1:
        yield Finding(NOTE, f"OpenCV: {listed}; the one installed last is in the shared cv2 folder", again)
    else:
        yield Finding(OK, f"OpenCV: {listed}")


def check_proposals(packages: Packages, has_ximgproc: bool | None) -> Iterable[Finding]:
    """Backends that can make proposals."""
    backends = ["fast"] if "numba" in packages else []
    backends += ["selectivesearch"] if "selectivesearch" in packages else []
    backends += ["opencv (ximgproc)"] if has_ximgproc else []
    if backends:
        yield Finding(OK, f"proposal backends: {', '.join(backends)}")
    else:
        yield Finding(FAULT, "no selective search", f"{PIP} install numba")


def check_detectors(error: str) -> Iterable[Finding]:
    """Whether mmdet's models can be imported; ``error`` is what was raised, or empty."""
    if error:
        yield Finding(FAULT, f"mmdet cannot be imported: {error}", f"{PIP} install -r requirements.txt")


def check_operators(state: machine.Operators) -> Iterable[Finding]:
    """mmcv's operators: compiled, stand-in or broken."""
    if state.error:
        yield Finding(FAULT, f"mmcv operators: {state.error}", "make setup OPS=compiled")
    elif state.library is None:
        yield Finding(OK, "mmcv operators: stand-in on torchvision")
        if not state.at_start:
            text = "stock mmdet tools do not find the stand-in (tools of this project do)"
            yield Finding(NOTE, text, f"{sys.executable} -m aligndet.ops.startup")
    elif state.lacks_cuda:
        # torchvision's kernels, on which the stand-in is built, do have CUDA forms
        mend = f"rm {state.library} && {sys.executable} -m aligndet.ops.startup"
        yield Finding(FAULT, "mmcv operators: compiled without CUDA, but torch uses a GPU", mend)
    else:
        yield Finding(OK, f"mmcv operators: compiled ({state.library})")


def examine() -> list[Finding]:
    """All findings about this Python."""
    packages = installed_packages()
    ximgproc = machine.has_ximgproc()
    provided = {package for package, names in FAMILIES.items() if set(names) & set(packages)}
    torch_error = machine.import_error("torchvision")
    can_try = not torch_error and "mmcv" in provided
    checks: list[Callable[[], Iterable[Finding]]] = [
        lambda: check_torch(packages, torch_error),
        lambda: check_families(packages),
        lambda: check_operators(machine.operators()) if can_try else (),
        lambda: check_detectors(
            machine.import_error("mmdet.models") if can_try and "mmdet" in provided else ""
        ),
        lambda: check_opencv(packages, ximgproc),
        lambda: check_proposals(packages, ximgproc),
        lambda: [Finding(OK, f"devices: {machine.devices()}")],
    ]
    first = Finding(OK, f"Python {platform.python_version()} on {platform.system()} ({sys.executable})")
    return [first, *(finding for check in checks for finding in check())]


def main() -> int:
    """Print the report; 1 if there is a fault, else 0."""
    findings = examine()
    print(*findings, sep="\n")
    faults = sum(finding.level == FAULT for finding in findings)
    print(f"\n{faults} fault{'s' if faults != 1 else ''} found" if faults else "\nno faults found")
    return 1 if faults else 0
