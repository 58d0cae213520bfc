"""The example learns what the method promises, with the loss of the package."""

import copy

import torch

from aligndet.box_domain.contrast import box_contrast
from aligndet.box_domain.slots import NO_INSTANCE, Slots
from examples import box_contrast as example


def agreement(detector: example.Detector, pixels: torch.Tensor, boxes: torch.Tensor) -> float:
    """How much nearer two views of one instance are than views of two instances, in cosine."""
    torch.manual_seed(1)
    sides = [example.view(pixels, boxes) for _ in range(2)]
    with torch.no_grad():
        embeddings = [torch.nn.functional.normalize(detector(x)[1], dim=1) for x, _ in sides]
    ids = [example.match(p)[0] for _, p in sides]
    kept = [one != example.NONE for one in ids]
    similar = embeddings[0][kept[0]] @ embeddings[1][kept[1]].T
    same = ids[0][kept[0]][:, None] == ids[1][kept[1]]
    return (similar[same].mean() - similar[~same].mean()).item()


def test_losses_fall_and_views_of_an_instance_come_to_agree() -> None:
    torch.manual_seed(0)
    detector = example.Detector()
    before = copy.deepcopy(detector)
    losses = torch.tensor(list(example.pretrain(detector, steps=60)))
    contrast, regression = losses.T
    assert contrast[-10:].mean() < contrast[:10].mean() - 0.3
    assert regression[-10:].mean() < 0.7 * regression[:10].mean()
    unseen = example.images(16)
    assert agreement(detector, *unseen) > agreement(before, *unseen) + 0.2
    frozen = zip(detector.backbone.parameters(), before.backbone.parameters(), strict=True)
    assert all(torch.equal(after, start) for after, start in frozen)


def test_its_loss_is_the_package_s() -> None:
    torch.manual_seed(0)
    embeddings = torch.randn(40, 16, requires_grad=True), torch.randn(30, 16)
    ids = torch.randint(-1, 6, (40,)), torch.randint(-1, 8, (30,))
    theirs = example.box_contrast(embeddings[0], ids[0], embeddings[1], ids[1])
    ours = box_contrast(Slots(embeddings[0], ids[0]), Slots(embeddings[1], ids[1]))
    torch.testing.assert_close(theirs, ours, rtol=1e-5, atol=1e-5)
    gradients = [torch.autograd.grad(loss, embeddings[0])[0] for loss in (theirs, ours)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)
    assert example.NONE == NO_INSTANCE


def test_boxes_follow_a_mirrored_view() -> None:
    torch.manual_seed(0)
    box = torch.tensor([[[4.0, 8.0, 20.0, 30.0]]])
    pixels = torch.zeros(1, 3, example.SIDE, example.SIDE)
    pixels[..., 8:30, 4:20] = 1
    lefts = set()
    for _ in range(12):
        seen, moved = example.view(pixels, box)
        x1, y1, x2, y2 = moved.flatten().int().tolist()
        assert seen[..., y1:y2, x1:x2].mean() > 0.6
        assert seen.sum() - seen[..., y1:y2, x1:x2].sum() < 0.1 * seen.sum(), "nothing lies outside"
        lefts.add(x1)
    assert lefts == {4, 64 - 20}
