"""The sandbox's own calls under /sandbox: faults, the log, erasure. No real provider has them."""

from typing import TYPE_CHECKING

from generation.sandbox.answers import Answer, Call, Problem, json_answer
from generation.sandbox.faults import BadRule

if TYPE_CHECKING:
    from generation.sandbox.server import Sandbox


def faults(sandbox: "Sandbox", call: Call) -> Answer:
    """GET, POST and DELETE /sandbox/faults."""
    if call.method == "DELETE":
        sandbox.faults.clear()
        return Answer(status=204)
    if call.method == "GET":
        return json_answer(sandbox.store.faults())
    check_json(call)
    try:
        return json_answer(sandbox.faults.add(call.json()), 201)
    except BadRule as error:
        raise Problem(422, str(error), title="Bad rule") from None


def log(sandbox: "Sandbox", call: Call) -> Answer:
    """GET /sandbox/log[?kind=…] and DELETE /sandbox/log."""
    if call.method == "DELETE":
        sandbox.store.clear_log()
        return Answer(status=204)
    return json_answer(sandbox.store.log(call.arguments().get("kind")))


def erase(sandbox: "Sandbox", call: Call) -> Answer:
    """POST /sandbox/erase {"id": …}: as if its hour were over."""
    check_json(call)
    body = call.json()
    try:
        sandbox.engine.erase(str(body["id"]))
    except (KeyError, TypeError):
        raise Problem(404, "No such prediction") from None
    return Answer(status=204)


def check_json(call: Call) -> None:
    """Only JSON changes anything: a foreign page in the developer's browser cannot send it without asking first."""
    if call.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise Problem(415, "Send application/json")
