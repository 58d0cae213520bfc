"""The whole road, small: images to proposals to backbone to detector to export to comparison (`make demo`).

    python tools/demo.py                     on generated images, with labels for the comparison
    python tools/demo.py --images FOLDER     on your images; with --train and --val (COCO json), compares too

Interrupted, or a stage failed? The same command goes on from there.
"""

import argparse
import sys
from pathlib import Path

import aligndet  # noqa: F401
from aligndet.demo.plan import Plan, available_cores
from aligndet.demo.road import walk
from aligndet.road.command import run

ROOT = Path(__file__).resolve().parents[1]


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--images", type=Path, help="folder of your images, any nesting (default: a generated set)")
    add("--train", type=Path, help="labels over --images to fine-tune on (COCO json)")
    add("--val", type=Path, help="labels over --images to report AP on (COCO json)")
    add("--work-dir", type=Path, help="default: work_dirs/demo, or work_dirs/demo_FOLDER with --images")
    add("--max-images", type=int, default=Plan.max_images, help="of yours, at most (default %(default)s)")
    add("--image-steps", type=int, help="of image-domain training (default: the config's)")
    add("--box-steps", type=int, help="of box-domain pre-training (default: the config's)")
    add("--finetune-steps", type=int, default=Plan.finetune_steps, help="per run (default %(default)s)")
    add("--seeds", type=int, default=Plan.seeds, help="of the comparison (default %(default)s)")
    add("--lr", nargs="+", default=list(Plan.lrs), help="rates tried for both starts (default %(default)s)")
    add("--cores", type=int, default=available_cores(), help="CPU cores to use (default: all, %(default)s)")
    add("--progress-every", type=float, default=15.0, help="seconds between progress lines")
    return parser.parse_args(argv)


def plan_of(args: argparse.Namespace) -> Plan:
    """The plan that the words ask for; relative paths are those of the current folder."""
    name = f"demo_{args.images.resolve().name}" if args.images else "demo"
    return Plan(
        work=(args.work_dir or ROOT / "work_dirs" / name).resolve(),
        root=ROOT,
        images=args.images and args.images.resolve(),
        train=args.train and args.train.resolve(),
        val=args.val and args.val.resolve(),
        max_images=args.max_images,
        image_steps=args.image_steps,
        box_steps=args.box_steps,
        finetune_steps=args.finetune_steps,
        seeds=args.seeds,
        lrs=tuple(args.lr),
        cores=max(1, args.cores),
    )


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    return run(lambda: walk(plan_of(args), lambda text: print(text, flush=True), args.progress_every))


if __name__ == "__main__":
    sys.exit(main())
