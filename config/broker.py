"""kombu's filesystem broker with messages that appear whole or not at all.

kombu creates a message's file and then writes it; a worker that takes the file in between reads nothing, and ends.
"""

import os
import uuid
from pathlib import Path
from time import monotonic
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    def _put(self, queue: str, payload: dict[str, Any], **kwargs: Any) -> None:  # type: ignore[override]  # the stubs leave kombu's own signature out
        folder = Path(self.data_folder_out)
        name = f"{round(monotonic() * 1000)}_{uuid.uuid4()}"  # the order in which workers take messages
        waiting = folder / f"{name}.part"
        waiting.write_text(dumps(payload))
        os.replace(waiting, folder / f"{name}.{queue}.msg")


class Transport(filesystem.Transport):
    Channel = Channel
