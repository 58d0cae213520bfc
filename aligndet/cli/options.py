"""The options that commands share: one word, destination, type and help for one idea, everywhere."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aligndet.cli import paths
from aligndet.cli.values import (
    above_zero,
    device_name,
    key_value,
    not_negative,
    percentage,
    percentage_or_none,
    positive,
    whole,
)
from aligndet.common.errors import InputError
from aligndet.common.machine import usable_cores

BACKENDS = ("fast", "file", "grid", "opencv", "random", "selectivesearch")
CONFIG_HELP = "config: a file, or mmdet::folder/name.py, or aligndet::folder/name.py"
LABELS_HELP = "labels: COCO json (.json, .json.gz), YOLO (data.yaml, or a folder), or Pascal VOC (a folder)"
IMAGES_HELP = "images: a folder, 'pattern/**/*.jpg', list file or COCO json"
PICTURE_HELP = "picture to write (.png or .jpg)"
PROPOSALS_HELP = (
    "proposal store (folder), COCO json or results, SoCo's or SAM's json, a pickle of mmdet or detectron2"
)
WEIGHTS_HELP = "weights: a file, work dir, URL, timm:NAME, torchvision:NAME or mmpretrain::CONFIG"


#: Every shared option: what ``add_argument`` is given. A command adds its own words behind the help.
TABLE: dict[str, dict[str, Any]] = {
    "--proposals": {"type": paths.existing, "metavar": "FILE", "help": "boxes made before: a store or json"},
    "--images": {"type": paths.folder, "metavar": "DIR", "help": "folder of the images"},
    "--train": {"type": paths.existing, "metavar": "LABELS", "help": "labels to train on: COCO, YOLO, VOC"},
    "--val": {"type": paths.existing, "metavar": "LABELS", "help": "labels to report on: COCO, YOLO, VOC"},
    "--train-images": {
        "type": paths.folder,
        "metavar": "DIR",
        "help": "folder of the images of --train (default: --images)",
    },
    "--val-images": {
        "type": paths.folder,
        "metavar": "DIR",
        "help": "folder of the images of --val (default: --images)",
    },
    "--config": {"type": paths.config, "help": CONFIG_HELP},
    "--weights": {"type": paths.weights, "help": WEIGHTS_HELP},
    "--out": {"type": paths.out_folder, "metavar": "DIR", "help": "folder to write into"},
    "--workers": {"type": whole, "metavar": "N", "help": "processes at the same time"},
    "--gpus": {"type": whole, "metavar": "N", "help": "GPUs, a process each, of every training"},
    "--device": {"type": device_name, "help": "cpu, mps, cuda or cuda:N (default: a GPU where there is one)"},
    "--amp": {"action": "store_true", "help": "mixed precision"},
    "--seed": {
        "type": int,
        "default": 0,
        "metavar": "N",
        "help": "of everything random",
        "more": "default 0",
    },
    "--iters": {"type": positive, "metavar": "N", "help": "iterations of training"},
    "--epochs": {"type": positive, "metavar": "N", "help": "epochs of training"},
    "--max-iters": {"type": positive, "metavar": "N", "help": "iterations of every training, at most"},
    "--nan-patience": {
        "type": positive,
        "default": 3,
        "metavar": "N",
        "help": "steps in a row that may be not finite (none is applied), until a training ends",
        "more": "default 3",
    },
    "--max-bad": {
        "type": percentage_or_none,
        "metavar": "PERCENT",
        "help": "images that may be missing, broken or of another size; more end the run, its work saved",
        "more": "default 1",
    },
    "--allow-outside": {
        "action": "store_true",
        "help": "read images that label files name outside of the folder of images (by .. or /)",
    },
    "--allow-leak": {
        "action": "store_true",
        "help": "go on although images of --val are in --train; verdicts say so",
    },
    "--overwrite": {"action": "store_true", "help": "begin anew where results of other options lie"},
    "--dry-run": {"action": "store_true", "help": "check everything, say what would be done, do nothing"},
    "--trust": {
        "action": "store_true",
        "help": "let checkpoints run the code that is in them; for files from sources you trust",
    },
    "--cfg-options": {
        "type": key_value,
        "nargs": "+",
        "action": "extend",
        "metavar": "KEY=VALUE",
        "help": "values put over the config's, as in mmdet: KEY.KEY=VALUE",
    },
    "--order": {
        "type": paths.file,
        "metavar": "JSON",
        "help": "COCO json of the images of a file without names (results, mmdet 2.x, detectron2)",
    },
    "--backend": {
        "default": "fast",
        "metavar": "NAME",
        "help": f"of the search for proposals: {', '.join(BACKENDS)} or module:factory (default fast)",
    },
    "--backend-options": {
        "nargs": "*",
        "default": [],
        "metavar": "KEY=VALUE",
        "help": "of the backend, e.g. mode=fast, scale=300",
    },
    "--max-side": {
        "type": whole,
        "metavar": "PIXELS",
        "help": "search on a copy of at most this long side (0: as it is)",
    },
    "--seeds": {"type": positive, "default": 3, "metavar": "N", "help": "paired seeds (default 3)"},
    "--lr": {
        "type": above_zero,
        "nargs": "+",
        "metavar": "RATE",
        "help": "rates to try in the comparison (default: 2, 1, 1/2, 1/4 of the config's, by batch)",
    },
    "--split": {
        "choices": ("train", "val"),
        "default": "",
        "help": "of labels that hold several (YOLO's data.yaml, VOC's ImageSets); default: all of them",
    },
    "--percent": {
        "type": percentage,
        "nargs": "+",
        "default": [1.0, 10.0, 100.0],
        "metavar": "P",
        "help": "label fractions, in percent of the images",
    },
    "--batch": {"type": positive, "metavar": "N", "help": "images at once"},
    "--count": {"type": positive, "metavar": "N", "help": "images to show"},
    "--columns": {"type": positive, "metavar": "N", "help": "pictures in a row"},
    "--long-side": {"type": positive, "metavar": "PIXELS", "help": "long side of a picture"},
    "--min-side": {
        "type": not_negative,
        "metavar": "PIXELS",
        "help": "boxes with a shorter side than this are left out, in pixels of the image on disk",
    },
    "--max-per-image": {"type": whole, "metavar": "N", "help": "boxes of each image, at most; 0: all"},
    "--max-boxes": {"type": positive, "metavar": "N", "help": "boxes of a label file, at most"},
    "--allow-partial": {"action": "store_true", "help": "keep what does not fit or is not there at random"},
    "--import": {
        "dest": "imports",
        "action": "append",
        "default": [],
        "metavar": "MODULE",
        "help": "Python module that registers your own classes (repeatable)",
    },
    "--json": {"type": paths.json_out, "metavar": "FILE", "help": "write the result as data, too"},
    "--quiet": {"action": "store_true", "help": "print errors only"},
    "--verbose": {
        "action": "store_true",
        "help": "print what libraries print, and the traceback of an error",
    },
}

COMMON = ("--import", "--json", "--quiet", "--verbose")


def add(parser: argparse._ActionsContainer, word: str, more: str = "", **changes: Any) -> None:
    """Add a shared option to a command.

    Args:
        parser: of the command, or a group in it.
        word: a key of :data:`TABLE`.
        more: put behind the shared help, in brackets: what the word means here, and its default.
        changes: over the shared settings, such as ``required`` or ``default``.
    """
    settings = {**TABLE[word], **changes}
    more = more or settings.get("more", "")
    settings.pop("more", None)
    if more:
        settings["help"] += f" ({more})"
    parser.add_argument(word, **settings)


def add_workers(parser: argparse._ActionsContainer, more: str = "") -> None:
    """Add ``--workers``, by default as many as this process has cores."""
    more = f"{more}; " if more else ""
    add(parser, "--workers", f"{more}default: the cores, %(default)s here", default=usable_cores())


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add what every command has, as a group of its own behind the command's options."""
    group = parser.add_argument_group("every command has")
    for word in COMMON:
        if word not in parser._option_string_actions:
            add(group, word)


