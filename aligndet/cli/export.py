"""``aligndet export``: a pre-training checkpoint as a plain checkpoint of the detector."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from aligndet.cli import options, paths
from aligndet.cli.silence import libraries_silent
from aligndet.common.errors import InputError

if TYPE_CHECKING:
    from aligndet.transfer.report import TransferReport

SUMMARY = "write the detector inside a pre-training checkpoint as a plain mmdet checkpoint"
EXAMPLES = """
aligndet export work_dirs/boxes detector.pth
aligndet export work_dirs/boxes/epoch_12.pth detector.safetensors --network momentum
aligndet export work_dirs/insloc detector.pth --config aligndet::finetune/insloc_mask-rcnn_r50_fpn_1x_coco.py
Use: load_from = 'detector.pth' in a config of the stock detector
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The checkpoint, the file to write, and the detector."""
    add = parser.add_argument
    text = "checkpoint or work dir: box domain, InsLoc, image domain; official AlignDet, InsLoc, SoCo files"
    add("checkpoint", type=paths.weights_file, metavar="CHECKPOINT", help=text)
    add("out", type=paths.checkpoint_out, metavar="OUT", help="file to write (.pth or .safetensors)")
    text = "which network of the box domain (default online)"
    add("--network", choices=("online", "momentum"), default="online", help=text)
    options.add(parser, "--config", "of the detector, e.g. with your classes; default: the checkpoint's own")
    options.add(parser, "--allow-partial")
    options.add(parser, "--trust")
    options.add(parser, "--cfg-options")


def run(args: argparse.Namespace) -> Any:
    """Export, write, say what became of each tensor."""
    with libraries_silent(args):
        report = _export(args)
    print(report)
    print(f"wrote {args.out}")
    return report


def _export(args: argparse.Namespace) -> TransferReport:
    from aligndet.common.checkpoints import read_checkpoint
    from aligndet.common.newest_checkpoint import checkpoint_file

    read_checkpoint(checkpoint_file(args.checkpoint))  # what is none is said before mmdet is loaded
    from aligndet.transfer.export import export

    config = _config(args)
    return export(args.checkpoint, args.out, args.network, config, args.allow_partial, trust=args.trust)


def _config(args: argparse.Namespace) -> Any:
    """Read the config of the detector, where one is given.

    Raises:
        InputError: options of ``--cfg-options`` that no config takes.
    """
    values = options.cfg_options(args)
    if args.config:
        from aligndet.training.config import load_config

        return load_config(args.config, values)
    if vain := [key for key in values if not key.startswith("custom_imports")]:
        raise InputError(f"--cfg-options {vain[0]}: give the config that it changes with --config")
    if values:
        from mmengine.config import Config

        from aligndet.common.configs import import_of_config

        import_of_config(Config({}), "--cfg-options", values)
    return None
