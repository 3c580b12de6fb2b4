"""No field of a profile is idle: each one, changed, changes what is planned, told or refused."""

import typing
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import UnionType
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from sso.check import DirectoryFacts, check
from sso.deployment import Deployment
from sso.handoff_letters import compose_code, compose_handoff
from sso.letters import Organisation
from sso.model import key_of
from sso.onboarding import plan
from sso.request import Onboarding, parse
from sso.told import handoff
from tests.rules.paper import DEPLOYMENT, NOW, OWNER, PEOPLE, Paper, nothing
from tests.vendors.pinned import vendor
from tests.vendors.samples import OIDC, SAML, changed, toml
from vendors.catalog import Catalog
from vendors.parsing import parse_profile
from vendors.profile import OidcProfile, Profile, SamlProfile
from vendors.slug import parse_slug

SLUG = parse_slug("paperweight")
KEY = key_of(SLUG, "default")
PARAMETERS = {"Tenant": "contoso", "Region": "eu"}
OPEN_HEARTED = replace(DEPLOYMENT, allow_plain_secrets=True)
ORGANISATION = Organisation("Contoso", "gatehouse@contoso.com", DEPLOYMENT.tenant_id, DEPLOYMENT.operators)
PINNED = "0d0c5f0e-3d2a-4a52-9a59-6c1c2a9f6a01"

# Where a field stands, and another value that the schema takes.
OIDC_CHANGES: Mapping[str, Any] = {
    "name": "Papierschwer",
    "guide": "https://docs.paperweight.example/other",
    "instances": "one",
    "source.gallery": "Paperweight Two",
    "source.template_id": PINNED,
    "parameters.Tenant.title": "Name of the tenant",
    "parameters.Tenant.pattern": "[a-z]{1,3}",
    "parameters.Region.from": "request",
    "oidc.redirect_uris": ["https://{Tenant}.paperweight.example/{Region}/other"],
    "oidc.front_channel_logout_url": "https://paperweight.example/bye?tenant={Tenant}",
    "oidc.scopes": ["openid"],
    "oidc.sign_on_url": "https://{Tenant}.paperweight.example/start",
    "oidc.secret.lifetime_days": 91,
    "oidc.secret.renew_before_days": None,  # of the rotation, in test_succession.py
    "oidc.secret.overlap_days": None,  # the same
    "oidc.secret.remind_days": None,  # the same
    "handoff.to": {"to": "owner"},
    "handoff.contact": "help@paperweight.example",
    "handoff.code_to": "bob@paperweight.example",
    "handoff.deliver": ["client_id", "tenant_id", "client_secret"],
    "handoff.fields": {"tenant_id": "Directory", "client_id": "Client ID", "client_secret": "Secret"},
    "handoff.steps": ["Open Settings.", "Enter the values, then save."],
    "handoff.valid_days": 6,
    "handoff.freeze": None,  # of the rotation, in test_freeze.py
    "handoff.plain": True,
    "handoff.smime.certificate": vendor("support@paperweight.example").certificate,
    "people.provisioning": "manual",
    "people.assignment_required": False,
    "people.role": "Editor",
    "people.account": None,  # of a joiner, in tests/people
    "people.authoritative": None,  # of the entitlements, in test_decision.py
}
SAML_CHANGES: Mapping[str, Any] = {
    "name": "Tintenfass",
    "guide": "https://docs.inkwell.example/other",
    "instances": "many",
    "source.gallery": None,  # idle where template_id pins the template
    "source.template_id": PINNED,
    "parameters.Tenant.title": "Name of the tenant",
    "parameters.Tenant.pattern": "[a-z]{1,3}",
    "parameters.Tenant.from": "vendor",
    "saml.identifiers": ["https://inkwell.example/{Tenant}"],
    "saml.reply_urls": ["https://inkwell.example/{Tenant}/acs2"],
    "saml.initiated_by": "sp",
    "saml.sign_on_url": "https://inkwell.example/{Tenant}/start",
    "saml.logout_url": "https://inkwell.example/{Tenant}/bye",
    "saml.relay_state": "https://inkwell.example/{Tenant}/away",
    "saml.certificate.lifetime_days": 366,
    "saml.certificate.rollover": None,  # of the rollover, in tests/stories/test_rollover.py
    "saml.certificate.poll_hours": None,  # the same
    "saml.certificate.renew_before_days": None,  # the same
    "saml.certificate.overlap_days": None,  # the same
    "saml.certificate.remind_days": None,  # of what follows the hand-off, in test_succession.py
    "handoff.to": {"to": "vendor", "contact": "help@inkwell.example"},
    "handoff.contact": None,  # by handoff.to
    "handoff.code_to": None,  # of the OIDC sample
    "handoff.deliver": ["certificate_base64", "login_url"],
    "handoff.fields": {"login_url": "Login", "certificate_base64": "Certificate"},
    "handoff.steps": ["Open Settings.", "Save."],
    "handoff.valid_days": 6,
    "handoff.freeze": None,  # of the rotation, in test_freeze.py
    "handoff.plain": None,  # of the OIDC sample
    "handoff.smime.certificate": None,  # the same
    "people.provisioning": "manual",
    "people.assignment_required": False,
    "people.role": "Editor",
    "people.account": None,  # the same
    "people.authoritative": None,  # the same
}
# `registration = true` cannot stand beside a gallery: the five vendors' own tests have one of it.
NOT_HERE = {"source.registration", "protocol"}


