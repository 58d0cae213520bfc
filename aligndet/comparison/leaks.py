"""Images to report on that runs are trained on: a comparison on them says nothing."""

from __future__ import annotations

from dataclasses import replace

from aligndet.common.console import Console
from aligndet.common.errors import InputError
from aligndet.common.labels.reader import read_labels
from aligndet.common.leaks import ImageSet, find_leak
from aligndet.common.notices import warn
from aligndet.comparison.settings import EvalSet, Settings


def guard(settings: Settings, console: Console) -> Settings:
    """Refuse images of ``--val`` (and of ``--search-on``) that are in ``--train``, by name and by content.

    One file given as both asks whether a detector fits its training images: that is not refused, but told, in
    the verdicts too. Near copies are told as a hint.

    Returns:
        The settings, with what was found in ``leak`` where that is allowed.

    Raises:
        InputError: names both label files, how many images, and the first.
    """
    sets = {"--val": settings.report}
    if settings.tune != settings.report:
        sets["--search-on"] = settings.tune
    train = _images("--train", settings.train)
    told = []
    for option, data in sets.items():
        leak = find_leak(_images(option, data), train)
        asked_for = option == "--val" and data == settings.train
        if leak.certain and not (settings.allow_leak or asked_for):
            raise InputError(
                f"{leak.text()}: AP on images that were trained on says nothing; take them out of one, or "
                "compare all the same with --allow-leak"
            )
        if leak.certain:
            told.append(leak.text())
            warn(leak.text())
        if leak.hint():
            console.say(f"note: {leak.hint()}")
    return replace(settings, leak="; ".join(told))


def _images(option: str, data: EvalSet) -> ImageSet:
    return ImageSet(f"{option} {data.annotations}", data.images, read_labels(data.annotations).names)
