"""POST /v2/repository/...: which packages there are, and opening and closing them while the service runs."""

from typing import Any

from app.api.oip.exchange import Parameters
from app.control import Control, told
from app.errors import ChangeRefused, InvalidInference
from app.runtime.changes import Change, Load, Unload


class Repository:
    """Opens and closes packages for clients of the protocol, as the routes of /admin do."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def load(self, name: str, parameters: Parameters) -> dict[str, Any]:
        """Open every version of a package that is on disk, anew where it is open.

        ``ChangeRefused`` where none of them opens.
        """
        brought = [key for key in parameters if key == "config" or key.startswith("file:")]
        if brought:
            raise InvalidInference(
                f"parameters.{brought[0]:.40} is given; a package comes from the models folder alone"
            )
        return await self._change(Load(name))

    async def unload(self, name: str) -> dict[str, Any]:
        """Close every version of a package; it stays closed until it is loaded."""
        return await self._change(Unload(name))

    async def _change(self, change: Change) -> dict[str, Any]:
        report = await self._control.change(change)
        refused = report.outcome.refused
        if refused and not report.outcome.loaded:
            (name, version), reason = next(iter(refused.items()))
            raise ChangeRefused(f"{name}/{version}: {reason}")
        return {"workers": report.workers, **told(report.outcome)}
