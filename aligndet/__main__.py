"""``python -m aligndet doctor``: examine the environment. Everything else is in ``tools/``."""

import argparse
import sys


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m aligndet", description=__doc__)
    parser.add_argument("command", choices=["doctor"], help="doctor: versions, faults and what mends them")
    parser.parse_args(argv)
    from aligndet.doctor import environment as doctor

    return doctor.main()


if __name__ == "__main__":
    sys.exit(main())
