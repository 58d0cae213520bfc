"""Find proposals in unlabelled images and write them as COCO json.

    python tools/make_proposals.py IMAGES_OR_COCO_JSON OUT.json [--backend selectivesearch|opencv]

Interrupted? Give the same command again: finished images are not searched twice.
"""

import argparse
import os
import sys
from dataclasses import fields
from pathlib import Path

import aligndet  # noqa: F401
from aligndet.proposals import FilterOptions, recall
from aligndet.proposals.backends import backend_names, parse_options
from aligndet.proposals.coco import boxes_by_file
from aligndet.proposals.filters import RANKS
from aligndet.proposals.runner import ProposalOptions, make_proposals

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
    parser.add_argument("source", type=Path, help="folder of images (searched recursively) or COCO json")
    parser.add_argument("out", type=Path, help="COCO json to write")
    parser.add_argument(
        "--image-root", type=Path, help="folder of the json's file names (default: beside it)"
    )
    parser.add_argument(
        "--backend", default="selectivesearch", help=f"{', '.join(backend_names())} or module:factory"
    )
    parser.add_argument(
        "--backend-options", nargs="*", default=[], metavar="KEY=VALUE", help="e.g. mode=fast, scale=300"
    )
    parser.add_argument(
        "--max-side", type=int, default=0, help="search on a copy of at most this long side (0: as it is)"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all)")
    parser.add_argument(
        "--chunk", type=int, default=16, help="images per resumable part (default %(default)s)"
    )
    parser.add_argument(
        "--recall-against", type=Path, help="COCO json of true boxes: print recall at IoU 0.5"
    )
    group = parser.add_argument_group("filter (the defaults are the paper's rule 'ratio3size0008@0.5')")
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


def main(argv: list[str] | None = None) -> int:
    """Run the tool; a wrong input or option ends it with one line and exit code 2."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        options = ProposalOptions(
            backend=args.backend,
            backend_options=parse_options(args.backend, args.backend_options),
            filter=FilterOptions(
                **{option.name: getattr(args, option.name) for option in fields(FilterOptions)}
            ),
            max_side=args.max_side,
        )
        report = make_proposals(
            args.source, args.out, options, args.image_root, workers=args.workers, chunk=args.chunk
        )
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        parser.exit(2, f"make_proposals: {error.args[0] if isinstance(error, KeyError) else error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "\nmake_proposals: interrupted; the same command goes on where this one stopped\n")
    print(report)
    if args.recall_against:
        found, truth = boxes_by_file(args.out), boxes_by_file(args.recall_against)
        names = [name for name in truth if name in found]
        value = recall([found[name] for name in names], [truth[name] for name in names])
        print(f"recall at IoU 0.5 against {args.recall_against}: {value:.3f} ({len(names)} images)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
