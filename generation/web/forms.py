"""The composer: a form drawn from one model's description, and what was written into it."""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext

from accounts.models import User
from gallery.models import Asset
from generation import catalog, drafts
from generation.catalog.base import Field, ModelSpec
from generation.models import Prediction
from generation.web.fields import BoundField

FILE_KINDS = ("file", "files")
MOST_RUNS = 4
Errors = Mapping[str, Sequence[str]]
Files: TypeAlias = "MultiValueDict[str, UploadedFile[bytes]]"

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass
class Composer:
    """The form for `spec` as `user` sees it. `values` are raw: strings, and lists of asset ids for files."""

    user: User
    spec: ModelSpec
    values: dict[str, Any] = field(default_factory=dict)
    errors: Errors = field(default_factory=dict)
    # One per rendering: the same form sent twice is one generation.
    key: str = field(default_factory=lambda: str(uuid.uuid4()))
    proposed: ModelSpec | None = None
    # The token of the price that was shown beside it.
    quote: str = ""
    # How often the same is asked for at once.
    runs: int = 1

    @cached_property
    def fields(self) -> list[BoundField]:
        assets = self._assets()
        priced = {name for rule in self.spec.prices for name in rule.conditions} | {self.spec.seconds, self.spec.count}
        bound = []
        for item in self.spec.fields:
            if not item.shown:
                continue
            value = self.values.get(item.name, item.default)
            chosen = [assets[key] for key in value or () if key in assets] if item.kind in FILE_KINDS else []
            bound.append(BoundField(item, value, self.errors.get(item.name, ()), chosen, item.name in priced))
        return bound

    def _assets(self) -> dict[str, Asset]:
        """The user's own among the pictures named in the form, by id."""
        named = {
            str(uuid.UUID(value))
            for item in self.spec.fields
            if item.kind in FILE_KINDS
            for value in self.values.get(item.name) or ()
            if is_uuid(value)
        }
        if not named:
            return {}
        return {str(asset.pk): asset for asset in Asset.objects.for_owner(self.user).kept().filter(pk__in=named)}

    @property
    def prompt(self) -> BoundField | None:
        return next((item for item in self.fields if item.name == "prompt"), None)

    @property
    def frames(self) -> list[BoundField]:
        """First and last frame of a film."""
        return [item for item in self.fields if item.spec.kind == "file"]

    @property
    def strips(self) -> list[BoundField]:
        """Fields that take several reference pictures."""
        return [item for item in self.fields if item.spec.kind == "files"]

    @property
    def draft(self) -> dict[str, Any]:
        """What is kept of it until it is sent."""
        return {**self.values, "runs": self.runs} if self.runs > 1 else self.values

    @property
    def run_choices(self) -> list[int]:
        """How many runs may be asked for at once."""
        return list(range(1, MOST_RUNS + 1))

    @property
    def shapes(self) -> list[BoundField]:
        return [item for item in self.fields if item.widget == "shapes"]

    @property
    def open_options(self) -> list[BoundField]:
        """What changes the price lies open."""
        return [item for item in self._options if item.priced]

    @property
    def folded_options(self) -> list[BoundField]:
        return [item for item in self._options if not item.priced]

    @property
    def _options(self) -> list[BoundField]:
        return [
            item
            for item in self.fields
            if item.name != "prompt" and item.spec.kind not in FILE_KINDS and item.widget != "shapes"
        ]

    @property
    def folded_summary(self) -> str:
        return " · ".join(filter(None, (item.summary for item in self.folded_options)))

    @property
    def folded_errors(self) -> bool:
        return any(item.errors for item in self.folded_options)

    @property
    def general_errors(self) -> list[str]:
        """Those that belong to no field on the page."""
        shown = {item.name for item in self.fields}
        return [sentence for name, sentences in self.errors.items() if name not in shown for sentence in sentences]

    @property
    def tucked_errors(self) -> bool:
        """Whether something that a phone tucks away needs to be seen."""
        return any(name != "prompt" for name in self.errors)


def is_uuid(value: object) -> bool:
    """Whether `value` is a UUID as we write one; `uuid.UUID` reads texts of any length."""
    return isinstance(value, str) and UUID.fullmatch(value) is not None


def spec_named(model: str, type: str) -> tuple[ModelSpec, bool]:
    """The model of that name, else the default of its type; False when the name was not known."""
    if model:
        try:
            return catalog.get(model), True
        except catalog.UnknownModel:
            return catalog.default("video" if type == "video" else "image"), False
    return catalog.default("video" if type == "video" else "image"), True


def read_values(spec: ModelSpec, data: QueryDict) -> dict[str, Any]:
    """What was written into the form: one string a field, a list of asset ids for file fields."""
    values: dict[str, Any] = {}
    for item in spec.fields:
        given = data.getlist(item.name)
        if item.kind in FILE_KINDS:
            values[item.name] = list(dict.fromkeys(filter(None, given)))
        elif given:
            values[item.name] = given[-1]
    return values


def read_runs(data: QueryDict) -> int:
    """How many runs were asked for at once, 1 to `MOST_RUNS`; what is no such number is one."""
    given = data.get("runs", "")
    return int(given) if re.fullmatch("[0-9]", given) and 1 <= int(given) <= MOST_RUNS else 1


