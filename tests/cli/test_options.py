"""One word, one meaning: the same destination, type and help in every command that has it."""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import pytest

from aligndet.box_domain.pseudo_classes.clusters import ClusterOptions
from aligndet.cli import options, values
from aligndet.cli.main import COMMANDS, parser_of
from aligndet.common.errors import InputError

CONFIG = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"
#: Words of mmdet's ``tools/train.py``, whose users know them.
OF_MMDET = ("--resume", "--launcher", "--local_rank", "--local-rank")
#: A list for each label fraction in one command, one number in others.
LISTS = {("compare", "--iters")}


def actions() -> dict[str, dict[str, argparse.Action]]:
    """Every option word: the commands that have it, and what it is there."""
    words: dict[str, dict[str, argparse.Action]] = defaultdict(dict)
    for command in COMMANDS:
        for word, action in parser_of(command)._option_string_actions.items():
            words[word][command] = action
    return words


def test_a_shared_word_means_the_same_everywhere() -> None:
    wrong = []
    for word, where in actions().items():
        if word not in options.TABLE:
            continue
        shared = options.TABLE[word]
        dest = shared.get("dest", word.removeprefix("--").replace("-", "_"))
        for command, action in where.items():
            if (action.dest, (action.help or "").startswith(shared["help"])) != (dest, True):
                wrong.append(f"{command} {word}: {action.dest}, {action.help}")
            if action.type is not shared.get("type") and (command, word) not in LISTS:
                wrong.append(f"{command} {word}: type {action.type}")
    assert not wrong, "\n".join(wrong)


def test_no_two_commands_define_a_word_of_their_own_twice() -> None:
    own = {
        word: sorted(where)
        for word, where in actions().items()
        if word not in {*options.TABLE, *OF_MMDET, "-h", "--help"} and len(where) > 1
    }
    meanings = {
        word: {(action.dest, action.type, action.help) for action in actions()[word].values()} for word in own
    }
    assert {word: own[word] for word, several in meanings.items() if len(several) > 1} == {}


def test_every_word_has_a_help_and_every_command_an_example() -> None:
    for command in COMMANDS:
        parser = parser_of(command)
        assert f"aligndet {command}" in str(parser.epilog), command
        assert all(action.help for action in parser._actions), command
        assert parser.allow_abbrev is False


def test_every_command_has_the_common_words() -> None:
    words = actions()
    for word in options.COMMON:
        assert sorted(words[word]) == sorted(COMMANDS)


def test_defaults_of_clustering_are_those_of_the_library(tmp_path: Path) -> None:
    words = [
        str(tmp_path),
        "out",
        "--images",
        str(tmp_path),
        "--config",
        CONFIG,
    ]
    args = parser_of("proposals cluster").parse_args(words)
    names = ("clusters", "dims", "seed", "fit_proposals", "batch", "workers")
    library = ClusterOptions()
    assert {name: getattr(args, name) for name in names} == {name: getattr(library, name) for name in names}


def test_cfg_options_are_read_as_mmengine_reads_them() -> None:
    words = ["a.b=1", "c=x,2.5", "d=[(1, 2)]", "e=None", "f=word", "--cfg-options", "g=True"]
    args = parser_of("show views").parse_args([CONFIG, "o.png", "--cfg-options", *words])
    expected = {"a.b": 1, "c": ["x", 2.5], "d": [(1, 2)], "e": None, "f": "word", "g": True}
    assert options.cfg_options(args) == expected


def test_cfg_options_with_a_bracket_left_open_are_refused() -> None:
    with pytest.raises(InputError, match="--cfg-options a="):
        options.cfg_options(argparse.Namespace(cfg_options=["a=[1,(2]"]))


@pytest.mark.parametrize("text", ["cuda:1", "cpu", "mps", "cuda"])
def test_devices(text: str) -> None:
    assert values.device_name(text) == text


@pytest.mark.parametrize(
    ("reader", "text"),
    [
        *((values.device_name, text) for text in ("gpu", "cpu:1")),
        (values.whole, "-1"),
        *((values.positive, text) for text in ("0", "1.5")),
        *((values.above_zero, text) for text in ("0", "nan", "inf")),
        (values.percentage, "101"),
        (values.share, "1.1"),
        *((values.key_value, text) for text in ("=1", "a")),
    ],
)
def test_values_out_of_range_are_refused(reader: object, text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        reader(text)  # type: ignore[operator]
