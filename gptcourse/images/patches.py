"""Pictures as input of a GPT: patches become vectors that stand among those of tokens.

The GPT-4 report does not say how GPT-4 sees. Here a linear map reads the patches, as in
the Vision Transformer, and the GPT itself does the rest.

Axis letters: b batch, y row of pixels, x column of pixels, rgb colour channel, n patch,
p number in a patch, t position, c n_embd, v vocabulary.
"""

import torch
from einops import rearrange
from torch import Tensor, nn

from gptcourse.models import GPT


def cut_patches(pictures: Tensor, size: int) -> Tensor:
    """Return the patches (b, n, p) of pictures (b, y, x, rgb), row by row.

    A patch is a square of size × size pixels; its p numbers are its pixels, row by row,
    each with its channels.

    Raises: ValueError for pictures of another shape, and sides that are no multiples of
    the patch's.
    Source: Dosovitskiy et al. 2021 (ViT), §3.1.

    >>> cut_patches(torch.arange(16.0).reshape(1, 4, 4, 1), size=2)[0].tolist()[:2]
    [[0.0, 1.0, 4.0, 5.0], [2.0, 3.0, 6.0, 7.0]]
    """
    if pictures.ndim != 4 or size < 1 or any(s % size for s in pictures.shape[1:3]):
        raise ValueError(
            f"pictures of shape {tuple(pictures.shape)} in patches of {size} × {size} "
            "pixels; need (b, y, x, rgb), y and x multiples of the patch's side"
        )
    squares = "b (row i) (column j) rgb -> b (row column) (i j rgb)"
    return rearrange(pictures, squares, i=size, j=size)


class VisionGPT(nn.Module):
    """A GPT that also sees: tokens (b, t) and pictures (b, y, x, rgb) to logits.

    Where the tokens hold `patch`, a token of the GPT's vocabulary, a patch stands: a
    linear map makes it a vector, to which that of its place in the picture is added.
    The GPT then reads the mixed sequence like any other.

    Source: Dosovitskiy et al. 2021 (ViT), E1, for the map and the places.

    >>> from gptcourse.models import GPTConfig
    >>> gpt = GPT(GPTConfig(n_vocab=9, n_ctx=8, n_embd=8, n_head=2, n_layer=1))
    >>> model = VisionGPT(gpt, patch=1, pixels=4, size=2)
    >>> tokens = torch.tensor([[5, 1, 1, 1, 1, 6]])  # question, 2 × 2 patches, question
    >>> model(tokens, torch.rand(1, 4, 4, 3)).shape
    torch.Size([1, 6, 9])
    """

    def __init__(
        self,
        language_model: GPT,
        patch: int,
        pixels: int,
        size: int,
        generator: torch.Generator | None = None,
    ):
        """Add to a GPT what reads pictures of this side in patches of that side.

        Raises: ValueError for a token outside the vocabulary, and a picture whose side
        is no multiple of the patch's.
        """
        super().__init__()
        if not 0 <= patch < language_model.config.n_vocab or size < 1 or pixels % size:
            raise ValueError(
                f"patch={patch}, pixels={pixels}, size={size}; need a token from 0 to "
                f"{language_model.config.n_vocab - 1}, and pixels a multiple of size"
            )
        self.language_model, self.config = language_model, language_model.config
        self.patch, self.pixels, self.size = patch, pixels, size
        self.n_patches = (pixels // size) ** 2
        c = self.config.n_embd
        self.look = nn.utils.skip_init(nn.Linear, 3 * size**2, c)
        self.places = nn.utils.skip_init(nn.Embedding, self.n_patches, c)
        for weight in (self.look.weight, self.places.weight):
            nn.init.normal_(weight, std=0.02, generator=generator)
        nn.init.zeros_(self.look.bias)
        self.to(language_model.wte.weight.device)

    def forward(self, tokens: Tensor, pictures: Tensor, **options) -> Tensor:
        """Return logits (b, t, v); the options are those of `GPT.forward`."""
        return self.language_model(self.embed(tokens, pictures), **options)

    def embed(self, tokens: Tensor, pictures: Tensor) -> Tensor:
        """Return the vectors (b, t, c) of the mixed sequence.

        Raises: ValueError for pictures of another size or number than the rows of
        tokens need, and a row that does not hold `patch` once for each of its patches.
        """
        shape = len(tokens), self.pixels, self.pixels, 3
        if pictures.shape != shape:
            raise ValueError(
                f"pictures of shape {tuple(pictures.shape)}; for {len(tokens)} rows of "
                f"tokens this model needs {shape}"
            )
        places = tokens == self.patch
        counts = {*places.sum(dim=1).tolist()}
        if counts != {self.n_patches}:
            raise ValueError(
                f"rows hold the token {self.patch} {sorted(counts)} times; they need "
                f"it {self.n_patches} times, once for each patch of a picture"
            )
        words = self.language_model.embed(tokens)
        patches = self.look(cut_patches(pictures, self.size)) + self.places.weight
        return words.masked_scatter(places[..., None], patches)
