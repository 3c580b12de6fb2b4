"""What a tenant takes at most: units and writes, concurrent writes, batches, objects, secrets, mails."""

import asyncio
from typing import Any

import pytest

from tests.published import problems_of_object
from tests.sandbox.conftest import Contoso
from tests.sandbox.unkind_tenant import be_unkind, later

SIMON = "b.simon@contoso.com"


def mail(subject: str = "Hello", to: str = "app-owner@contoso.com") -> dict[str, Any]:
    """A mail as sendMail takes it."""
    receivers = [{"emailAddress": {"address": to}}]
    return {"message": {"subject": subject, "body": {"contentType": "text", "content": "x"}, "toRecipients": receivers}}


class TestUnits:
    """Token buckets by application and tenant."""

    @pytest.mark.parametrize(
        ("path", "units"),
        [
            ("/applications", "2"),
            ("/applications?$select=id", "1"),
            ("/applications?$select=id&$top=5", "1"),
            ("/users?$top=5", "1"),
            ("/servicePrincipals", "1"),
        ],
    )
    async def test_every_answer_tells_its_cost(self, sandbox_tenant: Contoso, path: str, units: str) -> None:
        """Reading applications or users costs two units, a selection and a small page save one each."""
        assert (await sandbox_tenant.graph("GET", path)).headers["x-ms-resource-unit"] == units

    async def test_a_full_bucket_throttles(self, sandbox_tenant: Contoso) -> None:
        """Over the limit comes 429 with the headers of the real one, and after the wait the call passes."""
        await be_unkind(sandbox_tenant, resource_units=10)
        replies = [await sandbox_tenant.graph("GET", "/applications") for _ in range(6)]
        assert [reply.status for reply in replies] == [200] * 5 + [429]
        assert "x-ms-throttle-limit-percentage" not in replies[0].headers
        assert float(replies[4].headers["x-ms-throttle-limit-percentage"]) > 0.8
        refused = replies[5].headers
        assert refused["x-ms-throttle-information"] == "ResourceUnitLimitExceeded"
        assert refused["x-ms-throttle-scope"].startswith("Tenant_Application/ReadWrite/")
        await later(sandbox_tenant, int(refused["Retry-After"]) + 2)
        assert (await sandbox_tenant.graph("GET", "/applications")).status == 200

    async def test_rejected_calls_count(self, sandbox_tenant: Contoso) -> None:
        """Whoever goes on calling waits longer."""
        await be_unkind(sandbox_tenant, resource_units=10)
        waits = [
            int((await sandbox_tenant.graph("GET", "/applications")).headers.get("Retry-After", 0)) for _ in range(9)
        ]
        assert waits[5] < waits[8]

    async def test_writes_have_a_limit_of_their_own(self, sandbox_tenant: Contoso) -> None:
        """Writes over their limit are refused while reads pass; items of a batch are counted one by one."""
        await be_unkind(sandbox_tenant, write_units=3)
        items = [
            {
                "id": str(place),
                "method": "POST",
                "url": "/applications",
                "headers": {"Content-Type": "application/json"},
                "body": {"displayName": f"Portal {place}"},
            }
            for place in range(5)
        ]
        batch = await sandbox_tenant.graph("POST", "/$batch", {"requests": items})
        answers = {each["id"]: each for each in batch.body["responses"]}
        assert [answers[str(place)]["status"] for place in range(5)] == [201, 201, 201, 429, 429]
        assert answers["4"]["headers"]["x-ms-throttle-information"] == "WriteLimitExceeded"
        assert (await sandbox_tenant.graph("GET", "/applications")).status == 200

    async def test_batches_may_answer_in_any_order(self, sandbox_tenant: Contoso) -> None:
        """The answers of a batch come shuffled, each under its request's id."""
        await be_unkind(sandbox_tenant, shuffled_batches=True)
        items = [{"id": str(place), "method": "GET", "url": "/groups"} for place in range(20)]
        batch = await sandbox_tenant.graph("POST", "/$batch", {"requests": items})
        order = [each["id"] for each in batch.body["responses"]]
        assert order != [item["id"] for item in items]
        assert sorted(order) == sorted(item["id"] for item in items)

    async def test_the_directory_has_room_for_so_many_objects(self, sandbox_tenant: Contoso) -> None:
        """Over the quota, which counts soft-deleted objects too, nothing can be made."""
        application, _ = await sandbox_tenant.registered()
        await sandbox_tenant.graph("DELETE", f"/applications/{application['id']}")
        directory = sandbox_tenant.tenant.directory
        kinds = (directory.users, directory.groups, directory.service_principals, directory.deleted)
        await be_unkind(sandbox_tenant, object_quota=sum(map(len, kinds)) + 1)
        statuses = [(await sandbox_tenant.graph("POST", "/applications", {"displayName": "x"})) for _ in range(2)]
        assert [reply.status for reply in statuses] == [201, 403]
        assert statuses[1].code == "Directory_QuotaExceeded"

    async def test_a_principal_has_so_many_assignments(self, sandbox_tenant: Contoso) -> None:
        """The limit of app role assignments holds per principal, over all applications."""
        await be_unkind(sandbox_tenant, most_assignments=1)
        simon = (await sandbox_tenant.graph("GET", f"/users/{SIMON}?$select=id")).body["id"]
        statuses = []
        for name in ("one", "two"):
            _, principal = await sandbox_tenant.registered(name)
            body = {
                "principalId": simon,
                "resourceId": principal["id"],
                "appRoleId": "00000000-0000-0000-0000-000000000000",
            }
            path = f"/servicePrincipals/{principal['id']}/appRoleAssignedTo"
            statuses.append((await sandbox_tenant.graph("POST", path, body)).status)
        assert statuses == [201, 403]


