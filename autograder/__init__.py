"""A tamper-proof grader for nbgrader courses."""

import sys

# jsonschema imports it where it is installed, to check web addresses, and reading a notebook imports jsonschema: that
# takes 2.5 s of a core in every process that grades, and no notebook has such addresses.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
