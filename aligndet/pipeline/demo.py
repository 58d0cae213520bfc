"""The demo as a preset of the pipeline: small configs, few steps, and images that are generated."""

from __future__ import annotations

from typing import Any

from aligndet.common.machine import usable_cores
from aligndet.pipeline.question import Question, make_question

DETECTOR = "aligndet::demo/retinanet_r18.py"
#: Generated images by split.
COUNTS = {"train": 60, "val": 120, "test": 20, "unlabelled": 300}
#: Of the user's images, at most so many; their copies are small.
MOST_IMAGES = 300
PRESET: dict[str, Any] = {
    "image_config": "aligndet::demo/simsiam_r18.py",
    "box_config": "aligndet::demo/alignment_r18.py",
    "min_side": 16,  # the pictures are small and hold 3 to 9 objects
    "max_per_image": 30,
    "percent": (100.0,),
    "seeds": 3,
    "lr": (0.001, 0.0005),
    "compare_iters": 150,
    "compare_batch": 4,
    "compare_schedule": "cosine",
    "finetune": False,
}


def demo_question(images: str | None = None, max_images: int = MOST_IMAGES, **given: Any) -> Question:
    """The demo's question.

    Args:
        images: the user's; None generates a labelled set.
        max_images: of the user's, spread evenly over their order.
        given: options over the preset.
    """
    asked = {**PRESET, **{name: value for name, value in given.items() if value is not None}}
    loading = min(4, usable_cores() // 2)
    if loading > 1:  # the configs are for two cores, where one process loads
        asked["image_options"] = asked["box_options"] = {"train_dataloader.num_workers": loading}
    if images is None:
        out = asked.setdefault("out", "work_dirs/demo")
        return make_question(DETECTOR, f"{out}/images", generate=COUNTS, compare=True, **asked)
    return make_question(DETECTOR, images, copies=max_images, **asked)
