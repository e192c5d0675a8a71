"""Fixtures of the gallery's tests: people, pictures, and a real S3 server."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from gallery.tests.s3server import S3Server


@pytest.fixture(autouse=True)
def local(in_files: None) -> None:
    """A test that wants the S3 server asks for it."""


@pytest.fixture
def in_s3(s3: S3Server, settings: Settings) -> S3Server:
    """Assets are kept at the S3 server for this test."""
    settings.STORAGES = settings.STORAGES | {"assets": s3.storage()}
    settings.S3_PUBLIC_URL = ""
    return s3


@pytest.fixture
def own_bucket(s3: S3Server, settings: Settings) -> Iterator[str]:
    """A bucket for this test alone, where assets are kept: who clears away must not find what others have there."""
    client, bucket = s3.client(), f"own-{uuid4()}"
    client.create_bucket(Bucket=bucket)
    settings.STORAGES = settings.STORAGES | {"assets": s3.storage(bucket_name=bucket)}
    settings.S3_PUBLIC_URL = ""
    yield bucket
    for item in client.list_objects_v2(Bucket=bucket).get("Contents", []):
        client.delete_object(Bucket=bucket, Key=item["Key"])
    client.delete_bucket(Bucket=bucket)


@pytest.fixture(params=["files", "s3"])
def store(request: pytest.FixtureRequest) -> str:
    """Each kind of store in turn, with nothing of others in it."""
    if request.param == "s3":
        request.getfixturevalue("own_bucket")
    return str(request.param)


@pytest.fixture
def owner(db: None) -> User:
    """Whose assets they are."""
    return User.objects.create_user("owner", "owner@example.com")


@pytest.fixture
def stranger(db: None) -> User:
    """Somebody else with an account."""
    return User.objects.create_user("stranger", "stranger@example.com")


@pytest.fixture
def owners(owner: User) -> Client:
    """The owner's browser."""
    client = Client()
    client.force_login(owner)
    return client


@pytest.fixture
def strangers(stranger: User) -> Client:
    """The stranger's browser."""
    client = Client()
    client.force_login(stranger)
    return client
