"""Settings: read once, and a bad one names its key, its value and what is expected."""

import pytest

from app.errors import SettingsError
from app.settings import Settings, ShadowSetting, load_settings, unknown_variables


def test_a_variable_sets_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_PORT", "9001")
    assert load_settings().port == 9001


def test_shadows_are_read_from_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_SHADOWS", '{"sentiment-en": {"version": 2, "share": 0.1}}')
    assert load_settings().shadows == {"sentiment-en": ShadowSetting(version=2, share=0.1)}


def test_an_override_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_PORT", "9001")
    assert load_settings(port=9002, host=None).port == 9002


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("SLUICE_PORT", "http", "SLUICE_PORT is 'http'; input should be a valid integer"),
        ("SLUICE_PORT", "70000", "SLUICE_PORT is '70000'; input should be less than or equal to 65535"),
        ("SLUICE_PROVIDER", "tpu", "SLUICE_PROVIDER is 'tpu'; input should be 'auto', 'cpu' or 'cuda'"),
        ("SLUICE_MAX_PADDING_SHARE", "1", "SLUICE_MAX_PADDING_SHARE is '1'; input should be less than 1"),
        ("SLUICE_SHADOWS", "tiny=2", "SLUICE_SHADOWS is 'tiny=2'; expected JSON"),
        ("SLUICE_SHADOWS", '{"m": {"version": 2, "share": 9}}', "SLUICE_SHADOWS.m.share is 9; input should be less"),
    ],
)
def test_a_bad_setting_names_key_value_and_form(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, text: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=text):
        load_settings()


def test_a_misspelt_variable_is_noticed() -> None:
    assert unknown_variables({"SLUICE_PROT": "1", "SLUICE_PORT": "1", "SLUICE_DATA": "/d", "PATH": ""}) == [
        "SLUICE_PROT"
    ]


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]
