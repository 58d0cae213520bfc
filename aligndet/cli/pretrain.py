"""``aligndet pretrain``: the whole job."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from aligndet.cli import options, paths, values
from aligndet.common.errors import InputError

if TYPE_CHECKING:
    from aligndet.pipeline.question import Question

SUMMARY = "pre-train a whole detector on unlabelled images: proposals, backbone, box domain, export, report"
EXAMPLES = """
aligndet pretrain my_detector.py photos/
aligndet pretrain mmdet::retinanet/retinanet_r50_fpn_1x_coco.py photos/ --out runs/photos
aligndet pretrain my_detector.py photos/ --image-config aligndet::image_domain/simsiam_r18_folder.py
aligndet pretrain my_detector.py photos/ --weights timm:resnet50 --train train.json --val val.json
aligndet pretrain my_detector.py photos/ --dry-run
Interrupted? The same command goes on.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is asked, by stage."""
    add = parser.add_argument
    add("detector", type=paths.config, metavar="DETECTOR", help=f"fine-tune {options.CONFIG_HELP}")
    add("images", type=paths.images, metavar="IMAGES", help=options.IMAGES_HELP)
    options.add(parser, "--out", "default runs/DETECTOR_IMAGES")
    _add_stages(parser)
    _add_labels(parser.add_argument_group("with labels: fine-tune and compare, too"))
    _add_length(parser.add_argument_group("length and machine"))
    options.add(parser, "--max-bad")
    options.add(parser, "--allow-outside")
    options.add(parser, "--trust")
    options.add(parser, "--overwrite")
    options.add(parser, "--dry-run")


def _add_stages(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("stages")
    add = group.add_argument
    options.add(group, "--proposals", "default: they are made")
    options.add(group, "--backend")
    options.add(group, "--backend-options")
    options.add(group, "--max-per-image", "proposals")
    options.add(group, "--min-side", "proposals")
    options.add(group, "--max-side")
    options.add(group, "--weights", "of the backbone; default: as DETECTOR says")
    add("--image-config", type=paths.config, metavar="CONFIG", help="image-domain method to train instead")
    add("--box-config", type=paths.config, metavar="CONFIG", help="box-domain config (default: the recipe)")
    for name in ("image", "box", "finetune"):
        text = f"values put over the config of the {name} stage, as --cfg-options"
        kind: dict[str, Any] = {"type": values.key_value, "nargs": "+", "action": "extend", "default": []}
        add(f"--{name}-options", metavar="KEY=VALUE", help=text, **kind)
    options.add(group, "--cfg-options", "the box domain's, as --box-options")


def _add_labels(group: argparse._ArgumentGroup) -> None:
    options.add(group, "--train")
    options.add(group, "--val")
    options.add(group, "--train-images", type=paths.folder)
    options.add(group, "--val-images")
    group.add_argument(
        "--finetune",
        action="store_true",
        default=None,
        help="fine-tune on DETECTOR's own data, without labels",
    )
    options.add(group, "--percent", "default 10 100", default=[10.0, 100.0])
    options.add(group, "--seeds")
    options.add(group, "--lr", default=[])
    options.add(group, "--allow-leak")
    text = "iterations of each run of the comparison (default 1000)"
    group.add_argument("--compare-iters", type=values.positive, metavar="N", help=text)


def _add_length(group: argparse._ArgumentGroup) -> None:
    options.add(group, "--iters", "of the box domain")
    options.add(group, "--epochs", "of the box domain")
    options.add(group, "--max-iters")
    options.add(group, "--nan-patience")
    options.add_workers(group)
    options.add(group, "--gpus", "default: one process", default=0)
    options.add(group, "--amp")
    options.add(group, "--seed")


def run(args: argparse.Namespace) -> Any:
    """Do the whole job, or print its plan."""
    from aligndet.pipeline.present import closing, planned
    from aligndet.pipeline.runner import dry_run, run_pipeline

    question = question_of(args)
    if args.dry_run:
        stages, checked, before = dry_run(question)
        print("\n".join(planned(question, stages, checked, before)))
        return {"stages": [stage.name for stage in stages], "lengths": checked.lengths}
    finished = run_pipeline(question, console_of(args), args.overwrite, typed(sys.argv[1:]))
    print("\n".join(closing(question)))
    return finished


def console_of(args: argparse.Namespace) -> Any:
    """Where progress is told."""
    from aligndet.common.console import Console

    return Console(quiet=args.quiet, verbose=args.verbose)


def typed(words: list[str]) -> str:
    """The command as a person types it."""
    return shlex.join(["aligndet", *words])


def question_of(args: argparse.Namespace) -> Question:
    """The question in the words of the pipeline."""
    from aligndet.pipeline import question as asked

    given = {
        item.name: getattr(args, item.name) for item in fields(asked.Question) if hasattr(args, item.name)
    }
    given |= {
        name: option_values(args, name) for name in ("image_options", "box_options", "finetune_options")
    }
    return asked.make_question(**given)


def option_values(args: argparse.Namespace, name: str) -> dict[str, Any]:
    """Dotted keys and values of one of the options that take them."""
    also = args.cfg_options or [] if name == "box_options" else []
    words = argparse.Namespace(cfg_options=[*getattr(args, name), *also])
    try:
        return options.cfg_options(words)
    except InputError as error:
        raise InputError(str(error).replace("--cfg-options", f"--{name.replace('_', '-')}")) from error
