"""The adapter and the bundled sandbox understand each other: one prediction's whole life, and its faults."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from generation import catalog
from generation.catalog import ModelSpec
from generation.providers.base import (
    AnswerLost,
    InputRefused,
    NoCredit,
    NotFound,
    ProviderPrediction,
    RateLimited,
    Unavailable,
)
from generation.providers.replicate import ReplicateProvider
from generation.sandbox.models import model_of
from generation.sandbox.running import RunningSandbox

TIMEOUT = httpx.Timeout(connect=1, read=0.5, write=1, pool=1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with RunningSandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
def sandbox(running: RunningSandbox) -> RunningSandbox:
    running.clear_faults()
    running.clear_log()
    return running


@pytest.fixture
def provider(sandbox: RunningSandbox) -> ReplicateProvider:
    return ReplicateProvider(name="sandbox", base_url=sandbox.url, token="sandbox", timeout=TIMEOUT)


def create(provider: ReplicateProvider, prompt: str = "a fox", model: str = "google/nano-banana") -> ProviderPrediction:
    inputs = catalog.parse(catalog.get(model), {"prompt": prompt}).inputs
    return provider.create(model=model, input=inputs, cancel_after_seconds=1600, webhook=None)


class TestLife:
    @pytest.mark.parametrize("spec", catalog.all_models(), ids=lambda spec: spec.id)
    def test_of_every_model_ends_in_addresses_and_a_figure_to_settle_by(
        self, sandbox: RunningSandbox, provider: ReplicateProvider, spec: ModelSpec
    ) -> None:
        made = create(provider, model=spec.id)
        sandbox.wait_until(lambda: provider.get(made.id).status == "succeeded", seconds=20)

        found = provider.get(made.id)
        assert found.model == spec.id
        assert found.input["prompt"] == "a fox"
        assert len(catalog.read_output(found.output)) == 1
        assert found.metrics.keys() & {"image_output_count", "video_output_duration_seconds"}
        assert found.started_at and found.completed_at

    def test_shows_its_deadline_to_the_second(self, provider: ReplicateProvider) -> None:
        made = create(provider)

        assert made.deadline and made.created_at
        assert made.deadline - made.created_at == timedelta(seconds=1600)

    def test_is_listed_over_all_pages(self, provider: ReplicateProvider) -> None:
        since = datetime.now(UTC) - timedelta(minutes=1)
        made = [create(provider, f"fox {n}").id for n in range(101)]

        listed = [item.id for item in provider.list_since(since)]
        assert listed[:101] == made[::-1]

    def test_takes_references_as_files(self, provider: ReplicateProvider) -> None:
        address = provider.upload(name="fox.png", content_type="image/png", file=io.BytesIO(b"\x89PNG" * 9000))

        made = provider.create(
            model="google/nano-banana",
            input={"prompt": "a fox", "image_input": [address]},
            cancel_after_seconds=1600,
            webhook=None,
        )
        assert made.input["image_input"] == [address]


class TestSchemas:
    """The sandbox's record of the published schemas was written down apart from the catalog."""

    @pytest.mark.parametrize("spec", catalog.all_models(), ids=lambda spec: spec.id)
    def test_agree_with_the_catalog(self, spec: ModelSpec) -> None:
        published = model_of(spec.id).input

        for field in spec.fields:
            record = published[field.name]
            assert bool(record.get("required")) == field.required, field.name
            assert record.get("default") in (field.default, []), field.name
            assert tuple(record.get("choices", ())) == field.choices, field.name
            if field.kind == "integer":
                assert (record.get("least"), record.get("most")) == (field.least, field.most), field.name


class TestAccount:
    def test_is_there(self, sandbox: RunningSandbox, provider: ReplicateProvider) -> None:
        provider.check_account()

        assert provider.webhook_secret() == sandbox.secret
        assert provider.offers("bytedance/seedance-1-lite")


class TestFaults:
    def test_lose_the_answer_but_not_the_prediction(self, sandbox: RunningSandbox, provider: ReplicateProvider) -> None:
        sandbox.add_fault({"answer": {"kind": "lost"}})

        with pytest.raises(AnswerLost):
            create(provider, "a lost fox")

        newest = next(iter(provider.list_since(datetime.now(UTC) - timedelta(minutes=1))))
        assert newest.input["prompt"] == "a lost fox"

    @pytest.mark.parametrize(
        ("status", "kind"),
        [(402, NoCredit), (404, NotFound), (422, InputRefused), (429, RateLimited), (503, Unavailable)],
    )
    def test_refuse_cleanly(
        self, sandbox: RunningSandbox, provider: ReplicateProvider, status: int, kind: type[Exception]
    ) -> None:
        sandbox.add_fault({"answer": {"kind": "refuse", "status": status}})

        with pytest.raises(kind):
            create(provider, f"a fox refused by {status}")

        assert f"a fox refused by {status}" not in {item.input.get("prompt") for item in sandbox.predictions()}

    def test_are_told_field_by_field(self, provider: ReplicateProvider) -> None:
        with pytest.raises(InputRefused) as caught:
            provider.create(
                model="bytedance/seedance-1-lite",
                input={"prompt": "a fox", "duration": 500},
                cancel_after_seconds=1600,
                webhook=None,
            )

        assert caught.value.invalid_fields.keys() == {"duration"}

    @pytest.mark.parametrize("status", ["aborted", "zzz_new"])
    def test_say_words_that_the_package_does_not_know(
        self, sandbox: RunningSandbox, provider: ReplicateProvider, status: str
    ) -> None:
        fault = {"status": status} if status == "aborted" else {"running_as": status, "hang": True}
        sandbox.add_fault({"outcome": fault})
        made = create(provider)

        sandbox.wait_until(lambda: provider.get(made.id).status == status)
