"""Run the check over the zoo: what is known is kept, the rest is tried."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import mmdet

from aligndet.checking.check import PRELOAD, Settings, check_config
from aligndet.checking.journal import Journal, source_hash, state
from aligndet.checking.kinds import group
from aligndet.checking.processes import Died, each_in_a_process
from aligndet.checking.row import FAILED, Row
from aligndet.checking.zoo import Model, address, config_names, describe
from aligndet.common.files import write_json

#: Called with each line for the terminal.
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """Of a run.

    Attributes:
        work_dir: where rows and failures are kept.
        jobs: processes at a time.
        threads: CPU threads of each; 0 leaves it to torch.
        limit: seconds per model.
        again: models that failed are tried again, though nothing changed.
    """

    work_dir: Path
    jobs: int = 1
    threads: int = 0
    limit: float = 900.0
    again: bool = False


def read_zoo(work_dir: Path, tell: Tell = print) -> list[Model]:
    """Every distinct model of the installed mmdet; read once per state of the source, then from a file."""
    path = work_dir / f"zoo-{mmdet.__version__}-{source_hash()}.json"
    if path.is_file():
        return group(Model(**entry) for entry in json.loads(path.read_text(encoding="utf-8")))
    names = config_names()
    tell(f"reading {len(names)} configs of mmdet {mmdet.__version__}: a minute, once")
    models = group(describe(name) for name in names)
    write_json(path, [asdict(model) for model in models])
    return models


def run(models: Sequence[Model], options: Options, tell: Tell = print) -> Iterator[Row]:
    """Yield a row for every model: first what is known, then what is tried, each told and kept at once."""
    journal = Journal(options.work_dir / "rows.jsonl", state())
    earlier = journal.rows()
    if options.again:
        earlier = {key: row for key, row in earlier.items() if row.status != FAILED}
    todo = [model for model in models if model.key not in earlier and not model.status]
    tell(f"{len(models)} models, {len(todo)} to try")
    for model in models:
        if model.key in earlier:
            yield with_configs(earlier[model.key], model)
        elif model.status:
            yield with_configs(
                Row("", detector=model.detector, status=model.status, reason=model.reason), model
            )
    for number, (key, row) in enumerate(_tried(todo, options), 1):
        journal.add(key, row)
        tell(f"[{number}/{len(todo)}] {row.line()}")
        if row.status == FAILED:
            note_failure(options.work_dir / "failures.txt", row)
        yield row


def _tried(models: Iterable[Model], options: Options) -> Iterator[tuple[str, Row]]:
    """Key and row of each model, as they finish."""
    by_address = {address(model.configs[0]): model for model in models}
    with tempfile.TemporaryDirectory(prefix="aligndet-check-") as folder:  # a killed process leaves its files
        settings = Settings(zoo=True, threads=options.threads, folder=folder)
        check = functools.partial(check_config, settings=settings)
        for name, result in each_in_a_process(check, by_address, options.jobs, options.limit, PRELOAD):
            model = by_address[name]
            row = died(model, result) if isinstance(result, Died) else result
            yield model.key, with_configs(row, model)


def died(model: Model, result: Died) -> Row:
    """The row of a model whose process gave none."""
    return Row("", detector=model.detector, head=", ".join(model.heads), reason=result.reason)


def with_configs(row: Row, model: Model) -> Row:
    """The row, under the names of all configs that have this model."""
    row.config, row.same = model.configs[0], model.configs[1:]
    row.family = Path(row.config).parts[0]
    return row


def note_failure(path: Path, row: Row) -> None:
    """Append a failure with its traceback."""
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{row.line()}\n{row.trace}\n")
