"""Box features are one vector per proposal, from a frozen backbone, for DETR's pseudo-classes."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset
from torchvision.ops import roi_align

from aligndet.common.errors import InputError
from aligndet.common.images import UnreadableImageError, read_image


class BoxFeatures:
    """Averages RoIAlign (Mask R-CNN, arXiv 1703.06870) on one level of a backbone over each box.

    Args:
        backbone: maps (N, 3, H, W) to a sequence of (N, C, h, w). Put into evaluation mode, never trained.
        mean, std: per channel, for pixels 0..255 in the order the backbone reads.
        bgr_to_rgb: whether the backbone reads RGB (images come in as BGR).
        level: index into the backbone's outputs, -1 for the deepest.
        pool: cells of RoIAlign per side before averaging.
        scale: (long side, short side) in pixels that an image is resized into, ratio kept, as in mmdet.
        device: of the computation.
    """

    def __init__(
        self,
        backbone: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        bgr_to_rgb: bool,
        level: int = -1,
        pool: int = 7,
        scale: tuple[int, int] = (1333, 800),
        device: str = "cpu",
    ) -> None:
        self.backbone = backbone.to(device)
        self.backbone.eval()
        self.mean = torch.tensor(mean, device=device).view(1, -1, 1, 1)
        self.std = torch.tensor(std, device=device).view(1, -1, 1, 1)
        self.bgr_to_rgb = bgr_to_rgb
        self.level, self.pool, self.scale, self.device = level, pool, scale, device

    @torch.no_grad()
    def __call__(self, images: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Compute the features of all boxes of a batch.

        Args:
            images: (H, W, 3) uint8, BGR, of any size.
            boxes: one (n, 4) float array per image, xywh in pixels of that image.

        Returns:
            One (n, C) float32 array per image, each row of length 1.

        Raises:
            InputError: the backbone has no such level.
        """
        resized = [self._resize(image) for image in images]
        batch = self._stack(resized)  # (N, 3, H, W)
        features = self._level(self.backbone(batch))  # (N, C, h, w)
        rois = [
            torch.from_numpy(_to_xyxy(box, old, new)).to(features)
            for box, old, new in zip(boxes, images, resized, strict=True)
        ]
        # One scale for both axes: batches are padded to a multiple of 32, which every common stride divides.
        stride = batch.shape[-1] / features.shape[-1]
        pooled = roi_align(features, rois, self.pool, 1 / stride, sampling_ratio=2, aligned=True)
        vectors = functional.normalize(pooled.float().mean(dim=(2, 3)), dim=1)  # (n, C, pool, pool) -> (n, C)
        return [part.cpu().numpy() for part in vectors.split([len(box) for box in boxes])]

    def _level(self, outputs: Tensor | Sequence[Tensor]) -> Tensor:
        outputs = [outputs] if isinstance(outputs, Tensor) else outputs
        if not -len(outputs) <= self.level < len(outputs):
            raise InputError(f"level {self.level} (--level): the backbone has {len(outputs)} outputs")
        return outputs[self.level]

    def fingerprint(self) -> str:
        """Hash the weights and every option that changes a feature."""
        digest = hashlib.sha256(repr((self.level, self.pool, self.scale, self.bgr_to_rgb)).encode())
        for tensor in (self.mean, self.std, *self.backbone.state_dict().values()):
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _resize(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        long_side, short_side = max(self.scale), min(self.scale)
        factor = min(long_side / max(height, width), short_side / min(height, width))
        size = max(1, round(width * factor)), max(1, round(height * factor))
        return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)

    def _stack(self, images: Sequence[np.ndarray]) -> Tensor:
        """Make a batch (N, 3, H, W), normalised and zero-padded right and below to a multiple of 32."""
        height, width = (-(-max(image.shape[axis] for image in images) // 32) * 32 for axis in (0, 1))
        batch = torch.zeros(len(images), 3, height, width, device=self.device)
        for slot, image in zip(batch, images, strict=True):
            pixels = torch.from_numpy(image).to(self.device).permute(2, 0, 1).float()
            pixels = pixels.flip(0) if self.bgr_to_rgb else pixels
            slot[:, : image.shape[0], : image.shape[1]] = ((pixels - self.mean) / self.std)[0]
        return batch


def _to_xyxy(boxes: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Turn xywh boxes of the old image into float32 xyxy boxes of the resized one."""
    factors = np.array([new.shape[1] / old.shape[1], new.shape[0] / old.shape[0]] * 2)
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    return (corners * factors).astype(np.float32)


class ImageFiles(Dataset):
    """Reads images by path into items (number, BGR image), or (number, why not) where one is bad."""

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        self.root, self.names = root, names

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[int, np.ndarray | str]:
        try:
            return index, read_image(self.root / self.names[index])
        except UnreadableImageError as error:
            return index, str(error)
