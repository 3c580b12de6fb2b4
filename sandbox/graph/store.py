"""The one way by which Graph reads and writes the directory: delayed replicas will have their place here."""

from copy import deepcopy
from typing import Literal

from sandbox.directory import Directory, GraphObject
from sandbox.graph.errors import not_found

Kind = Literal["applications", "service_principals", "users", "groups", "grants", "assignments", "deleted"]


class Store:
    """Reads by id, reads by filter and writes, each distinguishable from the others."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def find(self, kind: Kind, object_id: str) -> GraphObject | None:
        """Return a copy of the object, or None."""
        found = self._objects(kind).get(object_id)
        return None if found is None else deepcopy(found)

    def get(self, kind: Kind, object_id: str) -> GraphObject:
        """Return a copy of the object, or refuse with 404."""
        found = self.find(kind, object_id)
        if found is None:
            raise not_found(object_id)
        return found

    def rows(self, kind: Kind) -> list[GraphObject]:
        """Return all objects of a kind, for a filter to choose from; they are not to be changed."""
        return list(self._objects(kind).values())

    def find_by(self, kind: Kind, name: str, value: str) -> GraphObject | None:
        """Return a copy of the one object with this value of an alternate key, or None."""
        wanted = value.casefold()
        for found in self._objects(kind).values():
            if str(found.get(name) or "").casefold() == wanted:
                return deepcopy(found)
        return None

    def put(self, kind: Kind, changed: GraphObject) -> None:
        """Write an object as a whole."""
        self._objects(kind)[changed["id"]] = deepcopy(changed)

    def remove(self, kind: Kind, object_id: str) -> None:
        """Remove an object; it is there."""
        del self._objects(kind)[object_id]

    def _objects(self, kind: Kind) -> dict[str, GraphObject]:
        objects: dict[str, GraphObject] = getattr(self._directory, kind)
        return objects
