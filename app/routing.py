"""Which package answers a text: by task, by the language of its script, or by the name that the caller gave."""

from typing import NamedTuple

from app.errors import EmptyText, ModelNotFound, TextTooLong, UnsupportedLanguage
from app.exchange import Query
from app.modelpack.manifest import Task
from app.runtime.model import Model
from app.runtime.registry import Registry
from app.runtime.snapshot import Pick
from app.runtime.traffic import Version
from app.text.language import detect


class Route(NamedTuple):
    """The model that answers a text, the text's language, and the alias that the model was found by, if by one."""

    model: Model
    language: str
    alias: str | None = None


Shared = tuple[Model, str | None, list[str]]
"""The one model that answers several texts, the alias that it was found by, and each text's language."""


class Router:
    """Finds packages in a registry for texts within a bound."""

    def __init__(self, registry: Registry, max_item_chars: int) -> None:
        self._registry = registry
        self._max_item_chars = max_item_chars

    def check(self, text: str) -> None:
        """Raise ``EmptyText`` or ``TextTooLong`` where a text cannot be read."""
        if not text or text.isspace():
            raise EmptyText("the text is empty; expected at least one character that is not white space")
        if len(text) > self._max_item_chars:
            raise TextTooLong(f"the text has {len(text)} characters; expected at most {self._max_item_chars}")

    def language(self, text: str, asked: str) -> str | None:
        """Return the language that was asked for or, for ``auto``, that of the script; ``None`` without letters."""
        return detect(text) if asked == "auto" else asked

    def find(
        self,
        task: Task,
        language: str | None,
        named: Pick | None = None,
        version: Version | None = None,
        key: str = "",
    ) -> Route:
        """Return the model for a text, and its language: a text without letters (":-)", "10/10") is any language's.

        ``UnsupportedLanguage`` and ``AmbiguousModel`` concern this text, ``ModelNotFound`` all of them.
        """
        model, alias = named or self._default(task, language, version, key)
        language = language or model.manifest.languages[0]  # the model's own first
        if language not in model.manifest.languages:
            raise UnsupportedLanguage(
                f"the text's language is {language!r}; expected one of {model.manifest.languages}, "
                f"which model {model.name!r} serves"
            )
        return Route(model, language, alias)

    def named(self, task: Task, query: Query) -> Pick | None:
        """Return the model that a query names, ``None`` where it names none; raise what ``Registry.pick`` does."""
        if query.model is None:
            return None
        return self._registry.pick(task, query.model, query.version, query.key)

    def shared(self, task: Task, query: Query) -> Shared | None:
        """Return what ``check``, ``language`` and ``find`` come to for all texts, asked once a language.

        ``None`` where a text cannot be read or not one model answers all; it raises what ``named`` and ``find`` do.
        """
        texts = query.texts
        if not all(texts) or any(map(str.isspace, texts)) or max(map(len, texts)) > self._max_item_chars:
            return None
        named = self.named(task, query)
        told = list(map(detect, texts)) if query.language == "auto" else [query.language] * len(texts)
        model, language, alias = self.find(task, told[0], named, query.version, query.key)
        codes = {told[0]: language}
        for code in set(told) - codes.keys():
            other, codes[code], _ = self.find(task, code, named, query.version, query.key)
            if other is not model:
                return None
        return model, alias, [codes[code] for code in told]

    def _default(self, task: Task, language: str | None, version: Version | None, key: str) -> Pick:
        wanted = language or next(iter(self._registry.languages(task)), "")
        found = self._registry.now.default(task, wanted, key)
        if found is None:
            served = self._registry.languages(task)
            if not served:
                raise ModelNotFound(f"no model for {task} is here; GET /v1/models lists those that are")
            raise UnsupportedLanguage(f"the text's language is {language!r}; expected one of {served}")
        return found if version is None else self._registry.pick(task, found.model.name, version, key)
