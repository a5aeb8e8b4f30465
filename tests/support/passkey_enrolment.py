"""A person's passkey is added, and their password given: nobody is signed in by that alone."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client

from tests.support.passkey_device import Device

PASSWORD = "a long password of hers"


def enrol(browser: Client, device: Device, name: str = "laptop"):
    options = browser.post("/account/passkeys/options/").json()
    return browser.post(
        "/account/passkeys/", {"name": name, "credential": device.create(options)}, follow=True
    ).content.decode()


def is_in(browser: Client) -> bool:
    return "_auth_user_id" in browser.session


def give_password(person: User) -> Client:
    browser = Client()
    browser.post("/sign-in/", {"username": person.username, "password": PASSWORD})
    return browser
