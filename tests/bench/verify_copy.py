"""`verify` of a pulled release against `sha256sum -c` of the same files."""

import subprocess
import sys
from pathlib import Path

from tests.bench.timing import medians

ROOT = Path(__file__).resolve().parent.parent.parent
DEMO = ROOT / "var" / "demo"
KEY = DEMO / "signing-public.pem"


def main() -> None:
    copies = sorted(path.parent for path in DEMO.glob("pull/*/*/SHA256SUMS"))
    if not copies or not KEY.exists():
        print("There is no pulled release yet: run `make demo` first.")
        return
    copy = copies[-1]
    size = sum(path.stat().st_size for path in copy.rglob("*") if path.is_file())

    def run(*words: object) -> None:
        subprocess.run([str(word) for word in words], cwd=copy, check=True, capture_output=True)

    module = [sys.executable, "-m", "exports.verify", copy, "--key", KEY]
    found = medians(
        {
            "sha256sum": lambda: run("sha256sum", "-c", "SHA256SUMS"),
            "verify": lambda: subprocess.run([str(w) for w in module], cwd=ROOT, check=True, capture_output=True),
            "python": lambda: run(sys.executable, "-c", "import pyarrow.parquet, cryptography"),
        },
        rounds=3,
    )
    own = max(found["verify"] - found["python"], 1e-9)
    print(f"{size / 1e6:.0f} MB: sha256sum {found['sha256sum']:.2f} s, verify {found['verify']:.2f} s,")
    print(f"of which start-up {found['python']:.2f} s; without it {found['sha256sum'] / own:.2f} of sha256sum's speed")