@contextmanager
def of_all_processes(args: argparse.Namespace) -> Iterator[None]:
    """Let all processes of a command have what it is told by ``--max-bad`` and ``--allow-outside``."""
    given, allowed = getattr(args, "max_bad", None), getattr(args, "allow_outside", False)
    if given is None and not allowed:
        yield
        return
    from aligndet.common.images.bad import limited_to
    from aligndet.common.images.outside import allowing_outside

    with limited_to(given), allowing_outside(allowed):
        yield


def cfg_options(args: argparse.Namespace) -> dict[str, Any]:
    """Turn the words of ``--cfg-options`` into values, by mmengine's own rules (lists, tuples, numbers).

    Raises:
        InputError: a value with brackets that do not match.
    """
    words = list(args.cfg_options or [])
    if not words:
        return {}
    from mmengine.config import DictAction

    parser = argparse.ArgumentParser()
    parser.add_argument("values", nargs="+", action=DictAction)
    try:
        return dict(parser.parse_args(["--", *words]).values)
    except (AssertionError, ValueError) as error:
        raise InputError(f"--cfg-options {' '.join(words)}: {error}") from error


def device_of(args: argparse.Namespace) -> str:
    """The device asked for, or a GPU where torch sees one.

    Raises:
        InputError: a GPU is asked for and torch sees none.
    """
    import torch

    there = torch.cuda.is_available()
    if (args.device or "").startswith("cuda") and not there:
        raise InputError(f"--device {args.device}: torch sees no GPU; leave it out, or give cpu")
    return args.device or ("cuda" if there else "cpu")