class TestCollisions:
    """Writes on one application and its service principal."""

    async def test_writes_at_the_same_time_collide(self, sandbox_tenant: Contoso) -> None:
        """Of two writes under way on a pair one is 409; another pair is not concerned."""
        application, principal = await sandbox_tenant.registered()
        other, _ = await sandbox_tenant.registered("Other")
        await be_unkind(sandbox_tenant, collision_share=0.000001, latency_seconds=0.2)
        body = {"notes": "x"}
        replies = await asyncio.gather(
            sandbox_tenant.graph("PATCH", f"/applications/{application['id']}", body),
            sandbox_tenant.graph("PATCH", f"/servicePrincipals/{principal['id']}", body),
            sandbox_tenant.graph("PATCH", f"/applications/{other['id']}", body),
        )
        assert sorted(reply.status for reply in replies[:2]) == [204, 409]
        assert replies[2].status == 204
        assert {reply.code for reply in replies if reply.status == 409} == {"Directory_ConcurrencyViolation"}

    async def test_credentials_need_ten_seconds(self, sandbox_tenant: Contoso) -> None:
        """RemovePassword within ten seconds of addPassword is 409, and so is addPassword after a certificate."""
        application, principal = await sandbox_tenant.registered()
        await be_unkind(sandbox_tenant, collision_share=0.000001)
        path = f"/applications/{application['id']}"
        added = await sandbox_tenant.graph("POST", f"{path}/addPassword", {})
        removal = f"{path}/removePassword", {"keyId": added.body["keyId"]}
        assert (await sandbox_tenant.graph("POST", *removal)).status == 409
        await later(sandbox_tenant, 11)
        assert (await sandbox_tenant.graph("POST", *removal)).status == 204
        certificate = f"/servicePrincipals/{principal['id']}/addTokenSigningCertificate"
        assert (await sandbox_tenant.graph("POST", certificate, {"displayName": "CN=x"})).status == 200
        assert (await sandbox_tenant.graph("POST", f"{path}/addPassword", {})).status == 409

    async def test_a_share_of_close_writes_collides(self, sandbox_tenant: Contoso) -> None:
        """Of writes within a second of one another a share is refused; further apart none is."""
        application, _ = await sandbox_tenant.registered()
        path = f"/applications/{application['id']}"
        await be_unkind(sandbox_tenant, collision_share=1.0)
        await later(sandbox_tenant, 2)
        statuses = [(await sandbox_tenant.graph("PATCH", path, {"notes": "x"})).status for _ in range(2)]
        await later(sandbox_tenant, 2)
        statuses.append((await sandbox_tenant.graph("PATCH", path, {"notes": "x"})).status)
        assert statuses == [204, 409, 204]


class TestSecretPolicy:
    """The tenant's default app management policy."""

    async def test_a_policy_may_forbid_secrets_or_shorten_them(self, sandbox_tenant: Contoso) -> None:
        """AddPassword honours the policy, which whoever may read policies can read."""
        application, _ = await sandbox_tenant.registered()
        path = f"/applications/{application['id']}/addPassword"
        await be_unkind(sandbox_tenant, password_days=90)
        assert (await sandbox_tenant.graph("POST", path, {})).code == "CredentialInvalidLifetimeAsPerAppPolicy"
        await be_unkind(sandbox_tenant, passwords_forbidden=True)
        assert (await sandbox_tenant.graph("POST", path, {})).code == "CredentialTypeNotAllowedAsPerAppPolicy"
        read = await sandbox_tenant.graph("GET", "/policies/defaultAppManagementPolicy", roles=("Policy.Read.All",))
        assert problems_of_object("tenantAppManagementPolicy", read.body) == []
        restrictions = read.body["applicationRestrictions"]["passwordCredentials"]
        assert [(each["restrictionType"], each["maxLifetime"]) for each in restrictions] == [
            ("passwordAddition", None),
            ("passwordLifetime", "P90D"),
        ]


