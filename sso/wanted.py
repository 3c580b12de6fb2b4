"""What profile and request want of application and service principal, and what of it the tenant lacks.

An application that we made is set exactly; one that was adopted is only added to: what differs there is listed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

from sso.model import (
    ADOPTED_TAG,
    HIDE_TAG,
    INTEGRATED_TAG,
    MANAGED_TAG,
    OFFBOARDED,
    Application,
    ObjectId,
    ServicePrincipal,
    foreign_tags,
    offboarded_since,
    owner_from_tags,
    owner_tag,
    parameter_tag,
)
from sso.observed import Observed
from sso.request import Onboarding
from sso.steps import ApplicationSettings, ServicePrincipalSettings
from vendors.addresses import names_in
from vendors.placeholders import fill
from vendors.profile import GallerySource, OidcProfile, Profile, SamlProfile


@dataclass(frozen=True)
class Wanted:
    """The wishes of one request against what was observed."""

    profile: Profile
    request: Onboarding
    observed: Observed
    operators: str

    @property
    def adopted(self) -> bool:
        """Whether the application was made by hand and adopted: then nothing of it is removed or replaced."""
        found = self.observed.application
        return found is not None and ADOPTED_TAG in found.tags

    @property
    def display_name(self) -> str:
        """The application's name: what the request says, else what somebody gave it, else the profile's."""
        found, key = self.observed.application, self.request.key
        if self.request.display_name:
            return self.request.display_name
        if found and found.display_name != key.marker:
            return found.display_name  # never drift
        return key.display_name(self.profile.name)

    # The application

    def application(self) -> ApplicationSettings:
        """Everything that is wanted of the application."""
        key, profile, found = self.request.key, self.profile, self.observed.application
        logout = profile.oidc.front_channel_logout_url if isinstance(profile, OidcProfile) else profile.saml.logout_url
        adopted = (ADOPTED_TAG,) if self.adopted else ()
        kept = (*foreign_tags(found.tags), *adopted, *self._offboarded(found.tags)) if found else ()
        parameters = (parameter_tag(name, value) for name, value in self.request.parameters.items())
        return ApplicationSettings(
            display_name=self.display_name,
            unique_name=key.marker,
            tags=tuple(sorted({*kept, MANAGED_TAG, key.tag, owner_tag(self.request.owner), *parameters})),
            identifiers=self.identifiers() or None,
            reply_urls=self.reply_urls() or None,
            logout_url=self._fill(logout),
            scopes=tuple(profile.oidc.scopes) if isinstance(profile, OidcProfile) else None,
            rename_texts_from=key.marker if isinstance(profile.source, GallerySource) else None,
        )

    def application_changes(self) -> ApplicationSettings:
        """What of it the application lacks; the owner's tag is left to the step that changes owners."""
        wanted = self.application()
        if self.observed.application is None:
            return wanted
        found = with_owner(self.observed.application, self.request.owner)
        if self.adopted:
            wanted = _added(wanted, found)
        mentioned = any(self.request.key.marker in scope.mentions for scope in found.scopes)
        return ApplicationSettings(
            display_name=wanted.display_name if wanted.display_name != found.display_name else None,
            unique_name=wanted.unique_name if found.unique_name is None else None,
            tags=wanted.tags if set(wanted.tags or ()) != set(found.tags) else None,
            identifiers=_unless_equal(wanted.identifiers, found.identifiers),
            reply_urls=_unless_equal(wanted.reply_urls, found.reply_urls),
            logout_url=wanted.logout_url if wanted.logout_url != found.logout_url else None,
            scopes=wanted.scopes if not set(wanted.scopes or ()) <= found.required_scopes else None,
            rename_texts_from=wanted.rename_texts_from if mentioned else None,
        )

    # The service principal

    def service_principal(self) -> ServicePrincipalSettings:
        """Everything that is wanted of the service principal."""
        profile, found = self.profile, self.observed.service_principal
        saml = profile.saml if isinstance(profile, SamlProfile) else None
        sign_on_url = self._fill(
            profile.oidc.sign_on_url if isinstance(profile, OidcProfile) else profile.saml.sign_on_url
        )
        kept = (*foreign_tags(found.tags), *self._offboarded(found.tags)) if found else ()
        # One that was adopted is as visible as its administrator made it.
        hidden = {HIDE_TAG} if saml is None and sign_on_url is None and not (self.adopted and found) else set()
        return ServicePrincipalSettings(
            sign_on_mode=profile.protocol,
            sign_on_url=sign_on_url,
            logout_url=self._fill(saml.logout_url) if saml else None,
            relay_state=self._fill(saml.relay_state) if saml else None,
            assignment_required=profile.people.assignment_required,
            notification_addresses=(self.operators,) if saml else None,
            tags=tuple(sorted({*kept, INTEGRATED_TAG, MANAGED_TAG, self.request.key.tag, *hidden})),
            # What an offboarding has disabled its onboarding enables; what somebody else has disabled stays so.
            enabled=True if found and offboarded_since(found.tags) and self.request.revives else None,
        )

    def _offboarded(self, tags: tuple[str, ...]) -> tuple[str, ...]:
        """The tag of an offboarding, which only a request that brings the application back takes away."""
        return () if self.request.revives else tuple(tag for tag in tags if tag.startswith(OFFBOARDED))

    def service_principal_changes(self) -> ServicePrincipalSettings:
        """What of it the service principal lacks; a wish of None leaves a field as it is."""
        wanted, found = self.service_principal(), self.observed.service_principal
        if found is None:
            return wanted
        missing = _difference(wanted, found)
        if self.adopted:
            # Sign-in that works is not taken from anybody: what is set stays, and is listed.
            set_already = {name for name in _CHOICES if getattr(found, name) not in (None, ())}
            missing = replace(missing, **dict.fromkeys(set_already))
        return missing

    def differences(self) -> Iterator[str]:
        """What an adopted application has and the profile does not say: listed, never changed."""
        found, principal = self.observed.application, self.observed.service_principal
        since = self.observed.offboarded
        if found and since and not self.request.revives:
            yield f"'{found.display_name}' is offboarded since {since:%Y-%m-%d}: nobody can sign in."
        elif found and principal and not principal.enabled and not since:
            yield f"The service principal of '{found.display_name}' is disabled, and by no offboarding of ours."
        if not self.adopted or found is None:
            return
        wanted = self.application()
        for title, have, want in (
            ("reply URLs", found.reply_urls, wanted.reply_urls),
            ("identifiers", found.identifiers, wanted.identifiers),
        ):
            if extra := [entry for entry in have if want and entry not in want]:
                yield f"'{found.display_name}' has the {title} {', '.join(extra)}, which the profile does not list."
        if principal:
            wish = _difference(self.service_principal(), principal)
            for name in _CHOICES:
                if getattr(wish, name) is not None and getattr(principal, name) not in (None, ()):
                    yield (
                        f"The service principal of '{found.display_name}' has {name} {getattr(principal, name)!r};"
                        f" the profile says {getattr(wish, name)!r}."
                    )

    # Addresses

    def reply_urls(self) -> tuple[str, ...]:
        """The reply URLs, filled; those of the gallery's template where the profile says so."""
        profile, found = self.profile, self.observed.application
        wanted = profile.oidc.redirect_uris if isinstance(profile, OidcProfile) else profile.saml.reply_urls
        return self._addresses(wanted, "redirectUri", found.reply_urls if found else ())

    def identifiers(self) -> tuple[str, ...]:
        """The entity IDs, filled; those of the gallery's template where the profile says so."""
        if isinstance(self.profile, OidcProfile):
            return ()
        found = self.observed.application
        return self._addresses(self.profile.saml.identifiers, "identifierUri", found.identifiers if found else ())

    def lacks_addresses(self) -> bool:
        """Whether the gallery's template gave none, so that nothing more can be made."""
        if self.observed.application is None:
            return False
        if isinstance(self.profile, OidcProfile):
            return self.profile.oidc.redirect_uris == "template" and not self.reply_urls()
        saml = self.profile.saml
        return (saml.identifiers == "template" and not self.identifiers()) or (
            saml.reply_urls == "template" and not self.reply_urls()
        )

    def _addresses(self, wanted: tuple[str, ...] | str, usage: str, found: tuple[str, ...]) -> tuple[str, ...]:
        if isinstance(wanted, tuple):
            return tuple(fill(entry, self.request.parameters) for entry in wanted if self._is_filled(entry))
        application = self.observed.application
        if found or application is None:
            return found
        template = next((t for t in self.observed.templates if t.id == application.template_id), None)
        return template.configuration.get(usage, ()) if template else ()

    def _fill(self, template: str | None) -> str | None:
        return fill(template, self.request.parameters) if template and self._is_filled(template) else None

    def _is_filled(self, template: str) -> bool:
        return all(name in self.request.parameters for name in names_in(template))


