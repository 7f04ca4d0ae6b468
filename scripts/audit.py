"""Look up known holes of the packages that a requirements file pins.

Usage: python scripts/audit.py constraints.txt

Fails where there are some. Where the network does not answer, or the index knows nothing of some
packages, it says so and passes.
"""

from __future__ import annotations

import json
import subprocess
import sys

UNREACHABLE = (
    "ConnectionError",
    "Connection",
    "Max retries",
    "timed out",
    "ServiceError",
    "resolve",
)


def main(file: str) -> int:
    """Audit a file; return the status to end with."""
    command = [sys.executable, "-m", "pip_audit", "-r", file, "--no-deps", "--disable-pip"]
    ended = subprocess.run(  # noqa: S603
        [*command, "--format", "json", "--progress-spinner", "off", "--timeout", "10"],
        capture_output=True,
        check=False,
        text=True,
    )
    if not ended.stdout.strip():
        said = ended.stderr.strip()
        if not any(word in said for word in UNREACHABLE):
            print(said)
            return ended.returncode or 1
        print(f"Dependencies were not audited: {said.splitlines()[-1][:200]}")
        return 0
    packages = json.loads(ended.stdout)["dependencies"]
    known = [package for package in packages if "vulns" in package]
    holes = [(package, hole) for package in known for hole in package["vulns"]]
    for package, hole in holes:
        mended = ", ".join(hole["fix_versions"]) or "no version"
        print(f"{package['name']} {package['version']}: {hole['id']}, mended in {mended}")
    print(
        f"{len(known)} of {len(packages)} dependencies could be looked up; "
        f"{len(holes)} holes are known of them"
    )
    return 1 if holes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
