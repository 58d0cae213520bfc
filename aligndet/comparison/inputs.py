"""Check what the runs would only find out after hours, and mend what can be: labels, images, starts."""

from dataclasses import replace
from pathlib import Path

from mmengine.config import Config

from aligndet.common.config_text import sections
from aligndet.common.console import Console
from aligndet.common.errors import InputError
from aligndet.common.fit_of_labels import Fit, check_fit
from aligndet.common.labels.file import LabelFile
from aligndet.common.labels.reader import class_names, read_labels
from aligndet.common.labels.write import sound_labels
from aligndet.comparison.settings import EvalSet, Settings, Start
from aligndet.comparison.starts import fit_start
from aligndet.image_domain.normalisation import check_normalisation
from aligndet.labels.split import split_halves, split_labels


def sound_sets(settings: Settings) -> Settings:
    """Give every set of images labels that mmdet and pycocotools read as this project does.

    Labels that are mended, or of another kind than COCO json, are written into the work dir; training and
    scoring read that file, so that no box is dropped and no match is taken for a miss.

    Raises:
        InputError: labels that cannot be read.
    """
    sets = {"train": settings.train, "val": settings.report, "search": settings.tune}
    apart = {name: data for name, data in sets.items() if name != "search" or data != settings.report}
    read = {name: _read(data, name) for name, data in apart.items()}
    class_names(*read.values())  # before anything is written
    folder = settings.work_dir / "labels"
    if settings.report == settings.train and read["val"].names == read["train"].names:
        del read["val"]  # one file given as both, and no splits in it
    files = {name: sound_labels(labels, folder / f"{name}.json") for name, labels in read.items()}
    files.setdefault("val", files["train"])
    files.setdefault("search", files["val"])
    train, report, tune = (replace(data, annotations=files[name]) for name, data in sets.items())
    return replace(settings, train=train, report=report, tune=tune)


def _read(data: EvalSet, name: str) -> LabelFile:
    return read_labels(data.annotations, data.images, "train" if name == "train" else "val")


def check_images(settings: Settings, console: Console) -> None:
    """Say how labels and images fit; refuse labels without a box, and labels that do not fit their images.

    Raises:
        InputError: names the label file, the image and the option that gives the folder.
    """
    console.say(check_set(settings.train, "--train", "--train-images").line())
    console.say(check_set(settings.report, "--val", "--val-images").line())
    if settings.tune != settings.report:
        console.say(check_set(settings.tune, "--search-on", "--val-images").line())


def check_set(data: EvalSet, option: str, folder_option: str) -> Fit:
    """Refuse one set of labelled images; see :func:`check_images`."""
    labels = read_labels(data.annotations, data.images)
    if not labels.report.boxes:
        raise InputError(f"{option} {data.annotations}: not one box in it; expected labelled images")
    return check_fit(labels, data.images, option, folder_option)


def cut_val(settings: Settings) -> Settings:
    """Cut the validation images into halves where that was asked for: one to tune on, one to report on.

    Raises:
        InputError: a half without a box.
    """
    if not settings.halve:
        return settings
    tune, report = split_halves(settings.report.annotations, settings.work_dir / "labels")
    for half in (tune, report):
        if not read_labels(half).report.boxes:
            raise InputError(
                f"--val {settings.report.annotations}: half of its images have no box; give --search-on val"
            )
    images = settings.report.images
    return replace(settings, report=EvalSet(report, images), tune=EvalSet(tune, images), halve=False)


def ready_start(start: Start, base: Config, settings: Settings) -> tuple[Start, str]:
    """Fit the checkpoint of a start to the detector; see :func:`.starts.fit_start`.

    Returns:
        The start with the fitted checkpoint, and a line on what it covers.

    Raises:
        NormalisationError: its weights, or those of the config's backbone, are of another normalisation.
    """
    load_from = str(start.checkpoint) if start.checkpoint else None
    check_normalisation(Config({**sections(base), "load_from": load_from}))
    if start.checkpoint is None:
        return start, "as the config initialises it"
    path, report = fit_start(start.checkpoint, start.name, base.model, settings.work_dir / "starts")
    return Start(start.name, path), report


def draw_labels(settings: Settings) -> dict[tuple[float, int], Path]:
    """Draw the label fractions of every seed.

    Returns:
        Label files by percentage and fold.

    Raises:
        InputError: a fraction without a single box; training on it would never start.
    """
    folds = range(1, settings.seeds + 1)
    out_dir = settings.work_dir / "labels"
    fractions = split_labels(settings.train.annotations, out_dir, sorted(settings.iters), folds)
    for fraction in fractions:
        if not fraction.num_boxes:
            raise InputError(
                f"{fraction.percent:g} % of {settings.train.annotations} is {fraction.num_images} images "
                f"without a box (fold {fraction.fold}); use a larger --percent"
            )
    return {(fraction.percent, fraction.fold): fraction.labeled for fraction in fractions}
