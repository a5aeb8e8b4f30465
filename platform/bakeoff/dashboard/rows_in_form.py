"""Lists in a form, a row per entry: rows are added and removed without JavaScript.

A button sends the whole form under the name of what it does to a list; the page comes back with what was
typed, unchecked, and one row more or less. Rows that are empty count as none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.http import QueryDict

EMPTY_ROWS = 2  # of a list that has none
MAX_DIGITS = 6  # of a count of rows
ADD, REMOVE = "add-row", "remove-row"


@dataclass(slots=True)
class Rows:
    """A setting that is a list.

    Attributes:
        title: what it is called.
        help_text: what a person should know.
        formset: a form per row, and empty ones.
        refusals: of the list as a whole.
        grows: whether the page has buttons that add and remove rows.
    """

    title: str
    help_text: str
    formset: Any
    refusals: list[str] = field(default_factory=list)
    grows: bool = False

    def values(self) -> list[dict[str, Any]]:
        """Return the rows that are not empty; none of a form that was sent without rows."""
        rows = (form.values() for form in self.formset) if self.formset.is_bound else ()
        return [row for row in rows if row is not None]

    def is_valid(self) -> bool:
        """Whether every row is, of a form that was sent with rows."""
        return not self.formset.is_bound or self.formset.is_valid()

    def is_wrong(self) -> bool:
        """Whether the list or a row of it was refused."""
        return bool(self.refusals or self.formset.total_error_count())


def rows_of(
    row: type[forms.Form],
    prefix: str,
    max_rows: int,
    data: QueryDict | None,
    *,
    typed: QueryDict | None = None,
    formset: type[forms.BaseFormSet[Any]] = forms.BaseFormSet,
    about: Mapping[str, Any] | None = None,
    initial: Iterable[Mapping[str, Any]] = (),
) -> Any:
    """Return the forms of a list's rows.

    Args:
        row: the form of one.
        prefix: of the names of fields.
        max_rows: that a list may have.
        data: what was sent to be checked; without rows in it the list is empty.
        typed: what is shown again, unchecked, after a row was added or removed.
        formset: that checks the rows together.
        about: what each row's form takes beside.
        initial: rows that a page shows first; none: a few empty ones.
    """
    bound = data if data is not None and f"{prefix}-TOTAL_FORMS" in data else None
    shown = list(initial) if typed is None else _after_change(typed, row, prefix, max_rows)
    extra = 0 if shown or typed is not None else EMPTY_ROWS
    rows = forms.formset_factory(
        row,
        formset,
        extra=extra,
        max_num=max_rows,
        validate_max=True,
        absolute_max=max_rows + 1,  # one more is read to be refused; Django would read a thousand
    )
    return rows(
        bound,
        # A row that was sent as it was shown must not count as an empty one.
        initial=shown if bound is None else [],
        prefix=prefix,
        form_kwargs=dict(about or {}),
        error_messages={"too_many_forms": _("At most %(most)s rows.") % {"most": max_rows}},
    )


def changes_rows(data: QueryDict) -> bool:
    """Whether a form was sent to add or to remove a row, not to be stored."""
    return ADD in data or REMOVE in data


def _after_change(
    typed: QueryDict, row: type[forms.Form], prefix: str, max_rows: int
) -> list[dict[str, str | None]]:
    """Return what the rows show once a row was added or removed."""
    number = typed.get(f"{prefix}-TOTAL_FORMS", "")
    # Python reads no number of thousands of digits.
    is_count = number.isascii() and number.isdigit() and len(number) <= MAX_DIGITS
    count = min(int(number), max_rows) if is_count else 0
    rows = [{name: typed.get(f"{prefix}-{n}-{name}") for name in row.base_fields} for n in range(count)]
    if typed.get(ADD) == prefix:
        rows.append({})
    return [one for n, one in enumerate(rows) if typed.get(REMOVE) != f"{prefix}-{n}"]
