"""Graph on the wire: what an onboarding reads and writes, and what the service refuses."""

import base64
from typing import Any

import pytest
from cryptography import x509
from yarl import URL

from sandbox.gallery import ILOGON_MHA_REDIRECT_URI, THOROPASS_IDENTIFIER, THOROPASS_REPLY_URL
from sandbox.graph.dispatch import HANDLERS
from sandbox.graph.operations import operations
from sandbox.relying_parties import ilogon_mha, thoropass
from sandbox.seed import PEOPLE
from tests.published import problems_of_object
from tests.sandbox.conftest import Contoso, Reply

SIMON = "b.simon@contoso.com"


async def user_id(contoso: Contoso, upn: str = SIMON) -> str:
    """The object ID of a person."""
    return str((await contoso.graph("GET", f"/users/{upn}")).body["id"])


async def assign(contoso: Contoso, resource_id: str, principal_id: str, role_id: str) -> Reply:
    """Assign a principal, from the resource's side."""
    body = {"principalId": principal_id, "resourceId": resource_id, "appRoleId": role_id}
    return await contoso.graph("POST", f"/servicePrincipals/{resource_id}/appRoleAssignedTo", body)


def role_of(service_principal: dict[str, Any], name: str = "User") -> str:
    """The ID of a role by its name."""
    return next(str(role["id"]) for role in service_principal["appRoles"] if role["displayName"] == name)


def test_every_handler_serves_an_operation_of_the_published_description() -> None:
    """No handler answers to a name that the description does not know."""
    published = {operation.operation_id for operation in operations()}
    assert set(HANDLERS) <= published


class TestCallers:
    """Who may call."""

    async def test_without_a_token(self, sandbox_tenant: Contoso) -> None:
        """A call without a token is 401 in Graph's envelope, with both request ids."""
        url = f"{sandbox_tenant.tenant.urls.graph}/v1.0/applications"
        reply = await sandbox_tenant.call("GET", url, headers={"client-request-id": "mine"})
        assert (reply.status, reply.code) == (401, "InvalidAuthenticationToken")
        assert reply.headers["client-request-id"] == "mine"
        assert reply.body["error"]["innerError"]["request-id"] == reply.headers["request-id"]

    async def test_with_a_token_for_the_vault(self, sandbox_tenant: Contoso) -> None:
        """A token for another resource is refused."""
        urls = sandbox_tenant.tenant.urls
        token = sandbox_tenant.token(audience=urls.vault_resource)
        reply = await sandbox_tenant.call(
            "GET", f"{urls.graph}/v1.0/users", headers={"Authorization": f"Bearer {token}"}
        )
        assert reply.status == 401

    @pytest.mark.parametrize(
        ("method", "path", "roles", "status"),
        [
            ("GET", "/applications", (), 403),
            ("GET", "/applications", ("Application.Read.All",), 200),
            ("POST", "/applications", ("Application.Read.All",), 403),
            ("GET", "/applicationTemplates", (), 200),
            ("GET", "/oauth2PermissionGrants", ("Application.ReadWrite.All",), 403),
            ("POST", f"/users/{SIMON}/sendMail", ("User.Read.All",), 403),
        ],
    )
    async def test_permissions(
        self, sandbox_tenant: Contoso, method: str, path: str, roles: tuple[str, ...], status: int
    ) -> None:
        """An operation asks for the permissions that its description lists."""
        reply = await sandbox_tenant.graph(method, path, {} if method == "POST" else None, roles=roles)
        assert reply.status == status
        if status == 403:
            assert reply.code == ("ErrorAccessDenied" if path.endswith("/sendMail") else "Authorization_RequestDenied")

    async def test_what_is_absent(self, sandbox_tenant: Contoso) -> None:
        """What the sandbox does not serve is 404, and so is beta beyond the templates."""
        assert (await sandbox_tenant.graph("GET", "/policies/claimsMappingPolicies")).status == 404
        assert (await sandbox_tenant.graph("GET", "/me")).status == 404
        assert (await sandbox_tenant.graph("GET", "/users", version="beta")).status == 404


