"""How well two views of one box find each other: a share of slots.

Every foreground slot of one view looks for its most similar slot among all those of the other view, over a
batch of images; both come from the online network, the one that is exported. The share that finds its own
instance is written as json, before training (``before``: neck, head and projector random) and with the
checkpoint (``after``), with ``chance``.

Two views with the same orientation put a box at nearly the same place, and a query of a DETR or a cell that
is known by its place finds its like there without having learnt anything. ``--mirrored`` takes that away: of
each pair of views one is flipped and one is not.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from pathlib import Path
from typing import Any

import torch
from mmengine.config import DictAction
from torch.nn import functional as F

from aligndet.box_domain.pretrainer import number_instances, one_view
from aligndet.common.errors import InputError
from aligndet.common.newest_checkpoint import checkpoint_file
from aligndet.common.trust import files_run_no_code
from aligndet.scopes import scope_of
from aligndet.training.run import load_config


def found_share(queries: Any, keys: Any) -> tuple[float, float]:
    """Top-1 retrieval between two sets of slots, in 0..1, and its chance level; background is left out."""
    q, k = queries.ids >= 0, keys.ids >= 0
    if not q.any() or not k.any():
        return 0.0, 0.0
    similar = F.normalize(queries.embeddings[q], dim=1) @ F.normalize(keys.embeddings[k], dim=1).t()
    same = queries.ids[q][:, None] == keys.ids[k]
    hits = same.gather(1, similar.argmax(1, keepdim=True)).float()
    return float(hits.mean()), float(same.float().mean())


@torch.no_grad()
def measure(model: Any, batches: list[Any]) -> dict[str, float]:
    """Mean of :func:`found_share` over batches of views."""
    torch.manual_seed(0)
    shares = []
    for batch in batches:
        data = model.data_preprocessor(copy.deepcopy(batch), training=True)
        for view in ("online", "momentum"):
            number_instances(data["data_samples"][view])
        keys, _ = model.online_adapter(model.online, **one_view(data, "momentum"))
        queries, _ = model.online_adapter(model.online, **one_view(data, "online"))
        shares.append(found_share(queries, keys))
    hits, chances = zip(*shares, strict=True)
    return {"found": sum(hits) / len(hits), "chance": sum(chances) / len(chances)}


def mirror(pipeline: list[Any]) -> None:
    """Make the two views of a pipeline mirror images: the online one is never flipped, the other always.

    Raises:
        InputError: the pipeline has no two views, or a view has no ``RandomFlip``.
    """
    views: Any = next((step for step in pipeline if str(step["type"]).endswith("MultiBranch")), {})
    for branch, prob in (("online", 0.0), ("momentum", 1.0)):
        flips = [step for step in views.get(branch, ()) if str(step["type"]).endswith("RandomFlip")]
        if not flips:
            raise InputError(
                f"--mirrored: the {branch} view in train_dataloader.dataset.pipeline has no RandomFlip to set"
            )
        for flip in flips:
            flip["prob"] = prob


def evaluate(config: Any, checkpoint: str, images: int) -> dict[str, float]:
    """Measure a pre-training config's model before training and with a checkpoint."""
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import DATASETS, MODELS
    from mmengine.runner import load_checkpoint, set_random_seed

    set_random_seed(0)
    with scope_of(config):
        dataset = DATASETS.build(config.train_dataloader.dataset)
    size = min(config.train_dataloader.batch_size, len(dataset))
    chosen = torch.randperm(len(dataset))[:images].split(size)
    batches = [pseudo_collate([dataset[int(i)] for i in part]) for part in chosen]
    with scope_of(config):
        model = MODELS.build(config.model)
    model.init_weights()
    model.train()
    before = measure(model, batches)
    load_checkpoint(model, checkpoint, map_location="cpu")
    return {"before": before["found"], "after": measure(model, batches)["found"], "chance": before["chance"]}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="pre-training config")
    parser.add_argument("checkpoint", help="of that pre-training, or its work dir (the latest)")
    parser.add_argument("out", type=Path, help="json to write")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--mirrored", action="store_true", help="one view flipped, the other not")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help="override config values, k=v")
    args = parser.parse_args(argv)
    path = str(checkpoint_file(Path(args.checkpoint)))
    config = load_config(args.config, args.cfg_options)
    if args.mirrored:
        mirror(config.train_dataloader.dataset.pipeline)
    with files_run_no_code():
        result = evaluate(config, path, args.images)
    args.out.write_text(json.dumps(result))
    print(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
