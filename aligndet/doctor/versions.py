"""Versions of what decides results: of each package by the distribution that brings it, of either family."""

import importlib.metadata
import platform

import aligndet
from aligndet.doctor.distributions import FAMILIES

DECIDING = ("torch", "torchvision", "numpy", *(name for names in FAMILIES.values() for name in names), "timm")


def deciding_versions() -> dict[str, str]:
    """Versions of this package (from its source), of Python, and of every deciding distribution there is."""
    numbers = {"aligndet": aligndet.__version__, "python": platform.python_version()}
    for name in DECIDING:
        try:
            numbers[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return numbers
