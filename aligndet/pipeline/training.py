"""The training of a stage: seed, length and processes put into a config, and the run."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aligndet.common.errors import InputError
from aligndet.common.files import write_json, write_text
from aligndet.common.search_path import put_current_folder_last
from aligndet.common.signals import SILENT, end_with_parent, passed_on, signals_unwind
from aligndet.pipeline.codec import NOT_DECISIVE, as_plain
from aligndet.pipeline.stage import StageError


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """Holds what every stage that trains is asked.

    Attributes:
        work_dir: of the run.
        gpus: processes; 0 or 1 is this one.
        amp: mixed precision. seed: where the config has none. max_iters: at most so many iterations.
        imports: modules of the user's, which the config that is run imports.
        nan_patience: steps in a row that may be not finite.
    """

    work_dir: str
    max_iters: int | None = None
    amp: bool = False
    seed: int = 0
    gpus: int = field(default=0, metadata=NOT_DECISIVE)
    imports: tuple[str, ...] = field(default=(), metadata=NOT_DECISIVE)
    nan_patience: int = field(default=3, metadata=NOT_DECISIVE)


def train_config(config: Any, name: str, request: TrainingRequest) -> Any:
    """Run a config, or go on with it where it was interrupted.

    Args:
        config: complete but for what the request says.
        name: of the file in the work dir that the config is written to, without ``.py``.
        request: of the stage.

    Returns:
        :class:`aligndet.training.run.TrainResult`, or the same as plain data.
    """
    from aligndet.common.config_text import config_text

    config.work_dir = request.work_dir
    if (config.get("randomness") or {}).get("seed") is None:
        config.randomness = {**(config.get("randomness") or {}), "seed": request.seed}
    file = Path(request.work_dir) / f"{name}.py"
    write_text(file, config_text(config))
    if request.gpus > 1:
        return _in_processes(file, request)
    from aligndet.training.run import train

    amp = "float16" if request.amp else None
    length, patience = request.max_iters, request.nan_patience
    return train(config, amp=amp, resume="auto", max_iters=length, nan_patience=patience)


def _in_processes(file: Path, request: TrainingRequest) -> dict[str, Any]:
    """Run a config in several processes on this machine."""
    result = Path(request.work_dir) / "result.json"
    command = [
        *(sys.executable, "-m", "aligndet.training.launch"),
        *("--standalone", f"--nproc_per_node={request.gpus}"),
        *("-m", __name__, str(file), str(result)),
        *(["--amp"] if request.amp else []),
        *(["--max-iters", str(request.max_iters)] if request.max_iters else []),
        *("--nan-patience", str(request.nan_patience)),
    ]
    result.unlink(missing_ok=True)
    with signals_unwind(*SILENT):
        process = subprocess.Popen(command)
        with passed_on(process):
            code = process.wait()
    if code or not result.is_file():
        raise StageError(f"its processes ended with exit status {code}")
    content: dict[str, Any] = json.loads(result.read_text())
    return content


def main(argv: Sequence[str]) -> None:
    """Be one of the processes that :func:`train_config` starts; the first writes the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    parser.add_argument("result", type=Path)
    parser.add_argument("--amp", action="store_true")
    parser.add_argument("--max-iters", type=int)
    parser.add_argument("--nan-patience", type=int, default=3)
    args = parser.parse_args(argv)
    end_with_parent(os.getppid())
    put_current_folder_last()
    from aligndet.training.config import load_config
    from aligndet.training.run import train
    from aligndet.training.started import parting_in_order

    config = load_config(args.config)
    config.launcher = "pytorch"
    amp, patience = "float16" if args.amp else None, args.nan_patience
    with parting_in_order():
        result = train(config, amp=amp, resume="auto", max_iters=args.max_iters, nan_patience=patience)
    if os.environ.get("RANK", "0") == "0":
        write_json(args.result, as_plain(result))


def refuse_no_batch(config: Any, images: int, gpus: int) -> None:
    """Refuse a training whose images are fewer than one batch.

    Raises:
        InputError: says how many there are.
    """
    loader = config.train_dataloader
    batch = loader.get("batch_size") or 1
    if loader.get("drop_last") and images < batch * max(1, gpus):
        raise InputError(
            f"{images} images are fewer than one batch of {batch}{f' on {gpus} GPUs' if gpus > 1 else ''}; "
            f"lower train_dataloader.batch_size in {config.filename}"
        )


def length(config: Any, max_iters: int | None) -> str:
    """How long a config trains, in words."""
    loop = config.get("train_cfg") or {}
    if loop.get("max_iters"):
        text = f"{loop['max_iters']} iterations"
    else:
        text = f"{loop.get('max_epochs', '?')} epochs"
    batch = (config.get("train_dataloader") or {}).get("batch_size")
    capped = f", at most {max_iters} iterations" if max_iters else ""
    return f"{text} of {batch} images{capped}"


def ends(result: dict[str, Any], key: str) -> str:
    """``first -> last`` of a scalar; its name alone where nothing was logged."""
    first, last = result["first"].get(key), result["last"].get(key)
    if first is None or last is None:
        return f"{key} not logged"
    return f"{key} {first:.2f} -> {last:.2f}"


if __name__ == "__main__":
    main(sys.argv[1:])
