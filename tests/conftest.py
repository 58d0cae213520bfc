"""Settings of all tests: the operator stand-in comes first, and no test inherits another's default scope."""

from collections.abc import Iterator

import pytest
from mmengine.registry import init_default_scope

import aligndet  # noqa: F401


@pytest.fixture(autouse=True)
def _default_scope() -> Iterator[None]:
    init_default_scope("mmdet")
    yield
    init_default_scope("mmdet")  # also before fixtures of wider scope
