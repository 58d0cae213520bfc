"""Examine what is installed: which distributions, whether they belong together, and what mends each fault.

The checks take plain data (:class:`Installed`), so they can be tried on made-up environments.
"""

import importlib.metadata
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

from aligndet.doctor.finding import FAULT, NOTE, OK, Finding

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
    packages: Packages = {}
    for one in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", one.metadata["Name"] or "").lower()
        files = {str(path) for path in one.files or ()}
        packages.setdefault(name, Installed(name, one.version, files, one.requires or []))
    return packages


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
        hint = f"{PIP} install --force-reinstall torch=={torch.version} torchvision=={vision.version}"
        yield Finding(FAULT, f"{text} cannot be imported: {error}", hint)
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
    hint = f"{PIP} uninstall -y {' '.join(one.name for one in present)} && "
    hint += f"{PIP} install --no-deps {keep.name}=={keep.version}"
    return Finding(FAULT, f"{package}: {who} are both installed and share {len(shared)} files", hint)


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


def provides(packages: Packages, module: str) -> bool:
    """Whether a distribution of either family brings OpenMMLab's ``module``."""
    return not packages.keys().isdisjoint(FAMILIES[module])


def check_requirements(packages: Packages) -> Iterable[Finding]:
    """Whether all that aligndet requires is there, but for what other checks ask; silent without metadata."""
    aligndet = packages.get("aligndet")
    examined = {"torch", "torchvision", *OPENCV, *packages}
    for line in aligndet.requires if aligndet else []:
        name = re.split(r"[^\w.-]", line, maxsplit=1)[0]
        if "extra ==" not in line and name not in examined:
            yield Finding(FAULT, f"{name} is required but not installed", f'{PIP} install "{line}"')
