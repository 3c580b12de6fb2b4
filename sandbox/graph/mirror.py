"""What flows from an application to its service principal (graph-contract section 4)."""

from copy import deepcopy

from sandbox.directory import GraphObject


def mirror_application(
    application: GraphObject, service_principal: GraphObject, changed: frozenset[str] | None = None
) -> None:
    """Bring the service principal up to the application, in the properties that were changed or in all."""
    web, api = application["web"], application["api"]
    values = {
        "displayName": {"displayName": application["displayName"], "appDisplayName": application["displayName"]},
        "description": {"appDescription": application["description"]},
        "identifierUris": {"servicePrincipalNames": [*application["identifierUris"], application["appId"]]},
        "web": {"replyUrls": _reply_urls(application), "homepage": web["homePageUrl"]},
        "spa": {"replyUrls": _reply_urls(application)},
        "publicClient": {"replyUrls": _reply_urls(application)},
        "appRoles": {"appRoles": application["appRoles"]},
        "api": {"oauth2PermissionScopes": api["oauth2PermissionScopes"]},
        "info": {"info": application["info"]},
        "signInAudience": {"signInAudience": application["signInAudience"]},
        "verifiedPublisher": {"verifiedPublisher": application["verifiedPublisher"]},
    }
    for name, mirrored in values.items():
        if changed is None or name in changed:
            service_principal |= deepcopy(mirrored)


def _reply_urls(application: GraphObject) -> list[str]:
    return [
        *application["web"]["redirectUris"],
        *application["spa"]["redirectUris"],
        *application["publicClient"]["redirectUris"],
    ]
