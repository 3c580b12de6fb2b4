"""The nightly summary: which line stands under which heading, and what a quiet night says."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, get_args

import pytest

from clients.render import render_mail
from sso.errors import Reason
from sso.model import KeyId, OperationId, PasswordCredential, Thumbprint, TokenSigningCertificate, key_of
from sso.operation import Operation, Waiting, What
from sso.summary import LINES, WAITS, Managed, Night, PutAside, candidates, compose_summary, sections
from tests.handoff.given import ORGANISATION
from tests.rules.paper import CATALOG, NOW, complete
from tests.vendors.pinned import vendor
from tests.vendors.samples import OIDC, changed, toml
from vendors.parsing import parse_profile
from vendors.slug import VendorSlug

DAY = timedelta(days=1)
SMARTTRACE, CLICKTIME = key_of("smarttrace", "default"), key_of("clicktime", "default")


def managed(vendor: str = "smarttrace") -> Managed:
    """One of the five as the lists show it on the day of its onboarding."""
    observed = complete(vendor).observed
    assert observed.application is not None
    return Managed(key_of(vendor, "default"), observed.application, observed.service_principal, CATALOG.load(vendor))


def with_secrets(*passwords: PasswordCredential) -> Managed:
    """SmartTrace with these secrets."""
    found = managed()
    return replace(found, application=replace(found.application, passwords=passwords))


def secret(
    name: str, ends: datetime, starts: datetime = NOW - 100 * DAY, mark: str | None = None
) -> PasswordCredential:
    """A secret of ours, or with another mark."""
    return PasswordCredential(KeyId(name), SMARTTRACE.marker if mark is None else mark, starts, ends)


def operation(**changes: Any) -> Operation:
    """A rotation that waits for the vendor since a week."""
    whole: dict[str, Any] = {
        "id": OperationId("8204293056341-dd26411d"),
        "kind": "rotation",
        "key": SMARTTRACE,
        "request": {"rotation": {"succeeds": "old", "reason": "due"}},
        "state": "waiting",
        "created": NOW - 9 * DAY,
        "changed": NOW - 7 * DAY,
        "not_before": NOW,
        "waiting_for": Waiting("acknowledgement", "support@vendor.example", NOW - 7 * DAY),
        **changes,
    }
    return Operation(**whole)


def told(night: Night, now: datetime = NOW) -> dict[str, tuple[str, ...]]:
    """The sections that have lines."""
    return {section.title: section.lines for section in sections(night, now) if section.lines}


def test_a_quiet_night_says_that_gatehouse_runs() -> None:
    """With nothing to tell, the mail counts zero under every heading, and its subject says so."""
    night = Night(applications=(managed("smarttrace"), managed("clicktime")), queues={"rotations-poison": 0})
    assert told(night) == {}
    mail = render_mail(compose_summary(night, "2026-09-01", NOW, organisation=ORGANISATION))
    assert mail.to == (ORGANISATION.operators,)
    assert mail.subject == "Gatehouse on 2026-09-01: all quiet"
    lines = mail.text.split("\n")
    assert [line for line in lines if line.endswith(": 0")] == [
        f"{section.title}: 0" for section in sections(night, NOW)
    ]
    assert "Applications: 2" in lines
    assert len(lines) < 20


def test_what_falls_due_within_two_weeks_is_said_before_and_after_its_day() -> None:
    """A secret is due from 14 days before its renewal, and until the timer has had a day to open it."""
    for days, expected in ((60, None), (59, "Due within 14 days"), (45, "Due within 14 days"), (43, "Overdue")):
        night = Night(applications=(with_secrets(secret("k", NOW + days * DAY)),))
        assert list(told(night)) == ([expected] if expected else [])
    [line] = told(Night(applications=(with_secrets(secret("k", NOW + 50 * DAY)),)))["Due within 14 days"]
    assert line.removeprefix("smarttrace/default: its client secret ends 2026-10-21 (in 50 days); ") == (
        "its successor is due 2026-09-06 (in 5 days)."
    )


def test_a_rotation_under_way_keeps_a_secret_from_being_overdue() -> None:
    """A secret past its renewal is overdue only where no operation renews it, or where it has ended."""
    late = Night(applications=(with_secrets(secret("old", NOW + 30 * DAY)),), unfinished=(operation(waiting_for=None),))
    assert "Overdue" not in told(late)
    assert "Overdue" in told(replace(late, unfinished=()))
    ended = replace(late, applications=(with_secrets(secret("old", NOW - DAY)),))
    assert told(ended)["Overdue"][0].startswith("smarttrace/default: its client secret ends 2026-08-31 (1 days ago)")


def test_a_certificate_is_looked_at_by_the_one_that_signs() -> None:
    """The active certificate's end counts; an inactive one beside it does not."""
    found = managed("clicktime")
    assert found.service_principal is not None
    [active] = found.service_principal.certificates
    spare = replace(active, thumbprint=Thumbprint("AB"), ends=NOW + DAY)
    quiet = replace(found, service_principal=replace(found.service_principal, certificates=(active, spare)))
    assert told(Night(applications=(quiet,))) == {}
    ending = replace(active, starts=NOW - 900 * DAY, ends=NOW + 65 * DAY)
    due = replace(found, service_principal=replace(found.service_principal, certificates=(ending,)))
    [line] = told(Night(applications=(due,)))["Due within 14 days"]
    assert line.startswith("clicktime/default: its signing certificate ends")


