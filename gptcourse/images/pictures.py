"""Pictures of coloured shapes, rendered from scenes that say what is true of them.

Axis letters: b picture, y row of pixels from the top, x column of pixels from the left,
rgb colour channel. Places and sizes are in pixels.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import torch
from torch import Tensor

PIXELS = 16  # the side of a picture
SIZE = 6  # the side of a shape
CELL = 8  # a random scene has one shape at most in each square of this side

ART = {
    "frame": "###### #....# #....# #....# #....# ######",
    "disc": "..##.. .####. ###### ###### .####. ..##..",
    "cross": "..##.. ..##.. ###### ###### ..##.. ..##..",
}
SHAPES = tuple(ART)
MASKS = {
    shape: torch.tensor([[pixel == "#" for pixel in row] for row in art.split()])
    for shape, art in ART.items()
}
#: Red, green, blue from 0 to 1: Okabe and Ito's, told apart by the colour-blind.
COLOURS = {
    "red": (0.835, 0.369, 0.0),
    "green": (0.0, 0.62, 0.451),
    "blue": (0.0, 0.447, 0.698),
    "yellow": (0.941, 0.894, 0.259),
}


@dataclass(frozen=True)
class Object:
    """A coloured shape, whose upper left pixel is in row `top` and column `left`.

    Raises: ValueError for an unknown shape or colour, and a place from which it would
    reach out of the picture.

    >>> Object("disc", "red", top=0, left=9).side
    'right'
    """

    shape: str
    colour: str
    top: int
    left: int

    def __post_init__(self) -> None:
        """Refuse what cannot be rendered."""
        if self.shape not in SHAPES or self.colour not in COLOURS:
            raise ValueError(
                f"a {self.colour} {self.shape}: choose a shape of {', '.join(SHAPES)} "
                f"and a colour of {', '.join(COLOURS)}"
            )
        if not {self.top, self.left} <= set(range(PIXELS - SIZE + 1)):
            raise ValueError(
                f"{self.shape} at row {self.top}, column {self.left}; its upper left "
                f"pixel needs whole numbers from 0 to {PIXELS - SIZE}"
            )

    @property
    def side(self) -> str:
        """The half of the picture that its middle is in; right, if between the two."""
        return "left" if self.left + SIZE / 2 < PIXELS / 2 else "right"

    def is_left_of(self, other: "Object") -> bool:
        """Return whether all of it is further to the left than all of the other."""
        return self.left + SIZE <= other.left


@dataclass(frozen=True)
class Scene:
    """The objects of a picture: each shape once at most, none on top of another.

    Raises: ValueError for no objects, two of one shape, and two that overlap.

    >>> len(Scene((Object("disc", "red", 0, 0), Object("cross", "red", 0, 6))).objects)
    2
    """

    objects: tuple[Object, ...]

    def __post_init__(self) -> None:
        """Refuse what a question could not name, or a picture not show."""
        if not self.objects:
            raise ValueError(f"a scene without objects; give 1 to {len(SHAPES)}")
        for one, other in combinations(self.objects, 2):
            if one.shape == other.shape:
                raise ValueError(
                    f"two objects are a {one.shape}, so that a question could not tell "
                    "them apart; change the shape of one"
                )
            apart = max(abs(one.top - other.top), abs(one.left - other.left))
            if apart < SIZE:
                raise ValueError(
                    f"{one.shape} and {other.shape} are {apart} pixels apart and "
                    f"overlap; move one until there are {SIZE} or more"
                )


def random_scene(rng: random.Random, n_objects: int | None = None) -> Scene:
    """Return a scene of random objects; if no number is given, it is random too.

    Each object is in a quarter of the picture of its own, and touches no other.

    Raises: ValueError for more objects than there are shapes, or fewer than 1.

    >>> len(random_scene(random.Random(0), n_objects=3).objects)
    3
    """
    most = len(SHAPES)
    n_objects = rng.randint(1, most) if n_objects is None else n_objects
    if not 1 <= n_objects <= most:
        raise ValueError(f"n_objects={n_objects}; a scene has 1 to {most}")
    shapes = rng.sample(SHAPES, n_objects)
    corners = list(product(range(0, PIXELS, CELL), repeat=2))
    objects = []
    for shape, (top, left) in zip(shapes, rng.sample(corners, n_objects), strict=True):
        down, right = (rng.randrange(CELL - SIZE) for _ in range(2))
        colour = rng.choice(list(COLOURS))
        objects.append(Object(shape, colour, top + down, left + right))
    return Scene(tuple(objects))


def render(
    scenes: Sequence[Scene],
    noise: float = 0.15,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return the pictures of scenes (b, y, x, rgb), brightness from 0 to 1.

    The background is dark: each of its pixels and channels is uniform in [0, noise).

    Raises: ValueError for no scene, and noise outside 0 to 1.

    >>> pictures = render([Scene((Object("frame", "green", top=0, left=3),))], noise=0)
    >>> pictures.shape, int((pictures[..., 1] > 0).sum())  # of 36 pixels, 16 are empty
    (torch.Size([1, 16, 16, 3]), 20)
    """
    if not scenes or not 0 <= noise <= 1:
        raise ValueError(
            f"{len(scenes)} scenes, noise={noise}; need a scene, and noise from 0 to 1"
        )
    shape = len(scenes), PIXELS, PIXELS, 3
    pictures = noise * torch.rand(shape, generator=generator)
    paint = {name: torch.tensor(colour) for name, colour in COLOURS.items()}
    for picture, scene in zip(pictures, scenes, strict=True):
        for one in scene.objects:
            rows = slice(one.top, one.top + SIZE)
            columns = slice(one.left, one.left + SIZE)
            picture[rows, columns][MASKS[one.shape]] = paint[one.colour]
    return pictures
