"""Shuffle-BN: keys are normalised by another batch than their queries (MoCo, arXiv 1911.05722, section 3.3).

Batch norm lets a query and its key, computed in the same batch, recognise each other by that batch's
statistics. So the key batch is gathered from all processes, permuted, and each process encodes a part of it
that is mostly other processes' images; afterwards every key goes back to its query's process.

One process has nobody to exchange with. There a permutation alone changes nothing, because batch norm does
not see the order; ``groups`` above 1 encodes the permuted batch in that many parts, so that keys are at
least normalised by other images than the whole batch their queries saw. The default is 1: the leak is left
open, as in every single-GPU run of MoCo.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from mmengine.dist import all_gather, get_rank, get_world_size
from torch import Tensor

Encode = Callable[[Tensor, Sequence[Tensor]], Tensor]


@torch.no_grad()
def encode_shuffled(encode: Encode, images: Tensor, boxes: Tensor, levels: int, groups: int = 1) -> Tensor:
    """Encode a batch in another order than its own and return the result in its own.

    Args:
        encode: from (b, 3, H, W) images and L x (b, 4) boxes to (L, b, D) embeddings.
        images: (B, 3, H, W) of this process; every process has as many.
        boxes: (B, 4) xyxy, one per image.
        levels: L.
        groups: parts that each process encodes one after the other.

    Returns:
        (L, B, D).
    """
    from mmpretrain.models.utils import batch_shuffle_ddp, batch_unshuffle_ddp  # a second to import

    images, restore = batch_shuffle_ddp(images)
    boxes = shuffle_alike(boxes, restore)
    parts = zip(images.chunk(groups), boxes.chunk(groups), strict=True)
    keys = torch.cat([encode(part, [box] * levels) for part, box in parts], dim=1)
    return batch_unshuffle_ddp(keys.transpose(0, 1).contiguous(), restore).transpose(0, 1)


def shuffle_alike(rows: Tensor, restore: Tensor) -> Tensor:
    """Give rows of this process the permutation that ``batch_shuffle_ddp`` gave the images.

    Args:
        rows: (B, ...).
        restore: its second result, the inverse permutation over all processes' rows.
    """
    mine = restore.argsort().view(get_world_size(), -1)[get_rank()]
    return torch.cat(all_gather(rows.contiguous()))[mine.to(rows.device)]
