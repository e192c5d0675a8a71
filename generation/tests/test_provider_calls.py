"""What leaves for Replicate and what is read from its answers, over real HTTP."""

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import repeat
from typing import Any

import httpx
import pytest

from generation.providers.base import (
    AnswerLost,
    InputRefused,
    NoCredit,
    NotFound,
    NotSent,
    ProviderPrediction,
    RateLimited,
    Refused,
    Unauthenticated,
    Unavailable,
)
from generation.providers.replicate import ReplicateProvider
from generation.tests import wire
from generation.tests.wire import Wire, says

TOKEN = "r8_not_a_real_token"
QUICK = httpx.Timeout(connect=1, read=0.3, write=1, pool=0.3)
PREDICTION = {
    "id": "ufawqhfynnddngldkgtslldrkq",
    "model": "google/nano-banana",
    "version": "hidden",
    "input": {"prompt": "a fox"},
    "output": None,
    "data_removed": False,
    "error": None,
    "status": "starting",
    "created_at": "2026-11-20T10:00:00.123Z",
    "urls": {"web": "https://x", "get": "https://x", "cancel": "https://x"},
}
LOW_ON_CREDIT = (
    "Request was throttled. Your rate limit for creating predictions is reduced to 6 requests per minute with a burst "
    "of 1 requests while you have less than $5.0 in credit. Your rate limit resets in ~7s."
)
THROTTLED = {"detail": "Request was throttled. Your rate limit resets in ~7s.", "status": 429, "retry_after": 7}


def provider(url: str, **options: Any) -> ReplicateProvider:
    return ReplicateProvider(name="replicate", base_url=url, token=TOKEN, **({"timeout": QUICK} | options))


def create(at: ReplicateProvider, *, webhook: str | None = None) -> ProviderPrediction:
    return at.create(model="google/nano-banana", input={"prompt": "a fox"}, cancel_after_seconds=1600, webhook=webhook)


def answer_to_create(*behaviours: wire.Behaviour, **options: Any) -> ProviderPrediction:
    with Wire(list(behaviours)) as server:
        return create(provider(server.url, **options))


class TestCreate:
    def test_posts_input_deadline_and_token_to_the_models_own_address(self) -> None:
        with Wire([says(201, PREDICTION)]) as server:
            made = create(provider(server.url))

        (sent,) = server.requests
        assert (sent.method, sent.path) == ("POST", "/v1/models/google/nano-banana/predictions")
        assert sent.json() == {"input": {"prompt": "a fox"}}
        assert sent.headers["cancel-after"] == "1600s"
        assert sent.headers["authorization"] == f"Bearer {TOKEN}"
        assert "prefer" not in sent.headers
        assert made.id == PREDICTION["id"]
        assert made.created_at == datetime(2026, 11, 20, 10, 0, 0, 123_000, tzinfo=UTC)

    def test_asks_for_the_two_events_that_matter(self) -> None:
        with Wire([says(201, PREDICTION)]) as server:
            create(provider(server.url), webhook="https://studio.example/api/webhooks/replicate?token=t")

        assert server.requests[0].json() == {
            "input": {"prompt": "a fox"},
            "webhook": "https://studio.example/api/webhooks/replicate?token=t",
            "webhook_events_filter": ["start", "completed"],
        }

    def test_reads_an_answer_that_is_finished_already(self) -> None:
        made = answer_to_create(says(202, PREDICTION | {"status": "succeeded", "output": ["https://x/1.png"]}))

        assert (made.status, made.output) == ("succeeded", ["https://x/1.png"])

    def test_takes_nothing_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("REPLICATE_BASE_URL", "http://127.0.0.1:9")

        assert answer_to_create(says(201, PREDICTION)).id == PREDICTION["id"]


