"""What recipients and auditors run without an account and without Django, as this server hands it out."""

import io
import zipfile
from functools import cache
from inspect import getsource
from pathlib import Path

from consent import merkle, sheets, signing
from exports import label_forms, pull, pulled, shards, verify, verify_forms

OLDEST = (1980, 1, 1, 0, 0, 0)  # the zero of zip files: the same source gives the same bytes
MODULES = (merkle, sheets, signing, label_forms, pulled, shards, verify, verify_forms)
MAIN = """\
import sys

try:
    from exports.verify import main
except ModuleNotFoundError as error:
    sys.stderr.write(f"verify needs {error.name}. Install what it needs: pip install cryptography pyarrow\\n")
    sys.exit(3)  # the check could not be finished

if __name__ == "__main__":
    sys.exit(main())
"""


def pull_program() -> bytes:
    """pull.py: one file that needs nothing else of ours."""
    return Path(pull.__file__).read_bytes()


@cache
def verify_program() -> bytes:
    """verify.pyz: the modules of `verify` in one archive that Python runs as it is (zipapp)."""
    texts = {f"{module.__name__.replace('.', '/')}.py": getsource(module) for module in MODULES}
    packages = {f"{path.partition('/')[0]}/__init__.py": "" for path in texts}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, text in sorted({**texts, **packages, "__main__.py": MAIN}.items()):
            archive.writestr(zipfile.ZipInfo(path, OLDEST), text, zipfile.ZIP_DEFLATED)
    return out.getvalue()
