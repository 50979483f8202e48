"""Scenes and their pictures: every pixel by geometry, and what no scene may be."""

from random import Random

import pytest
import torch

from gptcourse.images.pictures import (
    COLOURS,
    PIXELS,
    SHAPES,
    SIZE,
    Object,
    Scene,
    random_scene,
    render,
)

SCENES = [random_scene(Random(seed)) for seed in range(200)]


def covers(shape, y, x):
    """Whether a shape covers a pixel, counted from the shape's middle in half pixels.

    The pixels of a side lie at -5, -3, -1, 1, 3 and 5.
    """
    return {
        "frame": max(abs(y), abs(x)) == 5,
        "disc": abs(y) + abs(x) <= 6,
        "cross": min(abs(y), abs(x)) == 1,
    }[shape]


def painted(scene, y, x):
    """The colour that the scene says a pixel has, or None for the background."""
    for one in scene.objects:
        down, right = 2 * (y - one.top) - 5, 2 * (x - one.left) - 5
        if max(abs(down), abs(right)) <= 5 and covers(one.shape, down, right):
            return COLOURS[one.colour]
    return None


def test_every_pixel_is_painted_as_the_scene_says():
    generator = torch.Generator().manual_seed(0)
    pictures = render(SCENES[:40], noise=0.15, generator=generator)
    for scene, picture in zip(SCENES, pictures.tolist(), strict=False):
        for y, row in enumerate(picture):
            for x, pixel in enumerate(row):
                colour = painted(scene, y, x)
                if colour is None:
                    assert all(0 <= value < 0.15 for value in pixel)
                else:
                    assert pixel == pytest.approx(colour)


def test_a_picture_has_rows_columns_and_channels():
    [picture] = render([Scene((Object("disc", "red", 0, 10),))], noise=0)
    assert picture.shape == (PIXELS, PIXELS, 3)
    lit = picture.amax(dim=-1) > 0
    assert lit[:SIZE, -SIZE:].sum() == lit.sum() == 24


def test_noise_differs_from_pixel_to_pixel_and_fills_its_range():
    [picture] = render(SCENES[:1], 0.15, torch.Generator().manual_seed(0))
    background = picture[:, :, 2][picture.amax(dim=-1) < 0.15]
    assert len(background.unique()) > 0.95 * len(background)
    assert background.max() > 0.13
    assert background.mean().item() == pytest.approx(0.075, abs=0.02)


def test_the_generator_alone_decides_on_the_noise():
    def drawn(seed):
        return render(SCENES[:2], generator=torch.Generator().manual_seed(seed))

    state = torch.get_rng_state()
    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_disc_lies_where_it_is_put_whatever_else_is_there():
    alone, other = Object("disc", "blue", 1, 2), Object("frame", "red", 9, 8)
    pictures = render([Scene((alone,)), Scene((alone, other))], noise=0)
    torch.testing.assert_close(pictures[0, :8], pictures[1, :8])
    assert pictures[0, 8:].max() == 0 < pictures[1, 8:].max()


def test_colours_and_shapes_differ_from_one_another():
    assert len({*COLOURS.values()}) == len(COLOURS) == 4
    pictures = render([Scene((Object(s, "red", 0, 0),)) for s in SHAPES], noise=0)
    assert len({tuple(picture.flatten().tolist()) for picture in pictures}) == 3


# Random scenes.


def test_random_scenes_have_every_number_shape_colour_and_place():
    assert {len(scene.objects) for scene in SCENES} == {1, 2, 3}
    objects = [one for scene in SCENES for one in scene.objects]
    assert {one.shape for one in objects} == {*SHAPES}
    assert {one.colour for one in objects} == {*COLOURS}
    places = {(one.top, one.left) for one in objects}
    assert places == {(y, x) for y in (0, 1, 8, 9) for x in (0, 1, 8, 9)}


def test_shape_colour_and_place_are_drawn_independently():
    objects = [one for scene in SCENES for one in scene.objects]
    for shape in SHAPES:
        mine = [one for one in objects if one.shape == shape]
        assert {one.colour for one in mine} == {*COLOURS}
        assert {(one.top > 4, one.left > 4) for one in mine} == {
            (down, right) for down in (False, True) for right in (False, True)
        }


def test_a_scene_of_few_objects_may_hold_any_shapes():
    found = {frozenset(one.shape for one in scene.objects) for scene in SCENES}
    assert len(found) == 3 + 3 + 1


def test_two_objects_may_have_one_colour_and_never_touch():
    twice = 0
    for scene in SCENES:
        colours = [one.colour for one in scene.objects]
        twice += len({*colours}) < len(colours)
        for one in scene.objects:
            for other in scene.objects:
                apart = max(abs(one.top - other.top), abs(one.left - other.left))
                assert one is other or apart > SIZE
    assert twice > 20


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_scene_has_the_number_of_objects_asked_for(n):
    assert len(random_scene(Random(5), n).objects) == n


def test_the_seed_fixes_the_scene():
    assert random_scene(Random(1)) == random_scene(Random(1)) != random_scene(Random(2))


# Places.


@pytest.mark.parametrize(
    ("left", "side"), [(0, "left"), (4, "left"), (5, "right"), (10, "right")]
)
def test_the_side_is_that_of_the_middle(left, side):
    assert Object("disc", "red", top=0, left=left).side == side
    assert Object("disc", "red", top=left, left=0).side == "left"


def test_left_of_is_left_of_all_of_it():
    def at(left):
        return Object("disc", "red", top=3, left=left)

    assert at(0).is_left_of(at(6))
    assert not at(0).is_left_of(at(5))
    assert not at(6).is_left_of(at(0))


# Bad input.


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("square", "red", 0, 0), "^a red square: choose a shape of frame, disc, cros"),
        (("disc", "pink", 0, 0), "^a pink disc: .* a colour of red, green, blue, yel"),
        (("disc", "red", 11, 0), "^disc at row 11, column 0; .* from 0 to 10$"),
        (("disc", "red", 0, -1), "^disc at row 0, column -1"),
        (("disc", "red", 0.5, 0), "^disc at row 0.5"),
    ],
)
def test_an_object_that_cannot_be_rendered_is_refused(parts, message):
    with pytest.raises(ValueError, match=message) as error:
        Object(*parts)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([], "^a scene without objects; give 1 to 3$"),
        ([("disc", 0, 0), ("disc", 8, 8)], "^two objects are a disc"),
        ([("disc", 0, 0), ("cross", 4, 5)], "^disc and cross are 5 pixels apart and "),
        ([("cross", 8, 0), ("disc", 0, 10), ("frame", 3, 3)], "^cross and frame are"),
    ],
)
def test_a_scene_that_cannot_be_asked_about_is_refused(objects, message):
    with pytest.raises(ValueError, match=message):
        Scene(tuple(Object(shape, "red", top, left) for shape, top, left in objects))


def test_objects_side_by_side_do_not_overlap():
    for place in ((6, 0), (0, 6), (6, 6)):
        Scene((Object("disc", "red", 0, 0), Object("cross", "red", *place)))


@pytest.mark.parametrize("n", [0, 4])
def test_more_objects_than_shapes_are_refused(n):
    with pytest.raises(ValueError, match=f"^n_objects={n}; a scene has 1 to 3$"):
        random_scene(Random(0), n)


@pytest.mark.parametrize(
    ("scenes", "noise"), [([], 0.1), (SCENES[:1], -0.1), (SCENES[:1], 1.5)]
)
def test_no_scene_and_strange_noise_are_refused(scenes, noise):
    with pytest.raises(ValueError, match="; need a scene, and noise from 0 to 1$"):
        render(scenes, noise)
