"""The file of entitlements: read where the deployment says; `python -m clients.entitlements FILE` lints one."""

import sys
from collections.abc import Mapping
from pathlib import Path

from sso.entitlement_lint import Catalogued, lint
from sso.entitlements import Entitlements, EntitlementsError, parse_entitlements
from sso.errors import TenantError
from vendors.catalog import Catalog

APP = Path(__file__).parents[1]


def read_entitlements(name: str | None) -> Entitlements:
    """The rules of a deployment; a relative path begins at the app. Raises `TenantError` with what to do."""
    if name is None:
        msg = (
            "No rules are deployed. Write entitlements.toml (see People in the README) and set GATEHOUSE_ENTITLEMENTS"
            " to its path."
        )
        raise TenantError(msg)
    try:
        source = (APP / name).read_bytes()
    except OSError as error:
        msg = f"GATEHOUSE_ENTITLEMENTS names '{name}', which cannot be read ({type(error).__name__}); correct the path."
        raise TenantError(msg) from None
    try:
        return parse_entitlements(source)
    except EntitlementsError as error:
        msg = f"'{name}' is broken; whoever maintains it must mend it: {error}"
        raise TenantError(msg) from None


def catalogued(catalog: Catalog) -> Mapping[str, Catalogued]:
    """What the linter must know of every vendor; a broken profile still names its vendor."""
    found = {}
    for slug in catalog.slugs():
        try:
            found[str(slug)] = Catalogued(single=catalog.load(slug).instances == "one")
        except ValueError:
            found[str(slug)] = Catalogued(single=False)
    return found


def main(path: str) -> int:
    """Print every problem or finding of a file; the exit code is 0 where there is none."""
    try:
        entitlements = parse_entitlements(Path(path).read_bytes())
    except (OSError, EntitlementsError) as error:
        sys.stdout.write(f"{error}\n")
        return 1
    findings = lint(entitlements, catalogued(Catalog()))
    for finding in findings:
        sys.stdout.write(f"{finding.kind:8} {finding.path}: {finding.sentence}\n")
    if not findings:
        sys.stdout.write(f"{len(entitlements.rules)} rules, nothing to say.\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "entitlements.toml"))
