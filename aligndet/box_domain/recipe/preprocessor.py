"""A user's data preprocessor, where it reads batches that only a collate function of its project makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import MODELS

from aligndet.box_domain.adapters.ancestry import is_mmdets
from aligndet.box_domain.recipe.lookup import class_of, name_of
from aligndet.box_domain.recipe.table import Table
from aligndet.common.signatures import options_of


def of_plain_batches(preprocessor: Any, stock: Config, table: Table) -> Any:
    """Return the preprocessor of mmdet that a project's is built on, or the project's where it will do.

    mmyolo's collate function, for one, makes a dictionary of tensors, which its preprocessor asks for.
    Batches of two views are lists of samples, as mmdet's are, so batch augmentations of the project go, too.

    Args:
        preprocessor: config of the detector's.
        stock: the user's config.
        table: is told what is replaced.
    """
    collate = _collate(stock)
    kind = class_of(preprocessor, MODELS) if isinstance(preprocessor, Mapping) else None
    plain = next((base for base in getattr(kind, "__mro__", ()) if is_mmdets(base)), None)
    if collate in (None, "pseudo_collate", "default_collate") or plain is None or plain is kind:
        return preprocessor
    options = options_of(plain)
    kept = {key: value for key, value in preprocessor.items() if key in options}
    augments = kept.pop("batch_augments", None) or ()
    if of_mmdet := [augment for augment in augments if is_mmdets(class_of(augment, MODELS))]:
        kept["batch_augments"] = of_mmdet
    because = f"it reads batches of {collate}, and those of two views are mmdet's"
    table.replaced(f"data_preprocessor {name_of(preprocessor)}", f"{plain.__name__}: {because}")
    return {"type": f"mmdet.{plain.__name__}", **kept}


def _collate(stock: Config) -> str | None:
    """Name the collate function of a config's data loader."""
    loader = stock.get("train_dataloader") or {}
    loader = loader[0] if isinstance(loader, (list, tuple)) and loader else loader
    given = loader.get("collate_fn") if isinstance(loader, Mapping) else None
    return name_of(given) if isinstance(given, Mapping) else getattr(given, "__name__", None)
