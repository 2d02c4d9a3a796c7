"""The rows that one thread writes, in teams that step together; no threads and no futures here.

A team's rows share a writer and a number of beams, and are of like source length as far as the measured cost of a step
says that this pays. Teams step in turn.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from app.errors import DeadlineExceeded
from app.runtime.roster import Draft, Roster, Writer, padded_width
from app.scheduling.cost import Costs, cheapest
from app.scheduling.slots import Held, Row
from app.tasks.generate import Token
from app.tasks.searches import End, Searches


@dataclass(frozen=True, slots=True)
class Stepped:
    """What one step did, for whoever counts; times in seconds, on ``time.monotonic``.

    ``cells``: of source memory, padding counted; ``tokens``: of the sources, without. ``first_s``: for each row at its
    first step, the time since it was submitted; ``gap_s``: for all others, the time since their last step.
    """

    writer: Writer
    rows: int
    beams: int
    cells: int
    tokens: int
    started: float
    ended: float
    first_s: tuple[float, ...] = ()
    gap_s: float = 0.0


@dataclass(slots=True)
class Turn:
    """What one turn of a crew did, in order: texts read, a step, tokens that somebody listens for, rows that ended.

    ``reads``: each row with the start and the end of its reading. ``drops``: rows that nobody waited for any more.
    """

    reads: list[tuple[Row, float, float]] = field(default_factory=list)
    step: Stepped | None = None
    tokens: list[tuple[Row, Token]] = field(default_factory=list)
    ends: list[tuple[Row, End]] = field(default_factory=list)
    drops: list[Row] = field(default_factory=list)

    @property
    def freed(self) -> bool:
        """Whether rows are done with, so that there is room for others."""
        return bool(self.ends or self.drops)

    @property
    def urgent(self) -> bool:
        """Whether somebody waits to hear of it, or slots were filled; what is only counted waits for such a turn."""
        return bool(self.reads or self.ends or self.drops or self.tokens)


class _Team:
    """Rows that step together, in the order of their roster."""

    def __init__(self, row: Row) -> None:
        """``row`` is like those that will join."""
        writer, options = row.job.writer, row.options
        self.roster = Roster(writer, options.beams, options.candidates)
        self.searches: Searches[Draft] = Searches(self.roster, options.beams, writer.bos_id, writer.eos_id)
        self.rows: list[Row] = []
        self.stepped = 0.0
        """When its last step ended."""

    def join(self, row: Row) -> None:
        """Read a row's text and take it in; raises what the encoder raises."""
        self.searches.join(row.draft, row.options, row.numerals)
        self.rows.append(row)

    def remove(self, at: int) -> None:
        """Let row ``at`` leave; the last takes its place."""
        self.searches.leave(at)
        self.rows[at] = self.rows[-1]
        self.rows.pop()

    def advance(self, turn: Turn) -> dict[int, End]:
        """Step all rows once; return those that are over. What is decided and listened for is told."""
        listened = [(at, self.searches.decided(at)) for at, row in enumerate(self.rows) if row.listened]
        try:
            ends = self.searches.advance()
        except Exception as broken:  # noqa: BLE001 - whatever it is, the futures must learn of it
            return dict.fromkeys(range(len(self.rows)), broken)
        for at, before in reversed(listened):
            end = ends.get(at)
            if end is None:
                turn.tokens += [(self.rows[at], token) for token in self.searches.since(at, before)]
            elif not isinstance(end, Exception):
                turn.tokens += [(self.rows[at], token) for token in end.tokens[before:]]
        return ends


class Crew:
    """One thread's teams, the one that stepped longest ago first."""

    def __init__(self, costs: Costs, clock: Callable[[], float]) -> None:
        """``costs`` may be shared with other crews."""
        self._teams: list[_Team] = []
        self._costs = costs
        self._clock = clock
        self.step_s = 0.0
        """How long the last step took."""

    @property
    def idle(self) -> bool:
        """Whether there is nothing to step."""
        return not self._teams

    @property
    def rows(self) -> list[Row]:
        """All rows that are being written here."""
        return [row for team in self._teams for row in team.rows]

    @property
    def held(self) -> Held:
        """What is being written here."""
        rows = beams = cells = 0
        for team in self._teams:
            roster = team.roster
            rows += roster.rows
            beams += roster.rows * roster.beams
            cells += roster.cells
        return Held(rows, beams, cells)

    @property
    def tokens(self) -> int:
        """Source tokens of all rows that are being written here."""
        return sum(team.roster.tokens for team in self._teams)

    def cells_with(self, row: Row) -> int:
        """Return the cells that this crew would hold with a row."""
        cells, width = self.held.cells, padded_width(row.tokens)
        team = self._team_for(row)
        if team is None:
            return cells + width
        return cells - team.roster.cells + (team.roster.rows + 1) * max(width, team.roster.width)

    def sweep(self, turn: Turn) -> None:
        """Free the slots of rows that nobody waits for, or whose time is up."""
        now = self._clock()
        for team in self._teams:
            for at in reversed(range(len(team.rows))):
                row = team.rows[at]
                if _nobody_waits(row, turn):
                    team.remove(at)
                elif row.job.deadline <= now:
                    begun = team.searches.decided(at)
                    turn.ends.append((row, team.searches.best(at, "deadline") if begun else too_late()))
                    team.remove(at)
        self._teams = [team for team in self._teams if team.rows]

    def admit(self, row: Row, turn: Turn) -> None:
        """Read a row's text and let it join a team, unless it is over or cannot be read."""
        if _nobody_waits(row, turn):
            return
        if row.job.deadline <= self._clock():
            turn.ends.append((row, too_late()))
            return
        try:
            self._costs.learn(row.lane, row.draft, row.options)
            started = self._clock()
            team = self._team_for(row)
            joined = team or _Team(row)
            joined.join(row)
        except Exception as broken:  # noqa: BLE001 - whatever it is, the future must learn of it
            turn.ends.append((row, broken))
            return
        if team is None:
            self._teams.append(joined)
        turn.reads.append((row, started, self._clock()))

    def step(self, turn: Turn) -> None:
        """Step the team whose turn it is; the rows that are done leave it."""
        team = self._teams[0]
        roster, count, fresh = team.roster, len(team.rows), [row for row in team.rows if not row.first]
        cells, tokens, started = roster.cells, roster.tokens, self._clock()
        ends = team.advance(turn)
        ended = self._clock()
        first_s, gap_s = tuple(ended - row.job.submitted for row in fresh), ended - team.stepped
        turn.step = Stepped(roster.writer, count, roster.beams, cells, tokens, started, ended, first_s, gap_s)
        for row in fresh:
            row.first = ended
        team.stepped = ended
        self.step_s = ended - started
        for at in sorted(ends, reverse=True):
            turn.ends.append((team.rows[at], ends[at]))
            team.remove(at)
        self._teams = [*self._teams[1:], team] if team.rows else self._teams[1:]

    def _team_for(self, row: Row) -> _Team | None:
        """Return the team that a row joins, ``None`` for one of its own."""
        own = [team for team in self._teams if (team.roster.writer, team.roster.beams) == row.lane]
        sizes = [(team.roster.rows, team.roster.width) for team in own]
        at = cheapest(self._costs.of(row.lane), sizes, row.tokens)
        return None if at is None else own[at]


def too_late() -> DeadlineExceeded:
    """Return the error of a row of which nothing was decided in time."""
    return DeadlineExceeded("no answer within the time that a request may take")


def _nobody_waits(row: Row, turn: Turn) -> bool:
    if row.job.gone:
        turn.drops.append(row)
    return bool(row.job.gone)