class TestSeed:
    """The people and groups of contoso.com."""

    async def test_the_same_seed_is_the_same_tenant(self, sandbox_tenant: Contoso) -> None:
        """After a reset every person has the same ID as before."""
        before = await user_id(sandbox_tenant)
        await sandbox_tenant.tenant.reset()
        assert await user_id(sandbox_tenant) == before

    async def test_people(self, sandbox_tenant: Contoso) -> None:
        """There are 400 people beside the named four, guests, disabled ones and namesakes among them."""
        users: list[dict[str, Any]] = []
        path: str | None = "/users?$select=id,userPrincipalName,userType,accountEnabled,displayName&$top=150"
        while path:
            reply = await sandbox_tenant.graph("GET", path)
            users += reply.body["value"]
            path = reply.body.get("@odata.nextLink")
        assert len(users) == len({user["id"] for user in users}) == PEOPLE + 4
        assert sum(user["userType"] == "Guest" for user in users) == 2
        assert sum(not user["accountEnabled"] for user in users) == 2
        assert sum(user["displayName"] == "Jonas Becker" for user in users) == 2

    async def test_an_account_is_disabled(self, sandbox_tenant: Contoso) -> None:
        """An account is disabled and enabled again; nothing else of a person is changed by an application."""
        for enabled in (False, True):
            reply = await sandbox_tenant.graph("PATCH", f"/users/{SIMON}", {"accountEnabled": enabled})
            assert reply.status == 204
            found = await sandbox_tenant.graph("GET", f"/users/{SIMON}?$select=accountEnabled")
            assert found.body["accountEnabled"] is enabled
        assert (await sandbox_tenant.graph("PATCH", f"/users/{SIMON}", {"jobTitle": "Boss"})).status == 403
        assert (
            await sandbox_tenant.graph("PATCH", "/users/nobody@contoso.com", {"accountEnabled": True})
        ).status == 404

    async def test_sessions_are_revoked(self, sandbox_tenant: Contoso) -> None:
        """Revoking somebody's sessions is noted with its moment."""
        reply = await sandbox_tenant.graph("POST", f"/users/{SIMON}/revokeSignInSessions")
        assert (reply.status, reply.body["value"]) == (200, True)
        found = await sandbox_tenant.graph("GET", f"/users/{SIMON}?$select=signInSessionsValidFromDateTime")
        assert found.body["signInSessionsValidFromDateTime"]

    @pytest.mark.parametrize(
        "query",
        [
            "userPrincipalName eq 'B.Simon@contoso.com'",
            "mail eq 'b.simon@contoso.com'",
            "proxyAddresses/any(p:p eq 'smtp:britta.simon@contoso.com')",
        ],
    )
    async def test_a_person_is_found(self, sandbox_tenant: Contoso, query: str) -> None:
        """A person is found by user principal name, mail and alias."""
        reply = await sandbox_tenant.graph("GET", "/users", params={"$filter": query, "$select": "id,displayName"})
        assert [user["displayName"] for user in reply.body["value"]] == ["B.Simon"]

    async def test_few_properties_without_select(self, sandbox_tenant: Contoso) -> None:
        """A user shows few properties unless more are selected."""
        assert "accountEnabled" not in (await sandbox_tenant.graph("GET", f"/users/{SIMON}")).body
        selected = await sandbox_tenant.graph("GET", f"/users/{SIMON}?$select=accountEnabled,userType")
        assert (selected.body["accountEnabled"], selected.body["userType"]) == (True, "Member")

    async def test_a_guest_is_read_by_an_escaped_name(self, sandbox_tenant: Contoso) -> None:
        """A guest's user principal name, its # escaped, reads the guest."""
        guest = next(user for user in sandbox_tenant.tenant.directory.users.values() if user["userType"] == "Guest")
        escaped = guest["userPrincipalName"].replace("#", "%23")
        url = f"{sandbox_tenant.tenant.urls.graph}/v1.0/users/{escaped}"
        token = sandbox_tenant.token(audience=sandbox_tenant.tenant.urls.graph)
        reply = await sandbox_tenant.call(
            "GET",
            URL(url, encoded=True),
            headers={"Authorization": f"Bearer {token}"},
        )
        assert reply.body["id"] == guest["id"]

    async def test_groups(self, sandbox_tenant: Contoso) -> None:
        """Thirteen groups: two of one name, one without security, one with a mail address of operators."""
        groups = (await sandbox_tenant.graph("GET", "/groups")).body["value"]
        assert len(groups) == 13
        assert sum(group["displayName"] == "Project Phoenix" for group in groups) == 2
        assert [group["displayName"] for group in groups if not group["securityEnabled"]] == ["All Employees"]
        team = await sandbox_tenant.graph("GET", "/groups?$filter=mail eq 'identity-team@contoso.com'")
        assert (team.body["value"][0]["mailEnabled"], team.body["value"][0]["securityEnabled"]) == (True, True)
        sales = next(group for group in groups if group["displayName"] == "Sales")
        members = await sandbox_tenant.graph("GET", f"/groups/{sales['id']}/members")
        assert await user_id(sandbox_tenant) in {member["id"] for member in members.body["value"]}

    async def test_a_group_inside_a_group(self, sandbox_tenant: Contoso) -> None:
        """Members are listed directly, and say of what type they are, whatever is selected."""
        groups = (await sandbox_tenant.graph("GET", "/groups?$filter=displayName eq 'Field Organisation'")).body[
            "value"
        ]
        path = f"/groups/{groups[0]['id']}/members?$select=id,displayName"
        members = (await sandbox_tenant.graph("GET", path)).body["value"]
        assert sorted(member["@odata.type"].rpartition(".")[2] for member in members) == ["group", "user"]
        assert "Sales" in {member["displayName"] for member in members}

    async def test_nobody_is_assigned(self, sandbox_tenant: Contoso) -> None:
        """No person and no group is assigned to anything."""
        kinds = {row["principalType"] for row in sandbox_tenant.tenant.directory.assignments.values()}
        assert kinds == {"ServicePrincipal"}

    async def test_microsoft_graph_publishes_its_permissions(self, sandbox_tenant: Contoso) -> None:
        """Permission and scope IDs are read from Microsoft Graph's own service principal."""
        reply = await sandbox_tenant.graph("GET", "/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')")
        assert "Mail.Send" in {role["value"] for role in reply.body["appRoles"]}
        assert {"openid", "profile", "email", "offline_access", "User.Read"} == {
            scope["value"] for scope in reply.body["oauth2PermissionScopes"]
        }