# What an administrator may have chosen by hand on an application that is adopted.
_CHOICES = ("sign_on_mode", "sign_on_url", "logout_url", "relay_state", "assignment_required", "notification_addresses")


def with_owner(application: Application, owner: ObjectId) -> Application:
    """The application with its owner's tag replaced, if it has one."""
    before = owner_from_tags(application.tags)
    if before is None:
        return application
    return replace(application, tags=tuple(owner_tag(owner) if t == owner_tag(before) else t for t in application.tags))


def _added(wanted: ApplicationSettings, found: Application) -> ApplicationSettings:
    """The wishes as additions to what is there."""
    return replace(
        wanted,
        identifiers=tuple(dict.fromkeys((*found.identifiers, *(wanted.identifiers or ())))),
        reply_urls=tuple(dict.fromkeys((*found.reply_urls, *(wanted.reply_urls or ())))),
        logout_url=found.logout_url or wanted.logout_url,
    )


def _unless_equal(wanted: tuple[str, ...] | None, found: tuple[str, ...]) -> tuple[str, ...] | None:
    return wanted if wanted is not None and wanted != found else None


def _difference(wanted: ServicePrincipalSettings, found: ServicePrincipal) -> ServicePrincipalSettings:
    missing = {}
    for entry in fields(wanted):
        value, same = getattr(wanted, entry.name), getattr(found, entry.name)
        if value is not None and (set(value) != set(same) if entry.name == "tags" else value != same):
            missing[entry.name] = value
    return ServicePrincipalSettings(**missing)
