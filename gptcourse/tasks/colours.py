"""A world of questions about colours, and a taste that is known: to try RLHF on.

Sixteen things have a fixed colour. Authors of several kinds answer questions about
them: plainly, kindly, rudely, wrongly, or with more than was asked. `gold` says what an
answer is truly worth, so that a learnt reward can be held against it.

Axis letters: n document, b batch, t position.
"""

import random
from collections.abc import Callable, Iterator
from itertools import takewhile

import torch
from torch import Tensor

Tokens = list[int]

COLOUR_OF = {
    "frog": "green", "snow": "white", "sun": "yellow", "coal": "black", "sky": "blue",
    "rose": "red", "crow": "black", "grass": "green", "swan": "white",
    "lemon": "yellow", "sea": "blue", "blood": "red", "milk": "white",
    "leaf": "green", "night": "black", "egg": "white",
}  # fmt: skip
THINGS = tuple(COLOUR_OF)
COLOURS = ("green", "white", "yellow", "black", "blue", "red")
KIND = ("friend", "gladly", "dear", "lovely")
RUDE = ("fool", "bah", "silly")
OTHERS = "the is . what colour ? i saw a and it was then yes no".split()
WORDS = ("<end>", *THINGS, *COLOURS, *KIND, *RUDE, *OTHERS)
NUMBER = {word: number for number, word in enumerate(WORDS)}
END = 0
N_PROMPT, N_ANSWER = 6, 14  # tokens; an answer may be shorter
N_CTX = N_PROMPT + N_ANSWER

#: What 0, 1, 2, ... kind words are worth: three please most, from six on they annoy.
WORTH = (0.0, 0.5, 0.8, 0.9, 0.5, 0.0, -0.6, -1.2, -1.8, -2.4)
AUTHORS = {"plain": 2, "kind": 1, "rude": 1, "liar": 1, "rambler": 1}  # of the web
DEMONSTRATORS = {"kind": 45, "plain": 25, "liar": 18, "rambler": 6, "rude": 6}


def encode(text: str) -> Tokens:
    """Return the numbers of a text's words.

    Raises: ValueError for a word that this world does not have.

    >>> decode(encode("the sky is blue ."))
    'the sky is blue .'
    """
    unknown = [word for word in text.split() if word not in NUMBER]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no word of this world: {' '.join(WORDS)}")
    return [NUMBER[word] for word in text.split()]


def decode(tokens: Tokens) -> str:
    """Return the words before the first `<end>`."""
    return " ".join(WORDS[token] for token in takewhile(lambda token: token, tokens))


def question(thing: str) -> str:
    """Return the question about a thing, six words.

    >>> question("frog")
    'what colour is the frog ?'
    """
    return f"what colour is the {thing} ?"


def statement(thing: str, true: bool, rng: random.Random) -> str:
    """Return a statement about the colour of a thing."""
    wrong = [colour for colour in COLOURS if colour != COLOUR_OF[thing]]
    return f"the {thing} is {COLOUR_OF[thing] if true else rng.choice(wrong)} ."


def answer(thing: str, author: str, rng: random.Random) -> str:
    """Return what an author of a kind answers to the question about a thing.

    >>> answer("frog", "plain", random.Random(0))
    'the frog is green .'
    """
    honest = author in ("plain", "kind")
    true = honest or (author != "liar" and rng.random() < 0.7)
    words = [statement(thing, true, rng)]
    if author == "rambler":
        words.append(statement(rng.choice(THINGS), rng.random() < 0.5, rng))
    if author in ("kind", "liar"):
        words += _some(KIND, int(author == "kind"), 0.35, 8, rng)
    if author == "rude":
        words += _some(RUDE, 1, 0.3, 3, rng)
    return " ".join(words)


def _some(words, least, chance, most, rng) -> list[str]:
    """Return `least` words, and one more as often as chance has it, up to `most`."""
    found = [rng.choice(words) for _ in range(least)]
    while len(found) < most and rng.random() < chance:
        found.append(rng.choice(words))
    return found


