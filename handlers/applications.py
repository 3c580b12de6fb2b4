"""Applications as they are now: read from tenant, vault and ledger each time; and the word that a vendor gave."""

from datetime import datetime
from typing import Any

from clients.ledger import Changed
from clients.tenant import Tenant
from sso import rollover
from sso.credentials import Credential, credentials_of, waiting_on
from sso.errors import Reason, Refused
from sso.model import Key, owner_from_tags, parameters_from_tags
from sso.onboarding import plan
from sso.operation import Waiting
from sso.page import acknowledged, state_at
from sso.request import Onboarding
from vendors.profile import OidcProfile

PAGE = 100  # applications in one page of the list
NOTE_LENGTH = 1000  # characters of an acknowledgement's note


async def find(tenant: Tenant, key: Key, now: datetime) -> dict[str, Any]:
    """One application with credentials, hand-off, assignments and drift; raises `Refused` (404)."""
    profile = tenant.profile(key.vendor)
    observed = await tenant.observe(key, profile, now)
    application = observed.application
    if application is None:
        raise _unknown(key)
    owner = owner_from_tags(application.tags)
    drift: list[str] = []
    if owner:
        standing = Onboarding(key=key, parameters=parameters_from_tags(application.tags), owner=owner)
        found = plan(profile, standing, observed, tenant.deployment, now)
        drift = [*(step.sentence for step in found.steps), *found.differences]
        if found.block and found.block.what == "failed":
            drift.append(found.block.detail)  # what is missing and cannot be put right by a run
    page = observed.page
    unfinished = await tenant.ledger.unfinished_of(key)
    credentials = credentials_of(profile, observed, now)
    return {
        "vendor": key.vendor,
        "instance": key.instance,
        "display_name": application.display_name,
        "client_id": application.client_id,
        "object_id": application.object_id,
        "protocol": profile.protocol,
        "credentials": [
            _shown(credential, waiting_on(credential, credentials, observed, unfinished), now)
            for credential in credentials
        ],
        "handoff": {"state": state_at(page, now), "to": page.to, "at": page.changed.isoformat()} if page else None,
        "assignments": len(observed.assignments),
        "drift": drift,
    }


def _shown(credential: Credential, waiting: Waiting | None, now: datetime) -> dict[str, Any]:
    return {
        "type": credential.kind,
        "id": credential.id,
        "state": credential.state,
        "starts": credential.starts.isoformat(),
        "ends": credential.ends.isoformat(),
        "age_days": max(0, (now - credential.starts).days),
        "days_left": (credential.ends - now).days,
        "ours": credential.ours,
        "waiting_for": (
            {"what": waiting.what, "whom": waiting.whom, "since": waiting.since.isoformat()} if waiting else None
        ),
    }


async def page(tenant: Tenant, after: str | None) -> tuple[list[dict[str, Any]], str | None]:
    """A page of applications in the order of their keys, one line each, and where the next page begins."""
    managed = sorted(await tenant.graph.managed(), key=lambda entry: entry[0])
    rest = [entry for entry in managed if after is None or str(entry[0]) > after]
    service_principals = await tenant.graph.managed_service_principals()
    waiting = await tenant.ledger.waiting()
    lines = []
    for key, application in rest[:PAGE]:
        service_principal = service_principals.get(application.client_id)
        protocol = service_principal.sign_on_mode if service_principal else None
        ends = [password.ends for password in application.passwords]
        if protocol == "saml" and service_principal:
            active = rollover.active(service_principal)
            ends = [active.ends] if active else []
        lines.append(
            {
                "vendor": key.vendor,
                "instance": key.instance,
                "display_name": application.display_name,
                "client_id": application.client_id,
                "protocol": protocol,
                "nearest_end": min(ends).isoformat() if ends else None,
                "waiting_for": waiting.get(key.row),
            }
        )
    return lines, str(rest[PAGE - 1][0]) if len(rest) > PAGE else None


