"""The provider's calls: predictions, files, the webhook secret, the account, models."""

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from generation.sandbox.answers import Answer, Call, Problem, invalid_input, json_answer, refusal
from generation.sandbox.models import Model, known_models, model_of
from generation.sandbox.multipart import parts_of
from generation.sandbox.presentation import file_json, prediction_json
from generation.sandbox.state import Prediction, new_id, now
from generation.sandbox.webhooks import DEFAULT_EVENTS, EVENTS, is_acceptable

if TYPE_CHECKING:
    from generation.sandbox.server import Sandbox

PAGE = 100
MOST_FILE_BYTES = 100_000_000
FILE_KEPT_SECONDS = 24 * 3600.0
LONGEST_WAIT_SECONDS = 30.0
ACCOUNT = {
    "type": "user",
    "username": "sandbox",
    "name": "Sandbox",
    "github_url": "https://github.com/sandbox",
    "avatar_url": "https://github.com/sandbox.png",
}
MODEL_NAME = re.compile(r"[a-z0-9][\w.-]{0,99}/[a-z0-9][\w.-]{0,99}", re.I)
LIMIT_HEADERS = {"ratelimit-remaining": "599", "ratelimit-reset": "1"}


def create(sandbox: "Sandbox", call: Call, name: str | None) -> Answer:
    """POST /predictions and POST /models/{owner}/{name}/predictions, faults included."""
    body = call.json()
    fields = {"input", "webhook", "webhook_events_filter", "stream"} | (set() if name else {"version"})
    if not isinstance(body, dict) or not isinstance(body.get("input"), dict):
        raise Problem(422, "- input: an object is required\n", title="Input validation failed")
    if unknown := sorted(set(body) - fields):
        raise Problem(422, f"- Additional property {unknown[0]} is not allowed\n", title="Input validation failed")
    model, version = (model_of(name), "hidden") if name else named_version(body.get("version"))
    texts = [value for value in body["input"].values() if isinstance(value, str) and not value.startswith("data:")]
    effects = sandbox.faults.take("create", prompts=texts, model=model.name)
    line = sandbox.store.write_log("create", model=model.name, input=shortened(body["input"]), answered=False)
    fault = effects.pop("answer", {})
    kind = fault.get("kind")
    if kind in {"refuse", "lost_before"}:
        return noted(sandbox, line, spoiled(fault, None))
    try:
        prediction = accept(sandbox, call, body, model, version, effects)
    except Problem as problem:
        return noted(sandbox, line, problem.answer())
    sandbox.store.amend_log(line, prediction=prediction.id)
    if kind == "ended":
        # A model may be so fast that the answer to its create already tells of its end.
        prediction = waited(sandbox, prediction.id, seconds=LONGEST_WAIT_SECONDS)
    answer = shown_when_wanted(sandbox, call, prediction)
    return noted(sandbox, line, spoiled(fault, answer) if fault else answer)


def noted(sandbox: "Sandbox", line: int, answer: Answer) -> Answer:
    """The answer, its status and whether anything is sent written into the log."""
    sandbox.store.amend_log(line, answered=answer.status != 0, status=answer.status or None)
    return answer


def accept(
    sandbox: "Sandbox", call: Call, body: Mapping[str, Any], model: Model, version: str, effects: dict[str, Any]
) -> Prediction:
    """The new prediction of a valid body; raises `Problem`."""
    if fields := model.invalid_fields(body["input"]):
        raise invalid_input(fields)
    webhook = body.get("webhook") or ""
    if not isinstance(webhook, str) or (webhook and not is_acceptable(webhook)):
        raise Problem(422, "- webhook: an HTTPS URL is required\n", title="Input validation failed")
    events = body.get("webhook_events_filter", DEFAULT_EVENTS)
    if not isinstance(events, list) or not set(map(str, events)) <= set(EVENTS):
        detail = f"- webhook_events_filter: only {', '.join(EVENTS)} are known\n"
        raise Problem(422, detail, title="Input validation failed")
    return sandbox.engine.create(
        model=model,
        version=version,
        input=body["input"],
        cancel_after=cancel_after(call.headers.get("cancel-after")),
        webhook=webhook,
        events=events,
        fault=effects,
    )


def named_version(word: Any) -> tuple[Model, str]:
    """The model and version that a `version` names: owner/name, owner/name:hash, or a hash alone."""
    if not isinstance(word, str):
        raise Problem(422, "- version is required\n", title="Input validation failed")
    name, _, digest = word.partition(":")
    if re.fullmatch(r"[0-9a-f]{64}", word):
        return Model("sandbox/community", "image", "list"), word
    if not MODEL_NAME.fullmatch(name) or (digest and not re.fullmatch(r"[0-9a-f]{64}", digest)):
        detail = "The specified version does not exist (or perhaps you don't have permission to use it?)"
        raise Problem(422, detail, title="Invalid version or not permitted")
    return model_of(name), digest or "hidden"


