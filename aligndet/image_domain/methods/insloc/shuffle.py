"""Shuffle-BN: keys are normalised by another batch than their queries (MoCo, arXiv 1911.05722, section 3.3).

Batch norm lets a query and its key, computed in the same batch, recognise each other by that batch's
statistics. So the key batch is gathered from all processes, permuted, and each process encodes a part of it
that is mostly other processes' images; afterwards every key goes back to its query's process.

One process has nobody to exchange with. There a permutation alone changes nothing, because batch norm does
not see the order. With ``groups`` above 1 one process does what that many GPUs would: queries are encoded in
parts, keys in the parts of the permuted batch. The default is 1, which leaves the leak open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from mmengine.dist import all_gather, get_rank, get_world_size
from torch import Tensor

Encode = Callable[[Tensor, Sequence[Tensor]], Tensor]


def encode_in_groups(encode: Encode, images: Tensor, boxes: Sequence[Tensor], groups: int = 1) -> Tensor:
    """Encode a batch in parts, each with batch norm statistics of its own.

    Args:
        encode: from (b, 3, H, W) images and L x (b, 4) boxes to (L, b, D) embeddings.
        images: (B, 3, H, W).
        boxes: L x (B, 4) xyxy, one per image and level.
        groups: number of parts.

    Returns:
        (L, B, D).
    """
    parts = zip(images.chunk(groups), *(box.chunk(groups) for box in boxes), strict=True)
    return torch.cat([encode(image, box) for image, *box in parts], dim=1)


@torch.no_grad()
def encode_shuffled(encode: Encode, images: Tensor, boxes: Tensor, levels: int, groups: int = 1) -> Tensor:
    """Encode a batch in another order than its own and return the result in its own.

    Args:
        encode: see :func:`encode_in_groups`.
        images: (B, 3, H, W) of this process; every process has as many.
        boxes: (B, 4) xyxy, one per image, the same on every level.
        levels: L.
        groups: parts that each process encodes one after the other.

    Returns:
        (L, B, D).
    """
    from mmpretrain.models.utils import batch_shuffle_ddp, batch_unshuffle_ddp  # a second to import

    images, restore = batch_shuffle_ddp(images)
    boxes = shuffle_alike(boxes, restore)
    keys = encode_in_groups(encode, images, [boxes] * levels, groups)
    return batch_unshuffle_ddp(keys.transpose(0, 1).contiguous(), restore).transpose(0, 1)


def shuffle_alike(rows: Tensor, restore: Tensor) -> Tensor:
    """Give rows of this process the permutation that ``batch_shuffle_ddp`` gave the images.

    Args:
        rows: (B, ...).
        restore: its second result, the inverse permutation over all processes' rows.
    """
    mine = restore.argsort().view(get_world_size(), -1)[get_rank()]
    return torch.cat(all_gather(rows.contiguous()))[mine.to(rows.device)]
