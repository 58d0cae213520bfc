"""Examine the environment: versions, faults, and what mends them (as ``python -m aligndet doctor``)."""

import argparse
import sys

from aligndet.doctor import environment as doctor


def main(argv: list[str] | None = None) -> int:
    """Print the report; 1 if there is a fault, else 0."""
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    return doctor.main()


if __name__ == "__main__":
    sys.exit(main())
