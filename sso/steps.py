"""The steps of a plan: each one write, said in one sentence, with who is affected.

A sentence speaks only of what is known when the plan is made, so that the plan that was shown and the steps that were
taken read the same. Steps carry what is wanted, never ids of the tenant: whoever applies one observes first.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Literal

from sso.model import Application, KeyId, ObjectId, Principal, TemplateId, Thumbprint, VaultVersion

NOBODY = "nobody's sign-in"


@dataclass(frozen=True)
class ApplicationSettings:
    """What is wanted of an application; None leaves a field as it is."""

    display_name: str | None = None
    unique_name: str | None = None
    tags: tuple[str, ...] | None = None
    identifiers: tuple[str, ...] | None = None
    reply_urls: tuple[str, ...] | None = None
    logout_url: str | None = None
    scopes: tuple[str, ...] | None = None  # Microsoft Graph's delegated permissions, by name
    rename_texts_from: str | None = None  # the name that instantiate wrote into the published scopes' texts


@dataclass(frozen=True)
class ServicePrincipalSettings:
    """What is wanted of a service principal; None leaves a field as it is."""

    sign_on_mode: str | None = None
    sign_on_url: str | None = None
    logout_url: str | None = None
    relay_state: str | None = None
    assignment_required: bool | None = None
    notification_addresses: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    enabled: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Described:
    """What every step says of itself."""

    sentence: str
    affects: str = NOBODY


@dataclass(frozen=True, kw_only=True)
class Instantiate(Described):
    """Make application and service principal from the gallery, under the temporary name."""

    name: ClassVar = "instantiate"
    template_id: TemplateId
    temporary_name: str


@dataclass(frozen=True, kw_only=True)
class Adopt(Described):
    """Put our mark on an application that an administrator offered; everything else of it stays."""

    name: ClassVar = "adopt"
    application: Application


@dataclass(frozen=True, kw_only=True)
class RemoveTwin(Described):
    """Soft-delete a second application that an instantiate left behind; it has nothing that anybody uses."""

    name: ClassVar = "remove_twin"
    object_id: ObjectId


@dataclass(frozen=True, kw_only=True)
class CreateApplication(Described):
    """Make an ordinary application registration, found again by its unique name."""

    name: ClassVar = "create_application"
    settings: ApplicationSettings


@dataclass(frozen=True, kw_only=True)
class CreateServicePrincipal(Described):
    """Make the service principal of an application registration."""

    name: ClassVar = "create_service_principal"
    settings: ServicePrincipalSettings


@dataclass(frozen=True, kw_only=True)
class ConfigureServicePrincipal(Described):
    """Set the service principal's sign-on."""

    name: ClassVar = "configure_service_principal"
    settings: ServicePrincipalSettings


@dataclass(frozen=True, kw_only=True)
class ConfigureApplication(Described):
    """Set the application's names and addresses."""

    name: ClassVar = "configure_application"
    settings: ApplicationSettings


@dataclass(frozen=True, kw_only=True)
class GrantConsent(Described):
    """Consent for everyone to the scopes; where a grant exists it is widened, never narrowed."""

    name: ClassVar = "grant_consent"
    scopes: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class AddCertificate(Described):
    """Add a signing certificate, not yet active."""

    name: ClassVar = "add_certificate"
    subject: str
    ends: datetime


@dataclass(frozen=True, kw_only=True)
class ActivateCertificate(Described):
    """Sign with this certificate from now on; done when the published metadata lists it."""

    name: ClassVar = "activate_certificate"
    thumbprint: Thumbprint | None  # None: the one that the step before adds


@dataclass(frozen=True, kw_only=True)
class MintSecret(Described):
    """Mint a client secret and put it into the vault's staged name."""

    name: ClassVar = "mint_secret"
    display_name: str
    ends: datetime


@dataclass(frozen=True, kw_only=True)
class PromoteSecret(Described):
    """Prove the staged secret at the token service, then make it the vault's current version."""

    name: ClassVar = "promote_secret"
    staged: VaultVersion | None  # None: the one that the step before stages


@dataclass(frozen=True, kw_only=True)
class CloseStaged(Described):
    """Disable a staged version that has been promoted already."""

    name: ClassVar = "close_staged"
    staged: VaultVersion


@dataclass(frozen=True, kw_only=True)
class CloseRemoved(Described):
    """Disable the version of a client secret that the application no longer has."""

    name: ClassVar = "close_removed"
    version: VaultVersion


@dataclass(frozen=True, kw_only=True)
class DiscardSecret(Described):
    """Remove a client secret of ours whose value no vault version holds."""

    name: ClassVar = "discard_secret"
    key_id: KeyId


@dataclass(frozen=True, kw_only=True)
class Assign(Described):
    """Hand the principals to the assignment queue, 20 at a time."""

    name: ClassVar = "assign"
    principals: tuple[Principal, ...]
    role: str | None


@dataclass(frozen=True, kw_only=True)
class ChangeOwner(Described):
    """Tell the owner so far, then write the new one."""

    name: ClassVar = "change_owner"
    old: Principal | None  # None: no longer in the directory, so nobody is told
    tags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class MailHandoff(Described):
    """Mail the hand-off with a new link; older pages of this application close."""

    name: ClassVar = "mail_handoff"


