"""What one vendor demands of us: the schema of `vendors/<slug>.toml`.

`SamlProfile | OidcProfile`, told apart by `protocol`: no profile carries a field of the other protocol. Every field
becomes a write, a line of the hand-off or a sentence. A profile that exists is complete and free of contradictions;
`vendors.parsing.parse_profile` makes one from a file's bytes.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from vendors.consistency import contradictions
from vendors.fields import (
    PARAMETER_COUNT,
    FieldLabel,
    FreezeWindow,
    Guide,
    IdentifierTemplate,
    MailAddress,
    Name,
    ParameterName,
    Pattern,
    PinnedPem,
    RelayStateTemplate,
    ReplyUrlTemplate,
    Role,
    Scope,
    Step,
    TemplateId,
    UrlTemplate,
    unprintable,
)
from vendors.patterns import LONGEST_VALUE
from vendors.smime import PinnedCertificate, pinned

Template = Literal["template"]  # read from the application that the gallery's template made
PersonValue = Literal["name", "address"]  # of somebody whose account is made by hand
DeliveredValue = Literal[
    "metadata_url",
    "certificate_base64",
    "certificate_pem",
    "login_url",
    "logout_url",
    "entra_identifier",
    "tenant_id",
    "client_id",
    "client_secret",
    "discovery_url",
    "user_access_url",
]


RolloverMode = Literal["metadata", "metadata_single", "several", "single"]


class Table(BaseModel):
    """One table of a profile: read exactly, unknown keys refused, never changed afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _list_of(longest: int) -> Any:
    return Field(strict=False, min_length=1, max_length=longest, json_schema_extra={"uniqueItems": True})


# Members of a union bear names in angle brackets, which no key can have: parsing leaves them out of key paths.
_LIST_OR_TEMPLATE = Discriminator(lambda value: "<template>" if isinstance(value, str) else "<list>")


class GallerySource(Table):
    """The application comes from a template of Entra's gallery."""

    gallery: Annotated[Name | None, Field(description="Display name in the gallery.")] = None
    template_id: Annotated[TemplateId | None, Field(description="Pins the gallery's template.")] = None


class RegistrationSource(Table):
    """The application is an ordinary app registration."""

    registration: Annotated[Literal[True], Field(description="An ordinary app registration, without template.")]


def _source_kind(source: object) -> str:
    named = source if isinstance(source, Mapping) else getattr(source, "__dict__", {})
    return "<registration>" if "registration" in named else "<gallery>"


Source = Annotated[
    Annotated[GallerySource, Tag("<gallery>")] | Annotated[RegistrationSource, Tag("<registration>")],
    Discriminator(_source_kind),
]


class Parameter(Table):
    """A value that a request, or later the vendor, must supply; used as {Name} in URLs, identifiers, relay state."""

    title: Annotated[Name, Field(description="What people read in mails and plans.")]
    pattern: Annotated[Pattern, Field(description="Regular expression that must match the whole value.")]
    source: Annotated[
        Literal["request", "vendor"],
        Field(alias="from", description="Who supplies it; 'vendor': once it has our metadata."),
    ] = "request"

    def refusal(self, value: str) -> str | None:
        """Say why this value is not taken, or None: length, invisible characters, then the pattern on all of it."""
        if not 0 < len(value) <= LONGEST_VALUE:
            return f"expected 1 to {LONGEST_VALUE} characters, found {len(value)}; shorten or supply {self.title}"
        if found := unprintable(value):
            return f"found the control or invisible character U+{ord(found):04X}; type {self.title} without it"
        if re.fullmatch(self.pattern, value, re.ASCII) is None:
            return f"expected {self.title} in the form {self.pattern}, found {value!r}; correct the value"
        return None


class SecretPolicy(Table):
    """How long a client secret lives."""

    lifetime_days: Annotated[
        int, Field(ge=1, le=730, description="Days from minting to the end; Entra's portal allows 24 months.")
    ] = 180
    renew_before_days: Annotated[
        int, Field(ge=1, le=365, description="Days before its end at which a successor is minted.")
    ] = 45
    overlap_days: Annotated[
        int, Field(ge=0, le=365, description="Days that the old secret stays after its successor was acknowledged.")
    ] = 14
    remind_days: Annotated[
        int, Field(ge=1, le=90, description="Days between reminders while a hand-off is not acknowledged.")
    ] = 7


