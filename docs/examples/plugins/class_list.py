"""Export format: the names of the classes, one a line."""

from pathlib import Path
from typing import Any


class ClassList:
    """Format with one file, which is read back and compared."""

    file = "classes.txt"
    needs = ()

    def unavailable(self) -> str | None:
        """Return why the format can't be written here; None if it can."""
        return None

    def write(self, subject: Any, folder: Path) -> None:
        """Write the file; `subject` has the network, its preprocessing and validation images."""
        (folder / self.file).write_text("\n".join(subject.preprocessing["classes"]) + "\n", encoding="utf-8")

    def check(self, subject: Any, folder: Path) -> dict[str, Any]:
        """Return the largest difference from the network; this file holds no numbers."""
        assert (folder / self.file).read_text(encoding="utf-8").split("\n")[:-1] == subject.preprocessing["classes"]
        return {"max_difference": 0.0}


FORMAT = ClassList()