class TestNotSent:
    """Nothing left, so the same create may leave later."""

    def test_when_the_connection_is_refused(self) -> None:
        with Wire([wire.silent]) as server:
            address = server.url

        with pytest.raises(NotSent):
            create(provider(address))

    def test_when_the_name_does_not_resolve(self) -> None:
        with pytest.raises(NotSent):
            create(provider("http://nowhere.invalid"))

    def test_when_the_other_side_speaks_no_tls(self) -> None:
        with Wire([wire.raw(b"no hello\r\n")]) as server, pytest.raises(NotSent):
            create(provider(server.url.replace("http://", "https://")))

    def test_when_every_connection_is_taken(self) -> None:
        seen = threading.Event()

        def hold(_: object) -> None:
            seen.wait(60)

        with Wire([hold]) as server:
            one = provider(server.url, timeout=httpx.Timeout(connect=30, read=60, write=30, pool=0.1), connections=1)
            with ThreadPoolExecutor() as threads:
                first = threads.submit(create, one)
                while not server.requests:
                    threading.Event().wait(0.01)

                with pytest.raises(NotSent):
                    create(one)
                seen.set()
            assert isinstance(first.exception(), AnswerLost)

    def test_never_says_the_token(self) -> None:
        with pytest.raises(NotSent) as caught:
            create(ReplicateProvider(name="replicate", base_url="http://127.0.0.1:9", token=f"{TOKEN}\n\n"))

        assert TOKEN not in str(caught.value)


