"""Whoever guesses is slowed down, and nobody else."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.test import Client
from uuid_utils import uuid7

from bakeoff.dashboard.sign_in_throttle import (
    MAX_FAILURES,
    MAX_FAILURES_OF_ADDRESS,
    MAX_FAILURES_OF_NAME,
    SignInThrottle,
)
from inference.cache import cache_client

_numbers = itertools.count(1)


@pytest.fixture
def person(tables):
    """Somebody with the password `right`."""
    return User.objects.create_user(f"ann-{uuid7()}", password="right")


@pytest.fixture
def address():
    """An address that nobody has used yet."""
    return lambda: f"2001:db8:{next(_numbers):x}:{str(uuid7())[-4:]}::1"


def sign_in(name, password, address) -> str:
    """Return where a sign-in ends: in, wrong or throttled."""
    answer = Client().post("/sign-in/", {"username": name, "password": password}, REMOTE_ADDR=address)
    if answer.status_code == 302:
        return "in"
    return "throttled" if "Too many failed attempts" in answer.content.decode() else "wrong"


def test_one_address_cannot_lock_a_name_out_elsewhere(person, address):
    attacker, home = address(), address()
    outcomes = [sign_in(person.username, "wrong", attacker) for _ in range(MAX_FAILURES + 2)]
    assert outcomes == ["wrong"] * MAX_FAILURES + ["throttled"] * 2
    assert sign_in(person.username, "right", attacker) == "throttled"
    assert sign_in(person.username, "right", home) == "in"


def test_blocked_attempts_do_not_wear_a_name_out(person, address):
    cache, attacker = cache_client(), address()
    for _ in range(MAX_FAILURES_OF_NAME + 5):
        SignInThrottle(cache, address=attacker, name=person.username).admits()
    assert sign_in(person.username, "right", address()) == "in"


def test_many_names_at_one_address_are_many_guesses(person, address):
    attacker = address()
    outcomes = [
        sign_in(f"{person.username}-{n}", "wrong", attacker) for n in range(MAX_FAILURES_OF_ADDRESS + 5)
    ]
    assert outcomes[-5:] == ["throttled"] * 5
    neighbour = attacker[:-1] + "2"  # of the same /64
    assert sign_in(person.username, "right", neighbour) == "throttled"
    assert sign_in(person.username, "right", address()) == "in"


def test_a_name_that_many_addresses_attack_still_gets_in_from_where_it_did_before(person, address):
    home, cache = address(), cache_client()
    assert sign_in(person.username, "right", home) == "in"
    for _ in range(MAX_FAILURES_OF_NAME // MAX_FAILURES + 1):
        botnet = address()
        for _ in range(MAX_FAILURES):
            SignInThrottle(cache, address=botnet, name=person.username).admits()
    assert sign_in(person.username, "wrong", address()) == "throttled"
    assert sign_in(person.username, "right", home) == "in"


def test_guesses_that_come_at_once_are_counted_before_any_is_answered(person, address):
    attacker = address()
    throttle = SignInThrottle(cache_client(), address=attacker, name=person.username)
    with ThreadPoolExecutor(8) as pool:
        admitted = sum(pool.map(lambda _: throttle.admits(), range(50)))
    assert admitted == MAX_FAILURES


def test_a_right_password_begins_anew_for_its_name_alone(person, address):
    home = address()
    for _ in range(3):
        for _ in range(MAX_FAILURES - 1):
            sign_in(person.username, "wrong", home)
        outcomes = sign_in(person.username, "right", home)
    assert outcomes == "in"
    assert sign_in("another", "wrong", home) == "wrong"
