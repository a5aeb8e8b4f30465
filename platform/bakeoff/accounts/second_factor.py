"""A second factor: codes by time of an app (TOTP), and recovery codes for who lost it or the passkeys.

Guarantees: a code signs in once, also of two requests at once; a recovery code, too. Who guesses is
slowed down in PostgreSQL, not in the cache: six digits do not protect alone while the cache is away.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

import pyotp
from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.actors import OPERATOR
from bakeoff.accounts.audit import record_audit, record_of_person
from bakeoff.accounts.keys import digest_of
from bakeoff.accounts.models import Passkey, Project, RecoveryCode, SecondFactor
from bakeoff.accounts.refused import RefusedError
from bakeoff.accounts.reset_by_link import find_person

if TYPE_CHECKING:
    from django.contrib.auth.models import User

ISSUER = "Bakeoff"
STEP = 30  # seconds that a code is shown
DRIFT = 1  # steps that a clock may be off, either way
NO_APP = ""  # the secret of who has recovery codes beside passkeys, and no app
RECOVERY_CODES = 10
RECOVERY_BYTES = 10  # 80 random bits each
# Of six digits three are good at once: five tries in a quarter of an hour find one in some ten years.
MAX_FAILURES = 5
WITHIN = timedelta(minutes=15)


class SecondFactorError(RefusedError):
    """A code is wrong or was used, or there is no second factor to change."""


def has_codes(person: User) -> bool:
    """Whether a person has an app whose codes sign in after the password."""
    return SecondFactor.objects.filter(user=person).exclude(confirmed_at=None).exists()


def has_second_factor(person: User) -> bool:
    """Whether a password alone does not sign a person in: there are codes, or a passkey."""
    return has_codes(person) or Passkey.objects.filter(user=person).exists()


def count_recovery_codes(person: User) -> int:
    """Return how many recovery codes of a person still sign in, after the password."""
    return RecoveryCode.objects.filter(factor__user=person, used_at=None).count()


def make_recovery_codes(person: User) -> list[str]:
    """Return new recovery codes, known only now, in place of those from before.

    Who has passkeys alone gets them, too: they hang on a second factor without a secret.

    Raises:
        SecondFactorError: there is neither an app nor a passkey that they could stand in for.
    """
    if not has_second_factor(person):
        raise SecondFactorError("second_factor, must be set up.")
    with transaction.atomic():
        SecondFactor.objects.get_or_create(user=person, defaults={"secret": NO_APP})
        # Of two requests at once the second one's codes are in force.
        codes = _replace_codes(SecondFactor.objects.select_for_update().get(user=person))
        record_of_person(person, action="make recovery codes")
    return codes


def begin_enrolment(person: User) -> None:
    """Store a secret that is not in force yet; one that waits for its first code stays.

    Raises:
        SecondFactorError: there is one already.
    """
    factor, _ = SecondFactor.objects.get_or_create(
        user=person, defaults={"secret": pyotp.random_base32()}
    )
    if factor.confirmed_at is not None:
        raise SecondFactorError("second_factor, is set up already.")
    # Of two requests at once one sets it.
    SecondFactor.objects.filter(user=person, secret=NO_APP).update(secret=pyotp.random_base32())


def pending_address(person: User) -> str | None:
    """Return the address `otpauth://…` that an app reads, of a secret that waits for its first code."""
    factor = SecondFactor.objects.filter(user=person, confirmed_at=None).exclude(secret=NO_APP).first()
    if factor is None:
        return None
    return pyotp.TOTP(factor.secret).provisioning_uri(name=person.get_username(), issuer_name=ISSUER)


def confirm_enrolment(person: User, code: str) -> list[str]:
    """Put a second factor in force by a first code; return its recovery codes, known only now.

    Raises:
        SecondFactorError: the code is wrong, or there is nothing to confirm.
    """
    with transaction.atomic():
        factor = SecondFactor.objects.select_for_update().filter(user=person).first()
        if factor is None or factor.secret == NO_APP:
            raise SecondFactorError("second_factor, must be set up.")
        if factor.confirmed_at is not None:
            raise SecondFactorError("second_factor, must be one that waits for its first code.")
        if (counter := _counter_of(factor, code)) is None:
            raise SecondFactorError("code, must be the one that the app shows now.", field="code")
        factor.confirmed_at, factor.last_counter = timezone.now(), counter
        factor.save(update_fields=["confirmed_at", "last_counter"])
        codes = _replace_codes(factor)
        record_of_person(person, action="set up second factor")
    return codes


def check_code(person: User, code: str) -> None:
    """Take a code of the app or a recovery code, once.

    Raises:
        SecondFactorError: it is wrong or was used, or too many were.
    """
    if (error := _try_code(person, code)) is not None:  # after its transaction: a failure is counted
        raise error


def turn_off(person: User, code: str) -> None:
    """Take one's own app of codes away, by a code; recovery codes stay while there are passkeys.

    Raises:
        SecondFactorError: there is no app, or as for `check_code`.
    """
    if not has_codes(person):
        raise SecondFactorError("second_factor, must be set up.")
    check_code(person, code)
    with transaction.atomic():
        factor = SecondFactor.objects.filter(user=person).exclude(confirmed_at=None)
        if Passkey.objects.filter(user=person).exists():
            removed = factor.update(secret=NO_APP, confirmed_at=None, last_counter=-1)
        else:
            removed, _ = factor.delete()
        if removed:
            record_of_person(person, action="remove second factor")


def remove_second_factor(*, username: str, project: Project, maker: User | None) -> None:
    """Take a lost second factor away, passkeys too: the password alone signs in, until a new one.

    Args:
        username: whose.
        project: whose audit trail records it.
        maker: who; None for who can run commands on the machine.

    Raises:
        ResetError: whom the maker may not reset: the rule of links for a new password.
        SecondFactorError: it is the maker's own, or there is none.
    """
    person = find_person(username=username, project=project, maker=maker)
    if person == maker:
        raise SecondFactorError("username, must be another's: your own goes on the account page.")
    by = OPERATOR if maker is None else maker.get_username()
    with transaction.atomic():
        passkeys = Passkey.objects.filter(user=person).delete()[0]
        if not SecondFactor.objects.filter(user=person).delete()[0] and not passkeys:
            raise SecondFactorError(f"username == '{person.username}', has no second factor.")
        detail = {"passkeys": passkeys}
        record_audit(
            project.pk, actor=by, action="remove second factor", subject=person.username, detail=detail
        )


@transaction.atomic
def _try_code(person: User, code: str) -> SecondFactorError | None:
    # Of two that send one code at once, the second sees that it was used.
    factor = SecondFactor.objects.select_for_update().filter(user=person).first()
    has_app = factor is not None and factor.confirmed_at is not None
    if factor is None or not (has_app or factor.recovery_codes.exists()):
        return SecondFactorError("second_factor, must be set up.")
    if factor.failing_since is None or factor.failing_since < timezone.now() - WITHIN:
        factor.failures, factor.failing_since = 0, timezone.now()
    if factor.failures >= MAX_FAILURES:
        return SecondFactorError("code, had too many failures: wait 15 minutes.", field="code")
    counter = _counter_of(factor, code) if has_app else None
    if counter is not None and counter > factor.last_counter:
        factor.last_counter, factor.failures = counter, 0
    elif factor.recovery_codes.filter(digest=digest_of(_plain(code)), used_at=None).update(
        used_at=timezone.now()
    ):
        factor.failures = 0
        record_of_person(person, action="use recovery code")
    else:
        factor.failures += 1
    factor.save(update_fields=["last_counter", "failures", "failing_since"])
    if factor.failures:
        return SecondFactorError(
            "code, must be the next one of the app, or a recovery code.", field="code"
        )
    return None


def _replace_codes(factor: SecondFactor) -> list[str]:
    factor.recovery_codes.all().delete()
    codes = [secrets.token_hex(RECOVERY_BYTES) for _ in range(RECOVERY_CODES)]
    for one in codes:
        factor.recovery_codes.create(digest=digest_of(one))
    return codes


def _counter_of(factor: SecondFactor, code: str) -> int | None:
    """Return the step of time whose code it is, or None."""
    now = int(timezone.now().timestamp()) // STEP
    totp, text = pyotp.HOTP(factor.secret), _plain(code)
    steps = range(now - DRIFT, now + DRIFT + 1)
    return next((one for one in steps if pyotp.utils.strings_equal(text, totp.at(one))), None)


def _plain(code: str) -> str:
    return "".join(code.split()).lower()