class TestAnswerLost:
    """It may have been created: never to be sent again without looking."""

    @pytest.mark.parametrize(
        "behaviour",
        [
            pytest.param(wire.silent, id="no answer in time"),
            pytest.param(wire.reset, id="a reset"),
            pytest.param(wire.raw(b""), id="a hang-up"),
            pytest.param(wire.raw(b"SSH-2.0-OpenSSH\r\n\r\n"), id="another protocol"),
            pytest.param(wire.raw(b"HTTP/1.1 201 Created\r\ncontent-length: 900\r\n\r\n{"), id="half a body"),
            pytest.param(
                wire.raw(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnope"), id="bad gzip"
            ),
            pytest.param(says(201, b"<html>Hello</html>", content_type="text/html"), id="HTML"),
            pytest.param(says(201, b"\xff\xfe\x00"), id="bytes"),
            pytest.param(says(201, b""), id="nothing"),
            pytest.param(says(201, [PREDICTION]), id="a list"),
            pytest.param(says(201, b"[" * 100_000), id="endless nesting"),
            pytest.param(says(201, {"id": 7} | {"status": "starting"}), id="an id that is a number"),
            pytest.param(says(201, PREDICTION | {"id": "../../account"}), id="an id that is a path"),
            pytest.param(says(201, {key: PREDICTION[key] for key in ("status", "model")}), id="no id"),
            pytest.param(says(500, b"<html>oops</html>"), id="500 in HTML"),
            pytest.param(says(502, b""), id="a bare 502"),
            pytest.param(says(503, b"upstream connect error"), id="503 in words"),
            pytest.param(says(504, {}), id="504 with an empty object"),
            pytest.param(says(403, b"<html>blocked</html>"), id="a wall in front of the provider"),
            pytest.param(says(302, b"", location="http://127.0.0.1:9/"), id="a redirect"),
            pytest.param(says(204), id="204"),
        ],
    )
    def test_after(self, behaviour: wire.Behaviour) -> None:
        with pytest.raises(AnswerLost):
            answer_to_create(behaviour)

    def test_after_an_answer_of_20_megabytes_without_reading_it_all(self) -> None:
        left = iter([b" " * 65_536] * 320)

        with pytest.raises(AnswerLost, match="larger than"):
            answer_to_create(wire.pours(left))

        assert len(list(left)) > 100

    def test_after_an_answer_that_drips(self) -> None:
        with pytest.raises(AnswerLost, match="took more"):
            answer_to_create(wire.pours(repeat(b" ", 50), pause=0.05), answer_seconds=0.3)

    def test_sends_once_and_follows_no_redirect(self) -> None:
        with (
            Wire([says(201, PREDICTION)]) as elsewhere,
            Wire([says(307, location=elsewhere.url)]) as server,
            pytest.raises(AnswerLost),
        ):
            create(provider(server.url))

        assert len(server.requests) == 1
        assert elsewhere.requests == []


class TestRefused:
    """The provider's own JSON: nothing was created."""

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (400, {"detail": "bad", "status": 400}, InputRefused),
            (413, {"detail": "Files must be less than 100MB in size"}, InputRefused),
            (422, {"title": "Input validation failed", "detail": "x", "status": 422}, InputRefused),
            (401, {"title": "Unauthenticated", "detail": "x", "status": 401}, Unauthenticated),
            (403, {"title": "Forbidden", "detail": "x", "status": 403}, Unauthenticated),
            (402, {"title": "Insufficient credit", "detail": "x", "status": 402}, NoCredit),
            (404, {"detail": "The requested resource could not be found.", "status": 404}, NotFound),
            (409, {"detail": "conflict"}, Refused),
            (429, THROTTLED, RateLimited),
            (500, {"detail": "x", "status": 500}, Unavailable),
            (503, {"title": "Service unavailable"}, Unavailable),
        ],
    )
    def test_by_status(self, status: int, body: dict[str, Any], kind: type[Refused]) -> None:
        with pytest.raises(Refused) as caught:
            answer_to_create(says(status, body, content_type="application/problem+json"))

        assert type(caught.value) is kind
        assert caught.value.status == status

    def test_keeps_the_invalid_fields(self) -> None:
        fields = [
            {"type": "value", "field": "input.duration", "description": "must be at most 12"},
            {"type": "value", "field": "seed", "description": None},
            {"field": 3},
            "nonsense",
        ]

        with pytest.raises(InputRefused) as caught:
            answer_to_create(says(422, {"title": "t", "detail": "d", "invalid_fields": fields}))

        assert caught.value.invalid_fields == {"duration": "must be at most 12", "seed": ""}

    @pytest.mark.parametrize(
        ("body", "headers", "seconds"),
        [
            (THROTTLED, {"retry_after": "3600"}, 7),
            ({"detail": "slow down"}, {"retry_after": "12"}, 12),
            ({"detail": "slow down"}, {"retry_after": "Mon, 01 Jan 2001 00:00:00 GMT"}, 1),
            ({"detail": "Your rate limit resets in ~30s."}, {}, 30),
            ({"detail": "Your rate limit resets in ~450ms."}, {}, 1),
            ({"detail": "slow down", "retry_after": 86_400}, {}, 600),
            ({"detail": "slow down", "retry_after": 0}, {}, 1),
            ({"detail": "slow down", "retry_after": "soon"}, {"retry_after": "later"}, None),
            ({"detail": "slow down", "retry_after": True}, {}, None),
            ({"detail": "slow down", "retry_after": -3}, {}, None),
        ],
    )
    def test_says_when_to_come_back(self, body: dict[str, Any], headers: dict[str, str], seconds: float | None) -> None:
        with pytest.raises(RateLimited) as caught:
            answer_to_create(says(429, body, **headers))

        assert caught.value.retry_after == seconds

    @pytest.mark.parametrize(
        ("detail", "per_minute"),
        [
            (LOW_ON_CREDIT, 6),
            ("Rate limit reduced to 1 request per minute while you have less than $5 in credit.", 1),
            ("You may create 6 per minute until you add a payment method.", 6),
            ("You have less than $ 20.00 of credit.", 6),
            ("Your rate limit is 600 requests per minute. It resets in ~7s.", None),
            ("Your rate limit is 0 requests per minute.", None),
            (THROTTLED["detail"], None),
        ],
    )
    def test_says_what_little_an_account_low_on_credit_may(self, detail: str, per_minute: int | None) -> None:
        with pytest.raises(RateLimited) as caught:
            answer_to_create(says(429, {"detail": detail, "status": 429, "retry_after": 7}))

        assert (caught.value.per_minute, caught.value.retry_after) == (per_minute, 7)