def cancel_after(word: str | None) -> float | None:
    """Seconds of a Cancel-After header: `30`, `90s`, `5m`, `1h30m45s`, at least 5."""
    if word is None:
        return None
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", word.strip())
    hours, minutes, rest = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    seconds = hours * 3600 + minutes * 60 + rest
    if seconds < 5:
        raise Problem(422, "- Cancel-After: at least 5 seconds are required\n", title="Input validation failed")
    return float(seconds)


def shown_when_wanted(sandbox: "Sandbox", call: Call, prediction: Prediction) -> Answer:
    """201 at once, or with `Prefer: wait` when it has ended (201) or the time is over (202)."""
    found = re.search(r"\bwait(?:=(\d+))?", call.headers.get("prefer", ""))
    status = 201
    if found:
        prediction = waited(sandbox, prediction.id, seconds=min(int(found[1] or 60), 60))
        status = 201 if prediction.ended else 202
    headers = {**LIMIT_HEADERS, "location": f"{call.base}/v1/predictions/{prediction.id}"}
    return json_answer(prediction_json(prediction, base=call.base, now=now()), status, headers)


def waited(sandbox: "Sandbox", id: str, *, seconds: float) -> Prediction:
    """The prediction when it has ended, or as it is after so many seconds."""
    until = time.monotonic() + seconds
    with sandbox.store.changed:
        while True:
            prediction = sandbox.store.get(id)
            assert prediction is not None
            if prediction.ended or not sandbox.store.changed.wait(max(0.0, until - time.monotonic())):
                return prediction


def spoiled(fault: Mapping[str, Any], answer: Answer | None) -> Answer:
    """What a fault makes of an answer (None: there is none, nothing was done)."""
    kind, seconds = fault["kind"], float(fault.get("seconds", 0))
    if kind in {"lost", "lost_before"}:
        return Answer(status=0, pause=seconds, broken="reset" if fault.get("reset") else "close")
    if kind == "silent":
        return Answer(status=0, pause=seconds or 3600.0, broken="close")
    if kind == "ended":
        assert answer is not None
        return answer
    if kind == "late":
        assert answer is not None
        return Answer(**{**vars(answer), "pause": seconds})
    status = int(fault.get("status", 500))
    headers = {str(name): str(value) for name, value in (fault.get("headers") or {}).items()}
    if "body" not in fault:
        problem = refusal(status, retry_after=int(seconds) or 7).answer()
        return Answer(**{**vars(problem), "headers": headers})
    body, text = fault["body"], isinstance(fault["body"], str)
    content_type = fault.get("content_type") or ("text/html" if text else "application/problem+json")
    data = body.encode() if text else json.dumps(body).encode()
    return Answer(status=status, body=data, content_type=content_type, headers=headers)


def shortened(value: Any) -> Any:
    """An input for the log, data: URIs cut."""
    if isinstance(value, dict):
        return {name: shortened(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shortened(item) for item in value]
    if isinstance(value, str) and value.startswith("data:"):
        return value[:64]
    return value


def get(sandbox: "Sandbox", call: Call, id: str) -> Answer:
    """GET /predictions/{id}."""
    prediction = sandbox.store.get(id)
    if prediction is None:
        raise refusal(404)
    headers = {"ratelimit-remaining": "2999", "ratelimit-reset": "1"}
    return json_answer(prediction_json(prediction, base=call.base, now=now()), headers=headers)


def cancel(sandbox: "Sandbox", call: Call, id: str) -> Answer:
    """POST /predictions/{id}/cancel."""
    try:
        prediction = sandbox.engine.cancel(id)
    except KeyError:
        raise refusal(404) from None
    return json_answer(prediction_json(prediction, base=call.base, now=now()))


def list_predictions(sandbox: "Sandbox", call: Call) -> Answer:
    """GET /predictions: 100 a page, newest first, with whole addresses of the pages before and after."""
    asked = call.arguments()
    since = moment_of(asked.get("created_after"), "created_after", default=0.0)
    until = moment_of(asked.get("created_before"), "created_before", default=1e12)
    older, newer = read_cursor(asked.pop("cursor", ""))
    found = sandbox.store.page(limit=PAGE + 1, before=older, after=newer, since=since, until=until)
    more = len(found) > PAGE
    page = (found[1:] if newer is not None else found[:PAGE]) if more else found
    moment = now()

    def address(direction: str, place: int) -> str:
        cursor = base64.urlsafe_b64encode(f"{direction}{place}".encode()).decode()
        return f"{call.base}/v1/predictions?{urlencode({**asked, 'cursor': cursor})}"

    has_older = more if newer is None else bool(page)
    has_newer = more if newer is not None else older is not None
    return json_answer(
        {
            "previous": address("n", page[0][0]) if page and has_newer else None,
            "next": address("o", page[-1][0]) if page and has_older else None,
            "results": [prediction_json(prediction, base=call.base, now=moment) for _, prediction in page],
        }
    )


def read_cursor(word: str) -> tuple[int | None, int | None]:
    """(older than this place, newer than this place); raises `Problem` for what we did not write."""
    if not word:
        return None, None
    try:
        text = base64.urlsafe_b64decode(word).decode()
        place = int(text[1:])
    except (binascii.Error, ValueError):
        raise Problem(400, "Invalid cursor") from None
    return (place, None) if text[0] == "o" else (None, place)


def moment_of(word: str | None, name: str, *, default: float) -> float:
    """Seconds since 1970 of an ISO 8601 date-time; raises `Problem`."""
    if word is None:
        return default
    try:
        # A plus sign that was not escaped in the query arrives as a space.
        moment = datetime.fromisoformat(word.replace(" ", "+", 1) if "T" in word else word)
    except ValueError:
        raise Problem(400, f"{name} must be a date-time in ISO 8601 format") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def upload(sandbox: "Sandbox", call: Call) -> Answer:
    """POST /files."""
    parts = parts_of(call.headers.get("content-type", ""), call.body)
    content = parts.get("content")
    if content is None:
        raise Problem(400, "Missing content")
    if len(content.data) > MOST_FILE_BYTES:
        raise Problem(413, "Files must be less than 100MB in size")
    try:
        metadata = json.loads(parts["metadata"].data) if "metadata" in parts else {}
    except ValueError:
        raise Problem(400, "metadata is not valid JSON") from None
    given_name = parts["filename"].data.decode("utf-8", "replace") if "filename" in parts else content.filename
    given_type = parts["type"].data.decode("utf-8", "replace") if "type" in parts else content.content_type
    moment = now()
    facts: dict[str, Any] = {
        "id": new_id(),
        "name": given_name or "file",
        "content_type": given_type or "application/octet-stream",
        "size": len(content.data),
        "md5": hashlib.md5(content.data, usedforsecurity=False).hexdigest(),
        "sha256": hashlib.sha256(content.data).hexdigest(),
        "metadata": metadata,
        "created_at": moment,
        "expires_at": moment + FILE_KEPT_SECONDS,
    }
    path = sandbox.store.folder / "files" / facts["id"]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.data)
    sandbox.store.add_file(facts)
    sandbox.keep_file_until(facts["id"], facts["expires_at"])
    return json_answer(file_json(facts, base=call.base), 201)


