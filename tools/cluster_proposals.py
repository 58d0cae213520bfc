"""Give proposals pseudo-classes by clustering their features (for DETR).

    python tools/cluster_proposals.py PROPOSALS OUT --images IMAGES \
        --config my_detector.py --checkpoint backbone.pth

PROPOSALS and OUT are proposal stores (folders), or COCO json where the name ends in .json.
The config names the backbone (detector, pre-training or mmpretrain config). Without --checkpoint, the
weights are those the config itself asks for; a config that asks for none is an error. An interrupted job
continues where it was.
"""

import aligndet  # noqa: F401, I001  first: makes mmcv importable where it has no compiled ops

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from mmengine.config import DictAction

from aligndet.box_domain.pseudo_classes import clusters
from aligndet.box_domain.pseudo_classes.box_features import BoxFeatures
from aligndet.image_domain.backbones import trained_backbone
from aligndet.image_domain.sources import Normalisation, normalisation_of
from aligndet.proposals.formats import read_proposals
from aligndet.training.run import load_config


RECORDED = ("clusters", "dims", "level", "pool", "seed", "config", "checkpoint")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    options = clusters.ClusterOptions()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("proposals", type=Path, help="proposal store or COCO json")
    add("out", type=Path, help="to write: the same proposals with clusters")
    add("--images", type=Path, required=True, help="folder that its file names are relative to")
    add("--config", required=True, help="config that names the backbone")
    add("--checkpoint", help="weights: what tools/convert_backbone.py takes (file, work dir, timm:NAME ...)")
    add("--clusters", type=int, default=options.clusters, help="k of k-means")
    add("--dims", type=int, default=options.dims, help="of PCA")
    add("--level", type=int, default=-1, help="output of the backbone; -1 is the deepest")
    add("--pool", type=int, default=7, help="cells per side of RoIAlign")
    add("--scale", type=int, nargs=2, default=(1333, 800), help="long and short side, pixels")
    add(
        "--fit-proposals",
        type=int,
        default=options.fit_proposals,
        help="proposals the centres are learnt from",
    )
    add("--batch", type=int, default=options.batch, help="images at once")
    add("--workers", type=int, default=options.workers, help="processes that read images")
    add("--seed", type=int, default=options.seed)
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--cfg-options", nargs="+", action=DictAction, help="override config values, k=v")
    return parser.parse_args(argv)


def make_features(args: argparse.Namespace) -> BoxFeatures:
    """The frozen backbone with the normalisation of its config, or ImageNet's with a note."""
    cfg = load_config(args.config, args.cfg_options)
    backbone = trained_backbone(cfg, args.checkpoint)
    known = normalisation_of(cfg)
    if known is None:
        known = Normalisation((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "rgb")
        print(f"note: {args.config} has no data_preprocessor, using ImageNet's normalisation {known}")
    rgb = known.channel_order == "rgb"
    scale = (args.scale[0], args.scale[1])
    return BoxFeatures(backbone, known.mean, known.std, rgb, args.level, args.pool, scale, args.device)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    options = clusters.ClusterOptions(
        args.clusters, args.dims, args.seed, args.fit_proposals, args.batch, args.workers
    )
    try:
        features = make_features(args)
        job = clusters.ClusterJob(read_proposals(args.proposals), args.images, features, options)
        key = f"{features.fingerprint()} {options} {clusters.fingerprint_of(args.proposals)}"
        ids = job.run(args.out.with_name(args.out.name + ".state.npz"), key)
        clusters.write_clusters(
            job.proposals, ids, {name: getattr(args, name) for name in RECORDED}, args.out
        )
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    report(job, args.out)
    return 0


def report(job: clusters.ClusterJob, out: Path) -> None:
    sizes = np.bincount(job.ids[job.ids >= 0], minlength=job.options.clusters)
    print(
        f"{sizes.sum()} proposals in {np.count_nonzero(sizes)} clusters "
        f"of {sizes.min()} to {sizes.max()}: {out}"
    )
    some = np.flatnonzero(job.proposals.counts)
    lost = some[job.ids[job.proposals.offsets[some]] < 0]
    if len(lost):
        names = [job.proposals.file_name(int(image)) for image in lost[:10]]
        print(f"skipped {len(lost)} images that cannot be read: {', '.join(names)}")


if __name__ == "__main__":
    sys.exit(main())
