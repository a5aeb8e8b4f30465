"""A test is the same at every run: it draws by its name, and finds no other test's language.

A share of few units is now and then nobody: with random salts such a test fails once in thirty runs,
with its name's salts at every run or at none. Web processes that a test starts still draw at random.
"""

from __future__ import annotations

import random
import zlib
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest
from django.utils import translation

_salts = random.Random()
_generators: list[np.random.Generator] = []


def pytest_sessionstart():
    mock.patch("experiments.salts.token_hex", lambda size: _salts.randbytes(size).hex()).start()


@pytest.hookimpl(tryfirst=True)  # before the fixtures that make experiments
def pytest_runtest_setup(item):
    # A page that Django's test client asked for leaves its language in this thread.
    translation.deactivate()
    _salts.seed(item.nodeid)
    for number, generator in enumerate(_generators):
        seeds = [number, zlib.crc32(item.nodeid.encode())]
        generator.bit_generator.state = np.random.default_rng(seeds).bit_generator.state


@contextmanager
def repeatable_generators():
    """Generators made without a seed meanwhile begin anew at each test."""
    original = np.random.default_rng

    def make(seed=None):
        generator = original(seed)
        if seed is None:
            _generators.append(generator)
        return generator

    with mock.patch("numpy.random.default_rng", make):
        yield
