"""Did pre-training help? Fine-tune from several starts under equal conditions and compare.

Example:
    python tools/prove.py configs/finetune/x.py --start random= --start aligndet=pretrained.pth \\
        --train train.json --images images --val val.json --percent 1 10 100 --iters 1:100 10:300 100:900 \\
        --seeds 3 --lr 0.02 0.01 0.005 --work-dir work_dirs/prove
"""

import argparse
import signal
import sys
from pathlib import Path

import aligndet  # noqa: F401  (before mmdet: provides the stand-in for missing compiled ops)


def parse_args(argv: list[str] | None) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    from mmengine.config import DictAction

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("config", type=Path, help="fine-tune config: any stock mmdet config of a box detector")
    add(
        "--start",
        action="append",
        required=True,
        help="NAME=CKPT of a detector, a pre-training or a backbone alone; NAME= for a random neck and head",
    )
    add("--train", type=Path, required=True, help="COCO json with all labels; fractions are drawn from it")
    add("--images", type=Path, required=True, help="folder of the training images")
    add("--val", type=Path, required=True, help="COCO json that AP is reported on")
    add("--val-images", type=Path, help="folder of the validation images (default: --images)")
    add(
        "--search-on",
        default="half",
        help="where learning rates are chosen: 'half' of --val, AP is reported on the other (default); "
        "'val', the same images AP is reported on; or another COCO json over --val-images",
    )
    add("--percent", type=float, nargs="+", default=[1, 10, 100], help="label fractions, in percent")
    add("--seeds", type=int, default=3, help="paired seeds; seed s trains on fold s + 1")
    add("--search-seeds", type=int, default=1, help="seeds on which every learning rate is tried")
    add(
        "--lr", type=float, nargs="+", help="rates to try (default: 2, 1, 1/2, 1/4 of the config's, by batch)"
    )
    add("--iters", nargs="+", default=["1000"], help="iterations, or PERCENT:ITERS for each fraction")
    add("--batch", type=int, help="images per iteration (default: the config's)")
    add("--schedule", choices=["step", "cosine"], default="step")
    add("--jobs", type=int, default=1, help="runs at the same time")
    add("--threads", type=int, default=1, help="CPU threads per run")
    add("--workers", type=int, default=0, help="data loading processes per run; 0 loads in the run itself")
    add("--save-every", type=int, help="iterations between resumable checkpoints (default: a quarter)")
    add("--keep-checkpoints", action="store_true", help="keep each run's last checkpoint")
    add("--freeze-backbone", action="store_true", help="train neck and heads only, for every start (cheaper)")
    add("--work-dir", type=Path, default=Path("work_dirs/prove"))
    add("--cfg-options", nargs="+", action=DictAction, default={}, help="as in mmdet's tools/train.py")
    return parser, parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    parser, args = parse_args(argv)
    from aligndet.comparison.ask import settings_from_args
    from aligndet.comparison.compare import compare
    from aligndet.comparison.status import Status

    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the runs on the way out
    try:
        settings = settings_from_args(args)
        _, report = compare(settings, Status())
    except (OSError, ValueError, RuntimeError) as error:
        parser.exit(2, f"error: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "interrupted; the same command goes on from here\n")
    finally:
        signal.signal(signal.SIGTERM, before)
    print(report)
    print(f"Written: {settings.work_dir}/results.md, results.json, plot.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
