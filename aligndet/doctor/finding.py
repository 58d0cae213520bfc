"""One line of the doctor's report."""

from dataclasses import dataclass

OK, NOTE, FAULT = "ok", "note", "FAULT"


@dataclass(frozen=True)
class Finding:
    """How bad it is (ok, note or FAULT), what it is, and the command that mends it."""

    level: str
    text: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.level:<6} {self.text}" + (f"\n{'':<6} hint:  {self.hint}" if self.hint else "")
