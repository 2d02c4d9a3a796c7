"""What runs together on one session: the lanes of models of a single graph differ in how they put rows together."""

from dataclasses import dataclass

from app.runtime.session import Session


@dataclass(frozen=True, eq=False)
class SessionLane:
    """A session, and the name and version under which its runs are counted."""

    session: Session
    model: str
    version: str

    def renew(self) -> None:
        """Open a new session in the place of one that hangs."""
        self.session.renew()

    def interrupt(self) -> None:
        """Let what its session runs now end with an error."""
        self.session.interrupt()
