"""A package that quotes: one score and one vector a sentence, or it is refused."""

from pathlib import Path

import numpy as np
import pytest

from app.errors import PackageError
from app.modelpack.store import open_package
from app.runtime.extractor import Document, Extractor
from app.runtime.opening import open_model
from app.runtime.providers import choose
from tests.packages import edit_manifest
from tests.parrot import weigher

CPU = choose("cpu")
SENTENCES = ["It was 7 o'clock in the morning!", "A first sentence.", "the lazy dog"]


def opened(folder: Path) -> Extractor:
    model = open_model(open_package(folder), CPU)
    assert isinstance(model, Extractor)
    return model


def test_every_sentence_gets_a_score_and_a_vector(tmp_path: Path) -> None:
    model = opened(weigher(tmp_path))
    document = model.document([tokens.ids for tokens in model.tokenizer.encode(SENTENCES)])
    (found,) = model.lane.run([document])
    assert found.scores.argmax() == 0
    assert found.vectors.shape == (3, model.manifest.tokenizer.vocab_size)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1.0, atol=1e-5)


def test_a_long_sentence_is_cut_to_what_the_graph_reads(tmp_path: Path) -> None:
    model = opened(weigher(tmp_path, max_sentence_tokens=4))
    (ids,) = (tokens.ids for tokens in model.tokenizer.encode([SENTENCES[0]]))
    document = model.document([ids, ids[:1]])
    assert [len(each) for each in document.sentences] == [4, 1]
    assert len(document) == 8


def test_documents_beside_one_another_do_not_meet(tmp_path: Path) -> None:
    model = opened(weigher(tmp_path))
    ids = [tokens.ids for tokens in model.tokenizer.encode(SENTENCES)]
    first, second = Document(tuple(ids)), Document(tuple(ids[:1]))
    alone = [model.lane.run([one])[0].scores.tolist() for one in (first, second)]
    assert [found.scores.tolist() for found in model.lane.run([first, second])] == alone


def test_a_graph_of_other_outputs_is_refused(tmp_path: Path) -> None:
    folder = weigher(tmp_path)
    edit_manifest(folder, lambda manifest: manifest["graphs"][0]["outputs"][0].update(name="ranks"))
    with pytest.raises(PackageError, match=r"model\.onnx: outputs .*; expected outputs .*'?ranks"):
        opened(folder)
