"""What one of several server processes has in common with the others; made before they are forked."""

from dataclasses import dataclass

from app.control import Link
from app.keys.shared import Sheet
from app.scheduling.places import Places


@dataclass(frozen=True, slots=True)
class Siblings:
    """A worker's way to the supervisor, the cores that all share, and what is left of the limits of keys."""

    link: Link
    places: Places
    limits: Sheet
