"""F20 to F23: whose word is taken at the provider's door, and for how long."""

from collections.abc import Callable
from contextlib import suppress

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import Alert
from generation.models import ProviderState, WebhookDelivery
from generation.sandbox.webhooks import new_secret
from generation.tests.torture import oracle
from generation.tests.torture.deliveries import PATH, Delivery, news, sent, signed
from generation.tests.torture.scene import Scene, ago, within
from generation.tests.torture.surroundings import faked_clock

pytestmark = pytest.mark.django_db(transaction=True)
BODY = b'{"id": "p1", "status": "starting"}'
NOON = 1_784_203_200  # 2026-07-16 12:00:00 UTC


def delivery(scene: Scene, *, at: float | None = None) -> Delivery:
    """Rightly signed, to nobody's address."""
    return signed(BODY, secret=scene.sandbox.secret, at=at)


STRANGER = "v1," + "A" * 43 + "="
FORGED: dict[str, Callable[[Delivery], Delivery]] = {
    "no id": lambda good: good.under(webhook_id=""),
    "no timestamp": lambda good: good.under(webhook_timestamp=""),
    "no signature": lambda good: good.under(webhook_signature=""),
    "another's key": lambda good: signed(good.body, secret=new_secret()),
    "another id": lambda good: good.under(webhook_id="msg_other"),
    "another time": lambda good: good.under(webhook_timestamp=str(int(good.headers["webhook-timestamp"]) - 1)),
    "another body": lambda good: Delivery(good.address, good.body + b" ", good.headers),
    "v1a alone": lambda good: good.under(webhook_signature="v1a" + good.headers["webhook-signature"][2:]),
    "no comma": lambda good: good.under(webhook_signature=good.headers["webhook-signature"].replace(",", "")),
    "no base64": lambda good: good.under(webhook_signature="v1,%%%"),
    "half a base64": lambda good: good.under(webhook_signature="v1,A"),
    "nothing after the comma": lambda good: good.under(webhook_signature="v1,"),
    "a thousand strangers": lambda good: good.under(webhook_signature=" ".join(["v1,AAAA"] * 1000)),
    "a word for a time": lambda good: good.under(webhook_timestamp="soon"),
    "no number for a time": lambda good: good.under(webhook_timestamp="nan"),
    "a time without end": lambda good: good.under(webhook_timestamp="inf"),
    "forty digits": lambda good: good.under(webhook_timestamp="9" * 40),
    "before all time": lambda good: good.under(webhook_timestamp="-" + "9" * 20),
}