class TestSchemas:
    """What is served is what is published."""

    def test_the_check_can_fail(self) -> None:
        """An unknown property, a wrong type and a null that is not allowed are problems."""
        assert problems_of_object("application", {"id": "x", "displayName": None, "web": None}) == []
        wrongs: tuple[dict[str, Any], ...] = ({"nonsense": 1}, {"id": 7}, {"tags": None}, {"web": {"redirectUri": []}})
        for wrong in wrongs:
            assert len(problems_of_object("application", wrong)) == 1, wrong

    async def test_every_object_keeps_to_the_published_schema(self, sandbox_tenant: Contoso) -> None:
        """Each kind of object, read singly and in lists, has no property and no type that is not published."""
        application, principal = await sandbox_tenant.instantiated("Thoropass", "gatehouse-thoropass-default")
        await sandbox_tenant.graph("POST", f"/applications/{application['id']}/addPassword", {})
        await sandbox_tenant.graph(
            "POST", f"/servicePrincipals/{principal['id']}/addTokenSigningCertificate", {"displayName": "CN=x"}
        )
        await assign(sandbox_tenant, principal["id"], await user_id(sandbox_tenant), role_of(principal))
        await sandbox_tenant.graph("POST", "/oauth2PermissionGrants", grant_of(sandbox_tenant, principal["id"]))
        lists = {
            "/applicationTemplates": "applicationTemplate",
            "/applications": "application",
            "/servicePrincipals": "servicePrincipal",
            "/users": "user",
            "/groups": "group",
            "/oauth2PermissionGrants": "oAuth2PermissionGrant",
            f"/servicePrincipals/{principal['id']}/appRoleAssignedTo": "appRoleAssignment",
        }
        for path, type_name in lists.items():
            rows = (await sandbox_tenant.graph("GET", path)).body["value"]
            assert rows, path
            for row in rows:
                assert problems_of_object(type_name, row) == [], path
        for path, type_name in {
            f"/applications/{application['id']}": "application",
            f"/servicePrincipals/{principal['id']}": "servicePrincipal",
        }.items():
            assert problems_of_object(type_name, (await sandbox_tenant.graph("GET", path)).body) == []
        for user in sandbox_tenant.tenant.directory.users.values():
            assert problems_of_object("user", user) == []

    async def test_errors_keep_to_the_published_schema(self, sandbox_tenant: Contoso) -> None:
        """An error's envelope is the published one."""
        reply = await sandbox_tenant.graph("GET", "/applications/nothing")
        assert reply.status == 404
        assert set(reply.body["error"]) == {"code", "message", "innerError"}
        assert set(reply.body["error"]["innerError"]) == {"date", "request-id", "client-request-id"}


def grant_of(contoso: Contoso, client_id: str, scope: str = "openid profile email") -> dict[str, Any]:
    """The body of a tenant-wide grant on Microsoft Graph."""
    return {
        "clientId": client_id,
        "consentType": "AllPrincipals",
        "resourceId": contoso.tenant.directory.graph_service_principal_id,
        "scope": scope,
    }


class TestTemplates:
    """The gallery."""

    @pytest.mark.parametrize(
        ("name", "mode"), [("ClickTime", "saml"), ("SmartTrace", "oidc"), ("Thoropass", "saml"), ("iLOGON_MHA", "oidc")]
    )
    async def test_the_vendors_are_listed_once(self, sandbox_tenant: Contoso, name: str, mode: str) -> None:
        """Each gallery vendor has one template of its sign-on mode, among neighbours of similar names."""
        exact = await sandbox_tenant.graph("GET", f"/applicationTemplates?$filter=displayName eq '{name}'")
        assert [mode in hit["supportedSingleSignOnModes"] for hit in exact.body["value"]] == [True]
        near = await sandbox_tenant.graph("GET", f"/applicationTemplates?$filter=contains(displayName,'{name[:5]}')")
        assert len(near.body["value"]) > 1

    def test_presets_are_the_vendors_own_addresses(self) -> None:
        """What a template presets is what the vendor's side answers to."""
        assert (THOROPASS_IDENTIFIER, THOROPASS_REPLY_URL) == (thoropass.ENTITY_ID, thoropass.REPLY_URL)
        assert ILOGON_MHA_REDIRECT_URI == ilogon_mha.REDIRECT_URI

    async def test_hellotracks_is_not_in_the_gallery(self, sandbox_tenant: Contoso) -> None:
        """Hellotracks has no template."""
        reply = await sandbox_tenant.graph("GET", "/applicationTemplates?$filter=displayName eq 'Hellotracks'")
        assert reply.body["value"] == []

    async def test_instantiate_makes_a_pair(self, sandbox_tenant: Contoso) -> None:
        """Instantiate answers 201 with an application and a service principal that agree and share no object ID."""
        application, principal = await sandbox_tenant.instantiated("ClickTime", "gatehouse-clicktime-default")
        assert application["appId"] == principal["appId"]
        assert len({application["id"], application["appId"], principal["id"]}) == 3
        assert application["appRoles"] == principal["appRoles"]
        assert [role["displayName"] for role in application["appRoles"]] == ["User", "msiam_access"]
        assert principal["appRoleAssignmentRequired"] is True
        assert principal["preferredSingleSignOnMode"] is None
        assert principal["servicePrincipalNames"] == [application["appId"]]
        assert principal["tags"] == ["WindowsAzureActiveDirectoryIntegratedApp"]
        (scope,) = application["api"]["oauth2PermissionScopes"]
        assert (scope["value"], scope["adminConsentDisplayName"]) == (
            "user_impersonation",
            "Access gatehouse-clicktime-default",
        )
        assert problems_of_object("application", application) == problems_of_object("servicePrincipal", principal) == []

    async def test_instantiate_is_not_idempotent(self, sandbox_tenant: Contoso) -> None:
        """Each call makes another pair."""
        first, _ = await sandbox_tenant.instantiated("ClickTime", "Twice")
        second, _ = await sandbox_tenant.instantiated("ClickTime", "Twice")
        assert first["id"] != second["id"]
        found = await sandbox_tenant.graph("GET", "/applications?$filter=displayName eq 'Twice'")
        assert len(found.body["value"]) == 2

    @pytest.mark.parametrize(
        ("presets", "on_application", "in_beta"),
        [("application", True, True), ("template", False, True), ("none", False, False)],
    )
    async def test_presets(self, sandbox_tenant: Contoso, presets: str, on_application: bool, in_beta: bool) -> None:
        """A template's URLs stand on the new application, or in beta alone, or nowhere, by switch."""
        await sandbox_tenant.control("PUT", "/switches", {"presets": presets})
        thoropass, principal = await sandbox_tenant.instantiated("Thoropass", "T")
        ilogon, _ = await sandbox_tenant.instantiated("iLOGON_MHA", "I")
        assert thoropass["identifierUris"] == ([THOROPASS_IDENTIFIER] if on_application else [])
        assert thoropass["web"]["redirectUris"] == ([THOROPASS_REPLY_URL] if on_application else [])
        assert ilogon["web"]["redirectUris"] == ([ILOGON_MHA_REDIRECT_URI] if on_application else [])
        assert principal["replyUrls"] == thoropass["web"]["redirectUris"]
        path = f"/applicationTemplates/{thoropass['applicationTemplateId']}?$select=configurationUris"
        beta = (await sandbox_tenant.graph("GET", path, version="beta")).body["configurationUris"]
        listed = {entry["usage"]: [url for url in entry["values"] if "*" not in url] for entry in beta}
        assert listed.get("identifierUri") == ([THOROPASS_IDENTIFIER] if in_beta else None)
        assert listed.get("redirectUri") == ([THOROPASS_REPLY_URL] if in_beta else None)