class CertificatePolicy(Table):
    """How long a token signing certificate lives, and how the vendor takes its successor."""

    lifetime_days: Annotated[
        # Three years are the most that addTokenSigningCertificate takes:
        # https://learn.microsoft.com/graph/api/serviceprincipal-addtokensigningcertificate
        int,
        Field(ge=1, le=1095, description="Days from adding to the end; Entra allows three years."),
    ] = 1095
    rollover: Annotated[
        RolloverMode | None,
        Field(
            description="How the vendor takes a new one: 'metadata' (reads it, keeps all), 'metadata_single' (reads it,"
            " keeps one), 'several' (by hand, holds two), 'single' (by hand, holds one). Without it 'metadata_single'"
            " where metadata_url is delivered, else 'single'."
        ),
    ] = None
    poll_hours: Annotated[
        int, Field(ge=1, le=720, description="Hours within which a vendor that reads the metadata has read it.")
    ] = 24
    renew_before_days: Annotated[
        int, Field(ge=1, le=365, description="Days before its end at which a successor is announced.")
    ] = 60
    overlap_days: Annotated[
        int, Field(ge=0, le=365, description="Days that the old one stays once the vendor has the new one.")
    ] = 14
    remind_days: Annotated[
        int, Field(ge=1, le=90, description="Days between reminders while a hand-off is not acknowledged.")
    ] = 7


class Oidc(Table):
    """What an OpenID Connect vendor expects of the application."""

    redirect_uris: Annotated[
        Annotated[tuple[ReplyUrlTemplate, ...], _list_of(256), Tag("<list>")] | Annotated[Template, Tag("<template>")],
        _LIST_OR_TEMPLATE,
        Field(description="Where sign-ins are sent, or 'template'."),
    ]
    front_channel_logout_url: Annotated[
        UrlTemplate | None, Field(description="Opened by the browser when somebody signs out.")
    ] = None
    scopes: Annotated[
        tuple[Scope, ...],
        _list_of(30),
        Field(description="Delegated scopes of Microsoft Graph that everyone consents to."),
    ] = ("openid", "profile", "email")
    sign_on_url: Annotated[
        UrlTemplate | None, Field(description="Where people begin; without it the application is not in My Apps.")
    ] = None
    secret: Annotated[SecretPolicy, Field(description="The client secret's life.")] = SecretPolicy()


class Saml(Table):
    """What a SAML vendor expects of the application."""

    identifiers: Annotated[
        Annotated[tuple[IdentifierTemplate, ...], _list_of(50), Tag("<list>")] | Annotated[Template, Tag("<template>")],
        _LIST_OR_TEMPLATE,
        Field(description="The vendor's entity IDs, or 'template'."),
    ]
    reply_urls: Annotated[
        Annotated[tuple[ReplyUrlTemplate, ...], _list_of(256), Tag("<list>")] | Annotated[Template, Tag("<template>")],
        _LIST_OR_TEMPLATE,
        Field(description="Assertion consumer services, the default first, or 'template'."),
    ]
    initiated_by: Annotated[
        Literal["idp", "sp", "both"],
        Field(description="Who may begin a sign-in: 'idp' (My Apps), 'sp' (the vendor's page) or 'both'."),
    ]
    sign_on_url: Annotated[UrlTemplate | None, Field(description="The vendor's page where a sign-in begins.")] = None
    logout_url: Annotated[UrlTemplate | None, Field(description="The vendor's single logout service.")] = None
    relay_state: Annotated[
        RelayStateTemplate | None, Field(description="Sent along with a sign-in that begins in My Apps.")
    ] = None
    certificate: Annotated[CertificatePolicy, Field(description="The signing certificate's life.")] = (
        CertificatePolicy()
    )


class Smime(Table):
    """The secret travels in the hand-off's mail, encrypted to the vendor's certificate."""

    certificate: Annotated[PinnedPem, Field(description="The certificate of contact, PEM; an RSA key of 2048 bits.")]

    @property
    def pinned(self) -> PinnedCertificate:
        """The certificate as it was read."""
        return pinned(self.certificate)


