"""An environment with what one script says that it needs (PEP 723): `python3 tools/script_venv.py SCRIPT FOLDER`.

By pip, so that its configuration decides where packages come from, and which build of them (docs/decisions/0032). A
stamp in the folder says what it was made for; a second run has nothing to do.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

BLOCK = re.compile(r"(?m)^# /// script\n((?:#(?: .*)?\n)+?)# ///$")


def needs(script: str) -> list[str]:
    """The dependencies in a script's inline metadata."""
    found = BLOCK.search(script)
    if found is None:
        sys.exit("This script has no block of inline metadata (PEP 723).")
    lines = (line.removeprefix("#").removeprefix(" ") for line in found[1].splitlines())
    return list(tomllib.loads("\n".join(lines)).get("dependencies", []))


def main(script: Path, folder: Path) -> None:
    wanted = needs(script.read_text())
    made_for, stamp = "\n".join([sys.version, *wanted]), folder / "made-for"
    if stamp.exists() and stamp.read_text() == made_for:
        return
    print(f"Installing {', '.join(wanted)} for {script} (once; a minute or more)", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    words = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", *wanted]
    subprocess.run([folder / "bin" / "python", *words], check=True)
    stamp.write_text(made_for)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