class TestApplications:
    """Application registrations."""

    async def test_upsert(self, sandbox_tenant: Contoso) -> None:
        """An upsert by unique name makes the application once, and changes it afterwards."""
        path, prefer = "/applications(uniqueName='gatehouse-hellotracks-default')", {"Prefer": "create-if-missing"}
        assert (await sandbox_tenant.graph("PATCH", path, {"displayName": "H"})).status == 404
        made = await sandbox_tenant.graph("PATCH", path, {"displayName": "Hellotracks"}, headers=prefer)
        assert (made.status, made.body["uniqueName"]) == (201, "gatehouse-hellotracks-default")
        again = await sandbox_tenant.graph("PATCH", path, {"displayName": "Hellotracks", "tags": ["a"]}, headers=prefer)
        assert (again.status, again.body) == (204, "")
        read = await sandbox_tenant.graph("GET", f"/applications(appId='{made.body['appId']}')")
        assert (read.body["id"], read.body["tags"]) == (made.body["id"], ["a"])

    async def test_patch_merges_and_replaces(self, sandbox_tenant: Contoso) -> None:
        """A PATCH keeps the complex members it does not send, and replaces collections as a whole."""
        application, _ = await sandbox_tenant.registered(
            web={"redirectUris": ["https://a.example/1", "https://a.example/2"], "logoutUrl": "https://a.example/out"},
            tags=["one", "two"],
        )
        path = f"/applications/{application['id']}"
        changed = await sandbox_tenant.graph(
            "PATCH", path, {"web": {"redirectUris": ["https://a.example/3"]}, "tags": ["three"]}
        )
        assert changed.status == 204
        read = (await sandbox_tenant.graph("GET", path)).body
        assert read["web"]["redirectUris"] == ["https://a.example/3"]
        assert read["web"]["redirectUriSettings"] == [{"uri": "https://a.example/3", "index": None}]
        assert read["web"]["logoutUrl"] == "https://a.example/out"
        assert read["tags"] == ["three"]

    async def test_null_brings_defaults_back(self, sandbox_tenant: Contoso) -> None:
        """A complex property that is set to null has its defaults again, and the service principal follows."""
        application, principal = await sandbox_tenant.registered(web={"redirectUris": ["https://a.example/1"]})
        path = f"/applications/{application['id']}"
        assert (await sandbox_tenant.graph("PATCH", path, {"web": None})).status == 204
        assert (await sandbox_tenant.graph("GET", path)).body["web"]["redirectUris"] == []
        assert (await sandbox_tenant.graph("GET", f"/servicePrincipals/{principal['id']}")).body["replyUrls"] == []

    async def test_the_order_of_reply_urls(self, sandbox_tenant: Contoso) -> None:
        """RedirectUriSettings orders the reply URLs, on the service principal too."""
        application, principal = await sandbox_tenant.registered()
        settings = [{"uri": "https://a.example/second", "index": 1}, {"uri": "https://a.example/first", "index": 0}]
        path = f"/applications/{application['id']}"
        await sandbox_tenant.graph("PATCH", path, {"web": {"redirectUriSettings": settings}})
        read = (await sandbox_tenant.graph("GET", f"/servicePrincipals/{principal['id']}")).body
        assert read["replyUrls"] == ["https://a.example/first", "https://a.example/second"]

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({"displayName": "x", "nonsense": 1}, "nonsense"),
            ({"displayName": "x", "web": {"redirectUri": []}}, "web.redirectUri"),
            ({"displayName": 7}, "displayName"),
            ({"displayName": "x", "tags": "a"}, "tags"),
            ({"displayName": "x", "appId": "mine"}, "read-only"),
            ({"displayName": "x", "passwordCredentials": [{"displayName": "p"}]}, "addPassword"),
            ({"displayName": "x", "web": {"redirectUris": ["http://a.example"]}}, "not valid"),
            ({"displayName": "x", "web": {"redirectUris": ["https://a.example/(x)"]}}, "not valid"),
            ({"displayName": "x", "web": {"redirectUris": ["https://a.example/" + "x" * 256]}}, "not valid"),
            ({"displayName": "x", "tags": ["t" * 257]}, "tags"),
            ({"displayName": "x", "signInAudience": "Everyone"}, "signInAudience"),
            ({"tags": ["a"]}, "displayName"),
            ({"displayName": "x", "identifierUris": ["https://vendor.example/sp"]}, "verified domain"),
        ],
    )
    async def test_what_is_refused(self, sandbox_tenant: Contoso, body: dict[str, Any], message: str) -> None:
        """A body that breaks a rule is 400 and names what is wrong; nothing is made."""
        reply = await sandbox_tenant.graph("POST", "/applications", body)
        assert reply.status == 400
        assert message in reply.message
        assert sandbox_tenant.tenant.directory.applications == {}

    async def test_malformed_json_is_refused(self, sandbox_tenant: Contoso) -> None:
        """A body that is no JSON is 400."""
        reply = await sandbox_tenant.graph(
            "POST", "/applications", headers={"Content-Type": "application/json"}, data=b"{"
        )
        assert reply.status == 400

    async def test_identifiers_are_unique_and_saml_lifts_the_policy(self, sandbox_tenant: Contoso) -> None:
        """A vendor's identifier needs the SAML mode first, and belongs to one application of the tenant."""
        first, principal = await sandbox_tenant.instantiated("ClickTime", "First")
        sent = {"identifierUris": ["https://app.clicktime.com/sp/"]}
        refused = await sandbox_tenant.graph("PATCH", f"/applications/{first['id']}", sent)
        assert (refused.status, refused.code) == (400, "HostNameNotOnVerifiedDomain")
        mode = {"preferredSingleSignOnMode": "saml"}
        await sandbox_tenant.graph("PATCH", f"/servicePrincipals/{principal['id']}", mode)
        assert (await sandbox_tenant.graph("PATCH", f"/applications/{first['id']}", sent)).status == 204
        read = (await sandbox_tenant.graph("GET", f"/servicePrincipals/{principal['id']}")).body
        assert read["servicePrincipalNames"] == ["https://app.clicktime.com/sp/", first["appId"]]
        second, other = await sandbox_tenant.instantiated("ClickTime", "Second")
        await sandbox_tenant.graph("PATCH", f"/servicePrincipals/{other['id']}", mode)
        taken = await sandbox_tenant.graph("PATCH", f"/applications/{second['id']}", sent)
        assert taken.message == "Another object with the same value for property identifierUris already exists."

    async def test_own_identifiers_need_no_exemption(self, sandbox_tenant: Contoso) -> None:
        """An identifier with the client ID or a verified domain is accepted."""
        application, _ = await sandbox_tenant.registered()
        uris = [f"api://{application['appId']}", "https://sso.contoso.com/portal"]
        changed = await sandbox_tenant.graph("PATCH", f"/applications/{application['id']}", {"identifierUris": uris})
        assert changed.status == 204

    async def test_unique_names(self, sandbox_tenant: Contoso) -> None:
        """A unique name is set once, never changed, and held by one application."""
        application, _ = await sandbox_tenant.registered()
        path = f"/applications/{application['id']}"
        assert (await sandbox_tenant.graph("PATCH", path, {"uniqueName": "one"})).status == 204
        assert (await sandbox_tenant.graph("PATCH", path, {"uniqueName": "two"})).status == 400
        taken = await sandbox_tenant.graph("POST", "/applications", {"displayName": "x", "uniqueName": "one"})
        assert "uniqueName already exists" in taken.message

    @pytest.mark.parametrize("reserved", [True, False])
    async def test_names_of_deleted_applications(self, sandbox_tenant: Contoso, reserved: bool) -> None:
        """Whether a deleted application keeps its unique name is a switch."""
        application, _ = await sandbox_tenant.registered(uniqueName="one")
        await sandbox_tenant.graph("DELETE", f"/applications/{application['id']}")
        await sandbox_tenant.control("PUT", "/switches", {"deleted_names_reserved": reserved})
        again = await sandbox_tenant.graph("POST", "/applications", {"displayName": "x", "uniqueName": "one"})
        assert again.status == (400 if reserved else 201)

    async def test_enabled_roles_cannot_be_removed(self, sandbox_tenant: Contoso) -> None:
        """A role is disabled first, then removed; the service principal follows."""
        application, principal = await sandbox_tenant.instantiated("ClickTime", "x")
        path, (first, second) = f"/applications/{application['id']}", application["appRoles"]
        refused = await sandbox_tenant.graph("PATCH", path, {"appRoles": [second]})
        assert refused.code == "CannotDeleteOrUpdateEnabledEntitlement"
        await sandbox_tenant.graph("PATCH", path, {"appRoles": [{**first, "isEnabled": False}, second]})
        assert (await sandbox_tenant.graph("PATCH", path, {"appRoles": [second]})).status == 204
        read = (await sandbox_tenant.graph("GET", f"/servicePrincipals/{principal['id']}")).body
        assert read["appRoles"] == [second]

    async def test_filters(self, sandbox_tenant: Contoso) -> None:
        """The filters an onboarding uses find what they say; others are refused as unsupported or malformed."""
        application, _ = await sandbox_tenant.instantiated("Thoropass", "O'Neil & Sons")
        await sandbox_tenant.registered("Other", tags=["gatehouse", "gatehouse:other/default"])
        template = application["applicationTemplateId"]
        for query, names in {
            "displayName eq 'o''neil & sons'": ["O'Neil & Sons"],
            f"applicationTemplateId eq '{template}' and displayName eq 'Other'": [],
            "tags/any(t:t eq 'gatehouse')": ["Other"],
            "startswith(displayName,'oth')": ["Other"],
            f"identifierUris/any(u:u eq '{THOROPASS_IDENTIFIER}')": ["O'Neil & Sons"],
            f"(appId eq '{application['appId']}' or displayName eq 'Other')": ["O'Neil & Sons", "Other"],
            "displayName in ('Other', 'None')": ["Other"],
        }.items():
            reply = await sandbox_tenant.graph("GET", "/applications", params={"$filter": query})
            assert reply.status == 200, reply.body
            assert [row["displayName"] for row in reply.body["value"]] == names, query
        for query, code in {
            "displayName ne 'x'": "Request_UnsupportedQuery",
            "contains(displayName,'x')": "Request_UnsupportedQuery",
            "nonsense eq 'x'": "BadRequest",
            "displayName eq": "BadRequest",
            "displayName eq 'x": "BadRequest",
        }.items():
            reply = await sandbox_tenant.graph("GET", "/applications", params={"$filter": query})
            assert (reply.status, reply.code) == (400, code), query

    async def test_advanced_queries(self, sandbox_tenant: Contoso) -> None:
        """With the eventual header and a count, `ne` is answered and counted."""
        reply = await sandbox_tenant.graph(
            "GET",
            "/groups",
            params={"$filter": "displayName ne 'Sales'", "$count": "true", "$top": "5", "$select": "id"},
            headers={"ConsistencyLevel": "eventual"},
        )
        assert (reply.body["@odata.count"], len(reply.body["value"])) == (12, 5)

    async def test_paging(self, sandbox_tenant: Contoso) -> None:
        """Pages follow one another by an opaque link and repeat nothing."""
        names = [f"App {number}" for number in range(5)]
        for name in names:
            await sandbox_tenant.graph("POST", "/applications", {"displayName": name})
        seen: list[str] = []
        path: str | None = "/applications?$top=2&$select=displayName&$filter=startswith(displayName,'App')"
        while path:
            reply = await sandbox_tenant.graph("GET", path)
            seen += [row["displayName"] for row in reply.body["value"]]
            path = reply.body.get("@odata.nextLink")
        assert seen == names