class Handoff(Table):
    """Who is told what, in which words of the vendor."""

    to: Annotated[
        Literal["owner", "vendor"], Field(description="Our own administrator, or the vendor's contact by mail.")
    ]
    contact: Annotated[MailAddress | None, Field(description="The vendor's address, where to is 'vendor'.")] = None
    code_to: Annotated[
        MailAddress | None, Field(description="A second person at the vendor who gets the page's code.")
    ] = None
    deliver: Annotated[
        tuple[DeliveredValue, ...], _list_of(11), Field(description="What the vendor needs, in the order of its form.")
    ]
    fields: Annotated[
        Mapping[DeliveredValue, FieldLabel],
        Field(description="For each delivered value, the vendor's own name of the field it goes into."),
    ]
    steps: Annotated[tuple[Step, ...], _list_of(30), Field(description="What to do at the vendor's side, in order.")]
    valid_days: Annotated[int, Field(ge=1, le=30, description="How long the hand-off's page stays open.")] = 7
    freeze: Annotated[
        tuple[FreezeWindow, ...],
        Field(
            strict=False,
            max_length=20,
            description="Days when this vendor is asked for nothing: 2026-12-20..2027-01-05, 12-20..01-05, sat..sun.",
        ),
    ] = ()
    plain: Annotated[
        bool, Field(description="The secret may stand in the mail, if GATEHOUSE_ALLOW_PLAIN_SECRETS is on too.")
    ] = False
    smime: Annotated[
        Smime | None, Field(description="Pins a certificate to which the secret is encrypted, instead of the page.")
    ] = None


class People(Table):
    """How people come to exist at the vendor, and who may sign in."""

    provisioning: Annotated[
        Literal["just-in-time", "manual", "scim"], Field(description="How an account at the vendor comes to be.")
    ]
    assignment_required: Annotated[bool, Field(description="Only assigned people may sign in.")] = True
    role: Annotated[Role | None, Field(description="App role for requests that name none.")] = None
    account: Annotated[
        Mapping[PersonValue, FieldLabel],
        Field(min_length=1, description="Where accounts are made by hand: the vendor's own name of each field."),
    ] = {"name": "full name", "address": "email address"}
    authoritative: Annotated[
        bool, Field(description="Reconciling gives what the entitlements grant and removes what no rule grants.")
    ] = False


class _Common(Table):
    """What every profile says."""

    name: Annotated[Name, Field(description="As in the Entra gallery; the application's display name.")]
    guide: Annotated[Guide, Field(description="The page that this profile follows.")]
    instances: Annotated[
        Literal["many", "one"], Field(description="'one' where the vendor's identifier is a fixed string.")
    ] = "many"
    source: Source
    parameters: Annotated[
        Mapping[ParameterName, Parameter],
        Field(max_length=PARAMETER_COUNT, description="What a request must supply, by placeholder name."),
    ] = {}
    handoff: Handoff
    people: People

    @model_validator(mode="wrap")
    @classmethod
    def _free_of_contradictions(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Check each field and the fields against one another, and report both lists together."""
        problems = [
            InitErrorDetails(type=PydanticCustomError("profile_rule", sentence), loc=path, input=found)
            for path, found, sentence in (contradictions(data) if isinstance(data, Mapping) else ())
        ]
        try:
            profile = handler(data)
        except ValidationError as error:
            problems = [
                InitErrorDetails(
                    type=PydanticCustomError(line["type"], line["msg"], line.get("ctx") or None),
                    loc=line["loc"],
                    input=line["input"],
                )
                for line in error.errors(include_url=False)
            ] + problems
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, problems)
        return profile


class OidcProfile(_Common):
    """A vendor that signs people in by OpenID Connect."""

    protocol: Literal["oidc"]
    oidc: Oidc


class SamlProfile(_Common):
    """A vendor that signs people in by SAML 2.0."""

    protocol: Literal["saml"]
    saml: Saml


Profile = SamlProfile | OidcProfile
