"""Box-domain pre-training of AlignDet (arXiv 2307.11077, section 3) in one file of plain torch, for a CPU.

A frozen backbone, a neck and a head see two views of generated images with proposals. Cells whose box matches
a proposal become slots, and slots of one proposal must agree across the views.
"""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE, CELL, NONE = 64, 8, -1  # pixels of an image and of a cell; id of background
MIRROR = torch.tensor([-1.0, 1.0, -1.0, 1.0])  # signs of x1, y1, x2, y2


def images(count: int) -> tuple[Tensor, Tensor]:
    """Make three striped rectangles an image, on noise: ``(B, 3, 64, 64)`` and xyxy boxes ``(B, 3, 4)``."""
    pixels, boxes = torch.rand(count, 3, SIDE, SIDE) * 0.3, torch.zeros(count, 3, 4)
    for image in range(count):
        for number in range(3):  # one in each third, so that none hides another
            x, w, h, y = 21 * number, *torch.randint(12, 21, (2,)).tolist(), int(torch.randint(0, 44, ()))
            stripes = torch.sin(torch.arange(w) * (0.5 + 2 * torch.rand(3, 1, 1)))  # (3, 1, w)
            pixels[image, :, y : y + h, x : x + w] = torch.rand(3, 1, 1) + 0.3 * stripes
            boxes[image, number] = torch.tensor([x, y, x + w, y + h])
    return pixels, boxes


def view(pixels: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Draw a view: mirrored or not, darker or lighter, noisy. Boxes follow the pixels."""
    if torch.rand(()) < 0.5:
        pixels, boxes = pixels.flip(3), (boxes * MIRROR + SIDE * (MIRROR < 0))[..., [2, 1, 0, 3]]
    return pixels * (0.7 + 0.6 * torch.rand(())) + 0.05 * torch.randn_like(pixels), boxes


class Detector(nn.Module):
    """Gives a box and an embedding for each cell of 8 x 8 pixels."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        convs = [nn.Sequential(nn.Conv2d(i, width, 3, 2, 1), nn.ReLU()) for i in (3, width, width)]
        self.backbone = nn.Sequential(*convs).requires_grad_(False)  # comes from stage 1, stays as it is
        self.neck = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.regressor = nn.Linear(width, 4)
        self.projector = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        cells = self.neck(self.backbone(pixels)).flatten(2).mT.flatten(0, 1)  # (B, C, 8, 8) -> (B * 64, C)
        return self.regressor(cells) * CELL, self.projector(cells)  # (B * 64, 4), (B * 64, C)


def match(boxes: Tensor, threshold: float = 0.4) -> tuple[Tensor, Tensor]:
    """Eqs. 1 and 2: ids ``(B * 64,)`` of the proposals that anchors overlap most, offsets ``(B * 64, 4)``."""
    centre = torch.cartesian_prod(*[torch.arange(CELL / 2, SIDE, CELL)] * 2).flip(1)  # (64, 2), x and y
    anchors = torch.cat([centre - CELL, centre + CELL], 1)  # (64, 4) xyxy, 16 x 16 pixels
    low, high = (op(anchors[:, None], boxes[:, None]) for op in (torch.max, torch.min))  # (B, 64, 3, 4)
    both = (high[..., 2:] - low[..., :2]).clamp(min=0).prod(-1)  # (B, 64, 3)
    overlap, nearest = (both / (256 + (boxes[..., 2:] - boxes[..., :2]).prod(-1)[:, None] - both)).max(-1)
    ids = (
        nearest + 3 * torch.arange(len(boxes))[:, None]
    ).flatten()  # a number for each proposal of the batch
    offsets = boxes.flatten(0, 1)[ids] - anchors.repeat(len(boxes), 1)
    return torch.where(overlap.flatten() >= threshold, ids, NONE), offsets


def box_contrast(queries: Tensor, q_ids: Tensor, keys: Tensor, k_ids: Tensor, tau: float = 0.5) -> Tensor:
    """Eqs. 3 and 4: each pair of an instance against all slots of other ids and background in both views."""
    queries, keys = F.normalize(queries, dim=1), F.normalize(keys, dim=1)  # (q, d), (k, d)
    slots, ids = torch.cat([queries.detach(), keys]), torch.cat([q_ids, k_ids])  # (s, d), (s,), s = q + k
    negatives = (queries @ slots.T / tau).masked_fill(q_ids[:, None] == ids, -torch.inf).logsumexp(1)  # (q,)
    rows = F.softplus(negatives[:, None] - queries @ keys.T / tau)  # (q, k): -log(e^qk / (e^qk + sum e^qn))
    pairs = [(q_ids == one)[:, None] & (k_ids == one) for one in q_ids.unique() if one != NONE]
    return torch.stack([rows[pair].mean() for pair in pairs if pair.any()]).mean()


def pretrain(online: Detector, steps: int = 150, keep: float = 0.95) -> Iterator[tuple[float, float]]:
    """Train neck and head, yielding the contrastive and the regression loss of each step."""
    momentum = copy.deepcopy(online).requires_grad_(False)
    optimiser = torch.optim.AdamW([p for p in online.parameters() if p.requires_grad], lr=3e-3)
    pixels, boxes = images(64)
    for batch in (torch.randperm(len(pixels))[:8] for _ in range(steps)):
        (x1, p1), (x2, p2) = view(pixels[batch], boxes[batch]), view(pixels[batch], boxes[batch])
        (ids1, target), (ids2, _) = match(p1), match(p2)
        (predicted, z1), (_, z2) = online(x1), momentum(x2)
        contrast = box_contrast(z1, ids1, z2, ids2)
        regression = F.l1_loss(predicted[ids1 != NONE], target[ids1 != NONE]) / CELL
        optimiser.zero_grad()
        (contrast + regression).backward()
        optimiser.step()
        for follower, leader in zip(momentum.parameters(), online.parameters(), strict=True):
            follower.lerp_(leader.detach(), 1 - keep)
        yield contrast.item(), regression.item()


if __name__ == "__main__":
    torch.manual_seed(0)
    for step, losses in list(enumerate(pretrain(Detector(), steps=151)))[::25]:
        print("step {:3}: contrast {:.3f}, regression {:.3f}".format(step, *losses))
