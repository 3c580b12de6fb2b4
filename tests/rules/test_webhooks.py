"""Webhooks proved over the bytes that came: signatures, keys, clocks; and BambooHR's words read as events."""

import copy
import pickle
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.hr_system import encoded, sign
from sso.bamboohr import read_bamboohr
from sso.cloudevents import read_events
from sso.errors import Refused, TenantError
from sso.hr import Event
from sso.webhooks import Delivery, WebhookKey, verify_bamboohr, verify_standard
from tests.people.hr_system import BAMBOO_KEY, KEY, bamboohr, delivery, event

NOW = datetime(2026, 7, 1, 8, tzinfo=UTC)
OLDER, STRANGE = b"the key that was used before this", b"a key that somebody else has made"
KEYS = [WebhookKey.of("hr-events", encoded(KEY)), WebhookKey.of("hr-events", encoded(OLDER))]
BAMBOO_KEYS = [WebhookKey.of("bamboohr", BAMBOO_KEY)]
SAID = delivery(event("mover", NOW), NOW)


def test_example_of_the_specification_is_verified() -> None:
    """Key, message and signature that the specification prints fit together."""
    # github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, symmetric example
    key = WebhookKey.of("hr-events", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    then = datetime.fromtimestamp(1614265330, UTC)
    assert verify_standard(Delivery(headers, body), [key], then) == headers["webhook-id"]


@pytest.mark.parametrize("keys", [[KEY], [OLDER], [STRANGE, OLDER], [KEY, OLDER]], ids=["new", "old", "two", "both"])
def test_either_key_and_any_signature_will_do(keys: list[bytes]) -> None:
    """The newest and the previous key are taken, and one right signature among several is enough."""
    headers = sign(SAID.body, "msg_1", NOW, keys)
    assert verify_standard(Delivery(headers, SAID.body), KEYS, NOW) == "msg_1"


def _changed(**headers: str) -> Delivery:
    return Delivery({**SAID.headers, **headers}, SAID.body)


CASES: Mapping[str, tuple[Delivery, str]] = {
    "a key of somebody else": (_changed(**sign(SAID.body, "msg_1", NOW, [STRANGE])), "webhook-signature"),
    "a changed body": (Delivery(SAID.headers, SAID.body + b" "), "webhook-signature"),
    "a changed id": (_changed(**{"webhook-id": "msg_2"}), "webhook-signature"),
    "a changed time": (_changed(**{"webhook-timestamp": str(int(NOW.timestamp()) + 1)}), "webhook-signature"),
    "no signature": (_changed(**{"webhook-signature": ""}), "webhook-signature"),
    "a signature of another scheme": (_changed(**{"webhook-signature": "v1a,AAAA"}), "webhook-signature"),
    "a signature that is no base64": (_changed(**{"webhook-signature": "v1,%%%"}), "webhook-signature"),
    "too long a header": (_changed(**{"webhook-signature": "v1,AAAA " * 600}), "webhook-signature"),
    "an id that is no text": (_changed(**{"webhook-id": "msg\u202e1"}), "webhook-id"),
    "no id": (_changed(**{"webhook-id": ""}), "webhook-id"),
    "a moment of long ago": (
        _changed(**sign(SAID.body, "msg_1", NOW - timedelta(seconds=301), [KEY])),
        "webhook-timestamp",
    ),
    "a moment to come": (
        _changed(**sign(SAID.body, "msg_1", NOW + timedelta(seconds=301), [KEY])),
        "webhook-timestamp",
    ),
}


@pytest.mark.parametrize(("given", "header"), CASES.values(), ids=CASES)
def test_delivery_that_proves_nothing_is_refused(given: Delivery, header: str) -> None:
    """Whatever is not right is refused with 401 and the header to blame."""
    with pytest.raises(Refused) as refused:
        verify_standard(given, KEYS, NOW)
    assert (refused.value.status, [reason.field for reason in refused.value.reasons]) == (401, [header])


@pytest.mark.parametrize("value", ["", "whsec_", "whsec_c2hvcnQ=", "no base64 at all %", "whsec_" + "A" * 28])
def test_value_that_is_no_key_is_an_operators_matter(value: str) -> None:
    """A vault secret that cannot be a key is named, and nothing is verified with it."""
    with pytest.raises(TenantError, match="gatehouse-webhook-hr-events"):
        WebhookKey.of("hr-events", value)


def test_key_cannot_be_read_back() -> None:
    """A key prints as nothing and is neither copied nor pickled."""
    assert repr(KEYS[0]) == str(KEYS[0]) == f"{KEYS[0]}" == "<webhook key>"
    for write in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            write(KEYS[0])


def test_media_types() -> None:
    """Structured and batch are read; binary mode and anything else are refused with 415."""
    assert isinstance(read_events(SAID, NOW)[0], Event)
    for headers, word in (
        ({"content-type": "application/json", "ce-specversion": "1.0"}, "binary"),
        ({"content-type": "application/json"}, "application/json"),
        ({}, "''"),
    ):
        with pytest.raises(Refused, match=word) as refused:
            read_events(Delivery(headers, SAID.body), NOW)
        assert refused.value.status == 415


def test_batch_keeps_good_events_beside_broken_ones() -> None:
    """A broken event stands in the list as its refusal; a batch of none, of too many or of broken ones is refused."""
    good, broken = event("mover", NOW), {"specversion": "1.0"}
    read = read_events(delivery([good, broken], NOW), NOW)
    assert [type(one) for one in read] == [Event, Refused]
    for batch in ([], [good] * 51, [broken, 7], {"0": good}):
        said = Delivery({"content-type": "application/cloudevents-batch+json"}, delivery(batch, NOW).body)
        with pytest.raises(Refused) as refused:
            read_events(said, NOW)
        assert refused.value.status == 400


# BambooHR


def _employee(**changes: Any) -> dict[str, Any]:
    fields = {"Work Email": "b.simon@contoso.com", "Department": "Sales", "Job Title": "Lead", "Status": "Active"}
    employee = {
        "id": "123",
        "action": "Updated",
        "timestamp": "2026-07-01T07:59:00+0000",
        "changedFields": ["Department"],
        "fields": {**fields, **changes.pop("fields", {})},
    }
    return {**employee, **changes}


def test_bamboohr_is_proved_by_its_own_headers() -> None:
    """Body and timestamp are signed in hexadecimal; a second delivery of the same body has the same name."""
    first, again = bamboohr([_employee()], NOW), bamboohr([_employee()], NOW + timedelta(minutes=2))
    assert verify_bamboohr(first, BAMBOO_KEYS, NOW) == verify_bamboohr(again, BAMBOO_KEYS, NOW)
    for given, header in (
        (bamboohr([_employee()], NOW, "another key"), "x-bamboohr-signature"),
        (Delivery(first.headers, first.body + b" "), "x-bamboohr-signature"),
        (Delivery({**first.headers, "x-bamboohr-signature": "zz"}, first.body), "x-bamboohr-signature"),
        (bamboohr([_employee()], NOW - timedelta(minutes=6)), "x-bamboohr-timestamp"),
        (Delivery({}, first.body), "x-bamboohr-signature"),
    ):
        with pytest.raises(Refused) as refused:
            verify_bamboohr(given, BAMBOO_KEYS, NOW)
        assert (refused.value.status, refused.value.reasons[0].field) == (401, header)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "mover"),
        ({"changedFields": ["Hire Date"], "fields": {"Hire Date": "2026-07-15"}}, "joiner"),
        ({"changedFields": ["Status"], "fields": {"Status": "Inactive"}}, "leaver"),
        ({"changedFields": ["Job Title"], "fields": {"Status": {"value": "Inactive"}}}, "leaver"),
        ({"changedFields": ["status"]}, "rehire"),
        ({"action": "Deleted"}, "leaver"),
    ],
)
def test_what_changed_at_bamboohr_says_what_happened(changes: dict[str, Any], kind: str) -> None:
    """Status, hire date and action tell the kind; the posted fields become attributes, by Graph's names."""
    (read,) = read_bamboohr(bamboohr([_employee(**changes)], NOW), NOW)
    assert isinstance(read, Event)
    assert read.fact.kind == kind
    assert read.fact.subject == "b.simon@contoso.com"
    assert read.fact.time == datetime(2026, 7, 1, 7, 59, tzinfo=UTC)
    assert read.fact.attributes == {"department": "Sales", "jobTitle": "Lead"}
    assert read.fact.effective == (datetime(2026, 7, 15, tzinfo=UTC) if kind == "joiner" else read.fact.time)


def test_bamboohr_that_names_nobody() -> None:
    """A creation without fields says nothing yet; a deletion or update without an address is refused in words."""
    empty = {"id": "9", "changedFields": [], "fields": {}, "timestamp": "2026-07-01T07:59:00+0000"}
    read = read_bamboohr(
        bamboohr([{**empty, "action": "Created"}, {**empty, "action": "Deleted"}, {"fields": 7}], NOW), NOW
    )
    assert [type(one) for one in read] == [Refused, Refused]
    assert "employee 9 without Work Email" in str(read[0])
    for body in (b'{"type": "employee.updated"}', b"[]", b"{", b'{"employees": []}'):
        with pytest.raises(Refused) as refused:
            read_bamboohr(Delivery({}, body), NOW)
        assert refused.value.status == 400
