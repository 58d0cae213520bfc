"""Let mmengine read files of weights as :mod:`aligndet.common.weight_files` does, whoever imports mmengine.

mmengine's own way falls back to running the code in a file. :func:`install`, which ``import aligndet`` calls,
puts the reader in its place as soon as mmengine is there: for ``init_cfg``, ``load_from``, ``resume`` and
whatever else loads by mmengine, from this machine and from the web, ``.safetensors`` too. What mmengine reads
as pickle or YAML runs no code where torch's files must not (:mod:`aligndet.common.trust`).
"""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

from aligndet.common.after_import import after_import

TYPE_CHECKING = False  # importing typing would cost more time than this module
if TYPE_CHECKING:
    from typing import Any


def install() -> None:
    """Put the readers in mmengine's places: now where they are loaded, else at the end of their import."""
    after_import("mmengine.runner.checkpoint", _weights)
    after_import("mmengine.fileio.handlers.pickle_handler", _pickles)
    after_import("mmengine.fileio.handlers.yaml_handler", _yaml)


def read_for_mmengine(filename: str | os.PathLike[str], map_location: Any = None) -> Any:
    """Read a file of weights for mmengine, which would run the text under ``meta['config']`` of old ones.

    Raises:
        FileNotFoundError: no such file.
        CheckpointError: no checkpoint, or one that has to be trusted.
    """
    from aligndet.common.trust import trusted
    from aligndet.common.weight_files import read_weights

    path = Path(filename).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path} can not be found.")
    content = read_weights(path, map_location)
    meta = content.get("meta") if isinstance(content, dict) else None
    if isinstance(meta, dict) and not trusted():
        meta.pop("config", None)
    return content


def read_pickle_for_mmengine(stream: Any, name: str) -> Any:
    """Read a pickle for mmengine or mmdet, such as a data set's proposals: arrays and plain values.

    Raises:
        InputError: it is none, or it has to be trusted.
    """
    from mmengine.structures import InstanceData

    from aligndet.common.errors import InputError
    from aligndet.common.pickles import Record, read_named_pickle
    from aligndet.common.trust import TRUST

    try:
        content = read_named_pickle(stream, name)
    except InputError as error:
        raise InputError(f"{error}; {TRUST}") from error
    for key, value in content.items() if isinstance(content, dict) else ():
        if isinstance(value, Record):
            fields = {field: item for field, item in vars(value).items() if not field.startswith("_")}
            content[key] = InstanceData(**fields)
    return content


def downloaded(url: str, folder: str | None = None, progress: bool = True) -> Path:
    """Download a file of weights, or find it where torch keeps those that were."""
    from urllib.parse import urlparse

    import torch

    place = Path(folder) if folder else Path(torch.hub.get_dir()) / "checkpoints"
    path = place / Path(urlparse(url).path).name
    if not path.exists():
        place.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), None, progress)
    return path


def _weights(module: ModuleType) -> None:
    """Put the reader in the place of all that ``mmengine.runner.checkpoint`` loads with."""

    # mmengine tells the name of a loader, without its first ten letters, in its log
    def load_from_local(filename: str, map_location: Any = None) -> Any:
        return read_for_mmengine(filename, map_location)

    def load_url(
        url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True
    ) -> Any:
        return read_for_mmengine(downloaded(url, model_dir, progress), map_location)

    def safe_load(file: Any, map_location: Any = None, weights_only: bool | None = None) -> Any:
        if isinstance(file, (str, os.PathLike)):
            return read_for_mmengine(file, map_location)
        import torch

        return torch.load(file, map_location=map_location, weights_only=True)

    module.CheckpointLoader.register_scheme("", load_from_local, force=True)
    vars(module).update(load_from_local=load_from_local, load_url=load_url, _safe_torch_load=safe_load)


def _pickles(module: ModuleType) -> None:
    """Let mmengine read pickles of arrays and plain values only, where files run no code."""
    from aligndet.common.trust import forced

    usual = module.PickleHandler.load_from_fileobj

    def load_from_fileobj(self: Any, file: Any, **options: Any) -> Any:
        if not forced():
            return usual(self, file, **options)
        return read_pickle_for_mmengine(file, str(getattr(file, "name", "a pickle that the config names")))

    module.PickleHandler.load_from_fileobj = load_from_fileobj


def _yaml(module: ModuleType) -> None:
    """Let mmengine read plain YAML only, where files run no code."""
    import yaml

    from aligndet.common.trust import forced

    usual = module.YamlHandler.load_from_fileobj

    def load_from_fileobj(self: Any, file: Any, **options: Any) -> Any:
        if forced():
            options["Loader"] = yaml.SafeLoader
        return usual(self, file, **options)

    module.YamlHandler.load_from_fileobj = load_from_fileobj
