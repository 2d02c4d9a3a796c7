"""A run's TOML file."""

from pathlib import Path

import pytest

from tests.training.conftest import TINY
from training import config as configs
from training.errors import ConfigError
from training.extractive import config as quoters
from training.fields import read_table
from training.summarize import config as writers

SHIPPED = sorted(Path(configs.__file__).parent.glob("configs/*.toml"))
# A study's file names the base of its runs and is no run itself.
CONFIGS = [path for path in SHIPPED if "base" not in read_table(path)]


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = TINY.read_text("utf-8")
    assert old in text
    path = tmp_path / "edited.toml"
    path.write_text(text.replace(old, new), "utf-8")
    return path


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_config_is_valid_and_named_as_its_file(path: Path) -> None:
    match read_table(path)["task"]:
        case "summarize":
            assert writers.load(path).name == path.stem
        case "extract":
            assert quoters.load(path).name == path.stem
        case _:
            assert configs.load(path).name == path.stem


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'loop\.epoch'"):
        configs.load(edited(tmp_path, "epochs = 30", "epochs = 30\nepoch = 3"))


def test_an_unknown_key_inside_a_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'sets\.0\.train\.0\.rows'"):
        configs.load(edited(tmp_path, "rows_per_epoch = 360", "rows_per_epoch = 360, rows = 1"))


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"loop\.epochs: Field required"):
        configs.load(edited(tmp_path, "epochs = 30", ""))


def test_a_number_given_as_text_is_refused_with_its_value(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"loop\.epochs: .*got '30'"):
        configs.load(edited(tmp_path, "epochs = 30", 'epochs = "30"'))


def test_buckets_that_are_no_power_of_two_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a power of two"):
        configs.load(edited(tmp_path, "ngram_buckets = 1024", "ngram_buckets = 1000"))


def test_a_label_that_the_task_has_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"labels\[0\]: 'sad' is no label of sentiment"):
        configs.load(edited(tmp_path, 'labels = ["negative", "neutral"', 'labels = ["sad", "neutral"'))


