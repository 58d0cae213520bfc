"""``python -m aligndet`` is the command ``aligndet``."""

import sys

from aligndet.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
