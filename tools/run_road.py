"""The whole road on a folder: proposals, backbone, box domain, export, fine-tune, for a config's detector.

    python tools/run_road.py DETECTOR.py IMAGES --image-config configs/image_domain/simsiam_r18_folder.py
    python tools/run_road.py DETECTOR.py IMAGES --backbone timm:resnet50 --train TRAIN.json --val VAL.json

DETECTOR is the fine-tune config of any served mmdet detector (a file or mmdet::name). Without --image-config
and --backbone, the weights that it names itself are the image domain. Interrupted? The same command goes on.
A stage whose inputs (configs, options, files, what earlier stages gave) are as before is not done again; one
whose inputs changed is, and its old folder is kept beside it.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import aligndet  # noqa: F401
from aligndet.proposals.engines import usable_cores
from aligndet.road.command import run
from aligndet.road.plan import Road
from aligndet.road.walk import walk

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = {
    "proposals": "flags of tools/make_proposals.py, in one word: '--backend opencv --max-side 400'",
    "image": "config options of the image domain, in one word: 'train_cfg.max_epochs=100'",
    "box": "config options of the box domain, in one word",
    "finetune": "config options of fine-tuning, in one word",
}


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("detector", help="fine-tune config: a file, or mmdet::folder/name.py")
    add("images", type=Path, help="folder of unlabelled images, any nesting")
    add("--work-dir", type=Path, help="default: work_dirs/road_DETECTOR_IMAGES")
    add("--proposals", type=Path, help="made before; without it they are made")
    add("--image-config", help="image-domain method to train (configs/image_domain/)")
    add("--backbone", help="weights to load instead: timm:NAME, torchvision:NAME, a URL, file or work dir")
    add("--box-config", help="pre-training config of the box domain (default: the 12-epoch recipe)")
    add("--finetune", action="store_true", help="fine-tune, too, on the data that DETECTOR names")
    add("--train", type=Path, help="fine-tune, too: labels to train on (COCO json)")
    add("--val", type=Path, help="labels to report AP on (COCO json)")
    add("--labelled", type=Path, help="folder of the labelled images (default: IMAGES)")
    for name, text in OPTIONS.items():
        add(f"--{name}-options", default="", help=text)
    add("--gpus", type=int, default=0, help="processes of each training (default: one)")
    add("--amp", action="store_true", help="mixed precision")
    add("--cores", type=int, default=usable_cores(), help="CPU cores to use (default: all, %(default)s)")
    add("--progress-every", type=float, default=60.0, help="seconds between progress lines")
    return parser.parse_args(argv)


def road_of(args: argparse.Namespace) -> Road:
    """The road that the words ask for; relative paths are those of the current folder."""

    def config(name: str | None) -> str | None:
        here = Path(name).resolve() if name and "::" not in name else None
        return str(here) if here and here.is_file() else name

    def path(given: Path | None) -> Path | None:
        return given.resolve() if given else None

    name = f"road_{Path(args.detector.rpartition('::')[2]).stem}_{args.images.resolve().name}"
    loaded = args.backbone
    if loaded and Path(loaded).exists():
        loaded = str(Path(loaded).resolve())
    return Road(
        root=ROOT,
        work=(args.work_dir or ROOT / "work_dirs" / name).resolve(),
        detector=config(args.detector) or args.detector,
        images=args.images.resolve(),
        proposals=path(args.proposals),
        backbone=loaded,
        image_config=config(args.image_config),
        box_config=config(args.box_config),
        finetune=args.finetune,
        train=path(args.train),
        val=path(args.val),
        labelled=path(args.labelled),
        options={key: tuple(shlex.split(getattr(args, f"{key}_options"))) for key in OPTIONS},
        gpus=args.gpus,
        amp=args.amp,
        cores=max(1, args.cores),
    )


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    return run(lambda: walk(road_of(args), lambda text: print(text, flush=True), args.progress_every))


if __name__ == "__main__":
    sys.exit(main())
