"""What the sandbox knows of models: their inputs as Replicate publishes them, and a guess for every other name.

`models.json` is a record of Replicate's public input schemas, kept apart from the product's own catalog on purpose:
what the product sends is checked here against a second source.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

FILM_WORDS = re.compile(
    r"video|film|movie|animat|seedance|kling|veo|wan-|sora|hailuo|ray|pixverse|luma|i2v|t2v|ltx|mochi", re.I
)
JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "string(secret)": (str,),
    "uri": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array<uri>": (list,),
    "array<string>": (list,),
}


@dataclass(frozen=True)
class Model:
    """A model's name, what it makes, whether its output is one address or a list, and its inputs."""

    name: str
    kind: Literal["image", "video"]
    output: Literal["string", "list"]
    input: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def defaults(self) -> dict[str, Any]:
        """The value of every input that has one without being given."""
        return {name: spec["default"] for name, spec in self.input.items() if "default" in spec}

    def invalid_fields(self, given: Mapping[str, Any]) -> list[dict[str, str]]:
        """Replicate's `invalid_fields` for this input; unknown names are let through, as its runtime drops them."""
        found = []
        for name, spec in self.input.items():
            if name not in given:
                if spec.get("required"):
                    found.append({"type": "missing", "field": name, "description": f"{name} is required"})
            elif complaint := complaint_of(given[name], spec):
                found.append({"type": "invalid", "field": name, "description": f"{name} {complaint}"})
        return found

    def openapi_schema(self) -> dict[str, Any]:
        """As in `latest_version.openapi_schema`: choices are components of their own, referenced by `allOf`."""
        components: dict[str, Any] = {}
        properties: dict[str, Any] = {}
        for order, (name, spec) in enumerate(self.input.items()):
            prop = {"title": name.replace("_", " ").title(), "x-order": order, **json_type(spec)}
            if "choices" in spec:
                components[name] = {"title": name, "enum": spec["choices"], **json_type(spec)}
                prop = {"allOf": [{"$ref": f"#/components/schemas/{name}"}], "x-order": order}
            if "default" in spec:
                prop["default"] = spec["default"]
            prop["description"] = spec.get("description", "")
            properties[name] = prop
        components["Input"] = {
            "type": "object",
            "title": "Input",
            "required": [name for name, spec in self.input.items() if spec.get("required")],
            "properties": properties,
        }
        uri = {"type": "string", "format": "uri"}
        one = {"title": "Output", **uri}
        components["Output"] = one if self.output == "string" else {"title": "Output", "type": "array", "items": uri}
        return {
            "openapi": "3.0.2",
            "info": {"title": "Cog", "version": "0.1.0"},
            "components": {"schemas": components},
        }


def complaint_of(value: Any, spec: Mapping[str, Any]) -> str:
    """What is wrong with one value under its input's description; empty when nothing is."""
    kinds = JSON_TYPES[spec["type"]]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        return f"must be of type {spec['type']}"
    if "choices" in spec and value not in spec["choices"]:
        return f"must be one of the following: {', '.join(map(repr, spec['choices']))}"
    measure = len(value) if isinstance(value, list) else value
    if isinstance(measure, int | float):
        if "least" in spec and measure < spec["least"]:
            return f"must be at least {spec['least']}"
        if "most" in spec and measure > spec["most"]:
            return f"must be at most {spec['most']}"
    if isinstance(value, str) and spec.get("required") and not value.strip():
        return "must not be empty"
    return ""


def json_type(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema words for an input's type and limits."""
    kind = spec["type"]
    if kind.startswith("array"):
        item = {"type": "string", **({"format": "uri"} if "uri" in kind else {})}
        limits = {word: spec[ours] for word, ours in (("minItems", "least"), ("maxItems", "most")) if ours in spec}
        return {"type": "array", "items": item, **limits}
    if kind == "uri":
        return {"type": "string", "format": "uri"}
    limits = {word: spec[ours] for word, ours in (("minimum", "least"), ("maximum", "most")) if ours in spec}
    return {"type": kind.removesuffix("(secret)"), **limits}


@cache
def known_models() -> dict[str, Model]:
    """The recorded models by `owner/name`."""
    table = json.loads(Path(__file__).with_name("models.json").read_text())
    return {name: Model(name, spec["kind"], spec["output"], spec["input"]) for name, spec in table.items()}


def model_of(name: str) -> Model:
    """The model of that `owner/name`; every well-formed name exists, its words say what it makes."""
    return known_models().get(name) or Model(name, "video" if FILM_WORDS.search(name) else "image", "string")
