"""Graph's applicationTemplates: the gallery, and `instantiate`, which makes an application and a service principal."""

from sandbox.blank_objects import blank_application, blank_service_principal
from sandbox.directory import GraphObject
from sandbox.gallery import MSIAM_ACCESS_ROLE_ID, NON_GALLERY_TEMPLATE_ID, TEMPLATES, USER_ROLE_ID, Template
from sandbox.graph.errors import GraphError, not_found
from sandbox.graph.mirror import mirror_application
from sandbox.graph.ownership import has_only_owned
from sandbox.graph.pages import entity, page
from sandbox.graph.schemas import check_properties
from sandbox.graph.wire import GraphAnswer, GraphRequest, Handler

TAG = "WindowsAzureActiveDirectoryIntegratedApp"
CUSTOM_TAG = "WindowsAzureActiveDirectoryCustomSingleSignOnApplication"


async def list_templates(request: GraphRequest) -> GraphAnswer:
    """List the gallery; here alone the directory offers `contains`."""
    rows = [template.listed() for template in TEMPLATES.values() if template.template_id != NON_GALLERY_TEMPLATE_ID]
    return page(request, rows, "applicationTemplate", "applicationTemplates", contains=True)


async def get_template(request: GraphRequest) -> GraphAnswer:
    """Return one template; beta alone knows its preset URLs."""
    template = _template(request)
    if request.version == "beta" and request.query.get("$select") == "configurationUris":
        context = f"{request.root}/$metadata#applicationTemplates(configurationUris)/$entity"
        none = request.tenant.switches.presets == "none"
        return GraphAnswer(
            200, {"@odata.context": context, "configurationUris": [] if none else template.configuration_uris()}
        )
    return entity(request, template.listed(), "applicationTemplate", "applicationTemplates")


async def instantiate(request: GraphRequest) -> GraphAnswer:
    """Make an application and its service principal; a second call makes a second pair."""
    template = _template(request)
    body = request.json_object()
    check_properties("application", body)
    display_name = request.text("displayName")
    application = _application(request, template, display_name)
    application["serviceManagementReference"] = body.get("serviceManagementReference")
    service_principal = blank_service_principal(
        request.directory.next_id("servicePrincipal", display_name),
        application["appId"],
        display_name,
        request.directory.tenant_id,
    )
    service_principal |= {
        "applicationTemplateId": template.template_id,
        "appRoleAssignmentRequired": True,
        "createdByAppId": request.caller,
        "tags": [TAG, CUSTOM_TAG] if template.template_id == NON_GALLERY_TEMPLATE_ID else [TAG],
    }
    mirror_application(application, service_principal)
    request.store.put("applications", application)
    request.store.put("service_principals", service_principal)
    # graph-contract section 2: under OwnedBy alone both may come without an owner, whom nobody can then add.
    switches, draws = request.tenant.switches, request.tenant.unkind.draws
    is_orphan = switches.instantiate_without_owners and has_only_owned(request)
    for made in (application, service_principal):
        request.directory.owners[made["id"]] = [] if is_orphan else request.caller_object_ids()
    longest = switches.instantiate_seconds
    await request.tenant.gate.wait(draws.between(longest / 5, longest, "instantiate", display_name))
    if draws.hits(switches.instantiate_not_found_share, "instantiate 404", display_name):
        if request.passage is not None:
            request.tenant.gate.note(request.passage, "404 but created")
        raise GraphError(
            404, "NotFound", "Graph call failed with httpCode=NotFound, errorCode=, errorMessage=, reason=Not Found."
        )
    return GraphAnswer(
        201,
        {
            "@odata.context": f"{request.root}/$metadata#microsoft.graph.applicationServicePrincipal",
            "application": application,
            "servicePrincipal": service_principal,
        },
    )


def _template(request: GraphRequest) -> Template:
    template_id = request.parameters["applicationTemplate-id"]
    template = TEMPLATES.get(template_id.lower())
    if template is None:
        raise not_found(template_id)
    return template


def _application(request: GraphRequest, template: Template, display_name: str) -> GraphObject:
    directory = request.directory
    application = blank_application(
        directory.next_id("application", display_name),
        directory.next_id("clientId", display_name),
        display_name,
        request.now,
        request.caller,
    )
    application |= {
        "applicationTemplateId": template.template_id,
        "appRoles": [_role("User", USER_ROLE_ID), _role("msiam_access", MSIAM_ACCESS_ROLE_ID)],
    }
    application["api"]["oauth2PermissionScopes"] = [_scope(directory.next_id("scope", display_name), display_name)]
    if template.home_page:
        application["web"]["homePageUrl"] = f"{template.home_page}?metadata={template.slug}|ISV9.1|primary|z"
    if request.tenant.switches.presets == "application":
        application["identifierUris"] = list(template.identifiers)
        application["web"]["redirectUris"] = list(template.reply_urls)
        application["web"]["redirectUriSettings"] = [{"uri": url, "index": None} for url in template.reply_urls]
    return application


def _role(name: str, role_id: str) -> GraphObject:
    return {
        "allowedMemberTypes": ["User"],
        "description": name,
        "displayName": name,
        "id": role_id,
        "isEnabled": True,
        "origin": "Application",
        "value": None,
    }


def _scope(scope_id: str, display_name: str) -> GraphObject:
    access = f"Access {display_name}"
    return {
        "adminConsentDescription": (f"Allow the application to access {display_name} on behalf of the signed-in user."),
        "adminConsentDisplayName": access,
        "id": scope_id,
        "isEnabled": True,
        "type": "User",
        "userConsentDescription": f"Allow the application to access {display_name} on your behalf.",
        "userConsentDisplayName": access,
        "value": "user_impersonation",
    }


HANDLERS: dict[str, Handler] = {
    "applicationTemplates.applicationTemplate_ListApplicationTemplate": list_templates,
    "applicationTemplates.applicationTemplate_GetApplicationTemplate": get_template,
    "applicationTemplates.applicationTemplate.instantiate": instantiate,
}
