"""``aligndet demo``: the whole job, small."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from aligndet.cli import options, paths, values
from aligndet.cli.pretrain import console_of, typed
from aligndet.common.errors import InputError

SUMMARY = "the whole job, small: images to a compared detector, in minutes on two cores"
EXAMPLES = """
aligndet demo                                       on generated images, with labels for the comparison
aligndet demo --images photos/                      on small copies of yours
aligndet demo --images photos/ --train train.json --val val.json
Interrupted? The same command goes on.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The images, and what can be smaller."""
    options.add(parser, "--images", "default: a generated set")
    options.add(parser, "--train", "over --images")
    options.add(parser, "--val", "over --images")
    options.add(parser, "--train-images", type=paths.folder)
    options.add(parser, "--val-images")
    options.add(parser, "--out", "default work_dirs/demo, or work_dirs/demo_IMAGES")
    text = "of yours, at most (default 300)"
    parser.add_argument("--max-images", type=values.positive, default=300, metavar="N", help=text)
    options.add(parser, "--seeds")
    options.add(parser, "--max-iters")
    options.add_workers(parser)
    options.add(parser, "--seed")
    options.add(parser, "--overwrite")
    options.add(parser, "--dry-run")


def run(args: argparse.Namespace) -> Any:
    """Do the demo, print its table."""
    from aligndet.pipeline import plan
    from aligndet.pipeline.demo import demo_question
    from aligndet.pipeline.present import closing, planned, table_of
    from aligndet.pipeline.run_file import read
    from aligndet.pipeline.runner import dry_run, run_pipeline

    if args.images is None and (args.train or args.val):
        raise InputError("--train and --val are labels over --images: give that, too")
    names = ("images", "max_images", "train", "val", "train_images", "val_images", "seeds", "max_iters")
    given = {name: getattr(args, name) for name in (*names, "workers", "seed", "imports")}
    folder = Path("work_dirs") / (f"demo_{args.images.resolve().stem}" if args.images else "demo")
    question = demo_question(out=str(args.out or folder), **given)
    if args.dry_run:
        stages, checked, before = dry_run(question)
        print("\n".join(planned(question, stages, checked, before)))
        return {"stages": [stage.name for stage in stages], "lengths": checked.lengths}
    result = run_pipeline(question, console_of(args), args.overwrite, typed(sys.argv[1:]))
    done = read(result.out)
    assert done is not None
    print("\n".join(["", *table_of(done, plan.stages(question)), "", *closing(question)]))
    return result
