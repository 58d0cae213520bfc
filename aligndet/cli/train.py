"""``aligndet train``: run a config, with the flags of mmdet's ``tools/train.py``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from aligndet.cli import options, paths
from aligndet.common.configs import locate_config
from aligndet.common.console import Console, captured
from aligndet.common.errors import InputError
from aligndet.common.signals import end_with_parent
from aligndet.training.started import alone_in, launched_rank, parting_in_order

if TYPE_CHECKING:
    from aligndet.training.run import TrainResult

SUMMARY = "run one stage from a config: pre-training of either domain, or any config of mmdet and mmpretrain"
GOES_ON = "the same command with --resume goes on from the newest checkpoint of the work dir"
#: Variable of the environment that torchrun sets.
LAUNCHED_BY_TORCHRUN = "TORCHELASTIC_RUN_ID"
EXAMPLES = """
aligndet train aligndet::box_domain/retinanet_r50_fpn_1x_coco.py
aligndet train mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py --aligndet proposals/ --images photos/
aligndet train my_config.py --work-dir work --resume --cfg-options optim_wrapper.optimizer.lr=0.005
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add mmdet's flags, and ours."""
    parser.add_argument("config", help=options.CONFIG_HELP)
    parser.add_argument(
        "--aligndet",
        type=paths.existing,
        metavar="PROPOSALS",
        help="pre-train the detector of this stock config on these proposals; the generated config is "
        "written to the work dir and can be edited and run",
    )
    options.add(parser, "--images", "of the proposals; with --aligndet", type=paths.folder)
    parser.add_argument(
        "--work-dir",
        type=paths.out_folder,
        metavar="DIR",
        help="folder for logs and checkpoints (default: work_dirs/CONFIG)",
    )
    options.add(parser, "--amp", "float16 with loss scaling; needs a GPU")
    parser.add_argument("--amp-dtype", choices=["float16", "bfloat16"], default="float16", help="of --amp")
    parser.add_argument("--auto-scale-lr", action="store_true", help="scale lr to the real batch size")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="CHECKPOINT",
        help="go on from this checkpoint, or without a value from the newest readable one in the work dir",
    )
    options.add(parser, "--max-iters")
    options.add(parser, "--nan-patience")
    options.add(parser, "--max-bad")
    options.add(parser, "--allow-outside")
    options.add(parser, "--seed", "default: the config's, else 0", default=None)
    options.add(parser, "--cfg-options")
    options.add(parser, "--trust")
    launchers = ["none", "pytorch", "slurm", "mpi"]
    options.add(parser, "--verbose", "here, and not in the log")
    parser.add_argument("--launcher", choices=launchers, default="none", help="of several processes")
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> TrainResult:
    """Train; everything but a few lines goes to ``WORK_DIR/log.txt``.

    Raises:
        InputError: an option, a path or the config is wrong, or another run works in the work dir.
    """
    _check(args)
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    if LAUNCHED_BY_TORCHRUN in os.environ:
        end_with_parent(os.getppid())
    config, earlier = _config_and_log(args)
    rank = launched_rank()
    log = Path(config.work_dir) / (f"log.rank{rank}.txt" if rank else "log.txt")
    with alone_in(Path(config.work_dir)), _log(log, args.verbose, earlier) as stream:
        console = Console(args.quiet or rank > 0, args.verbose, stream)
        if not args.verbose:
            console.say(f"log: {log}")
        if args.aligndet:
            console.say(_kept_and_replaced(config))
        with parting_in_order():
            result = _train(config, args, console)
        console.say(_summary(result))
    return result


def _check(args: argparse.Namespace) -> None:
    """Check what costs nothing, before any library is loaded."""
    locate_config(args.config)
    if bool(args.aligndet) != bool(args.images):
        raise InputError("--aligndet PROPOSALS and --images DIR go together; give both")
    if args.resume and args.resume != "auto" and "://" not in args.resume and not Path(args.resume).is_file():
        raise InputError(f"--resume {args.resume}: no such checkpoint")


def _config_and_log(args: argparse.Namespace) -> tuple[Any, str]:
    """Read the config, and keep what is printed meanwhile: it names the work dir, where the log goes.

    After a crash that stays in a temporary file.
    """
    handle, name = tempfile.mkstemp(prefix="aligndet-train-", suffix=".txt")
    os.close(handle)
    early, crashed = Path(name), True
    try:
        with _log(early, args.verbose):
            config = _config(args)
        crashed = False
        return config, early.read_text(encoding="utf-8", errors="replace")
    except InputError:
        crashed = False
        raise
    finally:
        if not crashed:
            early.unlink()


def _config(args: argparse.Namespace) -> Any:
    """Read or generate the config, with work dir, launcher and seed, and check it."""
    values = options.cfg_options(args)
    name = Path(args.config).stem + ("_aligndet" if args.aligndet else "")
    work_dir = args.work_dir or Path("work_dirs") / name
    from aligndet.training.config import load_config, wrap_config

    if args.aligndet:
        out = work_dir / f"{name}.py"
        config = wrap_config(args.config, str(args.aligndet), str(args.images), out, values, args.imports)
    else:
        config = load_config(args.config, values, args.imports)
        work_dir = args.work_dir or config.get("work_dir") or work_dir
    config.launcher, config.work_dir = args.launcher, str(work_dir)
    if args.seed is not None:
        config.randomness = {**(config.get("randomness") or {}), "seed": args.seed}
    from aligndet.training.run import check_config

    check_config(config)
    return config


def _kept_and_replaced(config: Any) -> str:
    """What became of the keys of the user's config, as it stands beside the generated one."""
    from aligndet.training.config import TABLE_FILE

    return (Path(config.work_dir) / TABLE_FILE).read_text(encoding="utf-8").rstrip()


def _train(config: Any, args: argparse.Namespace, console: Console) -> TrainResult:
    from aligndet.training.run import train

    amp = args.amp_dtype if args.amp else None
    return train(config, amp, args.auto_scale_lr, args.resume, args.max_iters, console, args.nan_patience)


def _summary(result: TrainResult) -> str:
    loss = [f"{scalars['loss']:.4g}" for scalars in (result.first, result.last) if "loss" in scalars]
    metrics = [f"{name} {value:.4g}" for name, value in result.metrics.items()][:1]
    parts = [f"{result.iters} iterations", *([f"loss {' -> '.join(loss)}"] if loss else []), *metrics]
    return f"{result.checkpoint or result.work_dir}: {', '.join(parts)}"


@contextmanager
def _log(path: Path, verbose: bool, earlier: str = "") -> Iterator[TextIO]:
    """Send output to a log, which begins with what was printed earlier; an error is written there, too."""
    if verbose:
        yield sys.stdout
        return
    with captured(path, warnings=launched_rank() == 0) as stream:
        sys.stderr.write(earlier)
        try:
            yield stream
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(GOES_ON) from interrupt
        except Exception as error:
            with suppress(OSError):  # the disk is full
                traceback.print_exc()
            if not isinstance(error, InputError):
                error.log = path  # type: ignore[attr-defined]
            raise
