"""Settings from the environment: defaults, values, and what is refused."""

from pathlib import Path

import pytest

from app.errors import InvalidSettings
from app.settings import Settings


def test_empty_environment_gives_the_documented_defaults() -> None:
    settings = Settings.from_environment({})

    assert settings.state_dir == Path("var").absolute()
    assert (settings.host, settings.port) == ("127.0.0.1", 7860)


def test_variables_replace_defaults() -> None:
    settings = Settings.from_environment(
        {
            "FRUIT_STATE_DIR": "/srv/fruit",
            "GRADIO_SERVER_NAME": "0.0.0.0",
            "GRADIO_SERVER_PORT": "8080",
            "FRUIT_MAX_FILE_BYTES": "1000",
            "FRUIT_MAX_WAIT_S": "0.5",
        }
    )

    assert settings.state_dir == Path("/srv/fruit")
    assert (settings.host, settings.port) == ("0.0.0.0", 8080)
    assert (settings.image_limits.max_bytes, settings.max_wait_s) == (1000, 0.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GRADIO_SERVER_PORT", "http"),
        ("GRADIO_SERVER_PORT", "70000"),
        ("FRUIT_MAX_FILES", "0"),
        ("FRUIT_WORKERS", "1.5"),
        ("FRUIT_MAX_WAIT_S", "-1"),
        ("FRUIT_MAX_WAIT_S", "nan"),
    ],
)
def test_unusable_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=f"{name} is '{value}'; it must be"):
        Settings.from_environment({name: value})


@pytest.mark.parametrize(("given", "path"), [("", ""), ("/fruit", "/fruit"), ("/a/b/", "/a/b")])
def test_root_path_has_no_slash_at_its_end(given: str, path: str) -> None:
    assert Settings.from_environment({"GRADIO_ROOT_PATH": given}).root_path == path


def test_root_path_that_is_an_address_is_refused_in_words() -> None:
    with pytest.raises(InvalidSettings, match="it must be a path such as /fruit"):
        Settings.from_environment({"GRADIO_ROOT_PATH": "https://example.org/fruit"})


def test_repositories_on_the_hub_are_named_beside_a_token_that_is_not_shown() -> None:
    settings = Settings.from_environment(
        {
            "HF_TOKEN": "hf_secret",
            "FRUIT_HUB_DATASET": "orchard/fruit-photos",
            "FRUIT_HUB_MODELS": "school_3/fruit.models",
            "FRUIT_HUB_WAIT_S": "5",
            "SPACE_ID": "orchard/fruit",
        }
    )

    assert (settings.hub_dataset, settings.hub_models) == (
        "orchard/fruit-photos",
        "school_3/fruit.models",
    )
    assert (settings.hub_token, settings.hub_wait_s, settings.on_space) == ("hf_secret", 5.0, True)
    assert "hf_secret" not in repr(settings)


@pytest.mark.parametrize(
    "name", ["photos", "orchard/", "a/b/c", "https://huggingface.co/a/b", "m/a--b", "m/.b", "m/é"]
)
def test_name_that_no_repository_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidSettings, match=r"FRUIT_HUB_MODELS is .* it must be owner/name"):
        Settings.from_environment({"HF_TOKEN": "hf_secret", "FRUIT_HUB_MODELS": name})


def test_repository_without_a_token_is_refused() -> None:
    with pytest.raises(InvalidSettings, match=r"FRUIT_HUB_DATASET .* but HF_TOKEN is not set"):
        Settings.from_environment({"FRUIT_HUB_DATASET": "orchard/photos"})


def test_token_alone_mirrors_nothing() -> None:
    settings = Settings.from_environment({"HF_TOKEN": "hf_secret"})

    assert (settings.hub_dataset, settings.hub_models, settings.on_space) == ("", "", False)
