"""Give people a new password by a link: who has it sets one, once and for some hours.

Who makes a link for an account can sign in as that account. So the maker must be somebody who could do
all that the account can, when the link is made and when it is used.
"""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.actors import OPERATOR, PLATFORM
from bakeoff.accounts.add_user import set_password
from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.keys import digest_of
from bakeoff.accounts.link_tokens import make_token
from bakeoff.accounts.models import Membership, PasswordReset, Project
from bakeoff.accounts.refused import RefusedError

HOURS = 24  # of a link that a person hands over
MAIL_HOURS = 1  # of one that was asked for by e-mail
MAX_ACCOUNTS = 5  # with one address; each gets a link
OUT_OF_DATE = "link, must be one that is not used or expired."


class ResetError(RefusedError):
    """A link may not be made, or is good no longer."""


def may_take_over(maker: User, person: User) -> bool:
    """Whether somebody may do all that an account can: only then may they get into it.

    Superusers may. An administrator may where the account is a member of their projects alone.
    """
    if not maker.is_active:
        return False
    if maker.is_superuser:
        return True
    if person.is_superuser or person.is_staff:
        return False
    theirs = set(person.membership_set.values_list("project_id", flat=True))
    administered = maker.membership_set.filter(role=Membership.Role.ADMIN)
    return bool(theirs) and theirs <= set(administered.values_list("project_id", flat=True))


def make_reset_link(*, username: str, project: Project, maker: User | None) -> str:
    """Make a link for somebody; return its token, which is known only now.

    Args:
        username: for whom.
        project: whose audit trail records it; of an administrator who is no superuser, one that the
            person is a member of.
        maker: who makes it; None for who can run commands on the machine.

    Raises:
        ResetError: there is nobody of this name whom the maker may reset (a stranger of another project
            and nobody get the same answer), or the account has no password.
    """
    person = find_person(username=username, project=project, maker=maker)
    if not has_password(person):
        raise ResetError(
            f"username == '{person.username}', signs in by the provider only, and has no password.",
            field="username",
        )
    by = OPERATOR if maker is None else maker.get_username()
    return _make(person, project=project, maker=maker, by=by, hours=HOURS)


def find_person(*, username: str, project: Project, maker: User | None) -> User:
    """Return whom somebody may get into the account of.

    Args:
        username: whose.
        project: of an administrator who is no superuser, one that the person is a member of.
        maker: who; None for who can run commands on the machine.

    Raises:
        ResetError: there is nobody of this name whom the maker may reset.
    """
    username = User.normalize_username(username)
    person = User.objects.filter(username=username, is_active=True).first()
    if maker is not None and not maker.is_superuser and person is not None:
        if not project.memberships.filter(user=person).exists():
            person = None
        elif not may_take_over(maker, person):
            raise ResetError(
                f"username == '{username}', must be a member of no project that you do not administer.",
                field="username",
            )
    if person is None:
        raise ResetError(f"username == '{username[:150]}', nobody has this name.", field="username")
    return person


def make_mailed_links(email: str) -> list[tuple[User, str]]:
    """Make a link for each account of an address; return them with their tokens.

    They go to the stored address, not to what was typed: two addresses may be equal to the database and
    belong to two people.
    """
    people = User.objects.filter(email__iexact=email, is_active=True).exclude(email="")
    links = []
    for person in people.order_by("pk")[:MAX_ACCOUNTS]:
        known = Project.objects.filter(memberships__user=person).order_by("pk").first()
        project = known or Project.objects.order_by("pk").first()  # whose trail records a superuser's
        if project is not None and has_password(person):
            token = _make(person, project=project, maker=None, by=PLATFORM, hours=MAIL_HOURS)
            links.append((person, token))
    return links


def find_reset(token: str) -> PasswordReset | None:
    """Return what a link was made for, as long as it is good."""
    rows = PasswordReset.objects.usable().select_related("person", "maker")
    return next((one for one in rows.filter(digest=digest_of(token)) if _is_good(one)), None)


def use_reset(*, token: str, password: str) -> str:
    """Set the password of a link's account, end its sessions and its other links; return its name.

    Raises:
        ResetError: the link is good no longer.
        UserRuleError: the password is too weak; the link is still good.
    """
    with transaction.atomic():
        if (known := find_reset(token)) is None:
            raise ResetError(OUT_OF_DATE)
        # Of two who use links of one account at once, the second finds its link used.
        person = User.objects.select_for_update().get(pk=known.person_id)
        if (reset := find_reset(token)) is None:
            raise ResetError(OUT_OF_DATE)
        set_password(person, password)
        person.password_resets.filter(used_at=None).update(used_at=timezone.now())
        record_audit(
            reset.project_id,
            actor=person.get_username(),
            action="reset password",
            subject=person.get_username(),
            detail={"by": "link", "made_by": reset.created_by},
        )
    return person.get_username()


def _make(person: User, *, project: Project, maker: User | None, by: str, hours: int) -> str:
    token, digest = make_token()
    with transaction.atomic():
        PasswordReset.objects.create(
            person=person,
            project=project,
            maker=maker,
            digest=digest,
            password_digest=digest_of(person.password),
            created_by=by,
            expires_at=timezone.now() + timedelta(hours=hours),
        )
        detail = {"hours": hours}
        record_audit(
            project.pk, actor=by, action="make reset link", subject=person.username, detail=detail
        )
    return token


def has_password(person: User) -> bool:
    """Whether a person signs in by a password, or could: who comes by a provider alone does not."""
    return person.has_usable_password() or not person.external_identities.exists()


def _is_good(reset: PasswordReset) -> bool:
    """Whether the account is on, its password is the one from then, and its maker still may."""
    person, maker = reset.person, reset.maker
    unchanged = reset.password_digest == digest_of(person.password)
    return person.is_active and unchanged and (maker is None or may_take_over(maker, person))
