"""Run a config: pre-training of either domain, or stock mmdet. Flags as mmdet's tools/train.py."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mmengine.config import DictAction

import aligndet  # noqa: F401  (first: lets an mmcv without compiled ops run)
from aligndet.training.run import load_config, train, wrap_config


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="config file")
    parser.add_argument(
        "--aligndet",
        metavar="PROPOSALS",
        help="pre-train the detector of this stock config on these proposals; the generated config is "
        "written to the work dir and can be edited and run",
    )
    parser.add_argument("--images", help="folder of the proposals' images (with --aligndet)")
    parser.add_argument("--work-dir", help="folder for logs and checkpoints (default work_dirs/CONFIG)")
    parser.add_argument("--amp", action="store_true", help="mixed precision (float16 with loss scaling)")
    parser.add_argument("--amp-dtype", choices=["float16", "bfloat16"], default="float16")
    parser.add_argument("--auto-scale-lr", action="store_true", help="scale lr to the real batch size")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        help="from this checkpoint, or without a value from the latest in the work dir",
    )
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, help="key=value pairs merged into the config"
    )
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0)
    args = parser.parse_args(argv)
    if bool(args.aligndet) != bool(args.images):
        parser.error("--aligndet PROPOSALS and --images FOLDER go together")
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    name = Path(args.config).stem + ("_aligndet" if args.aligndet else "")
    if args.aligndet:
        work_dir = args.work_dir or str(Path("work_dirs") / name)
        out = Path(work_dir) / f"{name}.py"
        config = wrap_config(args.config, args.aligndet, args.images, out, args.cfg_options)
    else:
        config = load_config(args.config, args.cfg_options)
        work_dir = args.work_dir or config.get("work_dir") or str(Path("work_dirs") / name)
    config.launcher, config.work_dir = args.launcher, work_dir
    train(
        config, amp=args.amp_dtype if args.amp else None, auto_scale_lr=args.auto_scale_lr, resume=args.resume
    )


if __name__ == "__main__":
    main()
