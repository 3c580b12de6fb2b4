"""What people see of a credential: every state once, and what is waited for stands beside the right one."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pytest

from sso.credentials import CERTIFICATE_STATES, SECRET_STATES, Credential, credentials_of, waiting_on
from sso.model import KeyId, PasswordCredential, Thumbprint, TokenSigningCertificate, VaultVersion
from sso.observed import Observed
from sso.operation import Waiting, What
from tests.docs.reading import CLONE, code, document, rows, section
from tests.rules.paper import CATALOG, NOW, complete
from tests.rules.test_summary import operation

DAY = timedelta(days=1)
STATES = {*SECRET_STATES, *CERTIFICATE_STATES}


def secrets() -> Observed:
    """SmartTrace with a secret in every state there is."""
    observed = complete("smarttrace").observed
    key = observed.key

    def version(name: str, secret: str, age: int, *, enabled: bool = True) -> VaultVersion:
        return VaultVersion(name, f"v-{secret}", enabled, KeyId(secret), NOW - age * DAY, None)

    passwords = [
        PasswordCredential(KeyId(name), mark, NOW - age * DAY, NOW + left * DAY)
        for name, age, left, mark in (
            ("staged", 0, 180, f"{key.marker} 2026-09-01"),
            ("current", 100, 80, key.marker),
            ("previous", 150, 30, key.marker),
            ("ended", 181, -1, key.marker),
            ("value lost", 9, 170, key.marker),
            ("foreign", 9, 170, "made by hand"),
        )
    ]
    assert observed.application is not None
    return replace(
        observed,
        application=replace(observed.application, passwords=tuple(passwords)),
        versions=(
            version(key.staged_secret_name, "staged", 0),
            version(key.secret_name, "current", 100),
            version(key.secret_name, "previous", 150),
            version(key.secret_name, "ended", 181),
        ),
    )


def certificates() -> Observed:
    """ClickTime with a certificate in every state there is."""
    observed = complete("clicktime").observed
    assert observed.service_principal is not None
    [ours] = observed.service_principal.certificates
    made = [
        TokenSigningCertificate(Thumbprint(name), subject, NOW + begins * DAY, NOW + left * DAY, b"")
        for name, begins, left, subject in (
            ("active", -900, 195, ours.display_name),
            ("next", -1, 1094, ours.display_name),
            ("previous", -1000, 95, ours.display_name),
            ("ended", -1096, -1, ours.display_name),
            ("foreign", -1, 1094, "CN=Microsoft Azure Federated SSO Certificate"),
        )
    ]
    active = Thumbprint("active")
    found = replace(observed.service_principal, certificates=tuple(made), active_thumbprint=active)
    return replace(observed, service_principal=found)


@pytest.mark.parametrize(("vendor", "states"), [("smarttrace", SECRET_STATES), ("clicktime", CERTIFICATE_STATES)])
def test_every_state_is_seen_where_it_holds(vendor: str, states: tuple[str, ...]) -> None:
    """Each credential has the state it is named after here, and only those with our mark are ours."""
    observed = secrets() if vendor == "smarttrace" else certificates()
    found = {c.id: (c.state, c.ours) for c in credentials_of(CATALOG.load(vendor), observed, NOW)}
    assert found == {state: (state, state != "foreign") for state in states}


def test_an_active_certificate_that_has_ended_or_is_not_ours_still_signs() -> None:
    """What signs is active, whoever made it and however old it is; before one is active, ours are next."""
    observed = certificates()
    assert observed.service_principal is not None
    for name in ("foreign", "ended"):
        active = replace(observed.service_principal, active_thumbprint=Thumbprint(name))
        found = credentials_of(CATALOG.load("clicktime"), replace(observed, service_principal=active), NOW)
        assert {c.id for c in found if c.state == "active"} == {name}
    none = replace(observed.service_principal, active_thumbprint=None)
    found = credentials_of(CATALOG.load("clicktime"), replace(observed, service_principal=none), NOW)
    assert {c.state for c in found} == {"next", "ended", "foreign"}


def waits(observed: Observed, among: tuple[Credential, ...], *waiting: Waiting) -> dict[str, str]:
    """Which credential shows which wait, of operations newest first."""
    unfinished = [operation(waiting_for=entry, request={"rotation": {"succeeds": "previous"}}) for entry in waiting]
    found = {c.id: waiting_on(c, among, observed, unfinished) for c in among}
    return {name: entry.what for name, entry in found.items() if entry}


def test_a_wait_stands_beside_what_it_holds_up() -> None:
    """An acknowledgement is of what the page told; a pause is of the credential to come, else of the one to go."""
    observed = secrets()
    assert observed.page is not None
    observed = replace(observed, page=replace(observed.page, credential="current"))
    every = credentials_of(CATALOG.load("smarttrace"), observed, NOW)
    settled = tuple(c for c in every if c.state != "staged")
    acknowledgement, overlap = Waiting("acknowledgement", "the owner", NOW), Waiting("time", "the overlap", NOW)
    throttling = Waiting("throttling", "the tenant", NOW)
    assert waits(observed, every, acknowledgement) == {"current": "acknowledgement"}
    assert waits(observed, settled, overlap) == {"previous": "time"}
    assert waits(observed, every, throttling) == {"staged": "throttling"}
    assert waits(observed, settled, overlap, acknowledgement) == {"previous": "time", "current": "acknowledgement"}
    assert waits(observed, every) == {}
    assert observed.page is not None
    unnamed = replace(observed, page=replace(observed.page, credential=None))
    assert waits(unnamed, every, acknowledgement) == {"previous": "acknowledgement"}


def test_states_are_documented_where_people_look() -> None:
    """README and published schema name every state of the code, and no other."""
    table = rows(section(document("README.md"), "States of a credential"))
    shown: dict[str, set[str]] = {"secret": set(), "certificate": set()}
    for state, of, _ in table:
        for kind in of.split(" and "):
            shown[kind].add(code(state)[0])
    assert shown == {"secret": set(SECRET_STATES), "certificate": set(CERTIFICATE_STATES)}
    schema: dict[str, Any] = json.loads((CLONE / "docs" / "api.schema.json").read_text("utf-8"))["$defs"]
    state = schema["credential"]["properties"]["state"]
    assert set(state["enum"]) == STATES
    assert all(f"{name}:" in state["description"] for name in STATES)
    assert set(schema["waiting"]["properties"]["what"]["enum"]) == set(get_args(What))
