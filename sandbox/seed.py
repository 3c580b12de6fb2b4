"""The people, groups and own service principals of contoso.com, the same for the same seed."""

from itertools import count
from random import Random

from sandbox.blank_objects import blank_service_principal
from sandbox.directory import MICROSOFT_GRAPH_CLIENT_ID, Directory, GraphObject
from sandbox.first_party import add_identity, add_microsoft_graph
from sandbox.people import GIVEN_NAMES, OFFICES, POSTS, SURNAMES

DOMAIN = "contoso.com"
INITIAL_DOMAIN = "contoso.onmicrosoft.com"
VERIFIED_DOMAINS = (DOMAIN, INITIAL_DOMAIN)

FOUNDED = "2024-01-15T08:00:00Z"
"""When everything that is older than the story was made."""

PEOPLE = 400
"""Unless a sandbox is started with more."""
NAMED = (
    # The guides' own test user: display name B.Simon, b.simon@contoso.com.
    ("b.simon", "B.Simon", "Britta", "Simon", "Sales", "Account Executive", ("britta.simon",)),
    ("app-owner", "Amina Owner", "Amina", "Owner", "Information Technology", "Application Owner", ()),
    ("helpdesk", "Helpdesk", None, None, "Information Technology", "Service Desk", ("it-support",)),
    ("gatehouse", "Gatehouse", None, None, "Information Technology", None, ()),
)
NAMESAKES = ("Jonas Becker", 120, 121)
"""Two people of one display name, and their places among the people."""
DISABLED = (77, 233)
GUESTS = (150, 301)
ALIASED = 25
"""Every so many people have another address."""
_TRIES = 20
"""Draws of a name, after which one that is taken gets a number."""

# display name, mail nickname, mail-enabled, security-enabled
SPECIAL_GROUPS = (
    ("All Employees", "all-employees", True, False),
    ("Project Phoenix", "project-phoenix", False, True),
    ("Project Phoenix", "project-phoenix-2", False, True),
    ("Identity Team", "identity-team", True, True),
    # The group Sales is a member of it: whoever belongs to Sales alone gets nothing that it is assigned to.
    ("Field Organisation", "field", False, True),
)


def seed_directory(directory: Directory, people: int = PEOPLE) -> Directory:
    """Fill an empty directory and return it; nobody is assigned to anything."""
    for person in _people(directory, people):
        directory.users[person["id"]] = person
    _add_groups(directory)
    graph = blank_service_principal(
        directory.graph_service_principal_id, MICROSOFT_GRAPH_CLIENT_ID, "Microsoft Graph", directory.tenant_id
    )
    add_microsoft_graph(directory, graph)
    identity = blank_service_principal(
        directory.identity_service_principal_id, directory.identity_client_id, "gatehouse", directory.tenant_id
    )
    add_identity(directory, identity, FOUNDED)
    return directory


def _people(directory: Directory, number: int) -> list[GraphObject]:
    people = [_person(directory, *named) for named in NAMED]
    # One stream for all: the people are drawn once, in one order, before anything can interleave.
    random = Random(f"people of {directory.seed}")
    names: set[str] = {"jonas.becker", "b.simon", "britta.simon"}
    for place in range(number):
        department = random.choice(tuple(POSTS))
        post = random.choice(POSTS[department])
        if place in NAMESAKES:
            given, surname = str(NAMESAKES[0]).split()
            local = "jonas.becker" if place == NAMESAKES[1] else "jonas.becker2"
        else:
            given, surname, local = _unused_name(random, names)
        aliases = (f"{given[0]}{surname}".lower() + str(place),) if place % ALIASED == 0 else ()
        person = _person(directory, local, f"{given} {surname}", given, surname, department, post, aliases)
        person |= {"accountEnabled": place not in DISABLED, "officeLocation": random.choice(OFFICES)}
        person |= {"employeeId": f"{10001 + place}"}
        if place in GUESTS:
            person |= _guest(local)
        people.append(person)
    return people


