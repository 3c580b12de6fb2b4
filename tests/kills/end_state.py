"""What a story leaves behind, without what every run draws anew: ids, times and thumbprints."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T[0-9:.]+(?:Z|\+00:00)")
HANDOFF = re.compile(r"\[(GH-\w{8})\]")
# Of a hand-off, or of the operation that a mail is about: drawn anew in each run.
REFERENCE = re.compile(r"\[(GH-\w{8}|\d{13}-[0-9a-f]{8})\]")
DRAWN = {
    "hint", "key", "customKeyIdentifier", "preferredTokenSigningKeyThumbprint", "version", "staged-version", "exp",
    "created", "updated", "nbf", "id",
}  # fmt: skip
KINDS = ("applications", "service_principals", "grants", "assignments")

State = dict[str, Any]


class EndState:
    """The end of one run, beside the tenant as it was before it."""

    def __init__(
        self, before: Mapping[str, Any], after: Mapping[str, Any], mails: Iterable[Mapping[str, Any]],
        operations: Iterable[Mapping[str, Any]],
    ) -> None:  # fmt: skip
        self._known = set(GUID.findall(json.dumps(before)))
        self.new = {kind: _new(before[kind], after[kind]) for kind in KINDS}
        accounts = {user["id"]: user for user in before["users"]}
        self.people = [user for user in after["users"] if user != accounts.get(user["id"])]
        self.vault: Mapping[str, Any] = after["vault"]
        self.mails = list(mails)
        self.operations = list(operations)

    @property
    def tenant(self) -> State:
        """Directory and vault, comparable; of people those whose account is another than it was."""
        return {
            "people": self._plain(self.people),
            **{
                kind: sorted((self._plain(entry) for entry in entries), key=_text) for kind, entries in self.new.items()
            },
            "vault": {
                name: sorted((self._plain(version) for version in secret["versions"]), key=_text)
                for name, secret in self.vault.items()
            },
        }

    @property
    def mail_counts(self) -> Counter[tuple[str, str]]:
        """How many mails of each subject, without the reference, went to whom."""
        return Counter((REFERENCE.sub("", mail["subject"]).strip(), ", ".join(mail["to"])) for mail in self.mails)

    @property
    def references(self) -> set[str]:
        """The references of every hand-off that was mailed."""
        return {reference for mail in self.mails for reference in HANDOFF.findall(mail["subject"])}

    def wrongs(self) -> list[str]:
        """What no run may leave behind, however it went."""
        found = []
        names = Counter(entry.get("uniqueName") for entry in self.new["applications"])
        found += [f"{count} applications are named {name}" for name, count in names.items() if name and count > 1]
        clients = Counter(entry["appId"] for entry in self.new["service_principals"])
        found += [f"{count} service principals of {client}" for client, count in clients.items() if count > 1]
        unfinished = [e["displayName"] for e in self.new["applications"] if e["displayName"].startswith("gatehouse-")]
        found += [f"an application is left under its temporary name {name}" for name in unfinished]
        given = Counter((e["principalId"], e["resourceId"], e["appRoleId"]) for e in self.new["assignments"])
        found += [f"an assignment is there {count} times" for count in given.values() if count > 1]
        found += self._orphans()
        found += [
            f"operation {o['id']} has failed: {[reason['detail'] for reason in o['reasons']]}"
            for o in self.operations if o["state"] == "failed"
        ]  # fmt: skip
        return found

    def _orphans(self) -> list[str]:
        ours = {
            password["keyId"]
            for entry in self.new["applications"]
            for password in entry["passwordCredentials"]
            if str(password["displayName"]).startswith("gatehouse-")
            and not any(str(tag).startswith("gatehouse:offboarded:") for tag in entry["tags"])
        }
        current = [
            version
            for name, secret in self.vault.items()
            if name.endswith("-client-secret")
            for version in secret["versions"]
            if version["enabled"]
        ]
        staged = [
            version["version"]
            for name, secret in self.vault.items()
            if name.endswith("-staged")
            for version in secret["versions"]
            if version["enabled"]
        ]
        held = {version["tags"]["key-id"] for version in current}
        found = [f"credential {key} has no version in the vault" for key in ours - held]
        found += [f"a version in the vault is of no credential: {key}" for key in held - ours]
        found += [f"the staged version {version} is still open" for version in staged]
        return found

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                name: "<drawn>" if name in DRAWN and inner is not None else self._plain(inner)
                for name, inner in value.items()
            }
        if isinstance(value, list):
            return sorted((self._plain(inner) for inner in value), key=_text)
        if isinstance(value, str):
            text = GUID.sub(lambda found: found[0] if found[0] in self._known else "<drawn>", value)
            return TIME.sub("<time>", text)
        return value


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two states differ, in words."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        names = [*one, *(name for name in other if name not in one)]
        return [
            line
            for name in names
            for line in differences(one.get(name), other.get(name), f"{where}.{name}".lstrip("."))
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            line
            for place, pair in enumerate(zip(one, other, strict=True))
            for line in differences(*pair, f"{where}[{place}]")
        ]
    if one == other:
        return []
    return [f"{where}: expected {_short(one)}, found {_short(other)}"]


def _new(before: list[Mapping[str, Any]], after: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    known = {entry["id"] for entry in before}
    return [entry for entry in after if entry["id"] not in known]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} entries: {_text(value)[:300]}"
    return _text(value)[:300]