def runs_of(values: dict[str, Any]) -> int:
    """The number of runs that a draft keeps beside its fields; it is taken out of `values`."""
    kept = values.pop("runs", 1)
    return kept if isinstance(kept, int) and 1 <= kept <= MOST_RUNS else 1


def move(composer: Composer, wanted: str) -> None:
    """Move one picture of a strip by a place: "image_input:<asset id>:-1" is one earlier. Nonsense moves nothing."""
    name, _, rest = wanted.partition(":")
    key, _, by = rest.partition(":")
    keys = composer.values.get(name)
    if not isinstance(keys, list) or key not in keys or by not in ("-1", "1"):
        return
    before = keys.index(key)
    after = min(max(before + int(by), 0), len(keys) - 1)
    keys.insert(after, keys.pop(before))
    composer.__dict__.pop("fields", None)


def read_uploads(spec: ModelSpec, files: Files) -> "list[tuple[Field, UploadedFile[bytes]]]":
    """The files sent along, each with the field it is for."""
    return [
        (item, file)
        for item in spec.fields
        if item.kind in FILE_KINDS
        for file in files.getlist(f"{item.name}.upload")
        if file.name
    ]


def as_raw(spec: ModelSpec, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as the catalog reads them: what was left empty is not there, a single file is no list."""
    raw = {}
    for name, value in values.items():
        item = spec.field(name)
        if value in ("", None, []):
            continue
        raw[name] = value[-1] if item and item.kind == "file" and isinstance(value, list) else value
    return raw


def values_of(spec: ModelSpec, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of a prediction as form values."""
    values: dict[str, Any] = {}
    for name, value in inputs.items():
        item = spec.field(name)
        if item is None:
            continue
        if item.kind in FILE_KINDS:
            values[name] = [value] if isinstance(value, str) else list(value or ())
        else:
            values[name] = "" if value is None else str(value)
    return values


def carried_over(values: Mapping[str, Any], *, old: ModelSpec, new: ModelSpec) -> dict[str, Any]:
    """What another model can take over of a form: fields of the same name and kind, and the references."""
    kept: dict[str, Any] = {}
    for item in new.fields:
        before = old.field(item.name)
        if before and before.kind == item.kind and item.name in values:
            value = values[item.name]
            if not item.choices or str(value) in map(str, item.choices):
                kept[item.name] = value
    pictures = [key for name in (old.references, old.first_frame) if name for key in values.get(name) or ()]
    target = new.references or new.first_frame
    if pictures and target and not kept.get(target):
        kept[target] = pictures
    return kept


def prefilled(user: User, query: QueryDict) -> Composer:
    """The composer as an address asks for it: `type`, `model`, `reference`, `image`, `reuse` (a prediction), `words`
    (one whose prompt alone is taken), or any field of the model by its name. The draft of the model stands below.

    Raises `Prediction.DoesNotExist` for what is not the user's own.
    """
    reuse = query.get("reuse", "")
    if is_uuid(reuse):
        again = Prediction.objects.for_owner(user).get(pk=uuid.UUID(reuse))
        spec, known = spec_named(again.model, again.type)
        again_values = values_of(spec, again.input) if known else {"prompt": again.prompt}
        errors = {} if known else _gone(again.model)
        return Composer(user, spec, again_values, errors, runs=read_runs(query))
    kept_drafts = drafts.drafts_of(user=user)
    asked_for = bool({"model", "type", "image"} & set(query))
    model = query.get("model", "") if asked_for else next(iter(kept_drafts), "")
    spec, known = spec_named(model, query.get("type") or ("video" if query.get("image") else "image"))
    if "reference" in query and not spec.references:
        spec = catalog.default("image")
    values = {} if "prompt" in query else kept_drafts.get(spec.id, {})
    runs = read_runs(query) if "runs" in query else runs_of(values)
    values |= {name: value for name, value in read_values(spec, query).items() if value or name in query}
    if is_uuid(words := query.get("words", "")):
        values["prompt"] = Prediction.objects.for_owner(user).get(pk=uuid.UUID(words)).prompt
    if query.getlist("reference") and spec.references:
        kept = [*(values.get(spec.references) or ()), *query.getlist("reference")]
        values[spec.references] = list(dict.fromkeys(kept))
    if query.getlist("image") and spec.first_frame:
        values[spec.first_frame] = query.getlist("image")
    composer = Composer(user, spec, values, {} if known or not asked_for else _gone(model), runs=runs)
    composer.errors = {**composer.errors, **_strangers(composer)}
    return composer


def _gone(model: str) -> dict[str, list[str]]:
    sentence = gettext("There is no model called %(name)s here; this is the default one.")
    return {"model": [sentence % {"name": model[:80]}]}


def _strangers(composer: Composer) -> dict[str, list[str]]:
    """Errors for pictures named in an address that are not in the user's gallery; they are taken out."""
    errors = {}
    for item in composer.fields:
        if item.spec.kind in FILE_KINDS and len(item.assets) < len(item.value or ()):
            errors[item.name] = [gettext("That picture is not in your gallery.")]
            composer.values[item.name] = [str(asset.pk) for asset in item.assets]
    del composer.fields
    return errors
