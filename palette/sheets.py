"""The sheets that every page has, collected as one file: a slow line then waits for one answer and not for five."""

from collections.abc import Iterator
from typing import Any

from django.core.files.base import ContentFile
from whitenoise.storage import CompressedManifestStaticFilesStorage

from accounts.templatetags.studio import ALL_SHEETS, SHEETS


class Storage(CompressedManifestStaticFilesStorage):
    """WhiteNoise's, which compresses what was collected and names it by its contents."""

    def post_process(self, paths: dict[str, Any], dry_run: bool = False, **options: Any) -> Iterator[Any]:
        """Write the sheets behind one another before everything is named and compressed."""
        if not dry_run:
            whole = "\n".join(self._text(name) for name in SHEETS)
            self.delete(ALL_SHEETS)
            self._save(ALL_SHEETS, ContentFile(whole))
            paths[ALL_SHEETS] = (self, ALL_SHEETS)
        yield from super().post_process(paths, dry_run=dry_run, **options)

    def _text(self, name: str) -> str:
        with self.open(name) as sheet:
            return str(sheet.read().decode())
