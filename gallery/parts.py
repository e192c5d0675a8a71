"""An upload to S3 in parts, of which nothing is to be seen under its key before it is complete."""

import contextlib
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef


class Parts:
    """Begun when it is made; raises what botocore raises."""

    def __init__(self, client: "S3Client", *, bucket: str, key: str, content_type: str, cache_control: str) -> None:
        self._client, self._bucket, self._key = client, bucket, key
        self._sent: list[CompletedPartTypeDef] = []
        self._id = client.create_multipart_upload(
            Bucket=bucket, Key=key, ContentType=content_type, CacheControl=cache_control
        )["UploadId"]

    def send(self, number: int, part: bytes) -> None:
        """The first is 1, in whichever order they go; each but the last has 5 MiB or more."""
        answer = self._client.upload_part(
            Bucket=self._bucket, Key=self._key, UploadId=self._id, PartNumber=number, Body=part
        )
        self._sent.append({"ETag": answer["ETag"], "PartNumber": number})

    def complete(self) -> None:
        """All are there: now the object is."""
        self._sent.sort(key=lambda part: part["PartNumber"])
        self._client.complete_multipart_upload(
            Bucket=self._bucket, Key=self._key, UploadId=self._id, MultipartUpload={"Parts": self._sent}
        )

    def take_back(self) -> None:
        """Supabase has no lifecycle rules: parts that nobody takes back would be paid for forever."""
        with contextlib.suppress(ClientError, BotoCoreError):
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=self._id)
