"""Write label fractions of a COCO file: ``split_labels.py ANN.json OUT_DIR --percent 1 5 10 --folds 5``."""

import argparse
from pathlib import Path

from aligndet.labels.split import split_labels


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Label fractions of a COCO file, with Soft Teacher's names.")
    parser.add_argument("annotations", type=Path, help="COCO json with boxes")
    parser.add_argument("out_dir", type=Path, help="folder for NAME.FOLD@PERCENT.json")
    parser.add_argument("--percent", type=float, nargs="+", default=[1, 5, 10], help="in (0, 100]")
    parser.add_argument("--folds", type=int, default=5, help="number of draws of each percentage")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other draws for all folds")
    args = parser.parse_args(argv)
    folds = range(1, args.folds + 1)
    try:
        fractions = split_labels(args.annotations, args.out_dir, args.percent, folds, args.seed)
    except (OSError, ValueError) as error:
        parser.exit(2, f"error: {error}\n")
    for fraction in fractions:
        print(f"{fraction.labeled}  {fraction.num_images} images, {fraction.num_boxes} boxes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