def test_a_pinned_certificate_is_told_before_and_after_its_end() -> None:
    """A month before a vendor's S/MIME certificate ends the operators are told, once, and then that it has ended."""
    tables = changed(OIDC, ("handoff", "smime"), {"certificate": vendor(OIDC["handoff"]["contact"]).certificate})
    profile = parse_profile(VendorSlug("smarttrace"), toml(tables))
    assert profile.handoff.smime is not None
    ends = profile.handoff.smime.pinned.ends
    found = replace(with_secrets(secret("k", ends + 400 * DAY)), profile=profile)
    bare = replace(found.application, passwords=())
    night = Night(applications=(found, replace(found, key=key_of("smarttrace", "emea"), application=bare)))
    assert told(night, ends - 31 * DAY) == {}
    [line] = told(night, ends - 30 * DAY)["Due within 14 days"]
    assert (
        line == f"smarttrace: the S/MIME certificate in its profile ends {ends:%Y-%m-%d} (in 30 days). Pin a new one."
    )
    [line] = told(night, ends)["Overdue"]
    assert line.startswith("smarttrace: The S/MIME certificate that the profile of Paperweight pins ended on")


def test_a_wait_says_for_whom_and_since_when() -> None:
    """Every wait is listed; a person's becomes overdue after two weeks, or when the old secret ends in two weeks."""
    night = Night(applications=(with_secrets(secret("old", NOW + 30 * DAY)),), unfinished=(operation(),))
    line = (
        "smarttrace/default: rotation 8204293056341-dd26411d waits for the acknowledgement of support@vendor.example"
        " since 2026-08-25 (7 days ago)."
    )
    assert told(night) == {"Waiting": (line,)}
    assert told(night, NOW + 8 * DAY)["Overdue"] == (line.replace("7 days", "15 days"),)
    ending = replace(night, applications=(with_secrets(secret("old", NOW + 10 * DAY)),))
    assert "what it succeeds ends 2026-09-11 (in 10 days)" in told(ending)["Overdue"][0]
    saml = managed("clicktime")
    assert saml.service_principal is not None
    [active] = saml.service_principal.certificates
    soon = replace(saml.service_principal, certificates=(replace(active, ends=NOW + 10 * DAY),))
    rolling = operation(key=CLICKTIME, request={"rotation": {"succeeds": active.thumbprint}})
    over = Night(applications=(replace(saml, service_principal=soon),), unfinished=(rolling,))
    assert "what it succeeds ends 2026-09-11 (in 10 days)" in told(over)["Overdue"][0]
    ours = operation(waiting_for=Waiting("time", "the overlap", NOW - 30 * DAY))
    assert list(told(replace(night, unfinished=(ours,)))) == ["Waiting"]


def test_every_wait_has_its_words() -> None:
    """Whatever an operation can wait for can be said in a summary."""
    assert set(WAITS) == set(get_args(What))


def test_what_is_not_ours_is_named() -> None:
    """Secrets and certificates without our mark are listed with name and end, never those of ours."""
    foreign = secret("made-by-hand", NOW + 100 * DAY, mark="made by\nhand")
    longer = secret("of-another", NOW + 100 * DAY, mark="gatehouse-smarttrace-default-two")
    certificate = TokenSigningCertificate(Thumbprint("CD"), "CN=Microsoft Azure", NOW, NOW + 900 * DAY, b"")
    saml = managed("clicktime")
    assert saml.service_principal is not None
    both = (*saml.service_principal.certificates, certificate)
    saml = replace(saml, service_principal=replace(saml.service_principal, certificates=both))
    oidc = with_secrets(secret("k", NOW + 100 * DAY), foreign, longer)
    lines = told(Night(applications=(saml, oidc)))["Not ours, or without its value"]
    assert [line.partition(";")[0] for line in lines] == [
        "clicktime/default: a signing certificate is not ours (CN=Microsoft Azure)",
        "smarttrace/default: a client secret is not ours (made by hand, made-by-hand)",
        "smarttrace/default: a client secret is not ours (gatehouse-smarttrace-default-two, of-another)",
    ]


