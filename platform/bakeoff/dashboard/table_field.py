"""Tables in a form: what mistakes cost, what a signal counts, what may be spent.

A table of fixed rows has a title at each; one of free rows has a few empty ones at its end, and gets as many
more when it is saved. What was typed into a cell stays there, and an error names the cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from inference.serving.folded_labels import fold_label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EMPTY_ROWS = 3
MAX_ROWS = 10_000
MAX_DIGITS = 6  # of a count of rows
MAX_MATRIX = 12  # labels of a table that a screen still shows; of more, single costs are listed
BUDGETED = (
    ("unit", gettext_lazy("each user")),
    ("address", gettext_lazy("each address")),
    ("key", gettext_lazy("each key")),
    ("project", gettext_lazy("the project")),
    ("surface", gettext_lazy("the surface")),
    ("shadow", gettext_lazy("shadow traffic")),
)

Cells = list[list[str]]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, its choices where it has any, and whether it holds numbers."""

    title: Any
    choices: Sequence[tuple[str, Any]] = ()
    is_number: bool = True


class TableWidget(forms.Widget):
    """Inputs in rows and columns.

    Attributes:
        columns: of each row.
        titles: of fixed rows; empty: rows are free.
        corner: over the titles.
        is_square: whether a row and a column of one number are the same thing, which has no cell.
    """

    template_name = "dashboard/table_widget.html"
    use_fieldset = True
    is_table = True

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        titles: Sequence[Any] = (),
        corner: Any = "",
        is_square: bool = False,
    ) -> None:
        """Lay out the table."""
        super().__init__()
        self.columns, self.titles, self.corner, self.is_square = columns, titles, corner, is_square

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Return what the template needs: rows of cells."""
        context = super().get_context(name, value, attrs)
        rows: Cells = value if isinstance(value, list) else []
        count = len(self.titles) or len([row for row in rows if any(row)]) + EMPTY_ROWS
        rows = rows if self.titles else [row for row in rows if any(row)]
        shown = [
            [self._cell(name, number, place, rows) for place in range(len(self.columns))]
            for number in range(min(count, MAX_ROWS))
        ]
        titles = self.titles or [""] * len(shown)
        context["widget"] |= {
            "columns": self.columns,
            "corner": self.corner,
            "has_titles": bool(self.titles),
            "table": list(zip(titles, shown, strict=False)),
            "count": len(shown),
        }
        return context

    def _cell(self, name: str, row: int, place: int, rows: Cells) -> dict[str, Any]:
        column = self.columns[place]
        of_row = str(self.titles[row]) if self.titles else _("Row %(number)s") % {"number": row + 1}
        stored = rows[row] if row < len(rows) else []
        return {
            "name": f"{name}-{row}-{place}",
            "value": stored[place] if place < len(stored) else "",
            "label": f"{of_row}, {column.title}",
            "column": column,
            "is_none": self.is_square and row == place,
        }

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> Cells:
        """Return what was typed."""
        del files
        number = str(data.get(f"{name}-rows", ""))
        is_count = number.isascii() and number.isdigit() and len(number) <= MAX_DIGITS
        count = min(int(number), MAX_ROWS) if is_count else 0
        places = range(len(self.columns))
        return [
            [str(data.get(f"{name}-{row}-{place}", "")).strip() for place in places]
            for row in range(count)
        ]

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        """Whether a form was sent without the table."""
        del files
        return f"{name}-rows" not in data


class TableField(forms.Field):
    """A table whose cells become an object."""

    def __init__(self, widget: TableWidget, **options: Any) -> None:
        """Show a table."""
        super().__init__(required=False, widget=widget, **options)

    def prepare_value(self, value: Any) -> Any:
        """Show a stored object as cells; what was typed as it is."""
        return self.cells_of(value) if isinstance(value, dict) else value

    def clean(self, value: Any) -> Any:
        """Return the object.

        Raises:
            ValidationError: cells that cannot be read; each is named.
        """
        problems: list[str] = []
        read = self.read(value or [], problems)
        if problems:
            raise forms.ValidationError(problems)
        return read

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether what the cells say is another."""
        problems: list[str] = []
        return bool(self.read(data or [], problems) != (initial or {}) or problems)

    def cells_of(self, value: dict[str, Any]) -> Cells:
        """Return a stored object as cells."""
        raise NotImplementedError

    def read(self, cells: Cells, problems: list[str]) -> dict[str, Any]:
        """Return what the cells say; what is wrong with them is added to the problems."""
        raise NotImplementedError