def _unused_name(random: Random, names: set[str]) -> tuple[str, str, str]:
    given_names, surnames = GIVEN_NAMES.split(), SURNAMES.split()
    for tried in count():
        given, surname = random.choice(given_names), random.choice(surnames)
        local = f"{given}.{surname}".lower() + (str(len(names)) if tried >= _TRIES else "")
        if local not in names:
            break
    names.add(local)
    return given, surname, local


def _person(
    directory: Directory,
    local: str,
    display_name: str,
    given: str | None,
    surname: str | None,
    department: str,
    post: str | None,
    aliases: tuple[str, ...],
) -> GraphObject:
    address = f"{local}@{DOMAIN}"
    return {
        "id": directory.fixed_id("user", local),
        "deletedDateTime": None,
        "accountEnabled": True,
        "businessPhones": [],
        "companyName": "Contoso",
        "createdDateTime": FOUNDED,
        "department": department,
        "displayName": display_name,
        "employeeId": None,
        "givenName": given,
        "jobTitle": post,
        "mail": address,
        "mailNickname": local,
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": None,
        "proxyAddresses": [f"SMTP:{address}", *(f"smtp:{alias}@{DOMAIN}" for alias in aliases)],
        "surname": surname,
        "usageLocation": "CH",
        "userPrincipalName": address,
        "userType": "Member",
    }


def _guest(local: str) -> GraphObject:
    address = f"{local}@fabrikam.com"
    return {
        "companyName": "Fabrikam",
        "externalUserState": "Accepted",
        "mail": address,
        "proxyAddresses": [f"SMTP:{address}"],
        "userPrincipalName": f"{address.replace('@', '_')}#EXT#@{INITIAL_DOMAIN}",
        "userType": "Guest",
    }


def _add_groups(directory: Directory) -> None:
    employees = [user for user in directory.users.values() if user["userType"] == "Member"]
    for department in POSTS:
        nickname = department.lower().replace(" ", "-")
        members = {user["id"] for user in employees if user["department"] == department}
        _add_group(directory, department, nickname, members, mail_enabled=False, security_enabled=True)
    for display_name, nickname, mail_enabled, security_enabled in SPECIAL_GROUPS:
        members = {
            "all-employees": {user["id"] for user in employees},
            "project-phoenix": {user["id"] for user in employees[10:20]},
            "project-phoenix-2": {user["id"] for user in employees[30:35]},
            "identity-team": {directory.fixed_id("user", "app-owner")},
            "field": {directory.fixed_id("group", "sales"), employees[40]["id"]},
        }[nickname]
        _add_group(
            directory, display_name, nickname, members, mail_enabled=mail_enabled, security_enabled=security_enabled
        )


def _add_group(
    directory: Directory,
    display_name: str,
    nickname: str,
    members: set[str],
    *,
    mail_enabled: bool,
    security_enabled: bool,
) -> None:
    address = f"{nickname}@{DOMAIN}" if mail_enabled else None
    group_id = directory.fixed_id("group", nickname)
    directory.members[group_id] = members
    directory.groups[group_id] = {
        "id": group_id,
        "deletedDateTime": None,
        "classification": None,
        "createdDateTime": FOUNDED,
        "description": f"{display_name} of Contoso",
        "displayName": display_name,
        "expirationDateTime": None,
        # A Microsoft 365 group is mail-enabled and, here, no security group: it cannot be assigned.
        "groupTypes": ["Unified"] if mail_enabled and not security_enabled else [],
        "isAssignableToRole": None,
        "mail": address,
        "mailEnabled": mail_enabled,
        "mailNickname": nickname,
        "membershipRule": None,
        "membershipRuleProcessingState": None,
        "onPremisesLastSyncDateTime": None,
        "onPremisesSecurityIdentifier": None,
        "onPremisesSyncEnabled": None,
        "preferredDataLocation": None,
        "preferredLanguage": None,
        "proxyAddresses": [f"SMTP:{address}"] if address else [],
        "renewedDateTime": FOUNDED,
        "resourceBehaviorOptions": [],
        "resourceProvisioningOptions": [],
        "securityEnabled": security_enabled,
        "securityIdentifier": None,
        "theme": None,
        "uniqueName": None,
        "visibility": "Public" if mail_enabled and not security_enabled else None,
        "onPremisesProvisioningErrors": [],
        "serviceProvisioningErrors": [],
    }