@dataclass(frozen=True, kw_only=True)
class MailCode(Described):
    """Mail the code of the page, another way than its link."""

    name: ClassVar = "mail_code"


@dataclass(frozen=True, kw_only=True)
class Remind(Described):
    """Mail the hand-off again with a new link, because nobody has acknowledged it."""

    name: ClassVar = "remind"


@dataclass(frozen=True, kw_only=True)
class WarnOfEnd(Described):
    """Tell owner and operators when the old secret ends, while nobody has acknowledged its successor."""

    name: ClassVar = "warn_of_end"
    ends: datetime


@dataclass(frozen=True, kw_only=True)
class RetireSecret(Described):
    """Remove a client secret that has a proved successor, then disable its version in the vault."""

    name: ClassVar = "retire_secret"
    key_id: KeyId


@dataclass(frozen=True, kw_only=True)
class RetireCertificate(Described):
    """Take a signing certificate out once its successor is seen to sign, by its custom key identifier."""

    name: ClassVar = "retire_certificate"
    thumbprint: Thumbprint


@dataclass(frozen=True, kw_only=True)
class DisableSignIn(Described):
    """Switch sign-in off and tag both objects; what else is under way for the key ends."""

    name: ClassVar = "disable_sign_in"
    since: date


@dataclass(frozen=True, kw_only=True)
class DisableVersion(Described):
    """Disable a version of the client secret in the vault."""

    name: ClassVar = "disable_version"
    version: VaultVersion


@dataclass(frozen=True, kw_only=True)
class TellOffboarded(Described):
    """Tell the vendor, or the owner, that access has ended; open pages close."""

    name: ClassVar = "tell_offboarded"
    deletes: datetime | None  # None: an adopted application, which is not deleted


@dataclass(frozen=True, kw_only=True)
class DeleteApplication(Described):
    """Soft-delete the application, and its service principal with it."""

    name: ClassVar = "delete_application"


@dataclass(frozen=True, kw_only=True)
class RestoreApplication(Described):
    """Bring a soft-deleted application back."""

    name: ClassVar = "restore_application"
    object_id: ObjectId


@dataclass(frozen=True, kw_only=True)
class RestoreServicePrincipal(Described):
    """Bring a soft-deleted service principal back, with its assignments."""

    name: ClassVar = "restore_service_principal"
    object_id: ObjectId | None  # None: the one of the application that the step before restores


@dataclass(frozen=True, kw_only=True)
class EnableVersion(Described):
    """Enable a version of the client secret in the vault again."""

    name: ClassVar = "enable_version"
    version: VaultVersion


Step = (
    Instantiate
    | Adopt
    | RemoveTwin
    | CreateApplication
    | CreateServicePrincipal
    | ConfigureServicePrincipal
    | ConfigureApplication
    | GrantConsent
    | AddCertificate
    | ActivateCertificate
    | MintSecret
    | PromoteSecret
    | CloseStaged
    | CloseRemoved
    | DiscardSecret
    | Assign
    | ChangeOwner
    | MailHandoff
    | MailCode
    | Remind
    | WarnOfEnd
    | RetireSecret
    | RetireCertificate
    | DisableSignIn
    | DisableVersion
    | TellOffboarded
    | DeleteApplication
    | RestoreApplication
    | RestoreServicePrincipal
    | EnableVersion
)


# Steps that follow one another in a plan and need nothing of one another: they are taken at the same moment, each with
# a record and a recovery of its own.
AT_ONCE: tuple[tuple[type[Described], type[Described]], ...] = (
    (ConfigureServicePrincipal, ConfigureApplication),  # one $batch, in this order
    (GrantConsent, MintSecret),  # where we may consent: who waits for an administrator mints nothing
    (PromoteSecret, Assign),
    (ActivateCertificate, Assign),
    (MailHandoff, MailCode),  # two calls: a batch that is cut would double both mails
)


def at_once(steps: tuple[Step, ...], *, consents: bool) -> tuple[Step, ...]:
    """The steps of a plan that are taken next: the first one, and the second where it need not wait for it."""
    first = steps[:2]
    if isinstance(first[0], GrantConsent) and not consents:
        return first[:1]
    return first if tuple(type(step) for step in first) in AT_ONCE else first[:1]


@dataclass(frozen=True)
class Block:
    """Why a plan goes no further: something is missing that another person must supply, or it cannot be done."""

    what: Literal["parameters", "failed", "undone"]
    whom: str
    detail: str


@dataclass(frozen=True)
class Pause:
    """What is waited for after the steps, and when there is something to do again."""

    what: Literal["acknowledgement", "time"]
    whom: str
    until: datetime


@dataclass(frozen=True)
class Plan:
    """The steps, in order, and what stands in the way after them."""

    steps: tuple[Step, ...]
    block: Block | None = None
    notes: tuple[str, ...] = ()  # what is seen and left alone, such as an unmanaged application of the same name
    differences: tuple[str, ...] = ()  # the notes on what an adopted application has and its profile does not say
    pause: Pause | None = None

    @property
    def mints(self) -> bool:
        """Whether a secret or certificate is to be made, which a policy may restrict."""
        return any(isinstance(step, MintSecret | AddCertificate) for step in self.steps)
