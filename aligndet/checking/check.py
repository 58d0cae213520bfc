"""The check of one config: the path that training takes, on generated images, and back into the detector.

read -> wrapped config, written and read back -> runner with the config's own loader, preprocessor and batch
augmentation -> two steps -> checkpoint -> export -> the stock detector
"""

from __future__ import annotations

import tempfile
import time
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner
from torch import Tensor

from aligndet.box_domain.adapters.ancestry import ancestry
from aligndet.box_domain.adapters.base import adapter_for, head_config
from aligndet.box_domain.adapters.refusals import refuse, refuse_config
from aligndet.checking.conditions import CheckError
from aligndet.checking.data import SHAPES, SQUARES, Data, UnreadImagesError, generate_for
from aligndet.checking.landing import land, plain
from aligndet.checking.row import FAILED, NO_DETECTOR, NOT_MMDET, NOT_TRIED, OK, REFUSED, UNREADABLE, Row
from aligndet.checking.setting import setting
from aligndet.checking.watch import STEPS, Watch, pretrainer_of
from aligndet.checking.zoo import describe_model
from aligndet.common.configs import import_modules, read_config
from aligndet.common.errors import InputError
from aligndet.common.notices import warnings_of_a_run
from aligndet.scopes import scope_of, scope_of_model
from aligndet.training.config import wrap_config
from aligndet.training.run import build_runner
from aligndet.transfer.stock import quiet

#: Short sides of views, pixels: the next is tried where training fails at one (SSD wants 300, DINO 900 cells,
#: a transformer with fixed places its own); None is the config's own size.
SIZES = (128, 320, None)
#: What torch says of a norm that has one value of each channel to work on.
ONE_VALUE = "Expected more than 1 value per channel"
#: mmdet's modules that register something: loaded once by whoever starts processes that check. This package
#: comes first, for it stands in for operators that mmcv lacks.
PRELOAD = (
    "aligndet",
    *("mmdet.datasets", "mmdet.engine", "mmdet.evaluation", "mmdet.models", "mmdet.visualization"),
    *("aligndet.box_domain", "aligndet.image_domain.folder", __name__),
)


@dataclass(frozen=True)
class Settings:
    """How configs are checked.

    Attributes:
        options: as ``--cfg-options`` of training.
        imports: modules of the user's.
        data: images and proposals; None generates them.
        zoo: the config is one of mmdet's own: on square images, and with every tensor to be trained.
        threads: of torch, for this process; 0 leaves them.
        folder: for temporary files; None takes the machine's.
        sizes: short sides of views that are tried, one after the other.
    """

    options: dict[str, Any] = field(default_factory=dict)
    imports: tuple[str, ...] = ()
    data: Data | None = None
    zoo: bool = False
    threads: int = 0
    folder: str | None = None
    sizes: tuple[int | None, ...] = SIZES


def check_config(name: str, settings: Settings | None = None) -> Row:
    """Check a config; whatever goes wrong is in the row.

    Args:
        name: a file, or ``mmdet::folder/name.py``.
        settings: None takes the defaults.
    """
    settings = settings or Settings()
    started = time.process_time()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    row = Row(name, status=UNREADABLE)
    try:
        with quiet(), warnings_of_a_run(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _check(name, settings, row)
    except (Exception, SystemExit) as error:  # a config is a program of the user
        row.reason = _reason(error, name)
        row.trace = traceback.format_exc()
    row.seconds = time.process_time() - started
    return row


def _check(name: str, settings: Settings, row: Row) -> None:
    """Fill in a row as far as the check comes.

    Raises:
        InputError: the config is wrong or refused. CheckError: a condition does not hold. Others as raised
            by what is built.
    """
    import_modules(settings.imports)
    config = read_config(name, settings.options)
    if not config.get("model"):
        row.status, row.reason = NO_DETECTOR, "the config has no model"
        return
    row.detector, heads = describe_model(config.model)
    row.head, row.status = ", ".join(heads), FAILED
    with scope_of(config), tempfile.TemporaryDirectory(dir=settings.folder, prefix="check-") as folder:
        try:
            _pretrain_and_export(name, config, settings, Path(folder), row)
        except Exception as error:
            row.status = _status(error, config, settings.zoo)
            raise
    row.status = OK


def _pretrain_and_export(name: str, config: Config, settings: Settings, folder: Path, row: Row) -> None:
    try:
        _on_data(name, config, settings, folder, row, SQUARES if settings.zoo else SHAPES)
    except ValueError as error:  # SSDLite's last maps are of 1x1, on which norms want two images
        if not settings.zoo or ONE_VALUE not in str(error):
            raise
        (folder / "twos").mkdir()
        _on_data(name, config, settings, folder / "twos", row, SHAPES)


def _on_data(
    name: str, config: Config, settings: Settings, folder: Path, row: Row, shapes: Sequence[tuple[int, int]]
) -> None:
    data = settings.data or generate_for(config, folder, shapes)
    proposals, images = str(data.proposals), str(data.images)
    wrapped = wrap_config(name, proposals, images, folder / "wrapped.py", settings.options, settings.imports)
    work_dir, trained = _train_at_some_size(wrapped, settings, folder, row)
    land(work_dir, folder / "detector.pth", config.model, trained, row)


def _train_at_some_size(
    wrapped: Config, settings: Settings, folder: Path, row: Row
) -> tuple[Path, dict[str, Tensor]]:
    """Train at the first size at which training goes well.

    Returns:
        The work dir, and the tensors of the online network.
    """
    for size in settings.sizes:
        row.size, work_dir = size or 0, folder / f"work-{size or 'own'}"
        runner = build_runner(setting(wrapped, work_dir, size, settings.zoo), max_iters=STEPS)
        try:
            return work_dir, _train(runner, settings.zoo, row)
        except Exception:
            if size == settings.sizes[-1]:
                raise
    raise AssertionError("no size to try")


def _train(runner: Runner, strict: bool, row: Row) -> dict[str, Tensor]:
    watch = Watch(row)
    runner.register_hook(watch, watch.priority)
    runner.train()
    watch.check(runner, strict)
    tensors: dict[str, Tensor] = pretrainer_of(runner).online.state_dict()
    return tensors


def _status(error: Exception, config: Config, zoo: bool) -> str:
    """Tell whether a detector is refused by its kind, is none that mmdet can build, or should be served."""
    if isinstance(error, UnreadImagesError):
        return NOT_TRIED
    if isinstance(error, InputError):
        try:
            refuse_config(config)
            with scope_of_model(config.model):
                refuse(config.model)
                if ancestry(head_config(config.model)) and not zoo:  # of the zoo, every head should be served
                    adapter_for(ConfigDict(config.model))
        except InputError:
            return REFUSED
    if zoo:
        try:
            plain(config.model)
        except Exception as complaint:
            error.args = (f"plain mmdet: {one_line(complaint)}",)
            return NOT_MMDET
    return FAILED


def _reason(error: BaseException, name: str) -> str:
    """Why, in one line, without the name that stands beside it."""
    return one_line(error).removeprefix(f"config {name}: ")


def one_line(error: BaseException) -> str:
    """An error for a cell of a table."""
    text = " ".join(str(error).split())
    kind = "" if isinstance(error, (CheckError, InputError)) else f"{type(error).__name__}: "
    return (kind + text)[:400]
