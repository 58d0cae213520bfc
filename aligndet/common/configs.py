"""Read configs by file or by package (``mmdet::…``)."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config
from mmengine.hub import get_config

from aligndet.common.errors import InputError


def read_config(path: str) -> Config:
    """A config file, or one inside an installed package: ``'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'``.

    Raises:
        InputError: neither; the message repeats what was given.
    """
    if "::" in path:
        return get_config(path)
    if not Path(path).is_file():
        raise InputError(f"Config not found: {path}. Give a file, or 'mmdet::folder/name.py'.")
    return Config.fromfile(path)
