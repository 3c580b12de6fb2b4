"""Health: settings, permissions, connections, catalogue and poison queues, each green or with its repair."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from clients.entitlements import catalogued
from clients.tenant import Tenant, people
from sso import permissions
from sso.entitlement_lint import lint
from sso.errors import GatehouseError
from sso.handoff import unsealable
from vendors.profile import GallerySource

SCHEDULE_FIELDS = 6  # NCRONTAB (learn.microsoft.com/azure/azure-functions/functions-bindings-timer)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str


async def checks(tenant: Tenant, now: datetime) -> list[Check]:
    """Look at everything that an onboarding needs; one failing part does not hide another."""
    return [
        Check("settings", ok=True, detail=_settings(tenant)),
        _schedules(tenant),
        await _answer("permissions", lambda: _permissions(tenant)),
        await _answer("token service", lambda: _probe(tenant.sts.probe)),
        await _answer("vault", lambda: _probe(tenant.vault.probe)),
        await _answer("ledger", lambda: _probe(tenant.ledger.probe)),
        await _answer("poison queues", lambda: _poison(tenant)),
        await _answer("catalogue", lambda: _catalogue(tenant, now)),
        await _answer("webhooks", lambda: _webhooks(tenant, now)),
        await _answer("entitlements", lambda: _entitlements(tenant)),
    ]


async def _answer(name: str, look: Callable[[], Awaitable[tuple[bool, str]]]) -> Check:
    try:
        ok, detail = await look()
    except GatehouseError as error:
        return Check(name, ok=False, detail=str(error))
    return Check(name, ok=ok, detail=detail)


def _settings(tenant: Tenant) -> str:
    scale = tenant.settings.wait_scale
    if scale != 1:
        return f"read; GATEHOUSE_WAIT_SCALE is {scale:g}, so every wait is multiplied by it: unset it in production"
    return "read"


def _schedules(tenant: Tenant) -> Check:
    """Whether every timer has a schedule of six fields; the host puts a function with a bad one in error, silently."""
    settings = tenant.settings
    schedules = {
        "GATEHOUSE_SWEEP_SCHEDULE": settings.sweep_schedule,
        "GATEHOUSE_ROTATION_SCHEDULE": settings.rotation_schedule,
        "GATEHOUSE_SUMMARY_SCHEDULE": settings.summary_schedule,
        "GATEHOUSE_RECONCILE_SCHEDULE": settings.reconcile_schedule,
    }
    bad = [f"{name} is '{text}'" for name, text in schedules.items() if len(text.split()) != SCHEDULE_FIELDS]
    if bad:
        detail = f"{'; '.join(bad)}: it needs six fields, seconds first, such as '0 */5 * * * *'."
        return Check("schedules", ok=False, detail=detail)
    detail = (
        f"sweep at {settings.sweep_schedule}, rotate at {settings.rotation_schedule},"
        f" summary at {settings.summary_schedule}, reconcile at {settings.reconcile_schedule}"
    )
    return Check("schedules", ok=True, detail=detail)


async def _permissions(tenant: Tenant) -> tuple[bool, str]:
    identity = await tenant.graph.identity()
    needed = [p for p in permissions.USES if p not in {permissions.MAIL, *permissions.OPTIONAL}]
    missing = [permission for permission in needed if not permissions.has(permission, identity.roles)]
    if missing:
        return False, permissions.where_to_grant(missing)
    by_exchange = not permissions.has(permissions.MAIL, identity.roles)
    mail = f"; {permissions.MAIL} is not in the token, so it must be granted in Exchange" if by_exchange else ""
    return True, f"the token carries {len(identity.roles)} permissions{mail}"


async def _probe(look: Callable[[], Awaitable[None]]) -> tuple[bool, str]:
    await look()
    return True, "answers"


async def _poison(tenant: Tenant) -> tuple[bool, str]:
    lengths = await tenant.queues.lengths()
    poisoned = {name: count for name, count in lengths.items() if name.endswith("-poison") and count}
    if poisoned:
        held = ", ".join(f"{name} holds {count}" for name, count in sorted(poisoned.items()))
        return False, f"{held}: messages that no function could read. Look at them, mend their sender, delete them."
    kept = await tenant.ledger.unreadable()
    return True, f"empty; {len(kept)} unreadable messages are kept in the ledger" if kept else "empty"


async def _catalogue(tenant: Tenant, now: datetime) -> tuple[bool, str]:
    """Read every profile, see that its S/MIME certificate holds, and name the gallery entry that is to be pinned."""
    problems, pins = [], []
    for slug in tenant.catalog.slugs():
        try:
            profile = tenant.catalog.load(slug)
        except ValueError as error:
            problems.append(str(error))
            continue
        if problem := unsealable(profile, now):
            problems.append(f"{slug}: {problem}")
        source = profile.source
        if isinstance(source, GallerySource) and not source.template_id:
            found = await tenant.graph.templates(source.gallery, None)
            fitting = [template.id for template in found if profile.protocol in template.sign_on_modes]
            if len(fitting) == 1:
                pins.append(f'{slug}: template_id = "{fitting[0]}"')
            else:
                problems.append(f"{slug}: the gallery has {len(fitting)} entries of this name; pin one by template_id.")
    if problems:
        return False, " ".join(problems)
    return True, f"{len(tenant.catalog.slugs())} profiles; to pin: {', '.join(pins)}"


async def _webhooks(tenant: Tenant, now: datetime) -> tuple[bool, str]:
    """Say what was refused of late: a wrong key of an HR system shows here, and so does a stranger who tries."""
    counts = await tenant.ledger.refused(now)
    if not counts:
        return True, "no delivery was refused within a day"
    named = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    return True, f"refused within a day, by sender and header: {named}"


async def _entitlements(tenant: Tenant) -> tuple[bool, str]:
    """Read and lint the deployed rules."""
    if tenant.settings.entitlements is None:
        return True, "no rules are deployed (GATEHOUSE_ENTITLEMENTS)"
    rules = await people.entitlements(tenant)
    findings = lint(rules, catalogued(tenant.catalog))
    if findings:
        return False, " ".join(finding.sentence for finding in findings)
    return True, f"{len(rules.rules)} rules"
