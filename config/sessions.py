"""Sessions in the database as Django keeps them; what reads one is written once (collection.models.prepared)."""

from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils import timezone

from collection.models.prepared import STAND_IN, Question

KEPT = Question(
    lambda key, at: Session.objects.filter(session_key=key, expire_date__gt=at).values_list("session_data"),
    key="whose session?",
    at=STAND_IN,
)


class SessionStore(db.SessionStore):
    """Asked at every request of somebody signed in, where Django would take most of a millisecond to write it."""

    def _validate_session_key(self, key: str | None) -> bool:
        """PostgreSQL fails at a key with NUL in it, which a cookie may say."""
        return bool(super()._validate_session_key(key)) and "\0" not in str(key)  # type: ignore[misc]  # unknown to the stubs

    def load(self) -> dict[str, Any]:
        kept = KEPT.ask(key=self.session_key, at=timezone.now())
        return self.decode(kept[0][0]) if kept else super().load()  # which forgets the key
