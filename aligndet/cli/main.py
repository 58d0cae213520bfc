"""``aligndet COMMAND …``: find the command's module, check its words, run it, say how it ended.

Exit status: 0 done, 1 the work failed, 2 the question is wrong, 130 interrupted, 143 ended by SIGTERM.
A job that saved its work because slurm warned it by SIGUSR1 ends with 0.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from types import ModuleType
from typing import Any

from aligndet.cli import options
from aligndet.cli.failure import CommandFailedError
from aligndet.cli.overview import COMMANDS, GROUPS, group_help, overview, version
from aligndet.cli.parser import Parser
from aligndet.cli.result import write_result
from aligndet.common.errors import InputError, nearest
from aligndet.common.modules import import_modules
from aligndet.common.search_path import allow_current_folder, put_current_folder_last
from aligndet.common.signals import Stopped, signals_unwind
from aligndet.common.trust import refusal, trusted, trusting

__all__ = ["COMMANDS", "main", "parser_of"]

GOES_ON = "the same command goes on from here"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command of ``aligndet``; the result is its exit status.

    Args:
        argv: the words behind ``aligndet``; None takes those of this process.
    """
    if argv is None:
        put_current_folder_last()
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    words = list(sys.argv[1:] if argv is None else argv)
    text = _text(words)
    if text:
        print(text)
        return 0
    count = 2 if words[0] in GROUPS else 1
    command = " ".join(words[:count])
    if command not in COMMANDS:
        return _say(f"aligndet {command}", _no_command(words[0], words[1:2]), 2)
    return _run(command, words[count:])


def parser_of(command: str, module: ModuleType | None = None) -> Parser:
    """Make the parser of a command, which imports its module and nothing that computes."""
    module = module or importlib.import_module(COMMANDS[command])
    parser = Parser(f"aligndet {command}", module.SUMMARY, module.EXAMPLES)
    module.add_arguments(parser)
    options.add_common(parser)
    return parser


def _text(words: list[str]) -> str:
    """The help or version that is asked for; empty where a command is."""
    first = words[0] if words else "--help"
    if first in ("-h", "--help", "help"):
        return overview()
    if first in ("-V", "--version"):
        return version()
    return group_help(first) if first in GROUPS and words[1:2] in (["-h"], ["--help"]) else ""


def _no_command(first: str, second: list[str]) -> str:
    """Say that there is no such command, and which is the nearest."""
    if first not in GROUPS:
        hint = nearest(first, {*COMMANDS, *GROUPS, "--help", "--version"})
        return f"unknown command{hint}; see aligndet --help"
    if not second:
        return f"give one of {', '.join(GROUPS[first])}; see aligndet {first} --help"
    return f"unknown command{nearest(second[0], GROUPS[first])}; see aligndet {first} --help"


def _run(command: str, words: list[str]) -> int:
    """Parse, run and report one command."""
    verbose = "--verbose" in words
    name = f"aligndet {command}"
    try:
        with signals_unwind():
            return _answer(command, words)
    except InputError as error:
        return _say(name, error, 2, verbose)
    except KeyboardInterrupt as interrupt:
        return _say(name, f"interrupted; {interrupt if interrupt.args else GOES_ON}", 130)
    except Stopped as stopped:
        status = int(stopped.code or 0)
        return _say(name, stopped, status) if stopped.text else status
    except SystemExit as end:  # of --help
        return end.code if isinstance(end.code, int) else 0
    except BrokenPipeError:  # whoever read the output has seen enough
        sys.stdout = None  # type: ignore[assignment]
        return 1
    except Exception as error:
        if refused := refusal(error):
            return _say(name, refused, 2, verbose)
        first = (str(error).strip().splitlines() or [""])[0]
        log = getattr(error, "log", None)
        text = f"failed: {type(error).__name__}: {first}" + (f"; log: {log}" if log else "")
        if isinstance(error, ImportError):
            text += "; aligndet doctor says what is missing"
        return _say(name, text, 1, verbose)


def _answer(command: str, words: list[str]) -> int:
    module = importlib.import_module(COMMANDS[command])
    allow_current_folder()  # the user's modules are in it
    args = parser_of(command, module).parse_args(words)
    args.words = [*command.split(), *words]
    status = 0
    try:
        with _quiet(args.quiet):
            import_modules(args.imports or [])
            trust = trusted() or getattr(args, "trust", False)
            with trusting(trust), options.of_all_processes(args):
                result = module.run(args)
    except CommandFailedError as failure:
        result, status = failure.result, failure.status
        if str(failure):
            _say(f"aligndet {command}", failure, status)
    if args.json is not None:
        write_result(args.json, result)
    return status


@contextmanager
def _quiet(asked: bool) -> Iterator[None]:
    """Print nothing on stdout, where that is asked."""
    if not asked:
        yield
        return
    with open(os.devnull, "w", errors="backslashreplace") as nowhere, redirect_stdout(nowhere):
        yield


def _say(name: str, what: Any, status: int, verbose: bool = False) -> int:
    """Print one line on stderr, behind the traceback of the present error where asked; pass the status on."""
    if verbose:
        traceback.print_exc()
    print(f"{name}: {' '.join(str(what).split())}", file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