def _sample(protocol: str, path: str | None = None, value: Any = None) -> Profile:
    tables = OIDC if protocol == "oidc" else SAML
    if path == "saml.identifiers":
        tables = changed(tables, ("instances",), "many")
    if path == "instances" and protocol == "saml":
        tables = changed(tables, ("saml", "identifiers"), ["https://inkwell.example/{Tenant}"])
    if path == "handoff.to":
        kept = {name: entry for name, entry in tables["handoff"].items() if name not in {"contact", "code_to"}}
        tables, path = changed(tables, ("handoff",), {**kept, **value}), None
    if path == "handoff.smime.certificate":
        tables, path = changed(tables, ("handoff", "smime"), {"certificate": value}), None
    if path:
        tables = changed(tables, tuple(path.split(".")), value)
    return parse_profile(SLUG, toml(tables))


class _Shelf(Catalog):
    """A catalogue of one profile, which is not in a file."""

    def __init__(self, profile: Profile) -> None:
        super().__init__()
        self._loaded[SLUG] = profile


def _said(profile: Profile) -> Iterator[Any]:
    """Everything that comes of a profile: refusals, the plan of a fresh request, its steps taken, and the mails."""
    body = {"vendor": SLUG, "owner": "app-owner@contoso.com"}
    yield parse(body, _Shelf(profile))[1]
    draft, reasons = parse({**body, "parameters": PARAMETERS}, _Shelf(profile))
    observed = replace(nothing(profile, KEY), siblings=(key_of(SLUG, "emea"),))
    yield reasons
    yield check(draft, DirectoryFacts(observed, (OWNER,)), frozenset(), "global")
    for parameters in (PARAMETERS, {"Tenant": "contoso"}):
        wanted = Onboarding(key=KEY, parameters=parameters, owner=OWNER.object_id, principals=PEOPLE)
        found = plan(profile, wanted, observed, OPEN_HEARTED, NOW)
        yield found
        paper = Paper(profile, wanted, observed)
        yield list(paper.take_all())
        yield from _told(profile, wanted, paper, OPEN_HEARTED)


def _told(profile: Profile, wanted: Onboarding, paper: Paper, deployment: Deployment) -> Iterator[Any]:
    told = handoff(profile, wanted, paper.observed, deployment, NOW)
    assert told is not None
    assert paper.observed.page is not None
    letter = compose_handoff(
        replace(told, plain=False, sealed_for=None),
        organisation=ORGANISATION,
        owner=OWNER,
        page_url="https://gatehouse.contoso.com/api/handoffs/token",
        valid_until=paper.observed.page.valid_until,
    )
    code = compose_code(
        told, organisation=ORGANISATION, owner=OWNER, code="22222-22222", valid_until=paper.observed.page.valid_until
    )
    yield told
    yield letter
    yield code


def _unlike(one: Profile, other: Profile) -> bool:
    """Whether anything that comes of them differs."""
    return [repr(part) for part in _said(one)] != [repr(part) for part in _said(other)]


def _fields(model: type[BaseModel], at: tuple[str, ...] = ()) -> Iterator[str]:
    """Every field of the schema by key path, parameters under the sample's name."""
    for name, field in model.model_fields.items():
        path = (*at, field.alias or name)
        tables = list(_tables(field.annotation))
        if name == "parameters":
            path = (*path, "Tenant")
        if tables:
            for table in tables:
                yield from _fields(table, path)
        else:
            yield ".".join(path)


def _tables(annotation: Any) -> Iterator[type[BaseModel]]:
    origin = get_origin(annotation)
    if origin in (typing.Union, UnionType, typing.Annotated) or (
        isinstance(origin, type) and issubclass(origin, Mapping)
    ):
        for argument in get_args(annotation):
            yield from _tables(argument)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation


@pytest.mark.parametrize("protocol", ["oidc", "saml"])
def test_every_field_of_the_schema_is_tried(protocol: str) -> None:
    """A field that joins the schema joins this test: none is left out of the lists above."""
    model = OidcProfile if protocol == "oidc" else SamlProfile
    listed = set(OIDC_CHANGES if protocol == "oidc" else SAML_CHANGES)
    found = {path.replace("Tenant.from", "Region.from") if protocol == "oidc" else path for path in _fields(model)}
    assert found - NOT_HERE == listed


def _tried() -> Iterator[tuple[str, str, Any]]:
    for protocol, changes in (("oidc", OIDC_CHANGES), ("saml", SAML_CHANGES)):
        yield from ((protocol, path, value) for path, value in changes.items() if value is not None)


@pytest.mark.parametrize(("protocol", "path", "value"), list(_tried()), ids=[f"{p}: {f}" for p, f, _ in _tried()])
def test_changed_field_changes_what_is_done_or_said(protocol: str, path: str, value: Any) -> None:
    """A field that changes no plan, no hand-off and no refusal would be a promise that nobody keeps."""
    assert _unlike(_sample(protocol), _sample(protocol, path, value))


@pytest.mark.parametrize("protocol", ["oidc", "saml"])
def test_same_profile_says_the_same(protocol: str) -> None:
    """The comparison above finds no difference where there is none."""
    assert not _unlike(_sample(protocol), _sample(protocol))