class TestGet:
    def test_is_not_repeated_and_sleeps_nowhere_when_throttled(self) -> None:
        with Wire([says(429, THROTTLED, retry_after="30")]) as server, pytest.raises(RateLimited):
            provider(server.url).get("abc")

        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("behaviour", "kind"),
        [
            (says(503, {"detail": "x"}), Unavailable),
            (says(502, b"<html>"), AnswerLost),
            (says(404, b"<html>"), AnswerLost),
            (says(404, {"detail": "x", "status": 404}), NotFound),
            (says(200, PREDICTION | {"id": "another"}), AnswerLost),
            (wire.silent, AnswerLost),
        ],
    )
    def test_says_what_kept_it(self, behaviour: wire.Behaviour, kind: type[Exception]) -> None:
        with Wire([behaviour]) as server, pytest.raises(kind):
            provider(server.url).get(str(PREDICTION["id"]))

    @pytest.mark.parametrize("status", ["aborted", "zzz_new", "canceled"])
    def test_keeps_words_that_the_package_does_not_know(self, status: str) -> None:
        with Wire([says(200, PREDICTION | {"status": status, "deadline": "2026-11-20T10:30:00Z"})]) as server:
            found = provider(server.url).get(str(PREDICTION["id"]))

        assert found.status == status
        assert found.deadline == datetime(2026, 11, 20, 10, 30, tzinfo=UTC)

    def test_escapes_an_id_that_would_be_another_path(self) -> None:
        with Wire([says(404, {"detail": "x"})]) as server, pytest.raises(NotFound):
            provider(server.url).get("../account?x=1")

        assert server.requests[0].path == "/v1/predictions/..%2Faccount%3Fx%3D1"


class TestCancel:
    def test_asks_and_reads_what_may_still_be_unfinished(self) -> None:
        with Wire([says(200, PREDICTION | {"status": "processing"})]) as server:
            found = provider(server.url).cancel(str(PREDICTION["id"]))

        assert (server.requests[0].method, server.requests[0].path) == (
            "POST",
            f"/v1/predictions/{PREDICTION['id']}/cancel",
        )
        assert found.status == "processing"


class TestListSince:
    SINCE = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)

    def listed(self, pages: Callable[[str], list[dict[str, Any]]], **options: Any) -> tuple[list[str], list[str]]:
        with Wire([]) as server:
            server.behaviours += [says(200, page) for page in pages(server.url)]
            found = [item.id for item in provider(server.url, **options).list_since(self.SINCE)]
            return found, [request.path for request in server.requests]

    def test_reads_page_after_page_to_the_end(self) -> None:
        found, paths = self.listed(
            lambda url: [
                {
                    "results": [PREDICTION | {"id": "c"}, PREDICTION | {"id": "b"}],
                    "next": f"{url}/v1/predictions?cursor=2",
                },
                {"results": [PREDICTION | {"id": "a"}], "next": None},
            ]
        )

        assert found == ["c", "b", "a"]
        assert paths == ["/v1/predictions?created_after=2026-11-20T09%3A00%3A00Z", "/v1/predictions?cursor=2"]

    @pytest.mark.parametrize("address", ["http://127.0.0.1:9/v1/predictions?cursor=2", "/relative", 7, "http://[", []])
    def test_does_not_take_the_token_to_another_origin(self, address: object) -> None:
        with pytest.raises(AnswerLost, match="another origin"):
            self.listed(lambda url: [{"results": [], "next": address}])

    @pytest.mark.parametrize("page", [{}, {"results": None}, {"results": [{"status": "starting"}]}, {"results": ["x"]}])
    def test_raises_rather_than_leave_one_out(self, page: dict[str, Any]) -> None:
        with pytest.raises(AnswerLost):
            self.listed(lambda url: [page])

    def test_reads_a_page_of_a_hundred_large_inputs(self) -> None:
        large = PREDICTION | {"input": {"image": "data:image/png;base64," + "A" * 100_000}}

        found, _ = self.listed(lambda url: [{"results": [large] * 100, "next": None}])

        assert len(found) == 100

    def test_raises_when_the_list_goes_round(self) -> None:
        with pytest.raises(AnswerLost, match="did not end"):
            self.listed(lambda url: [{"results": [], "next": f"{url}/v1/predictions?cursor=1"}])

    def test_raises_when_the_list_never_ends(self) -> None:
        with pytest.raises(AnswerLost, match="within 3 pages"):
            self.listed(
                lambda url: [{"results": [], "next": f"{url}/v1/predictions?cursor={n}"} for n in range(9)],
                most_pages=3,
            )


