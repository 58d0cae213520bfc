"""Rows outlive a run, and the document that is written of them."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

import aligndet
from aligndet.checking import journal
from aligndet.checking.document import document, write_document
from aligndet.checking.row import FAILED, OK, REFUSED, Row


def test_rows_outlive_a_run_until_the_source_changes(tmp_path: Path) -> None:
    path = tmp_path / "work" / "rows.jsonl"
    first = journal.Journal(path, "state 1")
    first.add("a", Row("a.py", status=FAILED, reason="broken"))
    first.add("a", Row("a.py", status=OK, slots=7))
    first.add("b", Row("b.py", status=OK))
    with path.open("a") as file:
        file.write('{"key": "c", "st')  # the run was killed here
    assert {key: row.status for key, row in first.rows().items()} == {"a": OK, "b": OK}
    assert first.rows()["a"] == Row("a.py", status=OK, slots=7)
    changed = journal.Journal(path, "state 2")
    assert changed.rows() == {}
    changed.add("b", Row("b.py", status=OK))
    assert list(changed.rows()) == ["b"], "rows of another source are never mixed in"


def test_the_state_follows_the_code_and_no_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "box_domain").mkdir()
    module = tmp_path / "box_domain" / "step.py"
    monkeypatch.setattr(journal, "SOURCES", ("box_domain",))
    monkeypatch.setattr(journal, "aligndet", SimpleNamespace(__file__=str(tmp_path / "__init__.py")))
    source_hash = journal.source_hash.__wrapped__

    def state(code: str) -> str:
        module.write_text(code)
        return str(source_hash())

    first = state("def f():\n    return 1\n")
    assert state('"""New words."""\n\ndef f():\n    """Say one."""\n    return 1  # one\n') == first
    assert state("def f():\n    return 2\n") != first
    module.rename(tmp_path / "box_domain" / "other.py")
    assert source_hash() != state("def f():\n    return 1\n")


def test_every_source_that_rows_depend_on_exists() -> None:
    root = Path(aligndet.__file__).parent
    assert all((root / name).exists() for name in journal.SOURCES)


def rows() -> list[Row]:
    return [
        Row(
            "z/z.py",
            "z",
            "FCOS",
            "FCOSHead",
            "PointAdapter",
            OK,
            size=128,
            slots=90,
            contrast=1.25,
            same=["z/y.py"],
        ),
        Row("a/a.py", "a", "DETR", "DETRHead", "QueryAdapter", FAILED, reason="a | b"),
        Row("s/s.py", "s", "SOLO", status=REFUSED, reason="masks", same=["s/t.py"]),
        Row("s/u.py", "s", "SOLO", status=REFUSED, reason="masks"),
    ]


def test_the_document() -> None:
    lines = document(rows(), {"mmdet": "9.9"}, left=5)
    assert "| ok | 1 | 2 | it is pre-trained, and the export loads into the stock detector |" in lines
    assert "| all | 4 | 6 | |" in lines
    assert "Of 2 distinct box detectors 1 are ok." in lines
    assert "Versions: mmdet 9.9." in lines
    assert any(line.startswith("5 models are not in the table") for line in lines)
    table = [line for line in lines if line.startswith(("| a/a.py", "| z/z.py"))]
    assert table[0].endswith("| **failed**: a \\| b |")
    assert table[1].startswith("| z/z.py (+1) | FCOS: FCOSHead | PointAdapter | 128 | 90 | 0 | 1.25 |")
    assert "| refused | SOLO | 3 | s/s.py | masks |" in lines
    assert "- z/z.py: z/y.py" in lines


def test_the_document_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "docs" / "coverage.md"
    write_document(rows(), path, "aligndet check --zoo", {}, (128, 320, None))
    before = path.read_text()
    assert "`aligndet check --zoo`" in before
    assert "128 px, 320 px, the config's own" in " ".join(before.split())
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_document([], path, "other", {}, (128,))
    assert path.read_text() == before
