"""Pre-training checkpoint to plain mmdet checkpoint: ``export_detector.py CKPT OUT [--network momentum]``."""

import argparse
import json
from pathlib import Path

import aligndet  # noqa: F401  (before mmdet: provides the stand-in for missing compiled ops)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Write the detector inside an AlignDet checkpoint as a plain mmdet checkpoint."
    )
    parser.add_argument("checkpoint", type=Path, help="checkpoint of box-domain pre-training")
    parser.add_argument("out", type=Path, help="where to write; use it as load_from of a stock config")
    parser.add_argument("--network", choices=["online", "momentum"], default="online")
    parser.add_argument(
        "--config", help="config of the detector to export for (file or mmdet::name), e.g. with your classes"
    )
    parser.add_argument("--report", choices=["text", "json"], default="text")
    args = parser.parse_args(argv)
    from aligndet.common.configs import read_config
    from aligndet.transfer.export import export_detector

    try:
        detector = read_config(args.config).model if args.config else None
        report = export_detector(args.checkpoint, args.out, args.network, detector)
    except (OSError, ValueError) as error:
        parser.exit(2, f"error: {error}\n")
    print(
        json.dumps(report.to_dict(), indent=1) if args.report == "json" else f"{report}\nWritten: {args.out}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
