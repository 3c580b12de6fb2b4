"""Settings: every missing or bad one is named at once, and no value is repeated."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.settings import CLOUD_HOSTS, Cloud, read_settings
from sso.errors import TenantError

STORAGE = "DefaultEndpointsProtocol=https;AccountName=gatehouse;AccountKey=canary-storage-key;"
GOOD: Mapping[str, str] = {
    "GATEHOUSE_TENANT_ID": "5c0a9cc4-1ba3-4b5e-9f3f-0d1f9c4f5b11",
    "GATEHOUSE_KEY_VAULT_URL": "https://gatehouse.vault.azure.net/",
    "GATEHOUSE_MAIL_SENDER": "gatehouse@contoso.com",
    "GATEHOUSE_PUBLIC_URL": "https://gatehouse.contoso.com",
    "GATEHOUSE_OPERATORS": "identity-team@contoso.com",
    "GATEHOUSE_ORGANISATION": "Contoso",
    "GATEHOUSE_SWEEP_SCHEDULE": "0 */5 * * * *",
    "GATEHOUSE_ROTATION_SCHEDULE": "0 0 * * * *",
    "GATEHOUSE_SUMMARY_SCHEDULE": "0 0 5 * * *",
    "GATEHOUSE_RECONCILE_SCHEDULE": "0 0 3 * * *",
    "AzureWebJobsStorage": STORAGE,
}
REQUIRED = sorted(GOOD)
# A bad value of each setting; the word canary must not come back.
BAD: Mapping[str, str] = {
    "GATEHOUSE_TENANT_ID": "canary",
    "GATEHOUSE_KEY_VAULT_URL": "http://canary.vault.azure.net",
    "GATEHOUSE_MAIL_SENDER": "canary",
    "GATEHOUSE_PUBLIC_URL": "https://gatehouse.contoso.com/canary",
    "GATEHOUSE_OPERATORS": "canary <canary@contoso.com>",
    "GATEHOUSE_ORGANISATION": "canary" * 20,
    "GATEHOUSE_CLOUD": "canary",
    "GATEHOUSE_WAIT_SCALE": "canary",
    "GATEHOUSE_FREEZE": "12-20..01-05 canary",
    "GATEHOUSE_BRAKE_SHARE": "canary",
    "GATEHOUSE_BRAKE_FLOOR": "canary",
    "GATEHOUSE_OFFBOARD_DAYS": "canary",
    "GATEHOUSE_RETENTION_DAYS": "30",
    "GATEHOUSE_ALLOW_PLAIN_SECRETS": "canary",
    "GATEHOUSE_REQUIRE_SIGNED_IN": "canary",
    "GATEHOUSE_GRAPH_URL": "ftp://canary",
    "GATEHOUSE_AUTHORITY_URL": "https://login.example/?canary",
}


def _named(environment: Mapping[str, str]) -> set[str]:
    """The settings that a refusal names."""
    with pytest.raises(TenantError) as refused:
        read_settings(environment)
    assert all(reason.field in str(refused.value) for reason in refused.value.reasons)
    assert "canary" not in str(refused.value)
    return {reason.field for reason in refused.value.reasons}


def test_whole_settings_are_read() -> None:
    """A deployment with the required settings is taken, with a default for everything else."""
    settings = read_settings(GOOD)
    assert settings.vault_url == "https://gatehouse.vault.azure.net"
    assert (settings.cloud, settings.wait_scale) == ("global", 1.0)
    assert not settings.allow_plain_secrets
    assert not settings.require_signed_in
    assert settings.consent_scopes == frozenset()
    assert (settings.offboard_days, settings.retention_days) == (14, 400)
    assert (settings.freeze, settings.brake_share, settings.brake_floor) == ((), 0.2, 10)


def test_empty_environment_names_every_required_setting() -> None:
    """One message names all that a new deployment needs."""
    assert _named({}) == set(REQUIRED)


@given(st.sets(st.sampled_from(REQUIRED), min_size=1))
def test_every_missing_setting_is_named_and_no_other(missing: set[str]) -> None:
    """Whichever are missing, exactly these are named."""
    assert _named({name: value for name, value in GOOD.items() if name not in missing}) == missing


@given(st.sets(st.sampled_from(sorted(BAD)), min_size=1), st.booleans())
def test_every_bad_setting_is_named_without_its_value(bad: set[str], lacks_organisation: bool) -> None:
    """Bad and missing ones are named together, and no value is repeated: one may hold a key."""
    environment = {**GOOD, **{name: BAD[name] for name in bad}}
    expected = set(bad)
    if lacks_organisation:
        environment.pop("GATEHOUSE_ORGANISATION")
        expected |= {"GATEHOUSE_ORGANISATION"}
    assert _named(environment) == expected


@pytest.mark.parametrize("name", REQUIRED)
def test_empty_setting_is_a_missing_one(name: str) -> None:
    """A portal keeps a cleared setting as an empty text; it counts as unset."""
    assert name in _named({**GOOD, name: ""})


@pytest.mark.parametrize(
    "storage",
    [
        {"AzureWebJobsStorage__accountName": "gatehouse"},
        {
            "AzureWebJobsStorage__queueServiceUri": "https://gatehouse.queue.core.windows.net",
            "AzureWebJobsStorage__tableServiceUri": "https://gatehouse.table.core.windows.net",
        },
    ],
)
def test_storage_is_found_as_the_host_finds_it(storage: dict[str, str]) -> None:
    """Without a connection string the account's name or both addresses open it by the identity."""
    others = {name: value for name, value in GOOD.items() if name != "AzureWebJobsStorage"}
    settings = read_settings(others | storage)
    assert settings.storage is None
    assert settings.queue_endpoint == "https://gatehouse.queue.core.windows.net"
    assert settings.table_endpoint == "https://gatehouse.table.core.windows.net"


@pytest.mark.parametrize("cloud", sorted(CLOUD_HOSTS))
def test_each_cloud_has_its_own_hosts(cloud: Cloud) -> None:
    """Graph, authority and SAML issuer follow the cloud; an override wins."""
    settings = read_settings({**GOOD, "GATEHOUSE_CLOUD": cloud})
    assert (settings.graph_url, settings.authority_url) == CLOUD_HOSTS[cloud]
    overridden = read_settings({**GOOD, "GATEHOUSE_CLOUD": cloud, "GATEHOUSE_GRAPH_URL": "https://127.0.0.1:9/"})
    assert overridden.graph_url == "https://127.0.0.1:9"
    assert settings.entity_id.endswith(f"/{settings.tenant_id}/")
    assert ("chinacloudapi" in settings.entity_id) == (cloud == "china")


@pytest.mark.parametrize("text", ["12-20..01-05 sat..sun", "12-20..01-05,sat..sun", " 12-20..01-05,  sat..sun "])
def test_freezes_are_windows(text: str) -> None:
    """Windows may be parted by spaces or commas."""
    assert read_settings({**GOOD, "GATEHOUSE_FREEZE": text}).freeze == ("12-20..01-05", "sat..sun")


@pytest.mark.parametrize(
    "text", ["Calendars.Read Mail.Read", "Calendars.Read,Mail.Read", " Calendars.Read,  Mail.Read "]
)
def test_consent_scopes_are_words(text: str) -> None:
    """Scopes may be parted by spaces or commas."""
    settings = read_settings({**GOOD, "GATEHOUSE_CONSENT_SCOPES": text})
    assert settings.consent_scopes == {"Calendars.Read", "Mail.Read"}