class TestSecrets:
    """Client secrets."""

    async def test_the_value_is_told_once(self, sandbox_tenant: Contoso) -> None:
        """AddPassword tells the text; every later read shows the hint alone."""
        application, _ = await sandbox_tenant.registered()
        path = f"/applications/{application['id']}"
        body = {"passwordCredential": {"displayName": "gatehouse-portal-default"}}
        made = (await sandbox_tenant.graph("POST", f"{path}/addPassword", body)).body
        assert 16 <= len(made["secretText"]) <= 64
        assert int(made["endDateTime"][:4]) - int(made["startDateTime"][:4]) == 2
        (read,) = (await sandbox_tenant.graph("GET", path)).body["passwordCredentials"]
        assert (read["secretText"], read["hint"]) == (None, made["secretText"][:3])
        assert sandbox_tenant.tenant.directory.secret_values[read["keyId"]] == made["secretText"]
        calls = (await sandbox_tenant.control("GET", "/calls")).body
        assert made["secretText"] not in str(calls)

    async def test_removal(self, sandbox_tenant: Contoso) -> None:
        """A removed secret is gone, and removing it again is 400 with its key ID."""
        application, _ = await sandbox_tenant.registered()
        path = f"/applications(appId='{application['appId']}')"
        made = (await sandbox_tenant.graph("POST", f"{path}/addPassword")).body
        body = {"keyId": made["keyId"]}
        assert (await sandbox_tenant.graph("POST", f"{path}/removePassword", body)).status == 204
        assert sandbox_tenant.tenant.directory.secret_values == {}
        again = await sandbox_tenant.graph("POST", f"{path}/removePassword", body)
        assert again.message == f"No password credential found with keyId {made['keyId']}."


