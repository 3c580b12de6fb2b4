"""The JSON Schema of a profile, for editors: `python -m vendors.schema` prints it.

A profile names it in its first line (`#:schema ../docs/vendor-profile.schema.json`). It knows the fields' own rules;
what the fields say together is checked by `vendors.consistency`.
"""

import json
import sys
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from vendors.profile import Profile

PROFILE_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Vendor profile",
    **TypeAdapter[Profile](Annotated[Profile, Field(discriminator="protocol")]).json_schema(),
}

if __name__ == "__main__":
    sys.stdout.write(f"{json.dumps(PROFILE_SCHEMA, indent=2)}\n")
