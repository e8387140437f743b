"""Pictures and comparisons of networks that a notebook shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, final

from nas.jobs.files import write_text
from nas.study.comparison import Subject, comparison_document, gap_text, signed, total_line
from search_space.comparison import draw_both
from search_space.differences import Change, differences


@final
@dataclass(frozen=True)
class Drawing:
    """Drawing of a network, which a notebook shows.

    Attributes:
        svg: the SVG document.
    """

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"Drawing of {len(self.svg):,} characters of SVG"

    def save(self, path: str | Path) -> Path:
        """Write the drawing to a file and return its path."""
        file = Path(path).expanduser()
        write_text(file, self.svg, follow_link=True)
        return file


@final
class Difference:
    """Difference of two networks: the changes from the first to the second, and what they do.

    Attributes:
        changes: the changes, each with path, value before and value after.
        costs: by cost, its value `before` and `after`, and the change in `percent` of the first.
        objectives: by trained objective, the `difference` and its `interval`, for two trials of one study.
    """

    def __init__(self, before: Subject, after: Subject) -> None:
        """Compare two networks."""
        self._subjects = before, after
        document = comparison_document(before, after)
        self.changes: tuple[Change, ...] = differences(before.architecture, after.architecture)
        self.costs: Mapping[str, Mapping[str, float | None]] = document["costs"]
        self.objectives: Mapping[str, Mapping[str, Any]] = document["objectives"]
        self._document = document

    @property
    def words(self) -> list[str]:
        """One line a change."""
        return [change.text() for change in self.changes]

    def to_json(self) -> dict[str, Any]:
        """Return the document of `nas describe architecture=A,B format=json`."""
        return dict(self._document)

    def draw(self) -> Drawing:
        """Return both networks side by side, with the changes outlined."""
        before, after = self._subjects
        return Drawing(draw_both(before.architecture, after.architecture, (before.name, after.name)))

    def __str__(self) -> str:
        return "\n".join([*(self.words or ["no choice differs"]), total_line(self._document)])

    def __repr__(self) -> str:
        before, after = self._subjects
        return (
            f"Difference of {before.name} and {after.name}: {len(self.changes)} changes, {total_line(self._document)}"
        )

    def _repr_html_(self) -> str:
        words = "".join(f"<li><code>{escape(line)}</code></li>" for line in self.words) or "<li>no choice differs</li>"
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{cost['before']:,.6g}</td><td>{cost['after']:,.6g}</td>"
            f"<td>{'–' if cost['percent'] is None else signed(cost['percent'], 1) + ' %'}</td></tr>"
            for name, cost in self.costs.items()
        )
        rows += "".join(
            f"<tr><th>{escape(name)}</th><td></td><td></td><td>{escape(gap_text(name, gap))}</td></tr>"
            for name, gap in self.objectives.items()
        )
        head = "<tr><th></th><th>before</th><th>after</th><th>change</th></tr>"
        return f"<ul>{words}</ul><table>{head}{rows}</table>{self.draw().svg}"