class TestServicePrincipals:
    """Enterprise applications."""

    async def test_a_second_one_is_refused(self, sandbox_tenant: Contoso) -> None:
        """A client ID has one service principal; the upsert by it changes the one that is there."""
        application, principal = await sandbox_tenant.registered()
        again = await sandbox_tenant.graph("POST", "/servicePrincipals", {"appId": application["appId"]})
        assert (again.status, again.body["error"]["details"][0]["code"]) == (409, "ObjectConflict")
        upsert = await sandbox_tenant.graph(
            "PATCH",
            f"/servicePrincipals(appId='{application['appId']}')",
            {"tags": ["HideApp"], "appRoleAssignmentRequired": True},
            headers={"Prefer": "create-if-missing"},
        )
        assert upsert.status == 204
        read = (await sandbox_tenant.graph("GET", f"/servicePrincipals/{principal['id']}")).body
        assert (read["tags"], read["appRoleAssignmentRequired"]) == (["HideApp"], True)

    async def test_it_needs_an_application(self, sandbox_tenant: Contoso) -> None:
        """A client ID of nothing is refused with the service's text."""
        reply = await sandbox_tenant.graph(
            "PATCH",
            "/servicePrincipals(appId='c0ffee00-0000-4000-8000-000000000000')",
            {},
            headers={"Prefer": "create-if-missing"},
        )
        assert "does not reference a valid application object" in reply.message

    async def test_signing_certificates(self, sandbox_tenant: Contoso) -> None:
        """A certificate is real, stands as three credentials of one identifier, and is activated by its thumbprint."""
        _, principal = await sandbox_tenant.instantiated("ClickTime", "x")
        path = f"/servicePrincipals/{principal['id']}"
        reply = await sandbox_tenant.graph("POST", f"{path}/addTokenSigningCertificate", {"displayName": "CN=gate"})
        made = reply.body
        assert problems_of_object("selfSignedCertificate", made) == []
        certificate = x509.load_der_x509_certificate(base64.b64decode(made["key"]))
        assert certificate.subject.rfc4514_string() == "CN=gate"
        assert made["thumbprint"] in sandbox_tenant.tenant.directory.signing_keys
        assert base64.b64decode(made["customKeyIdentifier"]).hex().upper() == made["thumbprint"]
        read = (await sandbox_tenant.graph("GET", path)).body
        assert {key["usage"] for key in read["keyCredentials"]} == {"Sign", "Verify"}
        assert {key["key"] for key in read["keyCredentials"]} == {None}
        credentials = read["keyCredentials"] + read["passwordCredentials"]
        assert {each["customKeyIdentifier"] for each in credentials} == {made["customKeyIdentifier"]}
        full = (await sandbox_tenant.graph("GET", f"{path}?$select=keyCredentials")).body
        assert made["key"] in {key["key"] for key in full["keyCredentials"]}
        assert read["preferredTokenSigningKeyThumbprint"] is None
        wrong = await sandbox_tenant.graph("PATCH", path, {"preferredTokenSigningKeyThumbprint": "00" * 20})
        assert wrong.status == 400
        right = {"preferredTokenSigningKeyThumbprint": made["thumbprint"]}
        assert (await sandbox_tenant.graph("PATCH", path, right)).status == 204
        gone = await sandbox_tenant.graph("PATCH", path, {"keyCredentials": [], "passwordCredentials": []})
        assert gone.status == 400

    @pytest.mark.parametrize(
        "body",
        [{"displayName": "gate"}, {"displayName": "CN=gate", "endDateTime": "2999-01-01T00:00:00Z"}, {"x": 1}],
    )
    async def test_certificates_that_are_refused(self, sandbox_tenant: Contoso, body: dict[str, Any]) -> None:
        """The name begins with CN= and the end is at most three years ahead."""
        _, principal = await sandbox_tenant.instantiated("ClickTime", "x")
        path = f"/servicePrincipals/{principal['id']}/addTokenSigningCertificate"
        assert (await sandbox_tenant.graph("POST", path, body)).status == 400


