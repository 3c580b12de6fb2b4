"""The one way by which Graph reads and writes the directory: reads see a replica, writes change the write store.

graph-contract section 20: a read by id picks a replica, a filter reads the laggiest, and a write is validated against
a replica too, which is what makes it answer 404 or 400 for an object that its caller has just made.
"""

from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime
from typing import Literal

from sandbox.directory import Directory, GraphObject
from sandbox.graph.errors import GraphError, not_found
from sandbox.unkind.replicas import Replicas
from sandbox.unkind.state import Unkindness

Kind = Literal["applications", "service_principals", "users", "groups", "grants", "assignments", "deleted"]
_COUNTED: tuple[Kind, ...] = ("applications", "service_principals", "users", "groups", "deleted")


class Store:
    """The directory as one call sees it; without a replica it is the write store alone."""

    def __init__(
        self, directory: Directory, unkind: Unkindness, replica: int | None = None, *, writes: bool = False
    ) -> None:
        self._directory = directory
        self._unkind = unkind
        self._replica = replica
        self._writes = writes

    @property
    def primary(self) -> "Store":
        """Return the write store, where uniqueness is decided."""
        return Store(self._directory, self._unkind)

    def find(self, kind: Kind, object_id: str) -> GraphObject | None:
        """Return a copy of the object, or None; for a write, the newest one, as soon as the replica knows of it."""
        present = self._objects(kind).get(object_id)
        found = self._as_known(kind, object_id, present)
        return None if found is None else deepcopy(found)

    def get(self, kind: Kind, object_id: str) -> GraphObject:
        """Return a copy of the object, or refuse with 404."""
        found = self.find(kind, object_id)
        if found is None:
            raise not_found(object_id)
        return found

    def seen(self, kind: Kind, object_id: str) -> GraphObject | None:
        """Return a copy of the object as the replica has it, in a write as in a read."""
        present = self._objects(kind).get(object_id)
        if self._replica is None:
            return deepcopy(present)
        return deepcopy(self._replicas.at(kind, object_id, self._replica, present))

    def rows(self, kind: Kind) -> list[GraphObject]:
        """Return all objects of a kind, for a filter to choose from; they are not to be changed."""
        objects = self._objects(kind)
        recent = [] if self._replica is None or self._writes else self._replicas.recent(kind)
        if not recent:
            return list(objects.values())
        known = {each: self._replicas.laggiest(kind, each, objects.get(each)) for each in recent}
        shown = [known.pop(object_id, present) for object_id, present in objects.items()]
        return [found for found in (*shown, *known.values()) if found is not None]

    def assignments_of(self, principal_id: str) -> list[GraphObject]:
        """Return what `rows` has of one principal's assignments, without a look at all the others'."""
        if self._replica is None or self._writes or not self._replicas.recent("assignments"):
            return self._directory.assignments.of(principal_id)
        return [row for row in self.rows("assignments") if row["principalId"] == principal_id]

    def find_by(self, kind: Kind, name: str, value: str) -> GraphObject | None:
        """Return a copy of the one object with this value of an alternate key, or None."""
        wanted = value.casefold()
        for found in self._known(kind):
            if str(found.get(name) or "").casefold() == wanted:
                return deepcopy(found)
        return None

    def put(self, kind: Kind, changed: GraphObject, at: datetime | None = None) -> None:
        """Write an object as a whole, now or as of some time ago."""
        objects, object_id = self._objects(kind), changed["id"]
        old = objects.get(object_id)
        if old is None and kind in ("applications", "service_principals"):
            self._refuse_over_quota()
        objects[object_id] = deepcopy(changed)
        self._replicas.wrote(kind, object_id, old, objects[object_id], self._unkind.lags(kind, object_id), at)

    def remove(self, kind: Kind, object_id: str) -> None:
        """Remove an object; it is there."""
        old = self._objects(kind).pop(object_id)
        self._replicas.wrote(kind, object_id, old, None, self._unkind.lags(kind, object_id))

    @property
    def _replicas(self) -> Replicas:
        return self._unkind.replicas

    def _as_known(self, kind: Kind, object_id: str, present: GraphObject | None) -> GraphObject | None:
        if self._replica is None:
            return present
        known = self._replicas.at(kind, object_id, self._replica, present)
        if not self._writes:
            return known
        return None if known is None else present

    def _known(self, kind: Kind) -> Iterator[GraphObject]:
        objects = self._objects(kind)
        ids = [*objects, *(gone for gone in self._replicas.recent(kind) if gone not in objects)]
        for object_id in ids:
            found = self._as_known(kind, object_id, objects.get(object_id))
            if found is not None:
                yield found

    def _objects(self, kind: Kind) -> dict[str, GraphObject]:
        objects: dict[str, GraphObject] = getattr(self._directory, kind)
        return objects

    def _refuse_over_quota(self) -> None:
        if sum(len(self._objects(kind)) for kind in _COUNTED) >= self._unkind.switches.object_quota:
            raise GraphError(
                403,
                "Directory_QuotaExceeded",
                "The directory object quota limit for the Tenant has been exceeded. Please ask your administrator to "
                "increase the quota limit or delete objects to reduce the used quota.",
            )
