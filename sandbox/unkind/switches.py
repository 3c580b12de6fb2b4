"""How kind the tenant is: what a test may choose, where the real service varies or leaves it open."""

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

Presets = Literal["application", "template", "none"]
Lag = Literal["none", "normal", "bad"]
EventSchema = Literal["none", "event_grid", "cloud_events"]

CHOICES: dict[str, tuple[str, ...]] = {
    "presets": get_args(Presets),
    "lag": get_args(Lag),
    "vault_events": get_args(EventSchema),
}


class SwitchError(ValueError):
    """A switch that is not there, or a value it does not take; the sentence says which."""


@dataclass(frozen=True)
class Switches:
    """The defaults are a calm tenant; times are seconds of the sandbox's clock, and a limit of 0 is none."""

    presets: Presets = "application"
    """Where a template's URLs are found: on the new application, in beta configurationUris alone, or nowhere."""
    deleted_names_reserved: bool = True
    """Whether a soft-deleted application keeps its uniqueName and identifierUris."""
    identity_may_restore: bool = True
    """Whether the identity holds the directory role that restoring applications asks for."""

    lag: Lag = "none"
    """How far replicas are behind: median 3 s with 1 % above 60 s, or up to 5 minutes."""
    latency_seconds: float = 0.0
    """What every call to Graph takes, a batch as one."""
    saml_mode_lags: bool = False
    """Whether the identifier policy sees a service principal's SAML mode only once a replica has it."""
    token_flaps: bool = False
    """Whether token servers learn of a new secret one by one, so that it is accepted, refused and accepted again."""

    throttle_share: float = 0.0
    """The share of calls to Graph and the vault that are answered 429 without having been over a limit."""
    unavailable_share: float = 0.0
    """The share that is answered 503 or 504 and had no effect."""
    lost_answer_share: float = 0.0
    """The share that has its effect, and whose answer is a 504 or a cut connection; half as many batches are cut
    while only some of their items have had theirs."""
    collision_share: float = 0.0
    """The share of writes within a second of another on the same application that are answered 409."""

    instantiate_seconds: float = 0.0
    """The longest that instantiate takes; the shortest is a fifth of it."""
    instantiate_not_found_share: float = 0.0
    """The share of instantiate calls that make both objects and answer 404."""
    instantiate_without_owners: bool = False
    """Whether instantiate under Application.ReadWrite.OwnedBy leaves both objects without an owner."""
    shuffled_batches: bool = False
    """Whether the answers of a batch come in another order than its requests."""

    resource_units: int = 0
    """Resource units per 10 seconds."""
    write_units: int = 0
    """Writes to Graph per 150 seconds."""
    report_calls: int = 0
    """Calls to Graph's reports in 10 seconds."""
    report_lag_seconds: float = 0.0
    """The longest until the report of credential use shows one; the shortest is half of it."""
    most_assignments: int = 1500
    """App role assignments per principal."""
    object_quota: int = 300_000
    """Directory objects of the tenant, soft-deleted ones included."""
    passwords_forbidden: bool = False
    """Whether the tenant's default app management policy forbids client secrets."""
    password_days: int = 0
    """The longest life of a client secret that the policy allows."""

    vault_creates: int = 0
    """Secret versions that the vault makes in 10 seconds."""
    vault_calls: int = 0
    """Other calls that the vault answers in 10 seconds."""
    vault_deletion_seconds: float = 0.0
    """The longest that the deletion of a secret takes."""
    vault_events: EventSchema = "none"
    """In which schema the vault's events are delivered to the host; a sandbox with a host begins with Event Grid's."""
    event_repeat_share: float = 0.0
    """The share of events that are delivered once more after they were accepted."""

    mail_delay_seconds: float = 0.0
    """The longest that a mail is on its way."""
    mails_per_minute: int = 0
    """Mails of one mailbox; what is more waits its turn."""
    mail_connections: int = 0
    """Mails that one mailbox sends at the same time."""
    exchange_mail_scope: str = ""
    """The mailbox as which Exchange's own RBAC lets the identity send, with or without the Entra role Mail.Send."""

    # A managed identity's token lives 24 hours (learn.microsoft.com/azure/app-service/overview-managed-identity).
    token_seconds: int = 86_399
    """The life of the identity's tokens, in real time; below 300 the SDKs ask anew for every call."""


CALM = Switches()
UNKIND = Switches(
    lag="normal",
    latency_seconds=0.1,
    saml_mode_lags=True,
    throttle_share=0.02,
    unavailable_share=0.01,
    lost_answer_share=0.01,
    collision_share=0.1,
    instantiate_seconds=10.0,
    instantiate_not_found_share=0.25,
    instantiate_without_owners=True,
    shuffled_batches=True,
    # graph-contract section 5: the seed has more than 50 and fewer than 500 users, a tenant of size M.
    resource_units=5000,
    write_units=3000,
    report_calls=5,
    # graph-contract section 15: not documented, taken for two days.
    report_lag_seconds=172_800.0,
    # graph-contract section 17.
    vault_creates=300,
    vault_calls=4000,
    vault_deletion_seconds=20.0,
    event_repeat_share=0.1,
    mail_delay_seconds=10.0,
    mails_per_minute=30,
    mail_connections=4,
)


def chosen(switches: Switches, wanted: dict[str, Any]) -> Switches:
    """Return the switches with some changed; raises SwitchError."""
    types = {field.name: type(getattr(CALM, field.name)) for field in fields(Switches)}
    return replace(switches, **{name: _checked(name, value, types) for name, value in wanted.items()})


def _checked(name: str, value: Any, types: dict[str, type]) -> Any:
    expected = types.get(name)
    if expected is None:
        raise SwitchError(f"Expected switches among {', '.join(types)}; found '{name}'.")
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise SwitchError(f"Expected {expected.__name__} for the switch '{name}'; found {value!r}.")
    if name in CHOICES and value not in CHOICES[name]:
        raise SwitchError(f"Expected one of {', '.join(CHOICES[name])} for '{name}'; found '{value}'.")
    if isinstance(value, int | float) and not 0 <= value <= (1 if name.endswith("_share") else value):
        raise SwitchError(f"Expected no negative number for '{name}', and a share up to 1; found {value}.")
    return value
