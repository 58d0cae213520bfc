"""An adapter serves a class and its sub-classes, not a name.

Kind: libraries beside mmdet have a scope of their own and heads that are named like mmdet's. Some derive from
mmdet's and are served as themselves, others are something else and must not get the adapter of a namesake.
"""

from collections.abc import Iterator

import pytest
from mmdet.models import FCOSHead, RetinaHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.registry import MODELS as ROOT
from mmengine.registry import DefaultScope, Registry

from aligndet.box_domain.adapters import adapter_for, base, serves
from aligndet.box_domain.adapters.ancestry import ancestry, class_named, is_mmdets, nearest
from aligndet.box_domain.adapters.label import AnchorAdapter, PointAdapter
from aligndet.box_domain.adapters.score import ScoreAdapter
from aligndet.common.errors import InputError

#: Heads of a library that are named like mmdet's: the first derives from mmdet's, the second does not.
DERIVED = type("RetinaHead", (RetinaHead,), {"__module__": "theirs.heads"})
NAMESAKE = type("FCOSHead", (BaseDenseHead,), {"__module__": "theirs.heads"})


@pytest.fixture(autouse=True)
def theirs() -> Iterator[None]:
    """A library with the scope ``theirs`` and both heads."""
    registry = Registry("model", parent=ROOT, scope="theirs")
    for head in (DERIVED, NAMESAKE):
        registry.register_module(module=head)
    served = dict(base._SERVED)
    yield
    base._SERVED.clear()
    base._SERVED.update(served)
    ROOT.children.pop("theirs")


def model(head: object) -> ConfigDict:
    return ConfigDict(type="SingleStageDetector", backbone={"type": "ResNet"}, bbox_head={"type": head})


@pytest.mark.parametrize("head", ["theirs.RetinaHead", DERIVED])
def test_a_sub_class_with_the_name_of_its_ancestor_is_served(head: object) -> None:
    assert adapter_for(model(head)) is AnchorAdapter


@pytest.mark.parametrize("head", ["theirs.FCOSHead", NAMESAKE])
def test_a_namesake_is_refused_by_its_full_name(head: object) -> None:
    expected = r"head FCOSHead \(theirs\.heads\.FCOSHead\).*another one.*docs/adapters\.md"
    with pytest.raises(InputError, match=expected) as caught:
        adapter_for(model(head))
    assert "\n" not in str(caught.value)
    assert adapter_for(model("FCOSHead")) is PointAdapter, "mmdet's is served"


def test_a_name_without_scope_is_looked_up_in_the_default_scope() -> None:
    with DefaultScope.overwrite_default_scope("theirs"):
        assert ancestry({"type": "RetinaHead"})[:2] == (DERIVED, RetinaHead)
        assert ancestry({"type": "mmdet.RetinaHead"})[0] is RetinaHead
        with pytest.raises(InputError, match=r"theirs\.heads\.FCOSHead"):
            adapter_for(model("FCOSHead"))
    assert ancestry({"type": "RetinaHead"})[0] is RetinaHead
    assert ancestry({"type": "RetinaHead", "_scope_": "theirs"})[0] is DERIVED


def test_a_namesake_that_replaced_mmdets_in_its_registry_is_not_taken_for_it() -> None:
    MODELS.register_module(name="FCOSHead", module=NAMESAKE, force=True)
    try:
        with pytest.raises(InputError, match=r"theirs\.heads\.FCOSHead"):
            adapter_for(model("FCOSHead"))
    finally:
        MODELS.register_module(name="FCOSHead", module=FCOSHead, force=True)


@pytest.mark.parametrize("key", [NAMESAKE, "theirs.FCOSHead"])
def test_an_adapter_is_registered_for_a_class_or_for_a_name_in_a_scope(key: str | type) -> None:
    kind = serves(key)(type("TheirAdapter", (ScoreAdapter,), {}))
    assert adapter_for(model("theirs.FCOSHead")) is kind
    assert adapter_for(model("mmdet.FCOSHead")) is PointAdapter


def test_a_name_stands_for_mmdets_class_a_scopes_or_a_modules() -> None:
    assert class_named("FCOSHead") is class_named("mmdet.FCOSHead") is FCOSHead
    assert class_named("theirs.FCOSHead") is class_named(NAMESAKE) is NAMESAKE
    assert class_named(f"{__name__}.{Somewhere.__name__}") is Somewhere
    assert class_named("Somewhere") is class_named("nowhere.FCOSHead") is None
    assert is_mmdets(FCOSHead)
    assert not is_mmdets(NAMESAKE)
    assert nearest(DERIVED.__mro__, {"RetinaHead": 1, "theirs.RetinaHead": 2}) == 2
    assert nearest(NAMESAKE.__mro__, {"FCOSHead": 1}) is None


class Somewhere:
    """A class that no registry knows."""
