"""Hooks of a project find on the pre-trainer what they know of their detector."""

import copy
from typing import Any

import pytest

from aligndet.box_domain import BoxDomainPretrainer
from tests.small import tiny


@pytest.fixture(scope="module")
def pretrainer() -> BoxDomainPretrainer:
    return BoxDomainPretrainer(tiny())


def test_parts_and_methods_of_the_detector_are_those_of_the_online_network(
    pretrainer: BoxDomainPretrainer,
) -> None:
    """Kind: a hook that sets ``runner.model.bbox_head.something``, or calls a method of its own detector."""
    asked: Any = pretrainer
    assert asked.bbox_head is pretrainer.online.bbox_head
    assert asked.with_neck is True
    assert copy.deepcopy(asked).neck is not asked.neck
    keys = {key.split(".")[0] for key in pretrainer.state_dict()}
    assert "bbox_head" not in keys, "found, and not held twice"


def test_what_neither_has_is_an_error_of_its_name(pretrainer: BoxDomainPretrainer) -> None:
    asked: Any = pretrainer
    with pytest.raises(AttributeError, match="no attribute 'teacher'"):
        _ = asked.teacher
    assert not hasattr(asked, "_not_there")
