"""What the first run shows once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bakeoff.environment import Environment


def first_run(environment: Environment) -> list[str]:
    """Return the lines that the first run shows once; none on any later one."""
    stamp = environment.home / "first_run"
    # The stamp spares later starts setting Django up; servers of others may serve several homes.
    if environment.bundled_postgres and stamp.exists():
        return []
    import django

    django.setup()
    from bakeoff.accounts.create_first_access import create_first_access

    access = create_first_access()
    if access is None:
        return []
    stamp.touch()
    return [
        "First run. This is shown once:",
        f"  login       {access.username} / {access.password}",
        f"  project     {access.project}",
        f"  public key  {access.public_key}",
        f"  secret key  {access.secret_key}",
    ]
