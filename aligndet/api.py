"""The whole of aligndet as functions; their arguments have the names of the command line's options.

Example:
    >>> import aligndet
    >>> result = aligndet.pretrain("my_detector.py", "photos/", out="runs/photos")  # doctest: +SKIP
    >>> result.checkpoint  # doctest: +SKIP
    PosixPath('/home/me/runs/photos/detector.pth')

Wrong input raises :class:`aligndet.InputError` before any work is done. torch and mmdet are loaded when a
function is called, not when it is imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligndet.common.trust import files_run_no_code, trusting

if TYPE_CHECKING:
    from aligndet.checking.row import Row
    from aligndet.comparison.results import Results
    from aligndet.pipeline.runner import PretrainResult
    from aligndet.proposals.runner import ProposalReport
    from aligndet.transfer.report import TransferReport

File = str | PathLike[str]


def pretrain(
    detector: str,
    images: File,
    out: File | None = None,
    *,
    proposals: File | None = None,
    weights: str | None = None,
    image_config: str | None = None,
    box_config: str | None = None,
    train: File | None = None,
    val: File | None = None,
    train_images: File | None = None,
    val_images: File | None = None,
    finetune: bool | None = None,
    compare: bool | None = None,
    percent: Sequence[float] | None = None,
    seeds: int | None = None,
    lr: Sequence[float] | None = None,
    compare_iters: int | None = None,
    allow_leak: bool = False,
    iters: int | None = None,
    epochs: int | None = None,
    max_iters: int | None = None,
    nan_patience: int = 3,
    backend: str | None = None,
    backend_options: Mapping[str, Any] | None = None,
    max_per_image: int | None = None,
    min_side: float | None = None,
    max_side: int | None = None,
    image_options: Mapping[str, Any] | None = None,
    box_options: Mapping[str, Any] | None = None,
    finetune_options: Mapping[str, Any] | None = None,
    workers: int | None = None,
    gpus: int | None = None,
    amp: bool | None = None,
    seed: int | None = None,
    imports: Sequence[str] | None = None,
    trust: bool = False,
    max_bad: float | None = None,
    allow_outside: bool = False,
    overwrite: bool = False,
    quiet: bool = True,
) -> PretrainResult:
    """Pre-train a whole detector on unlabelled images, or go on with a run that was interrupted.

    Example:
        >>> result = pretrain("my_detector.py", "photos/", out="runs/photos", max_iters=2)  # doctest: +SKIP
        >>> result.metrics["box_domain"]["last"]["loss_contrast"]  # doctest: +SKIP
        4.21

    Args:
        detector: fine-tune config: a file, or ``mmdet::folder/name.py``.
        images: a folder, a list of files (.txt), or a COCO json.
        out: folder of everything that is made; None is ``runs/DETECTOR_IMAGES``.
        proposals: made before; None makes them, with ``backend``, ``backend_options``, ``max_per_image``,
            ``min_side`` and ``max_side``.
        weights: of the backbone, such as ``timm:resnet50``; None are those that the detector's config names.
        image_config: image-domain method that trains the backbone instead.
        box_config: config of box-domain pre-training; None is the recipe around the detector.
        train, val: labels (COCO json); with them the detector is fine-tuned and compared with a random start.
        train_images, val_images: folders of their images; None is ``images``.
        finetune, compare: whether to; None is yes with labels.
        percent, seeds, lr, compare_iters: of the comparison.
        allow_leak: compare although images of ``val`` are in ``train``.
        iters, epochs: of the box domain. max_iters: most iterations of every training.
        nan_patience: bad steps in a row that end a training.
        image_options, box_options, finetune_options: dotted config keys and their values.
        workers, gpus, amp, seed: of the machine, and of everything random.
        imports: modules that register classes of your own.
        trust: read files that can run code.
        max_bad: percent of the images that may be missing, broken or of another size; None is 1.
        allow_outside: read images that label files name outside of the folder of images.
        overwrite: begin anew where a run with other options lies.
        quiet: print nothing.

    Returns:
        paths of the checkpoint, the fine-tune config and the report, and every stage's result as plain data.

    Raises:
        InputError: the question is wrong; nothing was done.
        StageError: a stage failed; the same call goes on from there.
    """
    apart = ("overwrite", "quiet", "max_bad", "allow_outside")
    given = {name: value for name, value in locals().items() if name not in (*apart, "apart")}
    from aligndet.common.console import Console
    from aligndet.common.images.bad import limited_to
    from aligndet.common.images.outside import allowing_outside
    from aligndet.pipeline.question import make_question
    from aligndet.pipeline.runner import run_pipeline

    with trusting(trust), limited_to(max_bad), allowing_outside(allow_outside):
        return run_pipeline(make_question(**given), Console(quiet=quiet), overwrite)


def make_proposals(
    images: File,
    out: File,
    *,
    backend: str = "fast",
    backend_options: Mapping[str, Any] | None = None,
    max_side: int = 0,
    image_root: File | None = None,
    workers: int | None = None,
    max_bad: float | None = None,
    allow_outside: bool = False,
    overwrite: bool = False,
    quiet: bool = True,
    **rule: Any,
) -> ProposalReport:
    """Find boxes in unlabelled images and write them as a store, or as COCO json.

    Example:
        >>> report = make_proposals("photos/", "proposals", max_per_image=500)  # doctest: +SKIP
        >>> report.boxes  # doctest: +SKIP
        123456

    Args:
        images: a folder, a list of files (.txt), or a COCO json.
        out: folder of the store, or a name that ends in ``.json``. Of a store that is there and damaged, the
            damaged images are searched again.
        backend: ``fast``, ``opencv``, ``selectivesearch``, ``grid``, ``random``, ``file``, or
            ``module:factory``; with its options.
        max_side: search copies of at most this long side; 0 searches the images as they are.
        image_root: folder that the names in a json are relative to.
        workers: processes; None is one per core.
        max_bad: percent of the images that may be left out as missing, broken or of another size; None is 1.
        allow_outside: read images that a json or list names outside of their folder.
        overwrite: replace a store that is there.
        quiet: print nothing.
        rule: fields of :class:`aligndet.proposals.filters.FilterOptions`, such as ``max_per_image``.

    Raises:
        InputError: wrong options or images.
        TooManyBadError: more images than ``max_bad`` are left out; the same call goes on.
    """
    from aligndet.common.errors import InputError, nearest
    from aligndet.common.images import bad
    from aligndet.common.images.outside import allowing_outside
    from aligndet.common.machine import usable_cores
    from aligndet.proposals import runner
    from aligndet.proposals.backends import make_backend
    from aligndet.proposals.filters import FilterOptions
    from aligndet.proposals.finished import finished_store
    from aligndet.proposals.integrity import DamagedStoreError
    from aligndet.proposals.options import ProposalOptions

    for name in rule:
        if name not in FilterOptions.__dataclass_fields__:
            raise InputError(
                f"there is no option {name!r}{nearest(name, FilterOptions.__dataclass_fields__)}"
            )
    options = ProposalOptions(backend, dict(backend_options or {}), FilterOptions(**rule), max_side)
    make_backend(backend, **options.backend_options)
    source, target, root = Path(images), Path(out), None if image_root is None else Path(image_root)
    mend, processes = False, usable_cores() if workers is None else workers
    with bad.limited_to(max_bad), allowing_outside(allow_outside):
        try:
            there = None if overwrite else finished_store(source, target, options, root)
            if there is not None:
                return runner.report_of(there, 0, target)
        except DamagedStoreError:
            mend = True
        given: dict[str, Any] = {"progress": not quiet, "mend": mend, "max_bad": bad.max_bad()}
        return runner.make_proposals(source, target, options, root, workers=processes, **given)


def export(
    checkpoint: File,
    out: File,
    *,
    network: str = "online",
    config: str | None = None,
    allow_partial: bool = False,
    safetensors: bool = False,
    trust: bool = False,
    imports: Sequence[str] = (),
) -> TransferReport:
    """Write what a checkpoint of any kind holds of a detector as a plain mmdet checkpoint.

    Example:
        >>> report = export("runs/photos/box_domain", "detector.pth")  # doctest: +SKIP
        >>> print(report.summary())  # doctest: +SKIP
        142 of 144 tensors loaded; random: 2 in bbox_head

    Args:
        checkpoint: a file, or a work dir, whose latest checkpoint is taken.
        out: file to write; a name that ends in ``.safetensors`` gives that.
        network: of box-domain pre-training: ``online`` or ``momentum``.
        config: of the detector; None takes the checkpoint's own.
        allow_partial: accept that a part does not fit the detector wholly.
        safetensors: write ``out`` with that ending beside it, too.
        trust: read files that can run code.
        imports: modules that register classes of your own, where neither ``config`` nor the pre-training's
            config names them.

    Raises:
        InputError: no such checkpoint, or one of another detector; or a module is missing.
    """
    from aligndet.common.configs import import_modules

    import_modules(imports, "imports")
    from aligndet.transfer.export import export as write

    return write(str(checkpoint), str(out), network, config, allow_partial, safetensors, trust)


def compare(
    config: str,
    starts: Mapping[str, File | None],
    *,
    train: File,
    val: File,
    images: File | None = None,
    out: File = "work_dirs/compare",
    trust: bool = False,
    max_bad: float | None = None,
    allow_outside: bool = False,
    quiet: bool = True,
    **settings: Any,
) -> Results:
    """Fine-tune from several starts under equal conditions: did pre-training help?

    Example:
        >>> results = compare(
        ...     "my_detector.py", {"random": None, "aligndet": "detector.pth"},
        ...     train="train.json", val="val.json", images="photos/", percent=(10, 100),
        ... )  # doctest: +SKIP
        >>> [arm.difference.verdict for arm in results.arms if arm.difference]  # doctest: +SKIP
        ['helped', 'no evidence']

    Args:
        config: fine-tune config of the detector.
        starts: weights by name; None is a random neck and head.
        train, val: labels (COCO json). images: folder of their images; or ``train_images``, ``val_images``.
        out: folder of the runs, ``results.json``, ``results.md`` and ``plot.png``.
        trust: read files that can run code.
        max_bad: percent of the images that may be missing, broken or of another size; None is 1.
        allow_outside: read images that labels name outside of their folder.
        quiet: print nothing.
        settings: further options of ``aligndet compare``, such as ``percent``, ``seeds``, ``lr``, ``iters``,
            ``imports`` (:func:`aligndet.comparison.question.make_settings`).

    Raises:
        InputError: config, data or weights cannot answer the question.
    """
    import inspect

    from aligndet.common.console import Console
    from aligndet.common.errors import InputError, nearest
    from aligndet.common.images.bad import limited_to
    from aligndet.common.images.outside import allowing_outside
    from aligndet.comparison.compare import compare as answer
    from aligndet.comparison.question import make_settings
    from aligndet.comparison.report import write_report

    options = inspect.signature(make_settings).parameters
    for name in settings:
        if name not in options:
            raise InputError(f"there is no option {name!r}{nearest(name, options)}")
    named = {name: None if file is None else str(file) for name, file in starts.items()}
    given = {"train": str(train), "val": str(val), "images": images, "out": str(out), **settings}
    with trusting(trust), limited_to(max_bad), allowing_outside(allow_outside):
        results = answer(make_settings(config, named, **given), Console(quiet=quiet))
    write_report(results, Path(out))
    return results


def check(
    config: str,
    imports: Sequence[str] = (),
    images: File | None = None,
    proposals: File | None = None,
    cfg_options: dict[str, Any] | None = None,
) -> Row:
    """Say whether box-domain pre-training serves a detector: train two steps, export, load the export.

    Example:
        >>> check("mmdet::atss/atss_r50_fpn_1x_coco.py").status  # doctest: +SKIP
        'ok'

    Args:
        config: of the detector: a file, or ``mmdet::folder/name.py``.
        imports: modules that register classes of your own.
        images, proposals: to train on, both or none; generated where not given.
        cfg_options: dotted keys and values, put over the config of the training.

    Returns:
        ``status`` (``ok``, ``refused``, ``failed``, ...), ``reason`` where it is not ok, and counts.

    Raises:
        InputError: there is no such config, or a module is missing; or one of ``images`` and ``proposals``.
    """
    from aligndet.common.configs import import_modules, locate_config
    from aligndet.common.errors import InputError

    locate_config(config)
    if (images is None) != (proposals is None):
        raise InputError("images and proposals go together: images, and the proposals on them")
    import_modules(imports, "imports")
    from aligndet.checking.check import Settings, check_config
    from aligndet.checking.data import Data

    names = (imports,) if isinstance(imports, str) else tuple(imports)
    data = Data(Path(images), Path(proposals)) if images is not None and proposals is not None else None
    with files_run_no_code():
        return check_config(config, Settings(dict(cfg_options or {}), names, data))
