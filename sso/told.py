"""What an application's hand-off tells at one moment: of which credential, and of which that takes its place."""

from datetime import datetime, timedelta

from sso import rollover, rotation
from sso.deployment import Deployment
from sso.handoff import Announcement, Handoff, IdentityProvider, certificate_file, handoff_of, public_values
from sso.observed import Observed
from sso.request import Onboarding
from vendors.profile import OidcProfile, Profile, SamlProfile


def credential_of(profile: Profile, observed: Observed, now: datetime) -> str | None:
    """The key ID or thumbprint that a hand-off tells and an acknowledgement is for; None before it exists.

    The one in use, or the signing certificate that is added to succeed it.
    """
    if isinstance(profile, SamlProfile):
        found = observed.service_principal
        certificate = rollover.told(observed.key, found) if found else None
        return certificate.thumbprint if certificate else None
    passwords = observed.application.passwords if observed.application else ()
    current = rotation.SecretFacts(observed.key, passwords, observed.versions, now).current
    return current.key_id if current else None


def handoff(
    profile: Profile, request: Onboarding, observed: Observed, deployment: Deployment, now: datetime
) -> Handoff | None:
    """What this application's hand-off tells; None until everything that it tells exists."""
    credential, application = credential_of(profile, observed, now), observed.application
    if credential is None or application is None:
        return None
    certificate = rollover.told(observed.key, observed.service_principal) if observed.service_principal else None
    provider = IdentityProvider(
        tenant_id=deployment.tenant_id,
        authority_url=deployment.authority_url,
        client_id=application.client_id,
        certificate_der=certificate.der if certificate else None,
    )
    return handoff_of(
        profile,
        request.key,
        provider,
        owner=request.owner,
        parameters={  # what the vendor supplied is no news to it
            name: value
            for name, value in request.parameters.items()
            if name in profile.parameters and profile.parameters[name].source == "request"
        },
        credential=credential,
        plain_allowed=deployment.allow_plain_secrets,
        announcement=_announcement(profile, request, observed, provider),
    )


def _announcement(
    profile: Profile, request: Onboarding, observed: Observed, provider: IdentityProvider
) -> Announcement | None:
    """What is told of a signing certificate that takes the place of the one in use; None where none does, or did."""
    found = observed.service_principal
    signing = rollover.active(found) if found else None
    if found is None or signing is None or isinstance(profile, OidcProfile):
        return None
    new, mode = rollover.successor(observed.key, found, signing.thumbprint), rollover.mode_of(profile)
    if new is None and (request.rotation is None or request.rotation.succeeds != signing.thumbprint):
        return None
    poll = timedelta(hours=profile.saml.certificate.poll_hours)
    return Announcement(
        mode=mode,
        old_ends=signing.ends,
        thumbprint=new.thumbprint if new else None,
        starts=new.starts if new else None,
        ends=new.ends if new else None,
        signs_from=new.starts + 2 * poll if new and mode == "metadata" else None,
        metadata_url=public_values(provider)["metadata_url"],
        certificate=certificate_file(observed.key, new.der) if new else None,
    )