def test_a_lost_value_says_what_becomes_of_it() -> None:
    """A young secret without a value is removed by the next run, an older one stays for a person to decide."""
    young, old = secret("young", NOW + DAY, NOW - DAY), secret("old", NOW + DAY, NOW - 8 * DAY)
    lines = told(Night(without_value=((SMARTTRACE, young), (SMARTTRACE, old))))["Not ours, or without its value"]
    assert "young is not in the vault; the next run removes it" in lines[0]
    assert "old is not in the vault; remove it by hand" in lines[1]


def test_versions_are_read_only_where_the_lists_leave_a_secret_open() -> None:
    """An application is a candidate where a secret of ours is named by no newest version; foreign ones count not."""
    plain = with_secrets(secret("k", NOW + DAY), secret("foreign", NOW + DAY, mark="other"))
    rotating = with_secrets(secret("k", NOW + DAY), secret("older", NOW + DAY))
    assert candidates((plain, rotating), frozenset({KeyId("k")})) == (rotating,)


def test_failures_and_messages_of_the_day_are_told() -> None:
    """A failed operation says why; poison queues their length; kept messages of the last day one by one."""
    failed = operation(state="failed", waiting_for=None, reasons=(Reason("tenant", "It\nis forbidden."),))
    event = operation(key=None, kind="hr_event", state="failed", waiting_for=None)
    kept = (PutAside("rotations", "the message is not JSON", NOW), PutAside("onboardings", "old", NOW - 2 * DAY))
    night = Night(failed=(failed, event), queues={"onboardings": 7, "rotations-poison": 2}, put_aside=kept)
    assert told(night) == {
        "Failed since yesterday": (
            "smarttrace/default: rotation 8204293056341-dd26411d failed on 2026-08-25 08:30 UTC: It is forbidden.",
            "hr_event 8204293056341-dd26411d failed on 2026-08-25 08:30 UTC: no reason was kept",
        ),
        "Messages put aside": (
            "rotations-poison holds 2 that no function could read. Look at them, mend their sender, delete them.",
            "A message on rotations was kept on 2026-09-01 08:30 UTC: the message is not JSON",
            "1 older messages are kept in the ledger.",
        ),
    }


def test_what_reconciling_did_is_told_in_numbers() -> None:
    """Each application's operation is a line; the look at everything, which has no application, is none."""
    counts: tuple[dict[str, int], ...] = ({"given": 2, "taken": 1}, {"differs": 3}, {})
    mended, differing, quiet = (
        operation(kind="reconcile", state="done", waiting_for=None, request=request) for request in counts
    )
    night = Night(reconciled=(mended, differing, quiet, replace(quiet, key=None)))
    name = "smarttrace/default: reconcile 8204293056341-dd26411d"
    assert told(night) == {
        "Access beside the rules": (
            f"{name}: given to 2, taken from 1.",
            f"{name}: 3 differences stay as they are.",
            f"{name}: nothing differs any more.",
        )
    }


def test_what_could_not_be_read_hides_nothing() -> None:
    """A part that did not answer, and a profile that is broken, are lines of their own beside the rest."""
    night = Night(applications=(replace(managed(), profile=None),), unread=("Vault: did not answer",))
    assert [line.partition(":")[0] for line in told(night)["Could not be looked at"]] == ["Vault", "smarttrace/default"]


@pytest.mark.parametrize(("count", "last"), [(LINES, "smarttrace/default"), (LINES + 3, "and 3 more")])
def test_a_long_section_is_cut_and_counted(count: int, last: str) -> None:
    """A mail shows forty lines of a section and says how many more there are; the subject counts all."""
    night = Night(unfinished=(operation(),) * count)
    mail = render_mail(compose_summary(night, "2026-09-01", NOW, organisation=ORGANISATION))
    assert f"waiting: {count}" in mail.subject
    assert [line for line in mail.text.split("\n") if line.startswith("- ")][-1].startswith(f"- {last}")
