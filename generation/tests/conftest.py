"""Two creators for tests that need somebody and somebody else."""

import pytest

from accounts.models import User
from generation.tests.making import make_user


@pytest.fixture
def ada() -> User:
    return make_user()


@pytest.fixture
def bob() -> User:
    return make_user(username="bob")