class CostsField(TableField):
    """What each wrong label costs: a matrix of few labels, a list of single costs of many."""

    def __init__(self, labels: Sequence[str], stored: Mapping[str, Any], **options: Any) -> None:
        """Lay out the table.

        Args:
            labels: that the surface has; empty: not known yet.
            stored: costs; of a label that the surface does not have any more, they are listed too.
            options: of a field.
        """
        known = {fold_label(one) for one in labels}
        named = {one for truth, row in stored.items() for one in (truth, *row)}
        fits = 1 < len(labels) <= MAX_MATRIX and {fold_label(one) for one in named} <= known
        self.labels = list(labels) if fits else []
        if fits:
            columns = [Column(one) for one in self.labels]
            corner = _("True label ↓ · answered →")
            table = TableWidget(columns, titles=self.labels, corner=corner, is_square=True)
        else:
            table = TableWidget(
                [
                    Column(_("True label"), is_number=False),
                    Column(_("Answered label"), is_number=False),
                    Column(_("Cost")),
                ]
            )
        super().__init__(table, **options)

    def cells_of(self, value: dict[str, Any]) -> Cells:
        """Return stored costs as cells."""
        listed = [(truth, answer, cost) for truth, row in value.items() for answer, cost in row.items()]
        if not self.labels:
            return [[truth, answer, write_number(cost)] for truth, answer, cost in listed]
        by_pair = {(fold_label(truth), fold_label(answer)): cost for truth, answer, cost in listed}
        folded = [fold_label(one) for one in self.labels]
        return [
            [
                "" if (cost := by_pair.get((one, other))) is None else write_number(cost)
                for other in folded
            ]
            for one in folded
        ]

    def read(self, cells: Cells, problems: list[str]) -> dict[str, Any]:
        """Return true label to answered label to cost."""
        costs: dict[str, Any] = {}
        for number, (truth, answer, text) in enumerate(self._listed(cells), start=1):
            if not truth or not answer or not text:
                problems.append(_("Row %(number)s needs both labels and a cost.") % {"number": number})
                continue
            cost = number_of(text)
            if cost is None or cost < 0:
                words = {"truth": truth, "answer": answer, "text": text[:40]}
                problems.append(
                    _(
                        "“%(answer)s” in place of “%(truth)s”: “%(text)s” must be a number of at least 0."
                    )
                    % words
                )
                continue
            costs.setdefault(truth, {})[answer] = cost
        return costs

    def _listed(self, cells: Cells) -> list[tuple[str, str, str]]:
        if not self.labels:
            return [(row[0], row[1], row[2]) for row in cells if any(row)]
        return [
            (truth, answer, text)
            for truth, row in zip(self.labels, cells, strict=False)
            for answer, text in zip(self.labels, row, strict=False)
            if text and truth != answer
        ]


class WeightsField(TableField):
    """What a positive signal counts in training, by its event: a number, or one per unit of its value."""

    def __init__(self, **options: Any) -> None:
        """Lay out the table."""
        by = (("", gettext_lazy("each")), ("per_value", gettext_lazy("per unit of its value")))
        columns = [
            Column(gettext_lazy("Event"), is_number=False),
            Column(gettext_lazy("Counts")),
            Column(gettext_lazy("By"), by),
        ]
        super().__init__(TableWidget(columns), **options)

    def cells_of(self, value: dict[str, Any]) -> Cells:
        """Return stored weights as cells."""
        return [
            [name, write_number(weight["per_value"]), "per_value"]
            if isinstance(weight, dict)
            else [name, write_number(weight), ""]
            for name, weight in value.items()
        ]

    def read(self, cells: Cells, problems: list[str]) -> dict[str, Any]:
        """Return weights by event."""
        weights: dict[str, Any] = {}
        for name, text, by in cells:
            if not name and not text:
                continue
            weight = number_of(text)
            if not name or weight is None or weight <= 0:
                words = {"event": name or "–", "text": text[:40]}
                problems.append(_("“%(event)s”: “%(text)s” must be a number above 0.") % words)
            elif name in weights:
                problems.append(_("“%(event)s” stands there twice.") % {"event": name})
            else:
                weights[name] = {"per_value": weight} if by else weight
        return weights


class BudgetsField(TableField):
    """What may be spent a day, by whom."""

    def __init__(self, **options: Any) -> None:
        """Lay out the table."""
        columns = [Column(gettext_lazy("Tokens")), Column(gettext_lazy("Money"))]
        titles = [title for _name, title in BUDGETED]
        super().__init__(TableWidget(columns, titles=titles, corner=gettext_lazy("A day")), **options)

    def cells_of(self, value: dict[str, Any]) -> Cells:
        """Return stored budgets as cells."""

        def cell(name: str, unit: str) -> str:
            amount = (value.get(name) or {}).get(unit)
            return "" if amount is None else write_number(amount)

        return [[cell(name, unit) for unit in ("tokens", "money")] for name, _title in BUDGETED]

    def read(self, cells: Cells, problems: list[str]) -> dict[str, Any]:
        """Return budgets by whom they are for."""
        budgets: dict[str, Any] = {}
        for (name, title), row in zip(BUDGETED, cells, strict=False):
            for unit, text in zip(("tokens", "money"), row, strict=False):
                amount = number_of(text) if text else None
                if text and (amount is None or amount < 0):
                    words = {"whose": title, "text": text[:40]}
                    problems.append(
                        _("Budget of %(whose)s: “%(text)s” must be a number of at least 0.") % words
                    )
                elif amount is not None:
                    budgets.setdefault(name, {})[unit] = amount
        return budgets


def write_number(number: float) -> str:
    """Return a number as a cell shows it: the same number when it is read again."""
    return repr(number).removesuffix(".0")


def number_of(text: str) -> float | None:
    """Return the number that a cell holds; a whole one as such, None where it holds none."""
    try:
        number = float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)
    except ValueError:
        return None
    if not -1e300 < number < 1e300:
        return None
    return int(number) if number == int(number) and abs(number) < 1e15 else number
