"""Weights from and to Hugging Face's folders, against transformers and by damage."""

import json
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import tokenizers
import torch
import transformers
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from test_gpt import drawn

from gptcourse.models import huggingface as layout
from gptcourse.models import pretrained as released
from gptcourse.models import tensor_files
from gptcourse.models.gpt import BLOCKS, GPT, PRESETS, GPTConfig
from gptcourse.models.pretrained import load_pretrained, save_pretrained
from gptcourse.tokenizers.byte_pair import BytePairTokenizer
from gptcourse.tokenizers.characters import ByteTokenizer, CharacterTokenizer

SHAPE = {"vocab_size": 300, "n_positions": 12, "n_embd": 16, "n_head": 4, "n_layer": 2}
THEIRS = {
    "gpt2": (transformers.GPT2Config, transformers.GPT2LMHeadModel),
    "openai-gpt": (transformers.OpenAIGPTConfig, transformers.OpenAIGPTLMHeadModel),
}
FAMILY_OF = {"pre_norm": "gpt2", "post_norm": "openai-gpt"}
QKV = "transformer.h.0.attn.c_attn.weight"
TEXT = "The cat sat on the mat, and the dog sat on the cat. It's 2026!"


def oracle(family):
    """A random model of transformers' own, with weights that are not tiny."""
    torch.manual_seed(2)
    kind, model = THEIRS[family]
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    return drawn(model(kind(**SHAPE, **ends)).eval())


def small(block="pre_norm", **changes):
    sizes = {"n_vocab": 300, "n_ctx": 12, "n_embd": 16, "n_head": 4, "n_layer": 2}
    model = GPT(GPTConfig(**sizes | {"block": block} | changes))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def close(ours, theirs):
    tokens = torch.randint(300, (2, 12))
    with torch.no_grad():
        expected = theirs(tokens).logits
        torch.testing.assert_close(ours(tokens), expected, atol=1e-5, rtol=1e-5)


@pytest.fixture
def folder(tmp_path):
    """A good folder of a GPT-2, for tests that damage it."""
    save_pretrained(small(), tmp_path)
    return tmp_path


