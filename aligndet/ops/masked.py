"""The two halves of mmcv's masked convolution (guided anchoring): gather patches, scatter results.

The mask has M positive cells, given as row and column indices ``mask_h_idx`` and ``mask_w_idx`` (M,).
"""

import torch.nn.functional as F
from torch import Tensor


def masked_im2col_forward(
    im: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    col: Tensor,
    kernel_h: int,
    kernel_w: int,
    pad_h: int,
    pad_w: int,
) -> None:
    """Patches (stride 1, zero padded) of the first image of ``im`` (1, C, H, W) at the masked cells.

    ``col`` is (C * kernel_h * kernel_w, M), written.
    """
    padded = F.pad(im[0], (pad_w, pad_w, pad_h, pad_h))
    patches = padded.unfold(1, kernel_h, 1).unfold(2, kernel_w, 1)  # (C, H', W', kernel_h, kernel_w)
    picked = patches[:, mask_h_idx, mask_w_idx]  # (C, M, kernel_h, kernel_w)
    col.copy_(picked.permute(0, 2, 3, 1).reshape(col.shape))


def masked_col2im_forward(
    col: Tensor, mask_h_idx: Tensor, mask_w_idx: Tensor, im: Tensor, height: int, width: int, channels: int
) -> None:
    """Write ``col`` (channels, M) into the masked cells of ``im`` (1, channels, height, width)."""
    im[0, :, mask_h_idx, mask_w_idx] = col.to(im.dtype)
