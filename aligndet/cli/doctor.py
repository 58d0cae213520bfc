"""``aligndet doctor``: what is installed here, what is broken, and what mends it."""

from __future__ import annotations

import argparse
from typing import Any

from aligndet.cli.failure import CommandFailedError

SUMMARY = "say what is installed here, what is broken, and the command that mends it"
EXAMPLES = "aligndet doctor"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing to ask."""


def run(args: argparse.Namespace) -> Any:
    """Print one line per finding.

    Raises:
        CommandFailedError: there is a fault.
    """
    from aligndet.doctor.environment import FAULT, examine

    findings = examine()
    print(*findings, sep="\n")
    faults = sum(finding.level == FAULT for finding in findings)
    print(f"\n{faults} fault{'s' if faults != 1 else ''} found" if faults else "\nno faults found")
    if faults:
        raise CommandFailedError({"findings": findings})
    return {"findings": findings}
