"""Which models of the zoo are the same, which are of one kind, and which config stands for them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from aligndet.checking.zoo import Model


def group(models: Iterable[Model]) -> list[Model]:
    """One entry per distinct model, with the configs that share it, the plainest first."""
    groups: dict[str, Model] = {}
    for model in models:
        shared = groups.setdefault(model.key, dataclasses.replace(model, configs=[]))
        shared.configs += model.configs
    for model in groups.values():
        model.configs = plainest_first(model.configs)
    return sorted(groups.values(), key=lambda model: model.configs[0])


def one_per_kind(models: Iterable[Model]) -> list[Model]:
    """The model with the plainest config of every kind: detector class and head classes."""
    kinds: dict[tuple[str, ...], dict[str, Model]] = {}
    for model in models:
        if not model.status:
            kinds.setdefault(model.kind, {})[model.configs[0]] = model
    chosen = [members[plainest_first(list(members))[0]] for members in kinds.values()]
    return sorted(chosen, key=lambda model: model.configs[0])


def kinds_first(models: Iterable[Model]) -> list[Model]:
    """All models, those of :func:`one_per_kind` first: what a run meets early is as different as can be."""
    models = list(models)
    first = one_per_kind(models)
    return [*first, *(model for model in models if model not in first)]


def plainest_first(configs: list[str]) -> list[str]:
    """Configs of the folder that has most of them first; among these, those whose names say least."""
    folders = Counter(Path(name).parent for name in configs)
    return sorted(configs, key=lambda name: (-folders[Path(name).parent], len(Path(name).name), name))
