"""The weights that OpenAI released, fetched from the Hugging Face Hub or its cache."""

from pathlib import Path

from gptcourse.extras import missing_extra

#: our names (those of `model.PRESETS`) and their places on the Hub
RELEASED = {
    "gpt1": "openai-community/openai-gpt",
    "gpt2": "openai-community/gpt2",
    "gpt2-medium": "openai-community/gpt2-medium",
    "gpt2-large": "openai-community/gpt2-large",
    "gpt2-xl": "openai-community/gpt2-xl",
}
FILES = ("config.json", "model.safetensors", "vocab.json", "merges.txt")


def fetch(name: str) -> Path:
    """Return the folder that holds a released model, downloaded if it is not cached.

    A model that is cached whole needs no network. Without one, the answer comes at
    once: a small request goes before the downloads, which try again for long.

    Raises: ImportError without the extra `online`, ConnectionError where the Hub cannot
    be reached; each in one line.

    >>> fetch("gpt2").is_dir()  # doctest: +SKIP
    True
    """
    try:
        import huggingface_hub as hub
    except ImportError:
        raise missing_extra("released weights need", "online") from None
    repository = RELEASED[name]
    cached = [hub.try_to_load_from_cache(repository, file) for file in FILES]
    # What is not cached is None, or an object where the Hub is known to lack it.
    if not all(isinstance(path, str) for path in cached):
        _refuse_unreachable(hub, name)
        cached = [hub.hf_hub_download(repository, file) for file in FILES]
    return Path(cached[0]).parent


def _refuse_unreachable(hub, name: str) -> None:
    repository = RELEASED[name]
    try:
        hub.get_hf_file_metadata(hub.hf_hub_url(repository, FILES[0]))
    except hub.errors.HfHubHTTPError:  # the Hub is there and says what is wrong
        raise
    except Exception as error:  # what stops a request has other names in every version
        why = str(error).partition("\n")[0]
        raise ConnectionError(
            f"cannot reach the Hugging Face Hub for {name!r} ({why}); connect once, or"
            f" copy the folder of {repository} here and give its path"
        ) from None
