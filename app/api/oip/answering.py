"""A request of the protocol on its way: the package, the signature, and what the service makes of its inputs."""

import re
from collections.abc import Sequence

import numpy as np

from app.api.oip.columns import of_failures, of_labels, of_quoted, of_truncated, of_written, refuse_untold
from app.api.oip.exchange import Inference, Inferred, Parameters
from app.api.oip.signature import IDS, LENS, TEXT, signature_for
from app.api.oip.tensor import Tensor, numbers
from app.api.oip.wish import language_of, wish_of
from app.arrays import Arrays, Rows, Terms
from app.errors import InvalidInference, ItemError, ModelNotFound
from app.exchange import Query
from app.runtime.classifier import Classifier
from app.runtime.extractor import Extractor
from app.runtime.model import Model
from app.runtime.registry import Registry
from app.runtime.snapshot import Pick
from app.runtime.summarizer import Summarizer
from app.runtime.tensors import TensorModel
from app.runtime.traffic import Version
from app.service import Service
from app.summarizing.journey import Summaries
from app.summarizing.reading import options_of

_VERSION = re.compile("[0-9]{1,18}|[a-z][a-z0-9-]{0,62}")


class Answering:
    """Answers requests with the same service, batcher and decoder as /v1."""

    def __init__(self, registry: Registry, service: Service, summaries: Summaries, arrays: Arrays) -> None:
        self.registry = registry
        self.service = service
        self.summaries = summaries
        self._arrays = arrays

    def model(self, name: str, version: str | None) -> Model:
        """Return a package; ``ModelNotFound`` or ``ModelUnavailable`` where it is not here or not open."""
        return self._pick(name, version).model

    def _pick(self, name: str, version: str | None, key: str = "") -> Pick:
        task = self.registry.task_of(name) or "sentiment"  # of a package that was refused any task will do
        return self.registry.pick(task, name, version_of(name, version), key)

    async def infer(self, asked: Inference) -> Inferred:
        """Return the outputs that are asked for; ``RequestError`` where there is no answer."""
        self.service.refuse_unless_ready()
        terms = asked.terms
        picked = self._pick(asked.model, asked.version, asked.key)
        signature = signature_for(picked.model, asked.inputs)
        given = signature.bind(asked.inputs)
        wanted = signature.select(asked.outputs)
        if isinstance(picked.model, TensorModel):
            found = await self._numbers(picked.model, given, terms)
        elif TEXT in given:
            return await self._texts(asked, picked, given[TEXT], wanted)
        else:
            found = await self._rows(picked.model, _rows(given), asked.parameters, terms)
        return _inferred(asked, picked, found, wanted)

    async def _numbers(self, model: TensorModel, given: dict[str, Tensor], terms: Terms) -> list[Tensor]:
        arrays = {name: tensor.array for name, tensor in given.items()}
        answer = await self._arrays.tensors(model, arrays, terms)
        return [numbers(spec.name, array) for spec, array in zip(model.outputs, answer, strict=True)]

    async def _texts(self, asked: Inference, picked: Pick, tensor: Tensor, wanted: Sequence[str]) -> Inferred:
        texts: list[str] = tensor.array.ravel().tolist()
        if not texts:
            raise InvalidInference("input 'text' is empty; expected at least one text")
        if isinstance(picked.model, Classifier):
            return await self._classified(asked, picked, texts, wanted)
        return await self._summarized(asked, picked, texts, wanted)

    async def _classified(self, asked: Inference, picked: Pick, texts: list[str], wanted: Sequence[str]) -> Inferred:
        model = picked.model
        query = Query(
            texts,
            model.name,
            picked.alias or model.package.version,
            language_of(asked.parameters),
            allowance=asked.allowance,
            haste=asked.terms.haste,
        )
        reply = await self.service.answer(model.manifest.task, query)
        refuse_untold(reply.failures, len(texts), wanted)
        found = of_labels(reply.results, model.manifest.labels, len(texts))
        found += [of_truncated(reply.results, len(texts)), of_failures(reply.failures, len(texts))]
        return _inferred(asked, picked, found, wanted, tokens=sum(result.tokens for result in reply.results))

    async def _summarized(self, asked: Inference, picked: Pick, texts: list[str], wanted: Sequence[str]) -> Inferred:
        model = picked.model
        version = picked.alias or model.package.version
        wish = wish_of(texts, model.name, version, asked.parameters, allowance=asked.allowance, haste=asked.haste)
        reply = await self.summaries.answer(wish)
        refuse_untold(reply.failures, len(texts), wanted)
        columns = of_quoted if isinstance(model, Extractor) else of_written
        found = columns(reply.results, len(texts))
        found += [of_truncated(reply.results, len(texts)), of_failures(reply.failures, len(texts))]
        return _inferred(asked, picked, found, wanted, tokens=sum(result.tokens for result in reply.results))

    async def _rows(self, model: Model, rows: Rows, parameters: Parameters, terms: Terms) -> list[Tensor]:
        match model:
            case Classifier():
                return [numbers("logits", await self._arrays.logits(model, rows, terms))]
            case Extractor():
                scored = await self._arrays.scores(model, rows, terms)
                return [numbers("scores", scored.scores), numbers("vectors", scored.vectors)]
            case Summarizer():
                return await self._written(model, rows, parameters, terms)
            case _:
                raise TypeError("This is a bug: token ids for a model that reads none")

    async def _written(self, model: Summarizer, rows: Rows, parameters: Parameters, terms: Terms) -> list[Tensor]:
        wish = wish_of([], model.name, model.package.version, parameters)
        kind = next(iter(model.generation.kinds)) if wish.kind == "auto" else wish.kind
        if kind not in model.generation.kinds:
            raise InvalidInference(f"parameters.kind is {kind!r}; expected one of {list(model.generation.kinds)}")
        try:
            options = options_of(wish, model, kind)
        except ItemError as error:
            raise InvalidInference(f"parameters: {error}") from error
        summaries = await self._arrays.summaries(model, rows, options, kind, terms)
        lens = np.array([len(summary.tokens) for summary in summaries], np.int64)  # [n]
        shape = (len(summaries), int(lens.max(initial=0)))
        ids, logprobs = np.full(shape, model.pad_id, np.int64), np.zeros(shape, np.float32)
        for at, summary in enumerate(summaries):
            ids[at, : lens[at]] = [token.id for token in summary.tokens]
            logprobs[at, : lens[at]] = [token.logp for token in summary.tokens]
        return [numbers("summary_ids", ids), numbers("summary_lens", lens), numbers("logprobs", logprobs)]


def version_of(name: str, version: str | None) -> Version | None:
    """Return a version's number or an alias, ``None`` for neither; ``ModelNotFound`` where it can be none of them."""
    if not version:
        return None
    if not _VERSION.fullmatch(version):
        raise ModelNotFound(f"version {version[:32]!r} of model {name!r} is not here; expected a number or an alias")
    return int(version) if version.isdigit() else version


def _rows(given: dict[str, Tensor]) -> Rows:
    ids = given[IDS].array  # [n, t]
    return Rows(ids, given[LENS].array if LENS in given else np.full(len(ids), ids.shape[1], np.int64))


def _inferred(asked: Inference, picked: Pick, found: list[Tensor], wanted: Sequence[str], tokens: int = 0) -> Inferred:
    by_name = {tensor.name: tensor for tensor in found}
    outputs, told = [by_name[name] for name in wanted], {"alias": picked.alias} if picked.alias else {}
    return Inferred(picked.model.name, picked.model.version, outputs, asked.id, tokens, told)
