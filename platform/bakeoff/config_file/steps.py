"""One step of applying a file: an action in a savepoint, its refusal with its place in the file."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, transaction

from bakeoff.accounts.refused import RefusedError
from experiments.actions.change_programme import ChangeAwaitsApprovalError
from experiments.models.experiment import WrongStateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bakeoff.accounts.models import Project
    from bakeoff.config_file.document import ConfigDocument
    from bakeoff.config_file.read_file import ConfigFile, Fault


@dataclass
class Application:
    """A file on its way into a project.

    Attributes:
        project: whose configuration.
        file: what is to hold.
        by: who applies it.
        environment: where placeholders are looked up.
        proposals: sentences about changes that wait for a second person.
        warnings: what is applied, and a person should look at.
        refusals: what broke a rule.
    """

    project: Project
    file: ConfigFile
    by: str
    environment: Mapping[str, str]
    proposals: list[str] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)
    refusals: list[Fault] = field(default_factory=list)

    @property
    def document(self) -> ConfigDocument:
        """What is to hold."""
        return self.file.document

    @contextmanager
    def step(self, *path: str | int) -> Iterator[None]:
        """Carry out what stands at a path; a refusal is noted, and the next step comes."""
        try:
            with transaction.atomic():  # what a refused action has written is taken back
                try:
                    yield
                except ChangeAwaitsApprovalError as error:  # its proposal stays
                    self.proposals.append(str(error))
        except RefusedError as error:
            self._refuse((*path, *([error.field] if error.field else [])), str(error))
        except WrongStateError as error:
            self._refuse(path, f"{error}.")
        except ValidationError as error:
            for name, messages in _by_field(error).items():
                self._refuse((*path, *([name] if name else [])), messages[0])
        except (DataError, IntegrityError) as error:
            self._refuse(path, f"the database refuses it: {str(error).splitlines()[0]}.")

    def warn(self, path: tuple[str | int, ...], message: str) -> None:
        """Note what a person should look at, with its place in the file."""
        self.warnings.append(self.file.fault(path, message))

    def _refuse(self, path: tuple[str | int, ...], message: str) -> None:
        self.refusals.append(self.file.fault(path, message))


def _by_field(error: ValidationError) -> dict[str, list[str]]:
    return error.message_dict if hasattr(error, "error_dict") else {"": error.messages}


def differences(stated: Mapping[str, Any], present: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stated fields whose values are not the present ones."""
    return {name: value for name, value in stated.items() if present.get(name) != value}
