"""The learning rate over a run: a rise over the warm-up, then the decay that the run's `loop.schedule` names."""

import math

from training.config import LoopConfig


class Schedule:
    """The share of the peak rate at a step.

    Every schedule but "one_cycle" rises linearly over `warmup` of all steps. "plateau" alone looks at the dev score.
    """

    def __init__(self, config: LoopConfig, steps: int) -> None:
        self._config = config
        self._steps = steps
        self._shrunk = 1.0
        self._best = -math.inf
        self._idle = 0

    def __call__(self, step: int) -> float:
        """Return the share of the peak rate at a step, 0 being the first."""
        return share_at(step, self._steps, self._config) * self._shrunk

    def look(self, dev_score: float) -> None:
        """Take note of a dev score; under "plateau", the look after `plateau_patience` idle ones shrinks the rate."""
        if self._config.schedule != "plateau":
            return
        if dev_score > self._best:
            self._best, self._idle = dev_score, 0
            return
        self._idle += 1
        if self._idle > self._config.plateau_patience:
            self._shrunk, self._idle = self._shrunk * self._config.plateau_factor, 0

    def state_dict(self) -> dict[str, float]:
        """Return what the dev scores so far have led to."""
        return {"shrunk": self._shrunk, "best": self._best, "idle": self._idle}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Take up again where `state_dict` was taken."""
        self._shrunk, self._best, self._idle = state["shrunk"], state["best"], int(state["idle"])


def share_at(step: int, steps: int, config: LoopConfig) -> float:
    """Return what the schedule's formula gives for a step of a run of `steps`, without what "plateau" has seen."""
    rise = max(1, round(config.warmup * steps))
    if step < rise:
        return _risen(step, rise, config)
    past = min(1.0, (step - rise) / max(1, steps - rise))
    match config.schedule:
        case "constant" | "plateau":
            return 1.0
        case "step":
            every = max(1, round(config.step_epochs * steps / config.epochs))
            return float(config.step_factor ** (step // every))
        case "exponential":
            return float(config.final_rate**past)
        case "cosine" | "one_cycle":
            # Loshchilov and Hutter 2017.
            return _between(1.0, config.final_rate, past)


def _risen(step: int, rise: int, config: LoopConfig) -> float:
    if config.schedule == "one_cycle":
        # Smith and Topin 2019, of the rate alone: AdamW's momentum stays.
        return _between(config.one_cycle_start, 1.0, step / rise)
    return (step + 1) / rise


def _between(start: float, end: float, past: float) -> float:
    """Go from start to end along half a cosine, `past` 0 to 1."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * past))