class TestAssignments:
    """App role assignments."""

    async def test_a_person_and_a_group(self, sandbox_tenant: Contoso) -> None:
        """An assignment is seen from both sides, and ends from the resource's side."""
        _, principal = await sandbox_tenant.instantiated("ClickTime", "x")
        simon = await user_id(sandbox_tenant)
        sales = (await sandbox_tenant.graph("GET", "/groups?$filter=displayName eq 'Sales'")).body["value"][0]["id"]
        made = await assign(sandbox_tenant, principal["id"], simon, role_of(principal))
        assert (made.status, made.body["principalType"]) == (201, "User")
        assert (await assign(sandbox_tenant, principal["id"], sales, role_of(principal))).status == 201
        path = f"/servicePrincipals/{principal['id']}/appRoleAssignedTo"
        assert len((await sandbox_tenant.graph("GET", path)).body["value"]) == 2
        own = await sandbox_tenant.graph(
            "GET", f"/users/{simon}/appRoleAssignments?$filter=resourceId eq {principal['id']}"
        )
        assert [row["id"] for row in own.body["value"]] == [made.body["id"]]
        assert (await sandbox_tenant.graph("DELETE", f"{path}/{made.body['id']}")).status == 204
        assert (await sandbox_tenant.graph("DELETE", f"{path}/{made.body['id']}")).status == 404

    async def test_duplicates_and_unknown_roles(self, sandbox_tenant: Contoso) -> None:
        """A duplicate has one of two texts, an unknown role a third; default access is for apps without roles."""
        _, with_roles = await sandbox_tenant.instantiated("ClickTime", "x")
        _, without = await sandbox_tenant.registered()
        simon, zero = await user_id(sandbox_tenant), "00000000-0000-0000-0000-000000000000"
        assert (await assign(sandbox_tenant, with_roles["id"], simon, role_of(with_roles))).status == 201
        again = await assign(sandbox_tenant, with_roles["id"], simon, role_of(with_roles))
        assert again.message == "Permission being assigned already exists on the object"
        assert (await assign(sandbox_tenant, without["id"], simon, zero)).status == 201
        other = await assign(sandbox_tenant, without["id"], simon, zero)
        assert (other.code, other.message) == (
            "Request_MultipleObjectsWithSameKeyValue",
            "EntitlementGrant entry already exists.",
        )
        unknown = await assign(sandbox_tenant, with_roles["id"], simon, zero)
        assert "was not found on application" in unknown.message

    async def test_a_group_without_security_is_refused(self, sandbox_tenant: Contoso) -> None:
        """Only a security group can be assigned."""
        _, principal = await sandbox_tenant.instantiated("ClickTime", "x")
        everyone = (await sandbox_tenant.graph("GET", "/groups?$filter=displayName eq 'All Employees'")).body["value"]
        assert (await assign(sandbox_tenant, principal["id"], everyone[0]["id"], role_of(principal))).status == 400


class TestConsent:
    """Delegated permission grants."""

    async def test_a_grant(self, sandbox_tenant: Contoso) -> None:
        """A pair of client and resource has one grant, whose scope is replaced as a whole."""
        _, principal = await sandbox_tenant.registered()
        body = grant_of(sandbox_tenant, principal["id"])
        made = await sandbox_tenant.graph("POST", "/oauth2PermissionGrants", body)
        assert made.status == 201
        again = await sandbox_tenant.graph("POST", "/oauth2PermissionGrants", body)
        assert (again.status, again.message) == (409, "Permission entry already exists.")
        path = f"/oauth2PermissionGrants/{made.body['id']}"
        assert (await sandbox_tenant.graph("PATCH", path, {"scope": "openid"})).status == 204
        listed = await sandbox_tenant.graph("GET", f"/oauth2PermissionGrants?$filter=clientId eq '{principal['id']}'")
        assert [row["scope"] for row in listed.body["value"]] == ["openid"]
        assert (await sandbox_tenant.graph("DELETE", path)).status == 204
        assert (await sandbox_tenant.graph("GET", path)).status == 404


class TestDeletedItems:
    """Deleted applications and service principals."""

    async def test_delete_restore_and_purge(self, sandbox_tenant: Contoso) -> None:
        """An application takes its service principal along, and each is restored by a call of its own."""
        application, principal = await sandbox_tenant.instantiated("ClickTime", "x")
        await assign(sandbox_tenant, principal["id"], await user_id(sandbox_tenant), role_of(principal))
        assert (await sandbox_tenant.graph("DELETE", f"/applications/{application['id']}")).status == 204
        assert (await sandbox_tenant.graph("GET", f"/servicePrincipals/{principal['id']}")).status == 404
        listed = await sandbox_tenant.graph(
            "GET", "/directory/deletedItems/microsoft.graph.application?$filter=displayName eq 'x'"
        )
        assert [row["id"] for row in listed.body["value"]] == [application["id"]]
        items = "/directory/deletedItems"
        restored = await sandbox_tenant.graph("POST", f"{items}/{application['id']}/restore")
        assert (restored.status, restored.body["id"]) == (200, application["id"])
        assert (await sandbox_tenant.graph("GET", f"/servicePrincipals/{principal['id']}")).status == 404
        await sandbox_tenant.graph("POST", f"{items}/{principal['id']}/restore")
        path = f"/servicePrincipals/{principal['id']}/appRoleAssignedTo"
        assert len((await sandbox_tenant.graph("GET", path)).body["value"]) == 1
        await sandbox_tenant.graph("DELETE", f"/applications/{application['id']}")
        assert (await sandbox_tenant.graph("DELETE", f"{items}/{application['id']}")).status == 204
        assert (await sandbox_tenant.graph("GET", f"{items}/{application['id']}")).status == 404


