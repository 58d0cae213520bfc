"""Lists the commands, with the texts of ``aligndet --help``, ``aligndet GROUP --help`` and ``--version``."""

from __future__ import annotations

import importlib

#: Command words and the module that answers them.
COMMANDS: dict[str, str] = {
    "pretrain": "aligndet.cli.pretrain",
    "train": "aligndet.cli.train",
    "export": "aligndet.cli.export",
    "compare": "aligndet.cli.compare",
    "check": "aligndet.cli.check",
    "doctor": "aligndet.cli.doctor",
    "demo": "aligndet.cli.demo",
    "proposals make": "aligndet.cli.proposals_make",
    "proposals recall": "aligndet.cli.proposals_recall",
    "proposals convert": "aligndet.cli.proposals_convert",
    "proposals cluster": "aligndet.cli.proposals_cluster",
    "proposals verify": "aligndet.cli.proposals_verify",
    "proposals show": "aligndet.cli.proposals_show",
    "backbone convert": "aligndet.cli.backbone_convert",
    "labels check": "aligndet.cli.labels_check",
    "labels split": "aligndet.cli.labels_split",
    "labels convert": "aligndet.cli.labels_convert",
    "show views": "aligndet.cli.show_views",
    "show matches": "aligndet.cli.show_matches",
    "show composites": "aligndet.cli.show_composites",
    "show neighbours": "aligndet.cli.show_neighbours",
    "show curves": "aligndet.cli.show_curves",
    "show features": "aligndet.cli.show_features",
}

#: First words of two-word commands, with their second words.
GROUPS: dict[str, list[str]] = {}
for _command in COMMANDS:
    _group, _, _name = _command.partition(" ")
    if _name:
        GROUPS.setdefault(_group, []).append(_name)

HEADINGS = {
    "the whole job, and its steps": ["pretrain", "train", "export", "compare", "check", "doctor", "demo"],
    "proposals": ["proposals"],
    "backbones and labels": ["backbone", "labels"],
    "pictures": ["show"],
}

TYPICAL = """
aligndet doctor
aligndet pretrain mmdet::retinanet/retinanet_r50_fpn_1x_coco.py photos/ --out runs/photos
aligndet compare my_detector.py --start random= --start aligndet=runs/photos/detector.pth --train train.json --val val.json --images photos/
""".strip()  # noqa: E501


def overview() -> str:
    """List every command under a heading, one line each, and the three typical commands."""
    lines = ["usage: aligndet COMMAND ...", "", "Pre-train whole mmdet detectors on unlabelled images."]
    for heading, firsts in HEADINGS.items():
        lines += ["", f"{heading}:"]
        lines += [_line(command) for command in COMMANDS if command.split()[0] in firsts]
    lines += ["", "typical:", *(f"  {line}" for line in TYPICAL.splitlines()), ""]
    lines += ["aligndet COMMAND --help: its options and examples; aligndet --version: versions"]
    return "\n".join(lines)


def group_help(group: str) -> str:
    """List the commands of a group, one line each."""
    commands = [f"{group} {name}" for name in GROUPS[group]]
    lines = [f"usage: aligndet {group} {{{','.join(GROUPS[group])}}} ...", ""]
    lines += [_line(command) for command in commands]
    return "\n".join([*lines, "", f"aligndet {group} COMMAND --help: its options and examples"])


def version() -> str:
    """Name this package, Python and the packages it works with, by installed distribution."""
    from aligndet.doctor.versions import deciding_versions

    return ", ".join(f"{name} {number}" for name, number in deciding_versions().items())


def _line(command: str) -> str:
    return f"  {command:<19} {importlib.import_module(COMMANDS[command]).SUMMARY}"
