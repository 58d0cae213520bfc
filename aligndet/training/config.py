"""Read a config for training: a pre-trainer's detector put in, options merged, a user's config wrapped.

mmdet is loaded where a user's config was read and is to be wrapped: mistakes in configs are found before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from aligndet.common.config_text import config_text
from aligndet.common.configs import add_imports, model_of, read_config, read_model
from aligndet.common.errors import InputError
from aligndet.common.files import write_text
from aligndet.scopes import scope_of
from aligndet.training.strict import check_options

#: File beside a wrapped config that says what became of the keys of the user's.
TABLE_FILE = "kept_and_replaced.txt"


def load_config(path: str, options: dict[str, Any] | None = None, imports: Iterable[str] = ()) -> Config:
    """Read a config and merge options into it.

    A pre-trainer's ``detector`` that names a config (``'mmdet::…'`` or a file) is replaced by that config's
    model, so that the dumped config and the checkpoint are complete.

    Args:
        path: a file, or ``'mmdet::…'``.
        options: dotted keys and values, as mmdet's ``--cfg-options``; modules of ``custom_imports`` among
            them are imported at once.
        imports: modules of ``--import``, which are written into ``custom_imports``, so that whoever reads the
            config again builds the same model.

    Raises:
        InputError: no such config, a mistake in it, or an option that nothing in it would read.
    """
    config = read_config(path, options)
    add_imports(config, imports)
    model: Any = config.get("model") or {}
    if not isinstance(model, Mapping):
        raise InputError(f"config {path}: its model is {str(model)[:40]!r}; expected a dict")
    if isinstance(model.get("detector"), str):
        config.model.detector = read_model(model["detector"])
    merge_options(config, options or {})
    add_imports(config, imports)  # again: an option may have put others in their place
    return config


def wrap_config(
    path: str,
    proposals: str,
    images: str,
    out: Path,
    options: dict[str, Any] | None = None,
    imports: Iterable[str] = (),
) -> Config:
    """Write the pre-training config of a user's detector, see :mod:`aligndet.box_domain.recipe`.

    Beside it stands :data:`TABLE_FILE`: what is kept of the user's config, what is replaced, and why.

    Args:
        path: of the user's config.
        proposals: file or store.
        images: their folder.
        out: file to write, atomically: every process of a distributed run writes the same.
        options: as :func:`load_config`, merged into the generated config. imports: as there.

    Returns:
        the config, read back from ``out``.

    Raises:
        InputError: as :func:`load_config`; the detector cannot be served; the config's loader cannot read the
            images; or what the config imports is missing.
    """
    stock = read_config(path, options)
    add_imports(stock, imports)
    model_of(stock, path)
    from aligndet.box_domain.recipe import Table, building_blocks, pretraining_config

    table = Table()
    try:
        with scope_of(stock):
            config = pretraining_config(stock, proposals, images, table)
            merge_options(config, options or {}, building_blocks(stock))
    except ImportError as error:  # a config in the new style imports when it is looked at
        raise InputError(f"config {path}: {error}") from error
    add_imports(config, imports)
    write_text(out, config_text(config))
    write_text(out.parent / TABLE_FILE, table.text(path))
    return read_config(str(out))


def merge_options(config: Config, options: dict[str, Any], in_vain: Collection[str] = ()) -> None:
    """Merge ``--cfg-options`` into a config, in place.

    Args:
        config: is changed.
        options: dotted keys and values.
        in_vain: keys at its top that nothing reads any more.

    Raises:
        InputError: nothing would read one of them.
    """
    check_options({key: value for key, value in config.items() if key not in in_vain}, options)
    try:
        config.merge_from_dict(options)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"--cfg-options {' '.join(options)}: {error}") from error
