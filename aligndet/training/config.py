"""Read a config for training: a pre-trainer's detector put in, options merged, a stock config wrapped.

mmdet is loaded where a stock config was read and is to be wrapped: mistakes in configs are found before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config

from aligndet.common.configs import model_of, read_config, read_model
from aligndet.common.errors import InputError
from aligndet.common.files import write_text
from aligndet.training.strict import check_options


def load_config(path: str, options: dict[str, Any] | None = None) -> Config:
    """Read a config and merge options into it.

    A pre-trainer's ``detector`` that names a config (``'mmdet::…'`` or a file) is replaced by that config's
    model, so that the dumped config and the checkpoint are complete.

    Args:
        path: a file, or ``'mmdet::…'``.
        options: dotted keys and values, as mmdet's ``--cfg-options``.

    Raises:
        InputError: no such config, a mistake in it, or an option that nothing in it would read.
    """
    config = read_config(path)
    model: Any = config.get("model") or {}
    if isinstance(model.get("detector"), str):
        model.detector = read_model(model.detector)
    merge_options(config, options or {})
    return config


def wrap_config(
    path: str, proposals: str, images: str, out: Path, options: dict[str, Any] | None = None
) -> Config:
    """Write the pre-training config of a stock config's detector, see :mod:`aligndet.box_domain.recipe`.

    Args:
        path: of the stock config.
        proposals: file or store.
        images: their folder.
        out: file to write, atomically: every process of a distributed run writes the same.
        options: as :func:`load_config`, merged into the generated config.

    Returns:
        the config, read back from ``out``.

    Raises:
        InputError: as :func:`load_config`; or the detector cannot be served.
    """
    stock = read_config(path)
    model_of(stock, path)
    from mmdet.utils import register_all_modules
    from mmengine.utils import import_modules_from_strings

    from aligndet.box_domain.recipe import pretraining_config

    if "custom_imports" in stock:
        import_modules_from_strings(**stock.custom_imports)
    register_all_modules(init_default_scope=True)
    config = pretraining_config(stock, proposals, images)
    merge_options(config, options or {})
    write_text(out, config.pretty_text)
    return Config.fromfile(out)


def merge_options(config: Config, options: dict[str, Any]) -> None:
    """Merge ``--cfg-options`` into a config, in place.

    Raises:
        InputError: nothing would read one of them.
    """
    check_options(dict(config.items()), options)
    try:
        config.merge_from_dict(options)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"--cfg-options {' '.join(options)}: {error}") from error
