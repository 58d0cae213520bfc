"""``aligndet proposals make``: boxes in unlabelled images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligndet.cli import options, paths, values

if TYPE_CHECKING:
    from aligndet.proposals.options import ProposalOptions

SUMMARY = "find boxes in unlabelled images and write them as a proposal store or COCO json"
EXAMPLES = """
aligndet proposals make photos/ STORE
aligndet proposals make photos/ proposals.json --backend opencv --backend-options mode=fast
aligndet proposals make instances.json STORE --images photos/ --val val.json
aligndet proposals make photos/ STORE --engine dask --scheduler tcp://HOST:8786
aligndet proposals make photos/ STORE --shard $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT
    (on a slurm array; then once more without --shard, which puts the parts together)
Interrupted? The same command goes on; finished images are not searched twice. Is the store damaged? The same
command searches the images that are touched, and nothing else.
"""
HELP = {
    "min_ratio": "least width / height",
    "max_ratio": "greatest width / height",
    "min_size": "least sqrt(w h) / sqrt(W H)",
    "max_size": "greatest sqrt(w h) / sqrt(W H)",
    "iou": "suppress a box that overlaps a better one by more than this",
    "rank": "who is better in suppression and cap; score is random where the backend has none",
    "fallback": "for images left without boxes: ratio rule alone, then min-side alone",
}
SHARED = {
    "min_side": "--min-side",
    "max_per_image": "--max-per-image",
    "seed": "--seed",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Images, the backend, how the work is divided, and the filter."""
    add = parser.add_argument
    add("source", type=paths.images, metavar="IMAGES", help=options.IMAGES_HELP)
    add("out", type=paths.out, metavar="OUT", help="store to write (a folder), or COCO json (.json)")
    options.add(parser, "--images", "of a json's file names; default: beside it")
    options.add(parser, "--backend")
    options.add(parser, "--backend-options")
    options.add(parser, "--max-side", "default 0", default=0)
    options.add(parser, "--max-bad")
    options.add(parser, "--allow-outside")
    options.add_workers(parser, "0: in this one")
    add(
        "--engine",
        choices=("local", "dask"),
        default="local",
        help="where images are searched (default local)",
    )
    add("--scheduler", default="", metavar="ADDRESS", help="of the Dask scheduler, with --engine dask")
    add("--shard", type=shard, metavar="I/N", help="do only part I of N, counted from 0")
    add(
        "--chunk",
        type=values.whole,
        default=0,
        metavar="N",
        help="images per resumable part (default: by their number)",
    )
    options.add(parser, "--val", "prints recall at IoU 0.5")
    options.add(parser, "--overwrite")
    _add_filter(parser.add_argument_group("filter (the defaults are the paper's rule 'ratio3size0008@0.5')"))


def _add_filter(group: argparse._ArgumentGroup) -> None:
    from dataclasses import fields

    from aligndet.proposals.filters import RANKS, FilterOptions

    group.add_argument("--no-filter", action="store_true", help="keep the backend's boxes as they come")
    for option in fields(FilterOptions):
        flag, default = f"--{option.name.replace('_', '-')}", option.default
        told = f"default {default:.4g}" if isinstance(default, float) else f"default {default}"
        if option.name == "seed":
            options.add(group, flag, "of the rank where boxes have no score; default 0")
        elif option.name in SHARED:
            options.add(group, flag, told, default=default)
        elif isinstance(default, bool):
            action = argparse.BooleanOptionalAction
            group.add_argument(flag, action=action, default=default, help=f"{HELP[option.name]} ({told})")
        else:
            choices = RANKS if option.name == "rank" else None
            text = f"{HELP[option.name]} ({told})"
            group.add_argument(flag, type=type(default), default=default, choices=choices, help=text)


def shard(text: str) -> tuple[int, int]:
    """``I/N``: a part of a run, counted from 0."""
    first, slash, count = text.partition("/")
    if not slash or not first.isdigit() or not count.isdigit() or int(first) >= int(count):
        raise argparse.ArgumentTypeError(f"{text!r}: expected I/N with 0 <= I < N, e.g. 0/8")
    return int(first), int(count)


def run(args: argparse.Namespace) -> Any:
    """Search, write, print the summary."""
    from aligndet.common.images.bad import max_bad
    from aligndet.evaluation.recall import recall_of_files
    from aligndet.proposals.backends import make_backend
    from aligndet.proposals.finished import finished_store
    from aligndet.proposals.integrity import DamagedStoreError
    from aligndet.proposals.runner import make_proposals, report_of
    from aligndet.proposals.store_meta import read_meta

    chosen = proposal_options(args)
    make_backend(chosen.backend, **chosen.backend_options)  # before anything is listed or read
    anew = args.overwrite or args.shard
    there, damage, written = None, None, {}
    try:
        there = None if anew else finished_store(args.source, args.out, chosen, args.images)
    except DamagedStoreError as error:
        damage, written = error.damage, read_meta(args.out)["sha256"]
        print(f"{damage.summary()}; making that again")
    if there is not None:
        print("made before; nothing to do (--overwrite makes it anew)")
        report = report_of(there, 0, args.out)
    else:
        report = make_proposals(
            args.source,
            args.out,
            chosen,
            args.images,
            workers=args.workers,
            chunk=args.chunk,
            progress=not args.quiet,
            engine=args.engine,
            scheduler=args.scheduler,
            shard=args.shard,
            mend=damage is not None,
            max_bad=max_bad(),
        )
    print(report)
    if damage is not None:
        made = read_meta(args.out)["sha256"]
        others = ", ".join(name for name in written if made.get(name) != written[name])
        fate = f"now otherwise than first: {others}" if others else "all is as it was first, to the byte"
        print(f"mended: {report.searched} images searched again; {fate}")
    if args.val and not args.shard:
        _say_fit(args)
        value, images = recall_of_files(args.out, args.val)
        print(f"recall at IoU 0.5 against {args.val}: {value:.3f} ({images} images)")
    return report


def _say_fit(args: argparse.Namespace) -> None:
    """Say how the labels fit the images, where these lie in one folder; recall tells the rest."""
    from aligndet.common.fit_of_labels import fit_of_labels
    from aligndet.common.labels.reader import read_labels

    folder = args.images or args.source
    if Path(folder).is_dir():
        print(fit_of_labels(read_labels(args.val, folder), Path(folder)).line())


def proposal_options(args: argparse.Namespace) -> ProposalOptions:
    """What the words say of backend and filter."""
    from dataclasses import fields

    from aligndet.proposals.backends import parse_options
    from aligndet.proposals.filters import FilterOptions
    from aligndet.proposals.options import ProposalOptions

    rule = FilterOptions(**{option.name: getattr(args, option.name) for option in fields(FilterOptions)})
    backend_options = parse_options(args.backend, args.backend_options)
    return ProposalOptions(args.backend, backend_options, None if args.no_filter else rule, args.max_side)
