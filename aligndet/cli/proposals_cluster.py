"""``aligndet proposals cluster``: pseudo-classes for proposals, which DETR's classifier needs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from aligndet.cli import options, paths, values
from aligndet.cli.silence import libraries_silent

if TYPE_CHECKING:
    from aligndet.box_domain.pseudo_classes.box_features import BoxFeatures
    from aligndet.box_domain.pseudo_classes.clusters import ClusterJob

SUMMARY = "give proposals pseudo-classes by clustering their features (for DETR)"
EXAMPLES = """
aligndet proposals cluster STORE CLUSTERED --images photos/ --config my_detector.py --weights backbone.pth
The config names the backbone; without --weights its own weights are taken.
Interrupted? The same command goes on.
"""
RECORDED = ("clusters", "dims", "level", "pool", "seed", "config", "weights")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Proposals, the backbone that looks at them, and the clustering."""
    add = parser.add_argument
    add("proposals", type=paths.existing, metavar="PROPOSALS", help=options.PROPOSALS_HELP)
    add("out", type=paths.out, metavar="OUT", help="to write: the same proposals with clusters")
    options.add(parser, "--images", "of its file names", required=True)
    options.add(parser, "--max-bad")
    options.add(parser, "--allow-outside")
    options.add(parser, "--config", "names the backbone", required=True)
    options.add(parser, "--weights")
    add("--clusters", type=values.positive, default=256, metavar="K", help="of k-means (default 256)")
    add("--dims", type=values.positive, default=256, metavar="N", help="of PCA (default 256)")
    add("--level", type=int, default=-1, metavar="N", help="output of the backbone (default -1, the deepest)")
    add("--pool", type=values.positive, default=7, metavar="N", help="cells per side of RoIAlign (default 7)")
    add(
        "--scale",
        type=values.positive,
        nargs=2,
        default=(1333, 800),
        metavar="PIXELS",
        help="long and short side of the images (default 1333 800)",
    )
    add(
        "--fit-proposals",
        type=values.positive,
        default=50_000,
        metavar="N",
        help="proposals the centres are learnt from (default 50000)",
    )
    options.add(parser, "--batch", "default 1", default=1)
    options.add(parser, "--workers", "that read images; default 2", default=2)
    options.add(parser, "--seed")
    options.add(parser, "--device")
    options.add(parser, "--trust")
    options.add(parser, "--cfg-options")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Cluster, write, print the sizes of the clusters."""
    with libraries_silent(args):
        from aligndet.common.configs import read_config

        read_config(args.config)  # before mmdet is loaded
        from aligndet.box_domain.pseudo_classes import clusters
    from aligndet.common.images.bad import max_bad
    from aligndet.proposals.formats import read_proposals

    proposals = read_proposals(args.proposals)
    chosen = clusters.ClusterOptions(
        args.clusters, args.dims, args.seed, args.fit_proposals, args.batch, args.workers
    )
    with libraries_silent(args):
        features, note = _features(args)
    if note:
        print(note)
    job = clusters.ClusterJob(proposals, args.images, features, chosen, max_bad())
    key = f"{features.fingerprint()} {chosen} {clusters.fingerprint_of(args.proposals)}"
    ids = job.run(args.out.with_name(args.out.name + ".state"), key)
    recorded = {name: getattr(args, name) for name in RECORDED}
    clusters.write_clusters(job.proposals, ids, recorded, args.out)
    return _report(job, args)


def _features(args: argparse.Namespace) -> tuple[BoxFeatures, str]:
    """The frozen backbone with the normalisation of its config, or ImageNet's with a note."""
    from aligndet.box_domain.pseudo_classes.box_features import BoxFeatures
    from aligndet.image_domain.backbones import trained_backbone
    from aligndet.image_domain.normalisation import IMAGENET, normalisation_of
    from aligndet.training.config import load_config

    cfg = load_config(args.config, options.cfg_options(args))
    backbone = trained_backbone(cfg, args.weights)
    used, note = normalisation_of(cfg), ""
    if used is None:
        used = IMAGENET
        note = f"note: {args.config} has no data_preprocessor, using ImageNet's normalisation {used}"
    rgb, scale = used.channel_order == "rgb", (args.scale[0], args.scale[1])
    device = options.device_of(args)
    features = BoxFeatures(backbone, used.mean, used.std, rgb, args.level, args.pool, scale, device)
    return features, note


def _report(job: ClusterJob, args: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    sizes = np.bincount(job.ids[job.ids >= 0], minlength=job.options.clusters)
    filled = int(np.count_nonzero(sizes))
    print(f"{sizes.sum()} proposals in {filled} clusters of {sizes.min()} to {sizes.max()}: {args.out}")
    with_boxes = np.flatnonzero(job.proposals.counts)
    lost = with_boxes[job.ids[job.proposals.offsets[with_boxes]] < 0]
    names = [job.proposals.file_name(int(image)) for image in lost]
    if names:
        print(f"skipped {len(names)} images that cannot be read: {', '.join(names[:10])}")
    return {"out": args.out, "clusters": filled, "boxes": int(sizes.sum()), "skipped": names}
