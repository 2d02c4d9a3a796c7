"""Which packages a text is summarized with: one that writes, one that quotes, or both."""

from app.errors import InvalidRequest, ItemError, ModelNotFound, UnsupportedLanguage
from app.modelpack.manifest import Task
from app.routing import Router
from app.runtime.extractor import Extractor
from app.runtime.model import Model
from app.runtime.registry import Registry
from app.runtime.summarizer import Summarizer
from app.summarizing.reading import Item
from app.summarizing.wishes import Wish


class Places:
    """Finds them in a registry, for texts within a bound."""

    def __init__(self, registry: Registry, max_item_chars: int) -> None:
        self._registry = registry
        self._router = Router(registry, max_item_chars)

    def named(self, wish: Wish) -> Model | None:
        """Return the package that the caller names; ``InvalidRequest`` where it cannot do what is asked for."""
        if wish.model is None:
            if wish.version is not None:
                raise InvalidRequest(f"version is {wish.version} without model; expected the name of a package with it")
            return None
        task: Task = "extract" if self._registry.task_of(wish.model) == "extract" else "summarize"
        model = self._registry.get(task, wish.model, wish.version)
        if (task, wish.method) in {("extract", "abstractive"), ("summarize", "extractive")}:
            raise InvalidRequest(
                f"method is {wish.method!r} and model {wish.model!r} is for {task}; expected 'auto', or another model"
            )
        return model

    def item(self, wish: Wish, named: Model | None, index: int, text: str) -> Item:
        """Return a text with its packages; ``ItemError`` where it has none, or cannot be read."""
        self._router.check(text)
        language = self._router.language(text, wish.language)
        writer: Model | None = None
        quoter: Model | None = None
        if isinstance(named, Extractor) or wish.method == "extractive":
            quoter, language = self._router.find("extract", language, named, wish.version)
        elif named is not None or wish.method == "abstractive":
            writer, language = self._router.find("summarize", language, named, wish.version)
        else:
            writer = self._default("summarize", language)
            found = writer or self._default("extract", language)
            if found is None:
                raise self._unserved(language)
            language = language or found.manifest.languages[0]
        if wish.method == "auto" and quoter is None:
            quoter = self._default("extract", language)
        return Item(
            index,
            text,
            language,
            writer if isinstance(writer, Summarizer) else None,
            quoter if isinstance(quoter, Extractor) else None,
        )

    def _default(self, task: Task, language: str | None) -> Model | None:
        """Return a task's package for a language, ``None`` where there is none."""
        try:
            return self._router.find(task, language)[0]
        except (ModelNotFound, UnsupportedLanguage):
            return None

    def _unserved(self, language: str | None) -> ItemError | ModelNotFound:
        served = sorted({*self._registry.languages("summarize"), *self._registry.languages("extract")})
        if not served:
            return ModelNotFound("no model that summarizes is here; GET /v1/models lists those that are")
        return UnsupportedLanguage(f"the text's language is {language!r}; expected one of {served}")