def list_files(sandbox: "Sandbox", call: Call) -> Answer:
    """GET /files, all on one page."""
    found = [file_json(facts, base=call.base) for facts in sandbox.store.files()]
    return json_answer({"previous": None, "next": None, "results": found})


def get_file(sandbox: "Sandbox", call: Call, id: str) -> Answer:
    """GET /files/{id}."""
    return json_answer(file_json(file_facts(sandbox, id), base=call.base))


def delete_file(sandbox: "Sandbox", call: Call, id: str) -> Answer:
    """DELETE /files/{id}."""
    if not sandbox.forget_file(id):
        raise Problem(404, "File not found")
    return Answer(status=204)


def download_file(sandbox: "Sandbox", call: Call, id: str) -> Answer:
    """GET /files/{id}/download, signed with owner and expiry."""
    facts, asked = file_facts(sandbox, id), call.arguments()
    signed = f"{asked.get('owner')} {id} {asked.get('expiry')}".encode()
    key = sandbox.store.secret("files", new_id()).encode()
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    expiry = asked.get("expiry", "")
    if not hmac.compare_digest(wanted, asked.get("signature", "")) or not expiry.isdigit() or int(expiry) < now():
        raise Problem(404, "File not found")
    data = (sandbox.store.folder / "files" / id).read_bytes()
    return Answer(body=data, content_type=facts["content_type"])


def file_facts(sandbox: "Sandbox", id: str) -> dict[str, Any]:
    """A file's facts; raises `Problem`."""
    found = sandbox.store.files(id)
    if not found:
        raise Problem(404, "File not found")
    return found[0]


def webhook_secret(sandbox: "Sandbox", call: Call) -> Answer:
    """GET /webhooks/default/secret."""
    return json_answer({"key": sandbox.secret})


def account(sandbox: "Sandbox", call: Call) -> Answer:
    """GET /account."""
    return json_answer(ACCOUNT)


def get_model(sandbox: "Sandbox", call: Call, name: str) -> Answer:
    """GET /models/{owner}/{name}: every well-formed name exists."""
    if not MODEL_NAME.fullmatch(name):
        raise refusal(404)
    model = model_of(name)
    owner, short = name.split("/")
    version = {
        "id": hashlib.sha256(name.encode()).hexdigest(),
        "created_at": "2025-01-01T00:00:00Z",
        "cog_version": "0.16.0",
        "openapi_schema": model.openapi_schema(),
    }
    return json_answer(
        {
            "url": f"https://replicate.com/{name}",
            "owner": owner,
            "name": short,
            "description": f"The sandbox's stand-in for {name}",
            "visibility": "public",
            "is_official": name in known_models(),
            "github_url": None,
            "paper_url": None,
            "license_url": None,
            "run_count": 0,
            "cover_image_url": None,
            "default_example": None,
            "latest_version": version,
        }
    )
