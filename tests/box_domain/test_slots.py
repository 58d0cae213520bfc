"""Slots: what they refuse, and the two numbers that ids live by."""

import pytest
import torch

from aligndet.box_domain.slots import IMAGE_STRIDE, NO_INSTANCE, Slots


def test_slots_have_an_id_each() -> None:
    slots = Slots(torch.randn(3, 2, requires_grad=True), torch.tensor([0, 1, NO_INSTANCE]))
    assert len(slots) == 3
    assert slots.embeddings.requires_grad
    assert not slots.detach().embeddings.requires_grad
    assert torch.equal(slots.detach().ids, slots.ids)


@pytest.mark.parametrize(
    ("embeddings", "ids"), [((3, 2), (2,)), ((3,), (3,)), ((3, 2, 1), (3,)), ((3, 2), (3, 1))]
)
def test_other_shapes_are_refused(embeddings: tuple[int, ...], ids: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="embeddings"):
        Slots(torch.randn(embeddings), torch.zeros(ids, dtype=torch.long))


def test_background_is_no_id_and_images_keep_apart() -> None:
    assert NO_INSTANCE == -1, "ids start at 0, LEFT_OUT is -2"
    assert IMAGE_STRIDE == 1 << 20, "more than any image has proposals"
