"""From plain values, as the command line and the Python API have them, to :class:`Settings`."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from aligndet.common.configs import import_modules, read_config
from aligndet.common.errors import InputError
from aligndet.comparison.settings import EvalSet, Settings, Start

#: Learning rates tried where none is given, as factors of the config's own.
GRID = (2.0, 1.0, 0.5, 0.25)

File = str | Path
Starts = Mapping[str, File | None] | Iterable[str]
Iters = int | Mapping[float, int] | Sequence[str]


def make_settings(
    config: File,
    starts: Starts,
    train: File,
    val: File,
    images: File | None = None,
    train_images: File | None = None,
    val_images: File | None = None,
    search_on: str = "half",
    percent: Sequence[float] = (1, 10, 100),
    seeds: int = 3,
    search_seeds: int = 1,
    lr: float | Sequence[float] | None = None,
    iters: Iters = 1000,
    batch: int | None = None,
    schedule: str = "step",
    workers: int = 1,
    threads: int = 1,
    loaders: int = 0,
    save_every: int | None = None,
    nan_patience: int = 3,
    keep_checkpoints: bool = False,
    freeze_backbone: bool = False,
    cfg_options: Mapping[str, Any] | None = None,
    imports: Sequence[str] = (),
    allow_leak: bool = False,
    out: File = Path("work_dirs/compare"),
) -> Settings:
    """Make the question from plain values; the arguments are the options of ``aligndet compare``.

    Args:
        config: fine-tune config: a file or ``mmdet::name``.
        starts: checkpoint by name, None for the config's own initialisation; or ``NAME=FILE`` texts.
        train, val: labels: COCO json, YOLO or Pascal VOC.
        images: folder of both; ``train_images`` and ``val_images`` say otherwise, or instead.
        search_on: ``half`` of the validation images, all of them (``val``), or labels of its own.
        lr: rates to try; one is not searched; None tries :data:`GRID` times the config's.
        iters: of each run; a number, by percentage, or ``PERCENT:ITERS`` texts.

    The rest as in :class:`Settings`.

    Raises:
        InputError: names the option and what was expected; nothing is written.
    """
    least = {"--seeds": seeds, "--search-seeds": search_seeds, "--workers": workers, "--threads": threads}
    least["--nan-patience"] = nan_patience
    for name, value in least.items():
        if value < 1:
            raise InputError(f"{name} {value}: expected at least 1")
    if schedule not in ("step", "cosine"):
        raise InputError(f"--schedule {schedule}: expected step or cosine")
    import_modules(imports)
    rates = _rates(config, lr, batch, cfg_options or {})
    train_set, report, tune = _sets(
        train, val, train_images or images, val_images or images, search_on if len(rates) > 1 else "val"
    )
    return Settings(
        config=str(config),
        starts=parse_starts(starts),
        train=train_set,
        report=report,
        tune=tune,
        halve=search_on == "half" and len(rates) > 1,
        work_dir=Path(out),
        iters=parse_iters(iters, percent),
        lrs=rates,
        seeds=seeds,
        search_seeds=search_seeds,
        batch=batch,
        schedule=schedule,
        workers=workers,
        threads=threads,
        loaders=loaders,
        save_every=save_every,
        nan_patience=nan_patience,
        keep_checkpoints=keep_checkpoints,
        freeze_backbone=freeze_backbone,
        cfg_options=dict(cfg_options or {}),
        imports=(imports,) if isinstance(imports, str) else tuple(imports),
        allow_leak=allow_leak,
    )


def _rates(
    config: File, lr: float | Sequence[float] | None, batch: int | None, cfg_options: Mapping[str, Any]
) -> tuple[float, ...]:
    """Learning rates to try, the highest first."""
    if lr is not None:
        given = [lr] if isinstance(lr, int | float) else lr
        return tuple(sorted(set(given), reverse=True))
    loaded = read_config(str(config), cfg_options)
    loaded.merge_from_dict(dict(cfg_options))
    return default_lrs(loaded, batch)


def default_lrs(config: Config, batch: int | None) -> tuple[float, ...]:
    """Multiply the config's rate, scaled to the batch as ``--auto-scale-lr`` does, by :data:`GRID`.

    Raises:
        InputError: the config names no rate.
    """
    try:
        rate = float(config.optim_wrapper.optimizer.lr)
    except AttributeError as error:
        raise InputError("the config has no optim_wrapper.optimizer.lr; give rates with --lr") from error
    base = config.get("auto_scale_lr", {}).get("base_batch_size")
    if base:
        rate *= (batch or config.train_dataloader.batch_size) / base
    return tuple(float(f"{rate * factor:.3g}") for factor in GRID)


def _sets(
    train: File, val: File, train_images: File | None, val_images: File | None, search_on: str
) -> tuple[EvalSet, EvalSet, EvalSet]:
    """The images to train on, to report on, and to choose the learning rate on."""
    if train_images is None or val_images is None:
        raise InputError("--images: give the folder of the images, or both --train-images and --val-images")
    report = EvalSet(Path(val), Path(val_images))
    tune = report if search_on in ("half", "val") else EvalSet(Path(search_on), Path(val_images))
    for option, folder in (("--train-images", train_images), ("--val-images", val_images)):
        if not Path(folder).is_dir():
            raise InputError(f"{option} {folder}: there is no such folder of images (or give --images)")
    files = {"--train": train, "--val": val, "--search-on": tune.annotations}
    for option, file in files.items():
        if not Path(file).exists():
            raise InputError(f"{option} {file}: there is no such file or folder")
    return EvalSet(Path(train), Path(train_images)), report, tune


def parse_starts(starts: Starts) -> tuple[Start, ...]:
    """Read the starts; see :func:`make_settings`.

    Raises:
        InputError: none, two of one name, or one that :func:`parse_start` refuses.
    """
    if isinstance(starts, Mapping):
        starts = [f"{name}={checkpoint or ''}" for name, checkpoint in starts.items()]
    parsed = tuple(parse_start(text) for text in starts)
    names = [start.name for start in parsed]
    if not names or len(set(names)) != len(names):
        raise InputError(f"--start: every start needs its own name, got {names}")
    return parsed


def parse_start(text: str) -> Start:
    """Read ``NAME=CKPT``; ``NAME=`` is the config's own initialisation.

    Raises:
        InputError: no ``=``, a name that cannot be a folder name, or no such checkpoint.
    """
    name, equals, checkpoint = text.partition("=")
    if not equals or not re.fullmatch(r"[\w.-]+", name):
        raise InputError(f"--start {text!r}: expected NAME=CHECKPOINT, or NAME= for no checkpoint")
    if not checkpoint:
        return Start(name)
    path = Path(checkpoint)
    if not path.is_file():
        raise InputError(f"--start {name}: there is no file {checkpoint}")
    return Start(name, path)


def parse_iters(iters: Iters, percents: Sequence[float]) -> dict[float, int]:
    """Read ``200``, ``["200"]`` or ``["1:100", "10:300", "600"]`` into iterations by percentage.

    Raises:
        InputError: not of that form, or a percentage of ``percents`` without iterations.
    """
    if isinstance(iters, int):
        iters = [str(iters)]
    elif isinstance(iters, Mapping):
        iters = [f"{percent}:{count}" for percent, count in iters.items()]
    common, by_percent = None, {}
    for text in iters:
        percent, colon, count = text.rpartition(":")
        try:
            if colon:
                by_percent[float(percent)] = int(count)
            else:
                common = int(count)
        except ValueError as error:
            raise InputError(f"--iters {text!r}: expected ITERS or PERCENT:ITERS") from error
    chosen = {float(percent): by_percent.get(percent, common) for percent in sorted(percents)}
    missing = [f"{percent:g}" for percent, count in chosen.items() if count is None]
    if missing:
        raise InputError(f"--iters says nothing about {', '.join(missing)} % (write {missing[0]}:ITERS)")
    return {percent: count for percent, count in chosen.items() if count is not None}
