"""The control: the same package behind the service that most people would write first.

One FastAPI route that tokenizes and runs its text inline, one process, no batching, no metrics, no limits, no log.

    python -m benchmarks.naive PORT PACKAGE
"""

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from app.modelpack.store import latest, open_package
from app.runtime.classifier import Classifier
from app.runtime.providers import choose
from app.tasks.classify import Classified, classify


class Text(BaseModel):
    """One text."""

    inputs: str


def create_app(folder: Path) -> FastAPI:
    """Return the application over the highest version of a package."""
    model = Classifier.open(open_package(latest(folder)), choose("cpu"))
    app = FastAPI()

    @app.post("/v1/sentiment")
    async def sentiment(text: Text) -> Classified:
        (tokens,) = model.tokenizer.encode([text.inputs])
        ((logits,),) = model.plain.run([tokens.ids])
        return classify(logits[None], model.manifest.labels)[0]

    @app.get("/health/ready")
    async def ready() -> None:
        return None

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(Path(sys.argv[2])), port=int(sys.argv[1]), access_log=False, log_level="warning")