class TestAForgery:
    @pytest.mark.row("F20")
    def test_of_any_kind_is_refused_and_not_kept(self, scene: Scene) -> None:
        good = delivery(scene)

        answers = {name: forge(good).to(scene.web) for name, forge in FORGED.items()}

        assert answers == dict.fromkeys(FORGED, 400)
        assert not WebhookDelivery.objects.exists()
        assert good.to(scene.web) == 204
        scene.note(oracle.check(scene))

    @pytest.mark.row("F20")
    def test_among_thirty_one_hides_no_good_signature_and_more_are_not_looked_at(self, scene: Scene) -> None:
        def behind(strangers: int) -> int:
            good = delivery(scene)
            own = good.headers["webhook-signature"]
            return good.under(webhook_signature=" ".join([STRANGER] * strangers + [own])).to(scene.web)

        assert (behind(31), behind(32)) == (204, 400)
        scene.note(oracle.check(scene))

    @pytest.mark.row("F20")
    def test_that_is_malformed_hides_no_good_signature_beside_it(self, scene: Scene) -> None:
        good = delivery(scene)
        own = good.headers["webhook-signature"]

        assert good.under(webhook_signature=f"v1,A {own}").to(scene.web) == 204
        scene.note(oracle.check(scene))

    @pytest.mark.row("F20")
    def test_ten_thousand_times_in_one_header_harms_nobody(self, scene: Scene) -> None:
        with within(5), suppress(requests.ConnectionError):
            assert delivery(scene).under(webhook_signature=" ".join(["v1,AAAA"] * 10_000)).to(scene.web) == 400

        assert not WebhookDelivery.objects.exists()
        assert delivery(scene).to(scene.web) == 204
        scene.note(oracle.check(scene))

    @pytest.mark.row("F20")
    def test_drawn_by_chance_is_never_an_error_of_ours(self, scene: Scene) -> None:
        own = delivery(scene).headers
        odd = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=80)
        names = ("webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "content-encoding")
        values = st.one_of(odd, st.sampled_from([*own.values(), STRANGER, "v1,A " + own["webhook-signature"]]))

        @settings(max_examples=60)
        @given(st.dictionaries(st.sampled_from(names), values), st.binary(max_size=200))
        def knock(headers: dict[str, str], body: bytes) -> None:
            latin = {name: value.strip().encode("latin-1") for name, value in headers.items()}
            answer = requests.post(scene.web.url + PATH, data=body, headers={**own, **latin}, timeout=30)
            assert answer.status_code in {204, 400, 413}

        knock()
        scene.note(oracle.check(scene))


class TestARepeat:
    @pytest.mark.row("F21")
    def test_is_good_for_five_minutes_and_not_a_second_longer(self, scene: Scene) -> None:
        web = scene.another_web(TZ="UTC", **faked_clock("2026-07-16 12:00:00"))

        answers = {age: delivery(scene, at=NOON - age).to(web) for age in (-301, -300, 0, 300, 301)}

        assert answers == {-301: 400, -300: 204, 0: 204, 300: 204, 301: 400}
        assert WebhookDelivery.objects.count() == 3
        scene.note(oracle.check(scene))

    @pytest.mark.row("F21")
    def test_six_minutes_later_is_refused_though_it_was_good_before(self, scene: Scene) -> None:
        [prediction] = sent(scene)
        good = news(scene, prediction)
        assert good.to(scene.web) == 204

        assert good.to(scene.another_web(**faked_clock("+6m"))) == 400

        assert WebhookDelivery.objects.count() == 1
        scene.worker()
        scene.settle()
        scene.note(oracle.check(scene))


class TestOurClock:
    @pytest.mark.row("F22")
    @pytest.mark.parametrize("offset", ["+10m", "-10m"])
    def test_being_wrong_lets_polling_do_the_work_and_is_told(self, scene: Scene, offset: str) -> None:
        web = scene.another_web(**faked_clock(offset))
        scene.sandbox.add_fault({"seconds": {"run": 1}})
        prediction = scene.ask()

        scene.worker(PUBLIC_URL=web.url)
        scene.wait(lambda: 400 in [entry["status"] for entry in scene.sandbox.log("webhook")])
        scene.wait(lambda: Alert.objects.filter(name="webhook_rejected_skew", over_at=None).exists())
        assert not WebhookDelivery.objects.exists()
        scene.lapse(11)
        scene.settle()

        assert scene.status(prediction) == "succeeded"
        assert scene.sandbox.log("get")
        scene.note(oracle.check(scene))


class TestSecrets:
    @pytest.mark.row("F23")
    def test_of_either_kind_are_good_until_the_old_one_is_retired(self, scene: Scene) -> None:
        old, new = new_secret(), new_secret()
        both = scene.another_web(REPLICATE_WEBHOOK_SECRET=f"{new},{old}")
        later = scene.another_web(REPLICATE_WEBHOOK_SECRET=new)

        answers = [signed(BODY, secret=secret).to(web) for web in (both, later) for secret in (old, new)]

        assert answers == [204, 204, 400, 204]
        scene.note(oracle.check(scene))

    @pytest.mark.row("F23")
    def test_are_asked_for_hourly_and_the_one_before_stays_good(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        secrets = [scene.sandbox.secret, new_secret(), new_secret()]
        ProviderState.objects.update(webhook_secrets=[], secrets_read_at=None)
        assert signed(BODY, secret=secrets[0]).to(scene.web) == 503
        answers = []

        for secret in secrets:
            monkeypatch.setattr(scene.sandbox.sandbox, "secret", secret)
            scene.lapse(3601)
            scene.worker(lanes="chores")
            scene.wait(lambda: ProviderState.objects.filter(secrets_read_at__gt=ago(3600)).exists())
            scene.stop_workers()
            answers.append([signed(BODY, secret=known).to(scene.web) for known in secrets])

        assert answers == [[204, 400, 400], [204, 204, 400], [400, 204, 204]]
        monkeypatch.undo()
        scene.note(oracle.check(scene))