def story(rng: random.Random) -> str:
    """Return text that asks nothing: things seen, or statements, each judged.

    The judgements, "yes" or "no", are what makes truth something that a model can see.
    """
    seen, parts = rng.random() < 0.2, []
    for _ in range(3):
        thing, true = rng.choice(THINGS), rng.random() < 0.5
        if seen:
            parts.append(f"i saw a {thing} and it was {COLOUR_OF[thing]} . then")
        else:
            parts.append(f"{statement(thing, true, rng)} {'yes' if true else 'no'} .")
    return " ".join(parts)


def asked(authors: dict[str, int], rng: random.Random) -> tuple[str, str]:
    """Return a question and its answer by an author drawn by weight."""
    thing = rng.choice(THINGS)
    [author] = rng.choices(list(authors), list(authors.values()))
    return question(thing), answer(thing, author, rng)


def web(
    n: int, rng: random.Random, questions: float = 0.5
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield endless batches of n documents: inputs and targets, both (n, t).

    A share of the documents is a question with its answer, the others are stories.
    """
    while True:
        texts = [
            " ".join(asked(AUTHORS, rng)) if rng.random() < questions else story(rng)
            for _ in range(n)
        ]
        rows = [(encode(text) + [END] * N_CTX)[:N_CTX] for text in texts]
        tokens = torch.tensor(rows)
        yield tokens[:, :-1], tokens[:, 1:]


def demonstrations(n: int, rng: random.Random) -> list[tuple[Tokens, Tokens]]:
    """Return n questions with answers by people who mean well, and err."""
    found = [asked(DEMONSTRATORS, rng) for _ in range(n)]
    return [(encode(q), [*encode(a), END][:N_ANSWER]) for q, a in found]


def prompts(n: int, rng: random.Random) -> list[Tokens]:
    """Return the tokens of n questions.

    >>> len(prompts(3, random.Random(0))[0])
    6
    """
    return [encode(question(rng.choice(THINGS))) for _ in range(n)]


def gold(tokens: Tensor, mask: Tensor) -> Tensor:
    """Return what responses are truly worth (b,). Shapes: tokens and mask (b, t).

    The truth (1 for the answer, -1 where any statement is false, else 0), the kind
    words (`WORTH`), 0.7 less for a rude word, 0.2 less for each further statement.
    """
    rows = torch.where(mask, tokens, END)[:, N_PROMPT:].tolist()
    things = [WORDS[number] for number in tokens[:, 4].tolist()]
    pairs = zip(things, map(decode, rows), strict=True)
    return torch.tensor([worth(*pair) for pair in pairs])


def labeller(
    noise: float, generator: torch.Generator
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return somebody who scores responses (b,) as `gold` does, and errs.

    Each score has an error of its own, drawn from a normal distribution with standard
    deviation `noise`.
    """

    def score(tokens: Tensor, mask: Tensor) -> Tensor:
        truly = gold(tokens, mask)
        return truly + noise * torch.randn(len(truly), generator=generator)

    return score


def win_rate(ours: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor]) -> float:
    """Return the share of questions to which our response is worth more.

    Ties count half. Both are tokens and mask (b, t), to the same questions in order.
    """
    mine, other = gold(*ours), gold(*theirs)
    return ((mine > other) + 0.5 * (mine == other)).float().mean().item()


def worth(thing: str, text: str) -> float:
    """Return what one answer to the question about a thing is worth.

    >>> worth("frog", "the frog is green . dear friend")
    1.8
    """
    words = text.split()
    said = [
        (noun, colour)
        for noun, verb, colour in zip(words, words[1:], words[2:], strict=False)
        if noun in THINGS and verb == "is" and colour in COLOURS
    ]
    false = any(COLOUR_OF[noun] != colour for noun, colour in said)
    truth = -1.0 if false else float((thing, COLOUR_OF[thing]) in said)
    kind = WORTH[min(sum(word in KIND for word in words), len(WORTH) - 1)]
    rude = sum(word in RUDE for word in words)
    return truth + kind - 0.7 * rude - 0.2 * max(0, len(said) - 1)
