"""Registries of scope ``aligndet``: children of mmengine's roots.

``type='aligndet.X'`` in any mmdet config finds X without ``custom_imports``, because mmengine imports
``<scope>.registry`` by itself and these registries import their locations when first asked.

Names without a scope are looked up in a config's own ``default_scope``, which a library with registries of
its own sets to itself: :func:`scope_of`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from mmengine import registry as root

#: Methods of the image domain that train more than a backbone; a new one is a module and a line here.
METHODS = ("aligndet.image_domain.methods.insloc", "aligndet.image_domain.methods.soco")

#: Modules that register something.
LOCATIONS = ["aligndet.box_domain", "aligndet.image_domain.folder", *METHODS]

MODELS = root.Registry("model", parent=root.MODELS, scope="aligndet", locations=LOCATIONS)
HOOKS = root.Registry("hook", parent=root.HOOKS, scope="aligndet", locations=LOCATIONS)
TRANSFORMS = root.Registry("transform", parent=root.TRANSFORMS, scope="aligndet", locations=LOCATIONS)
DATASETS = root.Registry("dataset", parent=root.DATASETS, scope="aligndet", locations=LOCATIONS)
OPTIM_WRAPPER_CONSTRUCTORS = root.Registry(
    "optimizer wrapper constructor",
    parent=root.OPTIM_WRAPPER_CONSTRUCTORS,
    scope="aligndet",
    locations=LOCATIONS,
)


def default_scope(config: Mapping[str, Any]) -> str:
    """Name the scope in which a config's names are looked up: mmdet's where it names none."""
    return config.get("default_scope") or "mmdet"


@contextmanager
def scope_of(config: Mapping[str, Any]) -> Iterator[None]:
    """Look names up as a run of this config does, for as long as this lasts.

    What any registry builds meanwhile comes from that of the config's scope, then from those above it.
    """
    scope = default_scope(config)
    if scope != "mmpretrain":
        register_mmdet()
    with root.DefaultScope.overwrite_default_scope(scope):
        yield


def scope_of_model(model: Mapping[str, Any]) -> AbstractContextManager[None]:
    """As :func:`scope_of`, inside of it, for a ``model`` that is inherited from another package's config.

    mmengine notes that package's scope at the model alone, under ``_scope_``; all names in it are of it.
    """
    scoped: AbstractContextManager[None] = root.DefaultScope.overwrite_default_scope(model.get("_scope_"))
    return scoped


def register_mmdet() -> None:
    """Register mmdet's classes; its scope becomes the default one only where there is none yet."""
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=root.DefaultScope.get_current_instance() is None)
