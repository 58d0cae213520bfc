"""``aligndet train`` by its path, for mim and mmdet's launch scripts; it takes the same words."""

import sys

import aligndet  # noqa: F401  (first: lets an mmcv without compiled operators run)
from aligndet.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
