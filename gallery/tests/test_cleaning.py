"""What a camera wrote is not in what is kept: the place, the device, the way it was held."""

import io
from typing import Any

import pytest
from PIL import Image

from accounts.models import User
from gallery import library, storage
from gallery.models import Asset
from gallery.tests.making import NOW
from gallery.tests.samples import photograph, picture

pytestmark = pytest.mark.django_db
PLACE = b"52.5200 N 13.4050 E"
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><GPSLatitude>" + PLACE + b"</GPSLatitude></x:xmpmeta>"


def upload(owner: User, content: bytes) -> tuple[Asset, bytes]:
    """The asset, and what is stored of it."""
    asset = library.upload_asset(owner=owner, file=io.BytesIO(content), name="x", now=NOW)
    with storage.as_file(asset.storage_key) as path:
        return asset, path.read_bytes()


def on_its_side(format: str) -> bytes:
    """Four times as wide as high, and to be shown the other way: red at the left is red above."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = PLACE.decode()
    image = Image.new("RGB", (160, 40), "#316c67")
    image.paste("#ff0000", (0, 0, 40, 40))
    buffer = io.BytesIO()
    image.save(buffer, format, exif=exif)
    return buffer.getvalue()


def in_extension() -> bytes:
    """A GIF with XMP as Photoshop writes it."""
    whole = picture("GIF")
    at = 13 + 3 * 2 ** ((whole[10] & 7) + 1)
    told = b"\x21\xff\x0bXMP DataXMP" + bytes([len(XMP)]) + XMP + b"\0"
    return whole[:at] + told + whole[at:]


class TestUpload:
    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
    def test_stands_upright(self, owner: User, format: str) -> None:
        asset, content = upload(owner, on_its_side(format))

        assert (asset.width, asset.height) == (40, 160)
        with Image.open(io.BytesIO(content)) as image:
            assert image.size == (40, 160)
            assert image.getexif().get(0x0112, 1) == 1
            above = image.convert("RGB").getpixel((20, 10))
        assert isinstance(above, tuple) and above[0] > 200 and above[1] < 60

    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
    def test_names_neither_place_nor_device(self, owner: User, format: str) -> None:
        assert PLACE not in upload(owner, on_its_side(format))[1]

    @pytest.mark.parametrize(
        "content",
        [
            picture("JPEG", xmp=XMP),
            picture("WEBP", xmp=XMP),
            picture("AVIF", xmp=XMP),
            picture("JPEG", comment=PLACE),
            picture("GIF", comment=PLACE),
            in_extension(),
            picture("MPO", frames=2, comment=PLACE),
        ],
    )
    def test_tells_nothing_in_other_words(self, owner: User, content: bytes) -> None:
        assert PLACE in content
        assert PLACE not in upload(owner, content)[1]

    def test_leaves_a_second_picture_behind(self, owner: User) -> None:
        content = upload(owner, picture("MPO", frames=2) + photograph())[1]

        assert content.count(b"\xff\xd8\xff") == 1

    @pytest.mark.parametrize("format", ["GIF", "WEBP"])
    def test_goes_on_moving(self, owner: User, format: str) -> None:
        told: dict[str, Any] = {"comment": PLACE} if format == "GIF" else {"xmp": XMP}
        given = picture(format, frames=4, duration=80, loop=0, **told)

        content = upload(owner, given)[1]

        assert PLACE not in content
        with Image.open(io.BytesIO(content)) as image:
            assert getattr(image, "n_frames", 1) == 4
