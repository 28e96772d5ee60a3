"""`python -m tests.golden write [--again]`: keep examples of what this release writes.

They go into the folder of the present format (`schemas.rows.FORMAT`); those of former formats are
never touched. See `test_golden`.
"""

from __future__ import annotations

import argparse
import sys

from schemas.rows import FORMAT
from tests.golden import files


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("what", choices=["write"])
    parser.add_argument(
        "--again",
        action="store_true",
        help="overwrite what changed: only if no release wrote it in the former form",
    )
    again = parser.parse_args().again
    lines = list(files.write(files.folder_of(FORMAT), again=again))
    print("\n".join(lines) or f"nothing new in format {FORMAT}")
    return int(any("CHANGED" in line for line in lines))


if __name__ == "__main__":
    sys.exit(main())