class TestBatch:
    """Several calls in one."""

    async def test_items_are_answered_and_recorded_one_by_one(self, sandbox_tenant: Contoso) -> None:
        """The batch succeeds with failing items, and what depends on a failed one is 424."""
        await sandbox_tenant.graph(
            "POST",
            "/$batch",
            {
                "requests": [
                    {"id": "1", "method": "GET", "url": f"/users/{SIMON}?$select=id"},
                    {"id": "2", "method": "GET", "url": "/users/nobody@contoso.com"},
                    {"id": "3", "method": "GET", "url": "/groups", "dependsOn": ["2"]},
                    {
                        "id": "4",
                        "method": "POST",
                        "url": "/applications",
                        "headers": {"Content-Type": "application/json", "client-request-id": "four"},
                        "body": {"displayName": "Batched"},
                    },
                    {"id": "5", "method": "POST", "url": "/applications", "body": {"displayName": "Untyped"}},
                ]
            },
        )
        calls = (await sandbox_tenant.control("GET", "/calls")).body
        assert [call["status"] for call in calls] == [200, 404, 424, 201, 400, 200]
        assert [call.get("batch", False) for call in calls] == [True] * 5 + [False]
        assert [call["operation"] for call in calls[:3:2]] == ["users.user_GetUser", "groups.group_ListGroup"]
        assert (calls[3]["client_request_id"], calls[3]["request"]) == ("four", {"displayName": "Batched"})
        assert calls[5]["operation"] == "batch"

    @pytest.mark.parametrize("ids", [["1", "1"], [str(number) for number in range(21)], []])
    async def test_batches_that_are_refused(self, sandbox_tenant: Contoso, ids: list[str]) -> None:
        """A duplicate ID, more than twenty items or none fail the batch as a whole."""
        items = [{"id": each, "method": "GET", "url": "/users"} for each in ids]
        assert (await sandbox_tenant.graph("POST", "/$batch", {"requests": items})).status == 400


class TestMail:
    """sendMail."""

    MIME = (
        b"To: B.Simon <b.simon@contoso.com>\r\nCc: helpdesk@contoso.com\r\nReply-To: app-owner@contoso.com\r\n"
        b"Subject: =?utf-8?q?Gr=C3=BCezi?=\r\nMIME-Version: 1.0\r\nX-Reference: GH-1\r\n"
        b'Content-Type: multipart/mixed; boundary="m"\r\n\r\n'
        b'--m\r\nContent-Type: multipart/alternative; boundary="a"\r\n\r\n'
        b"--a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nPlain words\r\n"
        b"--a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Marked words</p>\r\n--a--\r\n"
        b"--m\r\nContent-Type: application/x-x509-ca-cert\r\n"
        b'Content-Disposition: attachment; filename="vendor.cer"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        b"Q0VSVA==\r\n--m--\r\n"
    )

    async def test_mime(self, sandbox_tenant: Contoso) -> None:
        """A MIME mail arrives with both bodies, its attachment and the true sender, and is not kept in the calls."""
        reply = await sandbox_tenant.graph(
            "POST",
            "/users/gatehouse@contoso.com/sendMail",
            headers={"Content-Type": "text/plain"},
            data=base64.b64encode(self.MIME),
        )
        assert (reply.status, reply.body) == (202, "")
        (mail,) = (await sandbox_tenant.control("GET", "/mailbox")).body
        assert (mail["from"], mail["to"], mail["cc"]) == ("gatehouse@contoso.com", [SIMON], ["helpdesk@contoso.com"])
        assert (mail["subject"], mail["reply_to"]) == ("Grüezi", ["app-owner@contoso.com"])
        assert (mail["text"].strip(), mail["html"].strip()) == ("Plain words", "<p>Marked words</p>")
        assert mail["attachments"] == [
            {"name": "vendor.cer", "content_type": "application/x-x509-ca-cert", "content_base64": "Q0VSVA=="}
        ]
        assert mail["headers"]["X-Reference"] == "GH-1"
        (call,) = (await sandbox_tenant.control("GET", "/calls")).body
        assert call["request"] == {"subject": "Grüezi", "to": [SIMON]}

    async def test_json(self, sandbox_tenant: Contoso) -> None:
        """A JSON mail arrives too."""
        message = {
            "subject": "Hello",
            "body": {"contentType": "html", "content": "<p>Hello</p>"},
            "toRecipients": [{"emailAddress": {"address": SIMON}}],
        }
        path = "/users/gatehouse@contoso.com/sendMail"
        assert (await sandbox_tenant.graph("POST", path, {"message": message})).status == 202
        (mail,) = (await sandbox_tenant.control("GET", "/mailbox")).body
        assert (mail["html"], mail["text"]) == ("<p>Hello</p>", "")

    async def test_what_is_refused(self, sandbox_tenant: Contoso) -> None:
        """An unknown sender, no recipient and bad base64 are refused by name; no mail is sent, none is kept."""
        text = {"Content-Type": "text/plain"}
        sender = "/users/gatehouse@contoso.com/sendMail"
        nobody = await sandbox_tenant.graph("POST", "/users/nobody@contoso.com/sendMail", headers=text, data=b"QQ==")
        assert (nobody.status, nobody.code) == (404, "ErrorInvalidUser")
        broken = await sandbox_tenant.graph("POST", sender, headers=text, data=b"not base64!")
        assert broken.code == "ErrorMimeContentInvalidBase64String"
        empty = await sandbox_tenant.graph("POST", sender, {"message": {"subject": "private words"}})
        assert empty.code == "ErrorInvalidRecipients"
        assert (await sandbox_tenant.control("GET", "/mailbox")).body == []
        assert "private words" not in str((await sandbox_tenant.control("GET", "/calls")).body)
