"""Embed boxes of any images with a trained InsLoc, under the conditions of its training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.registry import MODELS
from torch import Tensor
from torch.nn import functional

from aligndet.common.checkpoints import CheckpointError, read_checkpoint
from aligndet.common.errors import InputError
from aligndet.common.newest_checkpoint import checkpoint_file
from aligndet.image_domain.held_config import config_to_build
from aligndet.image_domain.methods.insloc.model import InsLoc
from aligndet.labels.boxes import read_boxes, with_pixels

# Long side of the box over the window's: about the mean of what compositing gives (128 to 254 of 256 px).
SHARE = 0.75


@dataclass(frozen=True)
class Windows:
    """Squares cut around boxes.

    Attributes:
        pixels: (n, S, S, 3) uint8 BGR.
        boxes: (n, 4) xyxy float32 in the square's pixels.
        images: (n,) id of the image each is from.
        names: class of each box.
    """

    pixels: np.ndarray
    boxes: np.ndarray
    images: np.ndarray
    names: list[str]


def load_insloc(where: Path) -> tuple[InsLoc, int]:
    """The model of a checkpoint or work dir, in evaluation mode, and the side of its composites in pixels.

    Raises:
        InputError: no checkpoint there.
        CheckpointError: it has no config of an ``aligndet.InsLoc``.
    """
    path = checkpoint_file(where)
    checkpoint = read_checkpoint(path)
    meta = checkpoint.get("meta") if isinstance(checkpoint, dict) else None
    text = meta.get("cfg") if isinstance(meta, dict) else None
    cfg: Any = config_to_build(text, str(path)) if isinstance(text, str) else {}
    model_type = (cfg.get("model") or {}).get("type", "")
    if not str(getattr(model_type, "__name__", model_type)).endswith("InsLoc"):
        raise CheckpointError(f"{path}: expected a checkpoint that training wrote for an InsLoc config")
    try:
        with MODELS.switch_scope_and_registry("mmdet") as registry:
            model = registry.build(cfg.model)
        model.load_state_dict(checkpoint["state_dict"])
        return model.eval(), int(cfg.train_dataloader.dataset.pipeline[0]["query"][0]["canvas"])
    except InputError:
        raise
    except Exception as error:  # whatever a config and tensors that do not fit lead to
        first = next(iter(str(error).strip().splitlines()), "")[:200]
        raise CheckpointError(
            f"{path}: its config and tensors make no InsLoc ({type(error).__name__}: {first}); expected a "
            "checkpoint that training wrote for an InsLoc config"
        ) from error


def read_windows(
    ann_file: Path, images: Path, side: int, limit: int = 500, min_side: float = 32, seed: int = 0
) -> Windows:
    """Cut a square around each box of a COCO json, so large that the box fills :data:`SHARE` of it.

    What the square holds beyond the image is filled with the image's edge.

    Args:
        ann_file: COCO json; proposals do as well as labels.
        images: folder of its images.
        side: pixels that the square is resized to.
        limit: at most this many boxes, drawn at random.
        min_side: boxes with a shorter side, in pixels of the image, are left out.
        seed: of the draw.

    Raises:
        InputError: no box is left, or the file is no COCO json with boxes.
    """
    labels = read_boxes(ann_file, lambda box: min(box["bbox"][2:]) >= min_side, limit, seed, proposals=True)
    cut = [
        (*window(image, box["bbox"], side), box["image_id"], labels.names[box["category_id"]])
        for box, image in with_pixels(labels.boxes, labels.files, images)
    ]
    if not cut:
        raise InputError(f"{ann_file}: no box of at least {min_side} px in a readable image below {images}")
    pixels, corners, ids, classes = zip(*cut, strict=True)
    return Windows(np.stack(pixels), np.stack(corners), np.array(ids), list(classes))


def window(image: np.ndarray, bbox: list[float], side: int) -> tuple[np.ndarray, np.ndarray]:
    """A (side, side, 3) square centred on an xywh box, and the (4,) xyxy box in it."""
    x, y, w, h = bbox
    scale = side * SHARE / max(w, h)
    shift = side / 2 - scale * np.array([x + w / 2, y + h / 2])
    # A pixel's centre lies at its index plus one half, in both images.
    offset = shift + 0.5 * scale - 0.5
    matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
    pixels = cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    box = np.array([x, y, x + w, y + h]) * scale + np.tile(shift, 2)
    return pixels, box.astype(np.float32)


@torch.no_grad()
def embed_boxes(model: InsLoc, windows: Windows, batch_size: int = 32) -> np.ndarray:
    """(n, L * D) float32: the embeddings of all levels side by side, the whole of length 1."""
    preprocess: Any = model.data_preprocessor.data_preprocessor  # of one view
    rows: list[Tensor] = []
    for start in range(0, len(windows.boxes), batch_size):
        part = slice(start, start + batch_size)
        inputs = list(torch.from_numpy(windows.pixels[part]).permute(0, 3, 1, 2).contiguous())
        images = preprocess({"inputs": inputs}, False)["inputs"]
        levels = model.embed(images, torch.from_numpy(windows.boxes[part]))
        rows.append(functional.normalize(levels.transpose(0, 1).flatten(1), dim=1))
    return torch.cat(rows).numpy()
