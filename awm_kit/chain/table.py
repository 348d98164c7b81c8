"""Lists that show themselves as tables, in a terminal and in a notebook."""

from __future__ import annotations

from abc import abstractmethod
from html import escape
from typing import ClassVar, TypeVar

T = TypeVar("T")


class Table(list[T]):
    """A list of records with a header and a row for each."""

    columns: ClassVar[tuple[str, ...]]
    #: What stands for an empty table.
    nothing: ClassVar[str]

    @abstractmethod
    def rows(self) -> list[tuple[str, ...]]:
        """The table's cells, in the order of its columns."""

    def __repr__(self) -> str:
        if not self:
            return self.nothing
        rows = [self.columns, *self.rows()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self.rows()
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
