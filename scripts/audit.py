"""Look up known vulnerabilities of the packages that a requirements file pins.

Usage: python scripts/audit.py constraints.txt

Fails where there are any. Where the network is unreachable, or the index does not know a package,
it reports this and passes.
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
        error = ended.stderr.strip()
        if not any(word in error for word in UNREACHABLE):
            print(error)
            return ended.returncode or 1
        print(f"Dependencies were not audited: {error.splitlines()[-1][:200]}")
        return 0
    packages = json.loads(ended.stdout)["dependencies"]
    known = [package for package in packages if "vulns" in package]
    found = [(package, entry) for package in known for entry in package["vulns"]]
    for package, entry in found:
        fixed = ", ".join(entry["fix_versions"]) or "no version"
        print(f"{package['name']} {package['version']}: {entry['id']}, fixed in {fixed}")
    print(
        f"{len(known)} of {len(packages)} dependencies could be looked up; "
        f"{len(found)} known vulnerabilities"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
