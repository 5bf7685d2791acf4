"""Reads the mail that the stack wrote into var/demo/mail, as its addressee would."""

import email
import email.policy
import re
import time
from pathlib import Path

from demo.browser import Surprise

SEPARATOR = re.compile(rb"^-{79}\n", re.MULTILINE)  # between the messages of one file


class Mailbox:
    """The folder that Django's file backend writes to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def messages(self, address: str) -> list[str]:
        """Subject and text of every mail to `address`, oldest first."""
        found = []
        for path in sorted(self.folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
            for raw in SEPARATOR.split(path.read_bytes()):
                message = email.message_from_bytes(raw, policy=email.policy.default)
                if address in str(message.get("To", "")):
                    body = message.get_body(("plain",))
                    text = body.get_content() if body else ""
                    found.append(f"{message['Subject']}\n{text}")
        return found

    def link(self, address: str, containing: str, timeout: float = 30) -> str:
        """The newest link in the mail to `address` whose address contains this; waits for it."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for text in reversed(self.messages(address)):
                if found := re.search(rf"https?://\S*{re.escape(containing)}\S*", text):
                    return found.group()
            time.sleep(0.1)
        raise Surprise(f"No mail to {address} with a link containing {containing} within {timeout:.0f} s.")
