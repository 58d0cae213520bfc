"""Keys of earlier batches, one queue per pyramid level (MoCo, arXiv 1911.05722)."""

from __future__ import annotations

import torch
from mmengine.dist import all_gather
from torch import Tensor, nn
from torch.nn import functional

from aligndet.common.errors import InputError


class KeyQueue(nn.Module):
    """The last ``length`` keys of every level; all levels move together.

    It starts with random keys. It is a buffer, so a resumed run goes on with the keys it had.

    Args:
        levels: number of queues.
        dim: size of a key.
        length: keys per queue. Keep it well below the number of training images, or an image meets old keys
            of its own among the negatives.
    """

    keys: Tensor
    position: Tensor

    def __init__(self, levels: int, dim: int, length: int) -> None:
        super().__init__()
        self.register_buffer("keys", functional.normalize(torch.randn(levels, dim, length), dim=1))
        self.register_buffer("position", torch.zeros(1, dtype=torch.long))

    @torch.no_grad()
    def push(self, keys: Tensor) -> None:
        """Write this process's (L, B, D) keys, and those of all others, over the oldest ones.

        Raises:
            InputError: they are more than the queue holds.
        """
        keys = torch.cat(all_gather(keys.contiguous()), dim=1)
        count, length = keys.shape[1], self.keys.shape[2]
        if count > length:
            raise InputError(
                f"InsLoc: a batch of {count} keys (over all processes) does not fit model.queue_len={length}"
            )
        places = (self.position + torch.arange(count, device=keys.device)) % length
        self.keys[:, :, places] = keys.transpose(1, 2).to(self.keys.dtype)
        self.position.copy_((self.position + count) % length)