def change_settings(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_weights(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def refused(folder, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_pretrained(folder)
    assert "\n" not in str(caught.value)


# Round trips.


@pytest.mark.parametrize("family", THEIRS)
def test_a_model_of_transformers_gives_the_same_logits_here(family, tmp_path):
    theirs = oracle(family)
    theirs.save_pretrained(tmp_path)
    ours, tokenizer = load_pretrained(tmp_path)
    assert tokenizer is None
    assert not ours.training
    close(ours, theirs)


@pytest.mark.parametrize("block", sorted(BLOCKS))
def test_our_model_gives_the_same_logits_in_transformers(block, tmp_path):
    ours = small(block)
    save_pretrained(ours, tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert theirs.config.model_type == FAMILY_OF[block]
    close(ours, theirs.eval())


@pytest.mark.parametrize("block", sorted(BLOCKS))
def test_what_was_saved_is_loaded_to_the_bit_with_its_settings(block, tmp_path):
    ours = small(block, dropout=0.2)
    save_pretrained(ours, tmp_path)
    again, _ = load_pretrained(tmp_path)
    assert again.config == ours.config
    for one, other in zip(ours.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
        assert other.is_contiguous() and other.requires_grad


def test_the_comparison_catches_a_square_matrix_that_is_not_turned(
    tmp_path, monkeypatch
):
    def all_but_square(name, is_transposed=layout.is_transposed):
        return is_transposed(name) and "attn.c_proj" not in name

    theirs = oracle("gpt2")
    theirs.save_pretrained(tmp_path)
    monkeypatch.setattr(layout, "is_transposed", all_but_square)
    ours, _ = load_pretrained(tmp_path)
    with pytest.raises(AssertionError):
        close(ours, theirs)


def test_the_four_sizes_and_gpt1_are_described_as_released():
    # Only the settings: the weights are gigabytes.
    for name in ("gpt1", "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"):
        settings = layout.write_settings(PRESETS[name], None)
        assert settings["model_type"] == ("openai-gpt" if name == "gpt1" else "gpt2")
        assert layout.read_settings(settings) == PRESETS[name]


def test_names_without_prefix_old_masks_and_a_tied_head_are_understood(folder):
    def as_in_old_files(tensors):
        for name in list(tensors):
            tensors[name.removeprefix("transformer.")] = tensors.pop(name)
        for layer in range(2):
            tensors[f"h.{layer}.attn.bias"] = torch.ones(1, 1, 12, 12).tril()
            tensors[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
        tensors["lm_head.weight"] = tensors["wte.weight"].clone()

    expected, _ = load_pretrained(folder)
    change_weights(folder, as_in_old_files)
    again, _ = load_pretrained(folder)
    for one, other in zip(expected.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_settings_that_a_file_leaves_out_are_those_of_transformers(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", **SHAPE}))
    model, _ = load_pretrained(folder)
    assert model.config.dropout == transformers.GPT2Config().resid_pdrop


# Tokenizers.


def test_a_model_with_its_tokenizer_is_opened_by_the_auto_classes(tmp_path):
    tokenizer = BytePairTokenizer.train([TEXT], n_vocab=280)
    save_pretrained(small(), tmp_path, tokenizer)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert theirs(TEXT)["input_ids"] == tokenizer.encode(TEXT)
    assert theirs.decode(tokenizer.encode(TEXT)) == TEXT
    end = tokenizer.special["<|endoftext|>"]
    assert theirs.eos_token_id == end
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model.config.eos_token_id == end
    _, again = load_pretrained(tmp_path)
    assert again.encode(TEXT) == tokenizer.encode(TEXT)


def test_a_tokenizer_of_bytes_is_opened_by_the_auto_class(tmp_path):
    text = "naïve 猫 don't\n\n  x"
    save_pretrained(small(), tmp_path, ByteTokenizer())
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    _, again = load_pretrained(tmp_path)
    assert theirs(text)["input_ids"] == again.encode(text) == list(text.encode())


def test_openais_two_files_are_read_for_gpt2(folder):
    tokenizer = BytePairTokenizer.train([TEXT], n_vocab=280)
    save_pretrained(small(), folder, tokenizer)
    transformers.GPT2Tokenizer(**openai_files(folder)).save_pretrained(folder)
    _, again = load_pretrained(folder)
    assert again.encode(TEXT) == tokenizer.encode(TEXT)


def openai_files(folder):
    """Turn a folder's tokenizer.json into vocab.json and merges.txt."""
    model = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    lines = ["#version: 0.2", *map(" ".join, model["merges"])]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    return {"vocab": model["vocab"], "merges": list(map(tuple, model["merges"]))}


def with_an_added_token(folder):
    """Write a folder with a `<pad>` beside OpenAI's two files; return its id."""
    tokenizer = BytePairTokenizer.train([TEXT], n_vocab=280)
    save_pretrained(small(), folder, tokenizer)
    openai_files(folder)
    (folder / "added_tokens.json").write_text(json.dumps({"<pad>": 280}))
    (folder / "special_tokens_map.json").write_text(json.dumps({"pad_token": "<pad>"}))
    return 280


def test_an_added_token_that_the_model_can_draw_is_decoded(folder):
    i = with_an_added_token(folder)
    _, again = load_pretrained(folder)
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    assert again.decode([i]) == theirs.decode([i]) == "<pad>"


@pytest.mark.parametrize("block", sorted(BLOCKS))
def test_a_tokenizer_saved_over_another_is_the_one_that_is_read(block, folder):
    with_an_added_token(folder)
    second = BytePairTokenizer.train([TEXT], n_vocab=270)
    save_pretrained(small(block), folder, second)
    _, again = load_pretrained(folder)
    assert again.encode(TEXT) == second.encode(TEXT)
    assert again.special == second.special


def test_a_tokenizer_larger_than_the_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has 301 tokens, the model 300"):
        save_pretrained(
            small(), tmp_path, BytePairTokenizer([], {"<|endoftext|>": 300})
        )
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_that_transformers_lacks_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no form for a CharacterTokenizer"):
        save_pretrained(small(), tmp_path, CharacterTokenizer.train(TEXT))


# GPT-1's tokenizer.


def gpt1_parts():
    """A vocabulary and merges in the form of GPT-1's, learnt by `tokenizers`."""
    learner = tokenizers.Tokenizer(
        tokenizers.models.BPE(unk_token="<unk>", end_of_word_suffix="</w>")
    )
    learner.normalizer = tokenizers.normalizers.BertNormalizer()
    learner.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=80,
        special_tokens=["<unk>"],
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    learner.train_from_iterator([TEXT], trainer)
    model = json.loads(learner.to_str())["model"]
    return model["vocab"], model["merges"]


@pytest.mark.parametrize("as_one_file", [False, True])
def test_gpt1s_tokenizer_is_left_to_transformers(folder_of_gpt1, as_one_file):
    vocabulary, merges = gpt1_parts()
    theirs = transformers.OpenAIGPTTokenizer(vocabulary, list(map(tuple, merges)))
    theirs.save_pretrained(folder_of_gpt1)
    if not as_one_file:
        (folder_of_gpt1 / "tokenizer.json").unlink()
        (folder_of_gpt1 / "vocab.json").write_text(json.dumps(vocabulary))
        lines = ["#version: 0.2", *map(" ".join, merges)]
        (folder_of_gpt1 / "merges.txt").write_text("\n".join(lines) + "\n")
    model, tokenizer = load_pretrained(folder_of_gpt1)
    assert model.config.block == "post_norm" and tokenizer is None
    theirs = transformers.AutoTokenizer.from_pretrained(folder_of_gpt1)
    assert theirs("the cat")["input_ids"] != []


@pytest.fixture
def folder_of_gpt1(tmp_path):
    save_pretrained(small("post_norm"), tmp_path)
    return tmp_path


# Bad folders.


def test_a_name_that_is_neither_folder_nor_released_is_refused():
    with pytest.raises(FileNotFoundError, match="no folder gpt5 .* known are gpt1, gp"):
        load_pretrained("gpt5")


def test_a_folder_without_settings_is_refused(tmp_path):
    refused(tmp_path, "has no config.json")


def test_a_folder_without_weights_is_refused(folder):
    (folder / "model.safetensors").unlink()
    refused(folder, "has no weights: it needs model.safetensors or model.safetensors.i")


def test_pickled_weights_are_refused_unopened(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refused(folder, r"a pickle \(.bin\), which could run any code")


# Weights in several files, and in half precision.


def shards(folder, theirs):
    """Save transformers' model in files of a few kB; return the index."""
    theirs.save_pretrained(folder, max_shard_size="8KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    assert not (folder / "model.safetensors").exists()
    return folder / "model.safetensors.index.json"


@pytest.mark.parametrize("family", THEIRS)
def test_weights_in_several_files_give_the_logits_of_transformers(family, tmp_path):
    theirs = oracle(family)
    shards(tmp_path, theirs)
    ours, _ = load_pretrained(tmp_path)
    close(ours, theirs)


@pytest.mark.parametrize("family", THEIRS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("in_several", [False, True])
def test_half_precision_is_read_into_float32(family, dtype, in_several, tmp_path):
    theirs = oracle(family).to(dtype)
    if in_several:
        shards(tmp_path, theirs)
    else:
        theirs.save_pretrained(tmp_path)
    ours, _ = load_pretrained(tmp_path)
    assert all(p.dtype == torch.float32 for p in ours.parameters())
    assert torch.equal(ours.wte.weight, theirs.get_input_embeddings().weight.float())
    close(ours, theirs.float())


def test_types_may_be_mixed(folder):
    def mix(tensors):
        tensors[QKV] = tensors[QKV].half()
        wte = "transformer.wte.weight"
        tensors[wte] = tensors[wte].bfloat16()
        tensors["lm_head.weight"] = tensors[wte].clone()

    expected, _ = load_pretrained(folder)
    change_weights(folder, mix)
    again, _ = load_pretrained(folder)
    assert torch.equal(again.wte.weight, expected.wte.weight.bfloat16().float())
    changed = expected.h[0].attn.c_attn.weight.half().float()
    assert torch.equal(again.h[0].attn.c_attn.weight, changed)
    assert torch.equal(again.wpe.weight, expected.wpe.weight)


def test_one_whole_file_counts_before_an_index(folder, tmp_path):
    expected, _ = load_pretrained(folder)
    (folder / "model.safetensors.index.json").write_text("{}")
    again, _ = load_pretrained(folder)
    assert torch.equal(again.wte.weight, expected.wte.weight)


def change_index(tmp_path, change):
    index = shards(tmp_path, oracle("gpt2"))
    places = json.loads(index.read_text())
    change(places["weight_map"])
    index.write_text(json.dumps(places))


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("model-9.safetensors", "is in 'model-9.safetensors', no file of this folder"),
        ("", "is in '', no file of this folder"),
        ("..", r"is in '\.\.', no file of this folder"),
        ("../x.safetensors", "is in '../x.safetensors', no file of this folder"),
        ("a/x.safetensors", "is in 'a/x.safetensors', no file of this folder"),
        (7, "index.json: transformer.h.0.attn.c_attn.weight is in 7, no file of"),
        (["x"], r"is in \['x'\], no file of this folder"),
    ],
)
def test_an_index_that_leads_elsewhere_is_refused(tmp_path, file, message):
    # There is such a file outside, and it holds the tensor.
    inside = tmp_path / "inside"
    inside.mkdir()
    tensor = torch.zeros(16, 48)
    save_file({QKV: tensor}, tmp_path / "x.safetensors")
    change_index(inside, lambda places: places.update({QKV: file}))
    refused(inside, message)


def test_a_tensor_that_is_not_in_the_file_named_is_refused(tmp_path):
    def swap(places):
        other = next(file for file in places.values() if file != places[QKV])
        places[QKV] = other

    change_index(tmp_path, swap)
    refused(tmp_path, rf"model-\d+-of-\d+.safetensors .* lacks a tensor .*{QKV}")


def test_a_tensor_that_the_index_forgets_is_named(tmp_path):
    change_index(tmp_path, lambda places: places.pop(QKV))
    refused(tmp_path, f"{QKV} is missing")


def test_a_torn_file_among_several_is_refused(tmp_path):
    shards(tmp_path, oracle("gpt2"))
    torn = sorted(tmp_path.glob("model-*.safetensors"))[1]
    torn.write_bytes(torn.read_bytes()[:-5])
    refused(tmp_path, f"{torn.name} is cut off or no safetensors file")


@pytest.mark.parametrize("text", ["{}", '{"weight_map": [1]}', "[]", "{"])
def test_an_index_without_a_map_is_refused(folder, text):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(text)
    refused(folder, "has no weight_map|not a JSON object|no JSON at line 1")


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_torn_file_is_refused(folder, kept):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    refused(folder, r"model\.safetensors is cut off or no safetensors file")


@pytest.mark.parametrize("name", ["llama", None, 7, ["gpt2"]])
def test_an_unknown_family_is_refused(folder, name):
    change_settings(folder, model_type=name)
    refused(folder, "model_type is .*; this course reads gpt2, openai-gpt")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("activation_function", "gelu"),
        ("activation_function", "relu"),
        ("layer_norm_epsilon", 1e-6),
        ("n_inner", 32),
        ("scale_attn_weights", False),
        ("scale_attn_by_inverse_layer_idx", True),
        ("add_cross_attention", True),
        ("tie_word_embeddings", False),
    ],
)
def test_a_setting_that_our_model_cannot_follow_is_refused(folder, key, value):
    change_settings(folder, **{key: value})
    refused(folder, f"config.json: {key} is {value!r}; our gpt2 computes with")


@pytest.mark.parametrize("inner", [None, 64])
def test_the_usual_inner_width_may_be_written_out(folder, inner):
    change_settings(folder, n_inner=inner)
    load_pretrained(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attn_pdrop": 0.5}, "differ; our gpt2 has one dropout"),
        ({"attn_pdrop": [0.1]}, "differ; our gpt2 has one dropout"),
        ({"n_layer": "2"}, "n_layer is '2'; need a whole number"),
        ({"vocab_size": None}, "vocab_size is None"),
        ({"n_layer": 0}, "n_layer=0.* need sizes >= 1"),
        ({"n_head": 3}, "not a multiple of n_head=3"),
        ({"n_layer": 3}, "transformer.h.2.attn.c_attn.bias is missing"),
        ({"n_layer": 1}, "transformer.h.1.attn.c_attn.bias is no part of the model"),
        (
            {"n_positions": 13},
            r"wpe.weight is \(12, 16\) .* asks for \(13, 16\) float32",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(folder, changes, message):
    change_settings(folder, **changes)
    refused(folder, message)


def test_settings_that_are_no_json_are_refused(folder):
    (folder / "config.json").write_text("{")
    refused(folder, "config.json: no JSON at line 1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop(QKV), f"{QKV} is missing"),
        (lambda t: t.update(extra=torch.ones(1)), "extra is no part of the model"),
        (
            lambda t: t.update({QKV: t[QKV].T.contiguous()}),
            rf"{QKV} is \(48, 16\) torch.float32, config.json asks for \(16, 48\) fl",
        ),
        (
            lambda t: t.update({QKV: t[QKV].double()}),
            rf"{QKV} is \(16, 48\) torch.float64",
        ),
        (lambda t: t.update({"wte.weight": torch.ones(300, 16)}), "is stored twice"),
        (
            lambda t: t.update({"lm_head.weight": torch.ones(300, 16)}),
            "lm_head.weight differs from the token embedding",
        ),
        (
            lambda t: t.update({"lm_head.weight": torch.ones(16)}),
            r"lm_head.weight is \(16,\) torch.float32",
        ),
    ],
    ids=["missing", "unexpected", "turned", "double", "twice", "untied", "flat"],
)
def test_a_tensor_that_does_not_fit_is_named(folder, change, message):
    change_weights(folder, change)
    refused(folder, message)


def test_blocks_that_transformers_lacks_are_refused(tmp_path):
    config = SimpleNamespace(block="sideways")
    with pytest.raises(ValueError, match="no GPT with 'sideways' blocks"):
        save_pretrained(SimpleNamespace(config=config), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_full_disk_leaves_the_earlier_weights(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = (folder / "model.safetensors").read_bytes()
    monkeypatch.setattr(tensor_files, "save_file", full)
    with pytest.raises(OSError, match="could not be written .*No space left"):
        save_pretrained(small(), folder)
    assert (folder / "model.safetensors").read_bytes() == before


# The Hub.


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of the Hub as huggingface_hub lays it out, and no network."""

    def refuse(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def put_in_cache(cache, name):
    repository = cache / f"models--{released.RELEASED[name].replace('/', '--')}"
    folder = repository / "snapshots" / "0123abc"
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abc")
    return folder


def test_a_cached_model_is_found_without_a_network(cache):
    folder = put_in_cache(cache, "gpt2-medium")
    tokenizer = BytePairTokenizer.train([TEXT], n_vocab=280)
    model = small()
    save_pretrained(model, folder, tokenizer)
    openai_files(folder)
    again, same = load_pretrained("gpt2-medium")
    assert torch.equal(again.wte.weight, model.wte.weight)
    assert same.encode(TEXT) == tokenizer.encode(TEXT)


@pytest.mark.parametrize(
    ("partly", "why"), [(False, r"\[Errno"), (True, "not all of its files came")]
)
def test_without_a_network_and_a_cache_one_line_says_so(cache, partly, why):
    if partly:
        (put_in_cache(cache, "gpt2") / "config.json").write_text("{}")
    begun = time.monotonic()
    with pytest.raises(ConnectionError, match=rf"'gpt2' from the .* \({why}") as caught:
        load_pretrained("gpt2")
    message = str(caught.value)
    assert "connect once, or copy the folder of openai-community/gpt2" in message
    assert "\n" not in message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert time.monotonic() - begun < 10  # huggingface_hub may try for long


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_only_called_like_a_released_model_is_passed_over(
    cache, tmp_path, monkeypatch, kind
):
    model, here = small(), tmp_path / "here"
    folder = put_in_cache(cache, "gpt2")
    save_pretrained(model, folder, BytePairTokenizer.train([TEXT], n_vocab=280))
    openai_files(folder)
    here.mkdir()
    monkeypatch.chdir(here)
    if kind == "file":
        (here / "gpt2").write_text("notes")
    else:
        (here / "gpt2").mkdir()
        (here / "gpt2" / "notes.txt").write_text("notes")
    again, _ = load_pretrained("gpt2")
    assert torch.equal(again.wte.weight, model.wte.weight)


def test_a_models_folder_called_like_a_released_one_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = small()
    save_pretrained(model, "gpt2")
    again, _ = load_pretrained("gpt2")
    assert torch.equal(again.wte.weight, model.wte.weight)


@pytest.mark.parametrize("name", ["./gpt2", "notes"])
def test_a_file_is_no_folder_of_a_model(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("notes")
    with pytest.raises(FileNotFoundError, match=f"no folder {name} and no released"):
        load_pretrained(name)


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"extra 'online': run pip .*\[online\]"):
        load_pretrained("gpt2")


def test_every_released_model_has_a_preset():
    assert set(released.RELEASED) <= set(PRESETS)


# Memory.


# In a process of its own, which has no freed memory that a load could take again. The
# kernel's peak is read, as Python's ru_maxrss begins at that of the parent process.
PEAK = """
import re, sys
from pathlib import Path
from gptcourse.models.pretrained import load_pretrained

def peak():
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1])

load_pretrained(sys.argv[1])
before = peak()
model, _ = load_pretrained(sys.argv[2])
print((peak() - before) / sum(p.nbytes for p in model.parameters()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_loading_takes_less_than_half_a_copy_above_the_model(folder, tmp_path):
    sizes = {"n_vocab": 300, "n_ctx": 12, "n_embd": 512, "n_head": 4, "n_layer": 5}
    save_pretrained(GPT(GPTConfig(**sizes)), tmp_path / "large")
    done = subprocess.run(
        [sys.executable, "-c", PEAK, folder, tmp_path / "large"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert 0.8 < float(done.stdout) < 1.5


def test_a_model_saved_without_a_tokenizer_leaves_no_older_one(tmp_path):
    model = small()
    save_pretrained(model, tmp_path, BytePairTokenizer.train(["a b"], 258))
    assert load_pretrained(tmp_path)[1] is not None
    save_pretrained(model, tmp_path)
    assert load_pretrained(tmp_path)[1] is None