def test_topic_and_classify_have_labels_of_their_own(tmp_path: Path) -> None:
    for task in ("topic", "classify"):
        text = TINY.read_text("utf-8").replace('task = "sentiment"', f'task = "{task}"')
        path = tmp_path / f"{task}.toml"
        path.write_text(text.replace('"neutral"', '"as usual"'), "utf-8")
        config = configs.load(path)
        assert (config.task, config.labels) == (task, ("negative", "as usual", "positive"))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("bigram_buckets = 1000", "bigram_buckets = 1000: expected a power of two"),
        ('pooling = ["max", "max"]', r"pooling = \['max', 'max'\]: expected each kind once"),
        ("pooling = []", r"model\.pooling: "),
        ('pooling = ["sum"]', r"model\.pooling\.0: .*'multihead'.*got 'sum'"),
        ("heads = 2", 'heads = 2: expected only where pooling has "multihead"'),
        ('pooling = ["multihead"]', 'heads: expected a number, since pooling has "multihead"'),
        ('pooling = ["multihead"]\nheads = 3', "heads = 3: expected a divisor of attention = 8"),
        ("layer_dropout = 0.5", r"layer_dropout = 0\.5: expected layers of at least 2"),
        ('recurrent_norm = "batch"\ncell = "gru"', 'recurrent_norm = "batch": expected cell = "lstm", not "gru"'),
        ('recurrent_norm = "batch"\nweight_dropout = 0.5', r"weight_dropout = 0\.5: expected 0 with recurrent_norm"),
        ('recurrent_norm = "layer"', r"model\.recurrent_norm: .*got 'layer'"),
    ],
)
def test_settings_that_contradict_are_refused_by_key_and_value(tmp_path: Path, settings: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        configs.load(edited(tmp_path, "attention = 8", f"attention = 8\n{settings}"))


def test_a_set_named_twice_is_refused(tmp_path: Path) -> None:
    text = TINY.read_text("utf-8")
    path = tmp_path / "twice.toml"
    path.write_text(text + text[text.index("[[sets]]") :], "utf-8")
    with pytest.raises(ConfigError, match="occurs twice"):
        configs.load(path)


def test_a_missing_file_and_bad_toml_are_config_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        configs.load(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("a = ", "utf-8")
    with pytest.raises(ConfigError, match="not valid TOML"):
        configs.load(tmp_path / "bad.toml")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("step_factor = 0.3", r"step_factor = 0\.3: only schedule = 'step' uses it, not 'cosine'"),
        ('schedule = "constant"\nfinal_rate = 0.1', r"final_rate = 0\.1: only schedule = 'exponential' or 'cosine'"),
        ('schedule = "exponential"', r"final_rate = 0\.0: expected above 0 with schedule = 'exponential'"),
        ("focal_gamma = 1.0", r"focal_gamma = 1\.0: only loss = 'focal' uses it"),
        ("fgm_from = 0.5", r"fgm_from = 0\.5: expected fgm_epsilon above 0"),
        ("distill_temperature = 2.0", r"distill_temperature = 2\.0: expected distill_weight above 0"),
        (
            "gradient_clip_value = 0.5",
            r"gradient_clip = 1\.0, gradient_clip_value = 0\.5: expected one of them to be 0",
        ),
        ("unfreeze_epochs = 15", r"unfreeze_epochs = 15: the embedding would never learn in epochs = 30"),
        ("unfreeze_epochs = 2", r"loop\.unfreeze_epochs = 2: expected \[pretrain\] with it"),
        ('precision = "16"', r"loop\.precision: .*got '16'"),
    ],
)
def test_keys_that_contradict_each_other_are_refused_with_their_values(tmp_path: Path, keys: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configs.load(edited(tmp_path, "epochs = 30", f"epochs = 30\n{keys}"))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ('recurrent_norm = "batch"', r'loop\.auxiliary_lm = 0\.2: expected recurrent_norm = "none"'),
        ("layers = 2", r"loop\.auxiliary_lm = 0\.2: expected layers = 1 where bidirectional"),
        ("bigram_buckets = 64", r"loop\.auxiliary_lm = 0\.2: expected bigram_buckets = 0 where bidirectional"),
    ],
)
def test_a_language_model_over_states_that_have_seen_the_answer_is_refused(
    tmp_path: Path, model: str, message: str
) -> None:
    path = edited(tmp_path, "epochs = 30", "epochs = 30\nauxiliary_lm = 0.2")
    text = path.read_text("utf-8").replace("attention = 8", f"attention = 8\n{model}")
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=message):
        configs.load(path)
    path.write_text(text.replace("attention = 8", "attention = 8\nbidirectional = false"), "utf-8")
    if "norm" not in model:
        assert configs.load(path).loop.auxiliary_lm == 0.2


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('name = "tiny"\nlabels = ["a", "b"]', r"auxiliary\.0\.name = 'tiny': expected a set that is not trained on"),
        ('name = "other"\nlabels = ["a", "a"]', r"auxiliary\.0\.labels: one occurs twice in \['a', 'a'\]"),
        ('name = "other"\nlabels = ["a"]', r"auxiliary\.0\.labels: .*at least 2"),
        ('name = "other"\nlabels = ["a", "b"]\nweight = 0.0', r"auxiliary\.0\.weight: .*greater than 0"),
        ('name = "other"\nlabels = ["a", "b"]\nmetric = "accuracy"', r"unknown key 'auxiliary\.0\.metric'"),
    ],
)
def test_a_second_set_that_cannot_be_learnt_beside_the_others_is_refused(
    tmp_path: Path, keys: str, message: str
) -> None:
    path = tmp_path / "second.toml"
    path.write_text(f"{TINY.read_text('utf-8')}\n[[auxiliary]]\n{keys}\nrows_per_epoch = 9\n", "utf-8")
    with pytest.raises(ConfigError, match=message):
        configs.load(path)


def test_a_table_with_every_default_written_out_is_the_same_config(tiny: configs.RunConfig) -> None:
    assert configs.LoopConfig(**tiny.loop.model_dump()) == tiny.loop
