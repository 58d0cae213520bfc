"""Run a config: pre-training of either domain, or stock mmdet. Flags as mmdet's tools/train.py."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mmengine.config import DictAction

import aligndet  # noqa: F401  (first: lets an mmcv without compiled ops run)
from aligndet.training import load_config, train


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="config file")
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
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    config = load_config(args.config, args.cfg_options)
    config.launcher = args.launcher
    name = Path(args.config).stem
    config.work_dir = args.work_dir or config.get("work_dir") or str(Path("work_dirs") / name)
    train(
        config, amp=args.amp_dtype if args.amp else None, auto_scale_lr=args.auto_scale_lr, resume=args.resume
    )


if __name__ == "__main__":
    main()