class TestVault:
    """Key Vault's limits and conflicts."""

    async def test_creates_and_other_calls_have_limits(self, sandbox_tenant: Contoso) -> None:
        """So many versions, and so many other calls, in ten seconds: more is 429, and passes after a while."""
        await be_unkind(sandbox_tenant, vault_creates=2, vault_calls=3)
        put = [(await sandbox_tenant.vault("PUT", "/secrets/one", {"value": "x"})).status for _ in range(3)]
        got = [(await sandbox_tenant.vault("GET", "/secrets")).status for _ in range(4)]
        assert (put, got) == ([200, 200, 429], [200, 200, 200, 429])
        await later(sandbox_tenant, 10)
        assert (await sandbox_tenant.vault("PUT", "/secrets/one", {"value": "x"})).status == 200

    async def test_a_deletion_takes_a_while(self, sandbox_tenant: Contoso) -> None:
        """While a name is being deleted it can be neither used nor found deleted; then it must be recovered."""
        await be_unkind(sandbox_tenant, vault_deletion_seconds=20)
        await sandbox_tenant.vault("PUT", "/secrets/one", {"value": "x"})
        await sandbox_tenant.vault("DELETE", "/secrets/one")
        early = await sandbox_tenant.vault("PUT", "/secrets/one", {"value": "y"})
        assert early.status == 409
        assert early.body["error"]["innererror"]["code"] == "ObjectIsBeingDeleted"
        assert (await sandbox_tenant.vault("GET", "/deletedsecrets/one")).status == 404
        await later(sandbox_tenant, 21)
        late = await sandbox_tenant.vault("PUT", "/secrets/one", {"value": "y"})
        assert late.body["error"]["innererror"]["code"] == "ObjectIsDeletedButRecoverable"
        assert (await sandbox_tenant.vault("POST", "/deletedsecrets/one/recover", {})).status == 200

    async def test_storms_reach_the_vault_but_never_its_challenge(self, sandbox_tenant: Contoso) -> None:
        """With every call throttled the vault answers 429 in its envelope; a call without a token is 401 as ever."""
        await be_unkind(sandbox_tenant, throttle_share=1)
        refused = await sandbox_tenant.vault("GET", "/secrets")
        assert (refused.status, refused.code) == (429, "Throttled")
        url = f"{sandbox_tenant.tenant.urls.vault}/secrets?api-version=7.6"
        assert (await sandbox_tenant.call("GET", url)).status == 401


class TestMail:
    """sendMail: who may, how many at once, how many a minute, and when they arrive."""

    async def test_mails_arrive_later(self, sandbox_tenant: Contoso) -> None:
        """202 comes at once; the mail is on its way for a while, and then in the mailbox."""
        await be_unkind(sandbox_tenant, mail_delay_seconds=10)
        assert (await sandbox_tenant.graph("POST", f"/users/{SIMON}/sendMail", mail())).status == 202
        assert (await sandbox_tenant.control("GET", "/mailbox")).body == []
        (delayed,) = (await sandbox_tenant.control("GET", "/mailbox/delayed")).body
        assert delayed["subject"] == "Hello"
        await later(sandbox_tenant, 11)
        (arrived,) = (await sandbox_tenant.control("GET", "/mailbox")).body
        assert arrived["subject"] == "Hello"
        assert (await sandbox_tenant.control("GET", "/mailbox/delayed")).body == []

    async def test_a_mailbox_sends_so_many_a_minute(self, sandbox_tenant: Contoso) -> None:
        """What is over the rate is taken, and waits for its minute."""
        await be_unkind(sandbox_tenant, mails_per_minute=2)
        for place in range(5):
            await sandbox_tenant.graph("POST", f"/users/{SIMON}/sendMail", mail(f"{place}"))
        arrived = []
        for _ in range(3):
            arrived.append(len((await sandbox_tenant.control("GET", "/mailbox")).body))
            await later(sandbox_tenant, 61)
        assert arrived == [2, 4, 5]

    async def test_a_mailbox_sends_so_many_at_once(self, sandbox_tenant: Contoso) -> None:
        """The fifth at the same time is 429 ApplicationThrottled."""
        await be_unkind(sandbox_tenant, mail_connections=4, latency_seconds=0.5)
        sent = [sandbox_tenant.graph("POST", f"/users/{SIMON}/sendMail", mail(f"{place}")) for place in range(5)]
        replies = await asyncio.gather(*sent)
        assert sorted(reply.status for reply in replies) == [202, 202, 202, 202, 429]
        assert next(reply for reply in replies if reply.status == 429).code == "ApplicationThrottled"

    async def test_exchange_may_grant_what_entra_does_not(self, sandbox_tenant: Contoso) -> None:
        """Without the role Mail.Send, a mail leaves only from the mailbox in Exchange's own scope."""
        path = f"/users/{SIMON}/sendMail"
        refused = await sandbox_tenant.graph("POST", path, mail(), roles=())
        assert (refused.status, refused.code) == (403, "ErrorAccessDenied")
        await be_unkind(sandbox_tenant, exchange_mail_scope=SIMON)
        assert (await sandbox_tenant.graph("POST", path, mail(), roles=())).status == 202
        other = "/users/app-owner@contoso.com/sendMail"
        assert (await sandbox_tenant.graph("POST", other, mail(), roles=())).status == 403
