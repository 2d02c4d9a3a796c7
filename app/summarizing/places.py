"""Which packages a text is summarized with: one that writes, one that quotes, or both."""

from app.errors import InvalidRequest, ItemError, ModelNotFound, UnsupportedLanguage
from app.modelpack.manifest import Task
from app.routing import Route, Router
from app.runtime.extractor import Extractor
from app.runtime.registry import Registry
from app.runtime.snapshot import Pick
from app.runtime.summarizer import Summarizer
from app.summarizing.reading import Item
from app.summarizing.wishes import Wish


class Places:
    """Finds them in a registry, for texts within a bound."""

    def __init__(self, registry: Registry, max_item_chars: int) -> None:
        self._registry = registry
        self._router = Router(registry, max_item_chars)

    def named(self, wish: Wish) -> Pick | None:
        """Return the package that the caller names; ``InvalidRequest`` where it cannot do what is asked for."""
        if wish.model is None:
            if wish.version is not None:
                raise InvalidRequest(
                    f"version is {wish.version!r} without model; expected the name of a package with it"
                )
            return None
        task: Task = "extract" if self._registry.task_of(wish.model) == "extract" else "summarize"
        found = self._registry.pick(task, wish.model, wish.version, wish.key)
        if (task, wish.method) in {("extract", "abstractive"), ("summarize", "extractive")}:
            raise InvalidRequest(
                f"method is {wish.method!r} and model {wish.model!r} is for {task}; expected 'auto', or another model"
            )
        return found

    def item(self, wish: Wish, named: Pick | None, index: int, text: str) -> Item:
        """Return a text with its packages; ``ItemError`` where it has none, or cannot be read."""
        self._router.check(text)
        language = self._router.language(text, wish.language)
        writing: Route | None = None
        quoting: Route | None = None
        if (named is not None and isinstance(named.model, Extractor)) or wish.method == "extractive":
            quoting = self._router.find("extract", language, named, wish.version, wish.key)
        elif named is not None or wish.method == "abstractive":
            writing = self._router.find("summarize", language, named, wish.version, wish.key)
        else:
            writing = self._default("summarize", language, wish.key)
        found = writing or quoting or self._default("extract", language, wish.key)
        if found is None:
            raise self._unserved(language)
        if wish.method == "auto" and quoting is None:
            quoting = self._default("extract", found.language, wish.key)
        writer, quoter = writing and writing.model, quoting and quoting.model
        return Item(
            index,
            text,
            found.language,
            writer if isinstance(writer, Summarizer) else None,
            quoter if isinstance(quoter, Extractor) else None,
            {route.model: route.alias for route in (writing, quoting) if route is not None},
        )

    def _default(self, task: Task, language: str | None, key: str) -> Route | None:
        """Return the way to a task's package for a language, ``None`` where there is none."""
        try:
            return self._router.find(task, language, key=key)
        except (ModelNotFound, UnsupportedLanguage):
            return None

    def _unserved(self, language: str | None) -> ItemError | ModelNotFound:
        served = sorted({*self._registry.languages("summarize"), *self._registry.languages("extract")})
        if not served:
            return ModelNotFound("no model that summarizes is here; GET /v1/models lists those that are")
        return UnsupportedLanguage(f"the text's language is {language!r}; expected one of {served}")
