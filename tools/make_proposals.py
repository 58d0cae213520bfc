"""Find proposals in unlabelled images; write them as a proposal store, or COCO json if OUT ends in .json.

    python tools/make_proposals.py IMAGES_OR_COCO_JSON OUT [--backend NAME] [--workers N]

Interrupted, killed? Give the same command again: finished images are not searched twice.

On a cluster, with IMAGES and OUT on a shared disk, either on Dask:
    python tools/make_proposals.py IMAGES OUT --engine dask --scheduler tcp://HOST:8786
or as a slurm array, then once more without --shard to put the parts together:
    python tools/make_proposals.py IMAGES OUT --shard $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT
"""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

import aligndet  # noqa: F401
from aligndet.evaluation.recall import recall_of_files
from aligndet.proposals import FilterOptions
from aligndet.proposals.backends import backend_names, parse_options
from aligndet.proposals.engines import ENGINES, usable_cores
from aligndet.proposals.filters import RANKS
from aligndet.proposals.options import ProposalOptions
from aligndet.proposals.runner import make_proposals

HELP = {
    "min_ratio": "least width / height",
    "max_ratio": "greatest width / height",
    "min_size": "least sqrt(w h) / sqrt(W H)",
    "max_size": "greatest sqrt(w h) / sqrt(W H)",
    "min_side": "least width and height in pixels of the image as it is on disk",
    "iou": "suppress a box that overlaps a better one by more than this",
    "max_per_image": "keep at most this many boxes per image (0: all)",
    "rank": "who is better in suppression and cap; score is random where the backend has none",
    "seed": "seed of the random rank",
    "fallback": "for images left without boxes: ratio rule alone, then min-side alone",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("source", type=Path, help="folder of images (searched recursively) or COCO json")
    add("out", type=Path, help="proposal store to write (a folder), or a COCO json if it ends in .json")
    add("--image-root", type=Path, help="folder of the json's file names (default: beside it)")
    add("--backend", default=ProposalOptions.backend, help=f"{', '.join(backend_names())} or module:factory")
    add("--backend-options", nargs="*", default=[], metavar="KEY=VALUE", help="e.g. mode=fast, scale=300")
    add("--max-side", type=int, default=0, help="search on a copy of at most this long side (0: as it is)")
    add("--workers", type=int, default=usable_cores(), help="processes (default: all cores; 0: in this one)")
    add("--engine", choices=ENGINES, default="local", help="where images are searched (default %(default)s)")
    add("--scheduler", default="", help="address of the Dask scheduler, with --engine dask")
    add("--shard", type=_shard, metavar="I/N", help="do only part I of N, counted from 0")
    add("--chunk", type=int, default=0, help="images per resumable part (default: by their number)")
    add("--recall-against", type=Path, help="COCO json of true boxes: print recall at IoU 0.5")
    group = parser.add_argument_group("filter (the defaults are the paper's rule 'ratio3size0008@0.5')")
    group.add_argument("--no-filter", action="store_true", help="keep the backend's boxes as they come")
    for option in fields(FilterOptions):
        flag, default = f"--{option.name.replace('_', '-')}", option.default
        text = f"{HELP[option.name]} (default {default:.4g})" if isinstance(default, float) else None
        text = text or f"{HELP[option.name]} (default {default})"
        if isinstance(default, bool):
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=default, help=text)
        else:
            choices = RANKS if option.name == "rank" else None
            group.add_argument(flag, type=type(default), default=default, choices=choices, help=text)
    return parser


def _shard(text: str) -> tuple[int, int]:
    first, slash, count = text.partition("/")
    if not slash or not first.isdigit() or not count.isdigit() or int(first) >= int(count):
        raise argparse.ArgumentTypeError(f"{text!r}: expected I/N with 0 <= I < N, e.g. 0/8")
    return int(first), int(count)


def _options(args: argparse.Namespace) -> ProposalOptions:
    rule = FilterOptions(**{option.name: getattr(args, option.name) for option in fields(FilterOptions)})
    options = parse_options(args.backend, args.backend_options)
    return ProposalOptions(args.backend, options, None if args.no_filter else rule, args.max_side)


def main(argv: list[str] | None = None) -> int:
    """Run the tool; a wrong input or option ends it with one line and exit code 2."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        report = make_proposals(
            args.source,
            args.out,
            _options(args),
            args.image_root,
            workers=args.workers,
            chunk=args.chunk,
            engine=args.engine,
            scheduler=args.scheduler,
            shard=args.shard,
        )
        print(report)
        if args.recall_against and not args.shard:
            value, images = recall_of_files(args.out, args.recall_against)
            print(f"recall at IoU 0.5 against {args.recall_against}: {value:.3f} ({images} images)")
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        parser.exit(2, f"make_proposals: {error.args[0] if isinstance(error, KeyError) else error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "\nmake_proposals: interrupted; the same command goes on where this one stopped\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
