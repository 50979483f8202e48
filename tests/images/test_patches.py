"""Patches, and a GPT that sees: against PyTorch's unfold, ViT's and GPT-2's code."""

from functools import partial
from random import Random

import pytest
import torch
from test_gpt import copy_weights, drawn, oracle
from torch import nn
from torch.nn import functional as F
from transformers import ViTConfig
from transformers.models.vit.modeling_vit import ViTPatchEmbeddings

from gptcourse.finetuning import pack, response_loss, shuffled
from gptcourse.images import VisionGPT, cut_patches, random_scene, render
from gptcourse.models import GPT, GPTConfig
from gptcourse.training import adamw, train

PATCH = 7


def pictures(b=2, pixels=6, seed=0):
    return torch.rand(
        b, pixels, pixels, 3, generator=torch.Generator().manual_seed(seed)
    )


def seeing(pixels=6, size=3, **changes):
    """A vision model of which every tensor is drawn large, so that each one tells."""
    sizes = {"n_vocab": 31, "n_ctx": 12, "n_embd": 16, "n_head": 4, "n_layer": 3}
    torch.manual_seed(3)
    model = VisionGPT(GPT(GPTConfig(**(sizes | changes))), PATCH, pixels, size)
    return drawn(model.eval())


TOKENS = torch.tensor(
    [[1, 2, PATCH, PATCH, PATCH, PATCH, 5, 6], [PATCH, 9, PATCH, 8, 3, PATCH, PATCH, 4]]
)


# Patches.


def test_patches_are_those_of_unfold():
    wide = torch.rand(2, 4, 6, 3, generator=torch.Generator().manual_seed(1))
    theirs = F.unfold(wide.permute(0, 3, 1, 2), kernel_size=2, stride=2)  # b (c i j) n
    theirs = theirs.reshape(2, 3, 4, 6).permute(0, 3, 2, 1).reshape(2, 6, 12)
    assert torch.equal(cut_patches(wide, 2), theirs)


def test_a_patch_by_hand():
    [picture] = wide = torch.arange(4.0 * 6 * 3).reshape(1, 4, 6, 3)
    patch = cut_patches(wide, 2)[0, 4]  # second row, second column
    pixels = [picture[2, 2], picture[2, 3], picture[3, 2], picture[3, 3]]
    assert patch.tolist() == torch.cat(pixels).tolist()


@pytest.mark.parametrize(
    ("shape", "size"),
    [((1, 5, 6, 3), 2), ((1, 6, 5, 3), 2), ((6, 6, 3), 2), ((1, 6, 6, 3), 0)],
)
def test_pictures_that_cannot_be_cut_are_refused(shape, size):
    with pytest.raises(ValueError, match="^pictures of shape .* multiples of the pat"):
        cut_patches(torch.zeros(shape), size)


# The mixed sequence.


def mixed_by_hand(model, tokens, shown):
    """The vectors of a mixed sequence, one by one, with ViT's convolution."""
    vit = ViTPatchEmbeddings(
        ViTConfig(image_size=6, patch_size=3, hidden_size=16, num_channels=3)
    )
    kernel = model.look.weight.reshape(16, 3, 3, 3).permute(0, 3, 1, 2)
    vit.projection.weight = nn.Parameter(kernel)
    vit.projection.bias = model.look.bias
    patches = vit(shown.permute(0, 3, 1, 2))
    rows = []
    for row, its in zip(tokens.tolist(), patches, strict=True):
        number, vectors = 0, []
        for token in row:
            if token == PATCH:
                vectors.append(its[number] + model.places.weight[number])
                number += 1
            else:
                vectors.append(model.language_model.wte.weight[token])
        rows.append(torch.stack(vectors))
    return torch.stack(rows)


def check_mixed(model):
    torch.testing.assert_close(
        model.embed(TOKENS, pictures()), mixed_by_hand(model, TOKENS, pictures())
    )


def test_the_mixed_sequence_equals_one_made_by_hand_with_vits_patches():
    check_mixed(seeing())


def test_logits_equal_those_of_transformers_on_the_same_vectors():
    theirs, model = oracle("pre_norm"), seeing()
    copy_weights(theirs, model.language_model)
    vectors = mixed_by_hand(model, TOKENS, pictures())
    with torch.no_grad():
        wanted = theirs(inputs_embeds=vectors).logits
        torch.testing.assert_close(
            model(TOKENS, pictures()), wanted, atol=1e-4, rtol=1e-4
        )


def test_another_picture_changes_what_stands_after_its_patches_and_nothing_before():
    model, other = seeing(), pictures()
    other[0, 3:, :3] += 0.5  # the third patch, which stands at position 4
    changed = (model(TOKENS, pictures()) - model(TOKENS, other)).abs().amax(dim=-1) > 0
    assert changed.tolist() == [[False] * 4 + [True] * 4, [False] * 8]