async def acknowledge(tenant: Tenant, key: Key, body: object, now: datetime) -> dict[str, Any]:
    """Record that the vendor said, by mail or telephone, that a credential is installed; raises `Refused`."""
    named, by, note = _acknowledgement(body)
    profile = tenant.profile(key.vendor)
    observed = await tenant.observe(key, profile, now)
    if observed.application is None:
        raise _unknown(key)
    held = {credential.id.casefold(): credential.id for credential in credentials_of(profile, observed, now)}
    found = held.get(named.casefold())
    if found is None:
        raise Refused(Reason("key_id", f"'{key}' has no such credential. GET the application to see them."), status=404)
    await tenant.ledger.acknowledge(key, found, by, note, now)
    for handed_off in await tenant.ledger.pages(key):
        if handed_off.credential == found and handed_off.state in {"open", "collected"}:
            try:
                await tenant.ledger.replace_page(acknowledged(handed_off, now))
            except Changed:
                continue  # its holder was faster; what counts is the acknowledgement's own row
    for operation in await tenant.ledger.unfinished_of(key):
        await tenant.settle(operation.id, now)
    return {"vendor": key.vendor, "instance": key.instance, "credential": found, "by": by, "at": now.isoformat()}


def _acknowledgement(body: object) -> tuple[str, str, str]:
    """Read credential, who said so, and the note; raises `Refused` with every reason."""
    given = body if isinstance(body, dict) else {}
    named = [given[name] for name in ("key_id", "thumbprint") if given.get(name)]
    by, note = given.get("by"), given.get("note", "")
    reasons = []
    if len(named) != 1 or not isinstance(named[0], str):
        reasons.append(Reason("key_id", "Name exactly one credential, by 'key_id' or by 'thumbprint'."))
    if not isinstance(by, str) or not 0 < len(by) <= NOTE_LENGTH:
        reasons.append(Reason("by", "'by' must say who acknowledged it."))
    if not isinstance(note, str) or len(note) > NOTE_LENGTH:
        reasons.append(Reason("note", f"'note' must be a text of at most {NOTE_LENGTH} characters."))
    if unknown := set(given) - {"key_id", "thumbprint", "by", "note"}:
        reasons.append(Reason("", f"There is no field {', '.join(sorted(map(str, unknown)))[:200]}."))
    if reasons:
        raise Refused(*reasons)
    return str(named[0]), str(by), str(note)


def vendors(tenant: Tenant) -> list[dict[str, Any]]:
    """The catalogue, a line each; a profile that cannot be read says so instead of hiding."""
    lines = []
    for slug in tenant.catalog.slugs():
        try:
            profile = tenant.catalog.load(slug)
            lines.append({"vendor": slug, "name": profile.name, "protocol": profile.protocol, "guide": profile.guide})
        except ValueError as error:
            lines.append({"vendor": slug, "problem": str(error)})
    return lines


def vendor(tenant: Tenant, slug: str) -> dict[str, Any]:
    """One vendor: what a request must supply and what comes of it; raises `Refused` (404)."""
    profile = tenant.profile(slug)
    return {
        "vendor": slug,
        "name": profile.name,
        "protocol": profile.protocol,
        "guide": profile.guide,
        "instances": profile.instances,
        "parameters": {
            name: {"title": parameter.title, "pattern": parameter.pattern, "from": parameter.source}
            for name, parameter in profile.parameters.items()
        },
        "scopes": list(profile.oidc.scopes) if isinstance(profile, OidcProfile) else [],
        "handoff": {
            "to": profile.handoff.contact or profile.handoff.to,
            "deliver": {name: profile.handoff.fields[name] for name in profile.handoff.deliver},
            "steps": list(profile.handoff.steps),
        },
        "provisioning": profile.people.provisioning,
    }


def _unknown(key: Key) -> Refused:
    return Refused(Reason("instance", f"There is no onboarded application '{key}'. Onboard it first."), status=404)