FILE = {"id": "f1", "urls": {"get": "https://api.replicate.com/v1/files/f1"}}


class TestFiles:
    def test_go_up_as_a_named_part(self) -> None:
        with Wire([says(201, FILE)]) as server:
            address = provider(server.url).upload(
                name="Füchse/../im Schnee.PNG.exe", content_type="image/png", file=io.BytesIO(b"\x89PNG pixels")
            )

        (sent,) = server.requests
        assert address == "https://api.replicate.com/v1/files/f1"
        assert (sent.method, sent.path) == ("POST", "/v1/files")
        assert b'name="content"; filename="im-Schnee-PNG.png"' in sent.body
        assert b"Content-Type: image/png" in sent.body
        assert b"\x89PNG pixels" in sent.body
        assert b'name="filename"\r\n\r\nim-Schnee-PNG.png' in sent.body

    @pytest.mark.parametrize("answer", [{}, {"urls": None}, {"urls": {"get": "file:///etc/passwd"}}])
    def test_need_an_address(self, answer: dict[str, Any]) -> None:
        with Wire([says(201, answer)]) as server, pytest.raises(AnswerLost):
            provider(server.url).upload(name="a.png", content_type="image/png", file=io.BytesIO(b"x"))

    def test_go_inline_when_small(self) -> None:
        with Wire([says(500)]) as server:
            given = provider(server.url).as_input(
                name="a.png", content_type="image/png", file=io.BytesIO(b"abc"), size_bytes=3
            )

        assert given == "data:image/png;base64,YWJj"
        assert server.requests == []

    def test_go_up_when_large(self) -> None:
        content = b"x" * (8 * 1024 + 1)

        with Wire([says(201, FILE)]) as server:
            given = provider(server.url).as_input(
                name="a.png", content_type="image/png", file=io.BytesIO(content), size_bytes=len(content)
            )

        assert given == "https://api.replicate.com/v1/files/f1"
        assert content in server.requests[0].body


class TestAccount:
    def test_hands_out_its_webhook_secret(self) -> None:
        with Wire([says(200, {"key": "whsec_abc"})]) as server:
            assert provider(server.url).webhook_secret() == "whsec_abc"

        assert server.requests[0].path == "/v1/webhooks/default/secret"

    def test_with_a_secret_of_another_form_is_not_believed(self) -> None:
        with Wire([says(200, {"key": None})]) as server, pytest.raises(AnswerLost):
            provider(server.url).webhook_secret()

    def test_is_checked_by_its_cheapest_call(self) -> None:
        with Wire([says(401, {"title": "Unauthenticated", "detail": "x"})]) as server, pytest.raises(Unauthenticated):
            provider(server.url).check_account()

        assert server.requests[0].path == "/v1/account"

    def test_tells_which_models_can_be_run(self) -> None:
        with Wire([says(200, {"name": "nano-banana"}), says(404, {"detail": "no", "status": 404})]) as server:
            one = provider(server.url)

            assert one.offers("google/nano-banana")
            assert not one.offers("google/gone")

        assert server.requests[0].path == "/v1/models/google/nano-banana"


class TestThreads:
    def test_share_one_provider(self) -> None:
        with Wire([says(201, PREDICTION)]) as server:
            one = provider(server.url)
            with ThreadPoolExecutor(8) as threads:
                made = [made.id for made in threads.map(lambda _: create(one), range(8))]

        assert made == [PREDICTION["id"]] * 8
        assert len(server.requests) == 8