def test_the_vector_of_the_patch_token_itself_is_never_read():
    model = seeing()
    before = model.embed(TOKENS, pictures())
    with torch.no_grad():
        model.language_model.wte.weight[PATCH] = 100.0
    assert torch.equal(model.embed(TOKENS, pictures()), before)


def test_gradients_reach_the_map_the_places_and_the_words():
    model, shown = seeing(), pictures()
    words = model.language_model.wte.weight
    parameters = [model.look.weight, model.look.bias, model.places.weight, words]
    probe = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(4))
    total = (model.embed(TOKENS, shown) * probe).sum()
    look, bias, places, found = torch.autograd.grad(total, parameters)
    here = TOKENS == PATCH
    seen = cut_patches(shown, 3).flatten(0, 1)
    torch.testing.assert_close(look, probe[here].T @ seen)
    torch.testing.assert_close(bias, probe[here].sum(dim=0))
    torch.testing.assert_close(places, probe[here].reshape(2, 4, 16).sum(dim=0))
    wanted = torch.zeros_like(words).index_add(0, TOKENS[~here], probe[~here])
    torch.testing.assert_close(found, wanted)


def test_attention_weights_come_from_the_same_pass():
    model = seeing()
    logits, weights = model(TOKENS, pictures(), return_weights=True)
    assert weights.shape == (3, 2, 4, 8, 8)
    torch.testing.assert_close(logits, model(TOKENS, pictures()))


def test_the_generator_alone_decides_on_the_start():
    def made(seed):
        return VisionGPT(gpt, PATCH, 6, 3, torch.Generator().manual_seed(seed))

    gpt = GPT(GPTConfig(31, 12, 64, 4, 1))
    state = torch.get_rng_state()
    one, same, other = made(0), made(0), made(1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.look.weight, same.look.weight)
    assert torch.equal(one.places.weight, same.places.weight)
    assert not torch.equal(one.look.weight, other.look.weight)
    assert one.look.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert one.places.weight.std().item() == pytest.approx(0.02, rel=0.2)
    assert one.look.bias.abs().max() == 0


def test_a_model_learns_to_tell_what_only_the_picture_says():
    rng = Random(0)
    scenes = [random_scene(rng, 1) for _ in range(256)]
    sides = [int(scene.objects[0].side == "left") for scene in scenes]
    rows = pack(([PATCH] * 4, [side]) for side in sides)
    torch.manual_seed(0)
    model = VisionGPT(GPT(GPTConfig(8, 5, 16, 2, 1)), PATCH, pixels=16, size=8)

    def loss(model, tokens, mask, shown):
        return response_loss(partial(model, pictures=shown), tokens, mask)

    batches = shuffled((*rows, render(scenes)), 32, torch.Generator().manual_seed(0))
    history = train(model, batches, 80, adamw(model, 1e-2), loss=loss, progress=False)
    assert history.loss[0] > 1.5
    assert sum(history.loss[-10:]) / 10 < 0.1


# Bad input.


@pytest.mark.parametrize(
    ("tokens", "shown", "message"),
    [
        (TOKENS, pictures(3), r"\(3, 6, 6, 3\); for 2 rows .* needs \(2, 6, 6, 3\)$"),
        (TOKENS, pictures(2, pixels=9), r"^pictures of shape \(2, 9, 9, 3\); for 2 "),
        (
            TOKENS,
            pictures().reshape(2, 3, 12, 3),
            r"^pictures of shape \(2, 3, 12, 3\)",
        ),
        (TOKENS, pictures()[..., :1], r"^pictures of shape \(2, 6, 6, 1\)"),
        (
            TOKENS[:, :5],
            pictures(),
            r"^rows hold the token 7 \[2, 3\] times; they need",
        ),
        (TOKENS + (TOKENS == 6) * 40, pictures(), "^tokens from 1 to 46, but the voca"),
    ],
)
def test_pictures_and_tokens_that_do_not_fit_are_refused(tokens, shown, message):
    with pytest.raises(ValueError, match=message) as error:
        seeing()(tokens, shown)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("patch", "pixels", "size"), [(31, 6, 3), (-1, 6, 3), (7, 6, 4), (7, 6, 0)]
)
def test_a_model_that_could_never_see_is_refused(patch, pixels, size):
    message = f"^patch={patch}, pixels={pixels}, size={size}; need a token from 0 to 30"
    with pytest.raises(ValueError, match=message):
        VisionGPT(GPT(GPTConfig(31, 12, 16, 4, 1)), patch, pixels, size)
