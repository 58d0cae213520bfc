"""Classes of a test in a registry, for as long as the test runs."""

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.registry import Registry


@contextmanager
def registered_in(registry: Registry, *classes: type) -> Iterator[None]:
    """Register classes, and take them out again."""
    for cls in classes:
        registry.register_module(module=cls)
    try:
        yield
    finally:
        for cls in classes:
            registry.module_dict.pop(cls.__name__)
