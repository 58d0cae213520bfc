"""The whole examination of this Python: installed distributions, this package, operators, devices."""

import sys
from collections.abc import Callable, Iterable

from aligndet.doctor import distributions, machine, package
from aligndet.doctor.finding import FAULT, OK, Finding


def check_operators(state: machine.Operators) -> Iterable[Finding]:
    """mmcv's operators: compiled, stand-in or broken."""
    if state.error:
        yield Finding(FAULT, f"mmcv operators: {state.error}", "make setup OPS=compiled")
    elif state.library is None:
        yield Finding(OK, "mmcv operators: stand-in on torchvision")
    elif state.lacks_cuda:
        # torchvision's kernels, on which the stand-in is built, do have CUDA forms
        text = "mmcv operators: compiled without CUDA, but torch uses a GPU"
        yield Finding(FAULT, text, f"rm {state.library}")
    else:
        yield Finding(OK, f"mmcv operators: compiled ({state.library})")


def check_detectors(error: str) -> Iterable[Finding]:
    """Whether mmdet's models can be imported; ``error`` is what was raised, or empty."""
    if error:
        hint = f"{sys.executable} -m pip install -r requirements.txt"
        yield Finding(FAULT, f"mmdet cannot be imported: {error}", hint)


def check_registry(error: str) -> Iterable[Finding]:
    """Whether the modules of this package register themselves; ``error`` is what was raised, or empty."""
    if error:
        hint = f"{sys.executable} -m pip install --force-reinstall --no-deps aligndet, or clone it anew"
        yield Finding(FAULT, f"aligndet cannot be registered: {error}", hint)


def examine() -> list[Finding]:
    """All findings about this Python."""
    packages = distributions.installed_packages()
    ximgproc = machine.has_ximgproc()
    torch_error = machine.import_error("torchvision")
    can_try = not torch_error and distributions.provides(packages, "mmcv")
    with_models = can_try and distributions.provides(packages, "mmdet")
    checks: list[Callable[[], Iterable[Finding]]] = [
        package.check_python,
        package.check_installation,
        package.check_old_hook,
        lambda: distributions.check_requirements(packages),
        lambda: distributions.check_torch(packages, torch_error),
        lambda: distributions.check_families(packages),
        lambda: check_operators(machine.operators()) if can_try else (),
        lambda: check_detectors(machine.import_error("mmdet.models") if with_models else ""),
        lambda: check_registry(machine.registry_error() if with_models else ""),
        lambda: distributions.check_opencv(packages, ximgproc),
        lambda: distributions.check_proposals(packages, ximgproc),
        lambda: [Finding(OK, f"devices: {machine.devices()}")],
    ]
    return [finding for check in checks for finding in check()]
