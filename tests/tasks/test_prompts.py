"""Prompts: their text by hand, the answers against written ones and against loops."""

import random
import warnings
from collections import Counter
from itertools import permutations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gptcourse.lesson import checks
from gptcourse.models import generate
from gptcourse.models.gpt import GPT, GPTConfig
from gptcourse.models.lstm import LSTMConfig, LSTMLanguageModel
from gptcourse.tasks import prompts as module
from gptcourse.tasks.prompts import (
    Layout,
    choose_label,
    draw_shots,
    exact_match,
    fitting,
    write_prompt,
)
from gptcourse.tokenizers.characters import ByteTokenizer

BYTES = ByteTokenizer()


# Layouts


def test_an_example_stands_between_arrow_and_separator():
    layout = Layout(arrow=" => ", separator=" ###\n")
    assert layout.line(("cheese", "fromage")) == "cheese => fromage ###\n"


def test_by_default_a_colon_and_a_line_s_end_are_written():
    assert Layout().line(("cheese", "fromage")) == "cheese:fromage\n"


def test_a_label_word_is_written_for_its_answer():
    layout = Layout(labels={"0": "No", "1": "Yes, it is"})
    assert [layout.word(answer) for answer in "10"] == ["Yes, it is", "No"]
    assert layout.line(("Late?", "1")) == "Late?:Yes, it is\n"


@pytest.mark.parametrize(
    ("arrow", "separator"),
    [("", "\n"), (":", ""), ("", ""), ("\nA: ", "\n"), ("\n", "\n")],
)
def test_an_arrow_and_a_separator_that_run_together_are_refused(arrow, separator):
    with pytest.raises(ValueError, match="a prompt needs both, and no separator in"):
        Layout(arrow, separator)


@pytest.mark.parametrize(
    "labels", [{}, {"0": "no", "1": ""}, {"0": "no", "1": "no"}], ids=str
)
def test_label_words_that_do_not_tell_answers_apart_are_refused(labels):
    with pytest.raises(ValueError, match=r"label words \[.*\]; need one for each"):
        Layout(labels=labels)


def test_an_answer_without_a_label_word_is_refused():
    layout = Layout(labels={"0": "no", "1": "yes"})
    with pytest.raises(
        ValueError, match="no label word for '2'; they are for '0', '1'"
    ):
        write_prompt("Late?", [("Early?", "2")], layout=layout)


def test_a_label_word_is_no_answer():
    with pytest.raises(ValueError, match="no label word for 'yes'"):
        Layout(labels={"1": "yes"}).word("yes")


TWO = Layout(separator="\n\n")
WORDS = Layout(labels={"0": "no\nway"})
HOLDS = {
    "question": lambda: write_prompt("a\nb"),
    "question of an example": lambda: write_prompt("a", [("a\nb", "c")]),
    "answer": lambda: write_prompt("a", [("b", "c\nd")]),
    "answer alone": lambda: Layout().word("c\nd"),
    "label word": lambda: write_prompt("a", [("b", "0")], layout=WORDS),
    "label word alone": lambda: WORDS.word("0"),
    "instruction": lambda: write_prompt("a", instruction="Do\nthis"),
    "end of a question": lambda: write_prompt("a\n", layout=Layout("\nA:", "\n\n")),
    "end of an answer": lambda: write_prompt("a", [("b", "c\n")], layout=TWO),
    "end of an instruction": lambda: write_prompt("a", (), "Do this\n", TWO),
}


@pytest.mark.parametrize("place", HOLDS)
def test_a_separator_inside_of_an_example_is_refused(place):
    with pytest.raises(ValueError, match="holds the separator .* another separator$"):
        HOLDS[place]()


def test_part_of_a_separator_is_not_refused():
    shots = [("Tom lost\nhis kite.", "He\ncried")]
    expected = "Tom lost\nhis kite.:He\ncried\n\nThe\ncup:"
    assert write_prompt("The\ncup", shots, layout=TWO) == expected


@pytest.mark.parametrize(
    "refused",
    [
        lambda: Layout("\n", "\n"),
        lambda: Layout(labels={"0": "\n", "1": "\n"}),
        lambda: Layout(labels={"\n": "no"}).word("yes"),
        lambda: Layout().word("a\nb"),
        lambda: draw_shots([], 1),
        lambda: fitting([], "2\n2", BYTES, 1, layout=TWO),
    ],
)
def test_a_refusal_is_one_line(refused):
    with pytest.raises(ValueError) as refusal:
        refused()
    assert "\n" not in str(refusal.value)


# Writing a prompt

SHOTS = [("sea otter", "loutre de mer"), ("mint", "menthe"), ("cheese", "fromage")]


def test_zero_shot_is_the_question_alone():
    assert write_prompt("plush") == "plush:"


def test_zero_shot_after_an_instruction():
    found = write_prompt("plush", instruction="English to French")
    assert found == "English to French\nplush:"


def test_one_shot():
    assert write_prompt("plush", SHOTS[:1]) == "sea otter:loutre de mer\nplush:"


def test_few_shot_examples_stand_as_they_come():
    expected = "French\nsea otter:loutre de mer\nmint:menthe\ncheese:fromage\nplush:"
    assert write_prompt("plush", SHOTS, "French") == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ([2, 0, 1], "F\ncheese:fromage\nsea otter:loutre de mer\nmint:menthe\nplush:"),
        ([1], "F\nmint:menthe\nplush:"),
        ([], "F\nplush:"),
    ],
)
def test_examples_stand_in_the_order_asked_for(order, expected):
    assert write_prompt("plush", SHOTS, "F", order=order) == expected


def test_the_layout_of_gpt_3_s_arithmetic():
    sums = [("Q: What is 98 plus 45?", "143"), ("Q: What is 10 plus 5?", "15")]
    found = write_prompt("Q: What is 7 plus 8?", sums, layout=Layout("\nA: ", "\n\n"))
    assert found == (
        "Q: What is 98 plus 45?\nA: 143\n\n"
        "Q: What is 10 plus 5?\nA: 15\n\n"
        "Q: What is 7 plus 8?\nA: "
    )


TEXTS = st.text("ab:\n", max_size=3)
MARKS = st.text("b:\n", min_size=1, max_size=2)


@settings(deadline=None, max_examples=200)
@given(MARKS, MARKS, TEXTS, st.lists(st.tuples(TEXTS, TEXTS), max_size=3), TEXTS)
@example(":", "\n\n", "", [("a", "b\n")], "a")
@example("\n:", "\n\n", "", [], "a\n")
def test_split_at_its_separator_a_prompt_gives_its_parts_or_is_refused(
    arrow, separator, instruction, shots, question
):
    parts = [instruction] if instruction else []
    parts += [f"{asked}{arrow}{answer}" for asked, answer in shots]
    parts += [f"{question}{arrow}"]
    if separator in arrow or separator.join(parts).split(separator) != parts:
        with pytest.raises(ValueError, match="separator"):
            write_prompt(question, shots, instruction, Layout(arrow, separator))
    else:
        found = write_prompt(question, shots, instruction, Layout(arrow, separator))
        assert found.split(separator) == parts


# Drawing and dropping examples


@pytest.mark.parametrize("k", [-1, 4])
def test_fewer_examples_than_none_or_more_than_there_are_are_refused(k):
    with pytest.raises(ValueError, match=f"k={k} examples; need 0 to 3, as many as"):
        draw_shots(SHOTS, k)


def test_no_examples_are_drawn_of_none():
    assert draw_shots([], 0) == []


@pytest.mark.parametrize("k", range(7))
def test_k_different_examples_are_drawn(k):
    pool = [(str(i), str(-i)) for i in range(6)]
    found = draw_shots(pool, k)
    assert len(found) == len(set(found)) == k
    assert set(found) <= set(pool)


def drawn(seed, k=10):
    pool = [(str(i), "") for i in range(20)]
    return draw_shots(pool, k, torch.Generator().manual_seed(seed))


def test_the_generator_alone_decides_what_is_drawn():
    first = drawn(seed=1)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        assert drawn(seed=1) == first != drawn(seed=2)


def test_drawing_again_from_a_generator_gives_others():
    generator, pool = (
        torch.Generator().manual_seed(0),
        [(str(i), "") for i in range(20)],
    )
    assert draw_shots(pool, 10, generator) != draw_shots(pool, 10, generator)


def test_all_pairs_in_all_orders_are_drawn_equally_often():
    generator = torch.Generator().manual_seed(0)
    counts = Counter(tuple(draw_shots(SHOTS, 2, generator)) for _ in range(1200))
    assert counts.keys() == set(permutations(SHOTS, 2))
    # 200 each, with a standard deviation of 13
    assert all(150 < count < 250 for count in counts.values())


# Each of these takes six bytes in a prompt, and the question four.
SUMS = [("1+1", "2"), ("1+2", "3"), ("1+3", "4"), ("1+4", "5")]


def kept(room, **given):
    """The examples that are kept, when it does not matter what is said of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fitting(SUMS, "3+4", BYTES, room, **given)


@pytest.mark.parametrize(
    ("room", "n"),
    [(4, 0), (9, 0), (10, 1), (15, 1), (16, 2), (27, 3), (28, 4), (99, 4)],
)
def test_as_many_of_the_last_examples_are_kept_as_there_is_room_for(room, n):
    assert kept(room) == SUMS[4 - n :]


def test_the_instruction_takes_room():
    assert kept(28 - 6, instruction="Add:)") == SUMS[2:]  # six bytes with its separator
    assert kept(28 - 6 + 6, instruction="Add:)") == SUMS[1:]


def test_the_layout_takes_room():
    layout = Layout(" = ", "\n\n", {"2": "2", "3": "3", "4": "4", "5": "five"})
    # 3 + 3 + 4 + 2 bytes, then 9 for the others, after a question of 6
    assert kept(17, layout=layout) == []
    assert kept(18, layout=layout) == SUMS[3:]
    assert kept(27, layout=layout) == SUMS[2:]


def test_room_is_counted_in_tokens():
    assert fitting([("é", "è")], "é", BYTES, room=9) == [("é", "è")]
    with pytest.warns(UserWarning):
        assert fitting([("é", "è")], "é", BYTES, room=8) == []


def test_a_warning_says_which_examples_are_dropped():
    said = "the prompt has room for 16 tokens: of 4 examples the first 2 are dropped"
    with pytest.warns(UserWarning, match=f"^{said}$") as caught:
        fitting(SUMS, "3+4", BYTES, room=16)
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("shots", [SUMS, []], ids=["all fit", "none given"])
def test_where_nothing_is_dropped_nothing_is_said(shots):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fitting(shots, "3+4", BYTES, room=28)
    assert found == shots


@pytest.mark.parametrize("shots", [SUMS, []], ids=["with examples", "without"])
def test_a_question_that_does_not_fit_alone_is_refused(shots):
    said = "the question takes 4 tokens without any example, but there is room for 3;"
    with pytest.raises(ValueError, match=said):
        fitting(shots, "3+4", BYTES, room=3)


# Answers


def enlarged(model, generator):
    """The model with weights so large that its output depends on its input.

    Its norms' weights are drawn, or the tied softmax would mostly repeat a token.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
            elif "ln_" in name and name.endswith("weight"):
                parameter.normal_(generator=generator)
    return model.eval()


def small(n_ctx=24, block="pre_norm"):
    """A model of ASCII, so that whatever it writes is text."""
    generator = torch.Generator().manual_seed(0)
    config = GPTConfig(128, n_ctx, 32, 2, 2, block, dropout=0.1)
    return enlarged(GPT(config, generator), generator)


def greedy(model, texts, n_new):
    """What a model writes after each text, all of one length."""
    tokens = torch.tensor([BYTES.encode(text) for text in texts])
    written = generate(model, tokens, n_new, temperature=0)[:, tokens.shape[1] :]
    return [BYTES.decode(row) for row in written]


def written(model, n):
    """Prompts of mixed lengths, and as endings beginnings of what follows greedily."""
    draw, room = random.Random(0), model.config.n_ctx + 1
    texts, endings = [], []
    for length in (1, 2, 3, 5, 8, 13, room - 6, room - 1):
        group = [
            "".join(map(chr, draw.choices(range(128), k=length))) for _ in range(n)
        ]
        texts += group
        endings += greedy(model, group, min(6, room - length))
    endings = [ending[: draw.randint(1, len(ending))] for ending in endings]
    pairs = list(zip(texts, endings, strict=True))
    draw.shuffle(pairs)
    return [text for text, _ in pairs], [ending for _, ending in pairs]


def altered(text, place):
    """The text with another character at a place."""
    return text[:place] + chr((ord(text[place]) + 1) % 128) + text[place + 1 :]


@pytest.mark.parametrize("block", ["pre_norm", "post_norm"])
def test_an_ending_matches_just_if_it_is_what_is_written_greedily(block):
    model, draw = small(block=block), random.Random(1)
    texts, endings = written(model, n=50)
    assert len(set(endings)) > 200, "the outputs hardly vary"
    right = [number % 2 == 0 for number in range(len(endings))]
    asked = [
        ending if same else altered(ending, draw.randrange(len(ending)))
        for ending, same in zip(endings, right, strict=True)
    ]
    assert exact_match(model, BYTES, texts, asked).tolist() == right


@pytest.mark.parametrize("place", [0, 2, -1])
def test_one_wrong_token_makes_an_ending_wrong(place):
    model, text = small(), "2+2:"
    (ending,) = greedy(model, [text], 5)
    asked = [ending, altered(ending, place % 5)]
    assert exact_match(model, BYTES, [text] * 2, asked).tolist() == [True, False]


def test_what_goes_on_after_the_answer_is_wrong():
    model = small()
    (answer,) = greedy(model, ["2+2:"], 3)
    (further,) = greedy(model, [f"2+2:{answer}"], 1)
    asked = [answer, answer + further, answer + altered(further, 0)]
    found = exact_match(model, BYTES, ["2+2:"] * 3, asked)
    assert found.tolist() == [True, True, False]


def test_after_a_mistake_the_model_is_not_put_right():
    """The later tokens are the likeliest after a wrong one: still no match."""
    model = small()
    wrong = altered(*greedy(model, ["2+2:"], 1), 0)
    (further,) = greedy(model, [f"2+2:{wrong}"], 4)
    assert not exact_match(model, BYTES, ["2+2:"], [wrong + further]).item()


def test_an_lstm_answers_too():
    generator = torch.Generator().manual_seed(0)
    model = LSTMLanguageModel(LSTMConfig(128, 8, 16, 24), generator)
    model = enlarged(model, generator)
    tokens = BYTES.encode("2+2:")
    for _ in range(4):
        with torch.no_grad():
            tokens = [*tokens, model(torch.tensor([tokens]))[0, -1].argmax().item()]
    ending = BYTES.decode(tokens[4:])
    asked = [ending, altered(ending, 3)]
    assert exact_match(model, BYTES, ["2+2:"] * 2, asked).tolist() == [True, False]


def test_many_prompts_are_answered_as_few(monkeypatch):
    model = small()
    texts, endings = written(model, n=2)
    monkeypatch.setattr(module, "_BATCH_SIZE", 3)
    assert exact_match(model, BYTES, texts, endings).all()


def test_logits_are_computed_for_the_endings_alone(monkeypatch):
    model, sizes, logits = small(), [], GPT.logits
    monkeypatch.setattr(
        model, "logits", lambda x: sizes.append(x[..., 0].numel()) or logits(model, x)
    )
    exact_match(model, BYTES, ["one plus one:", "2+2:"], ["two\n", "4\n"])
    assert sum(sizes) == len("two\n") + len("4\n")


def test_a_prompt_that_fills_the_context_up_to_the_last_token_is_answered():
    model = small(n_ctx=8)
    endings = greedy(model, ["2+2=?"], 4)  # its last token is not read
    assert exact_match(model, BYTES, ["2+2=?"], endings).all()


def test_a_prompt_too_long_for_the_context_is_refused():
    said = "prompt 1 and its ending have 10 tokens, but the context is n_ctx=8; drop"
    with pytest.raises(ValueError, match=said):
        exact_match(small(n_ctx=8), BYTES, ["2+2:", "12+12=?:"], ["4\n", "4\n"])


@pytest.mark.parametrize(
    ("texts", "endings"),
    [([], []), (["2+2:", ""], ["4", "4"]), (["2+2:", "3:"], ["4", ""])],
)
def test_no_prompts_or_an_empty_text_are_refused(texts, endings):
    with pytest.raises(ValueError, match="no prompts, or an empty one; give each a"):
        exact_match(small(), BYTES, texts, endings)


@pytest.mark.parametrize("endings", [["4"], ["4", "5", "6"]])
def test_a_prompt_without_an_ending_is_refused(endings):
    with pytest.raises(ValueError, match="argument 2 is (shorter|longer)"):
        exact_match(small(), BYTES, ["2+2:", "2+3:"], endings)


LABELS = ["no", "yes", "perhaps", "I do not know", "?"]
CONTEXT = "A:"
QUESTIONS = [f"{a}{b} {c}?\nA:" for a in "ABCD" for b in "oxy" for c in "pq"]


def log_probability(model, context, text):
    """The log-probability of a text after a context, one token at a time."""
    tokens, first = BYTES.encode(context + text), len(BYTES.encode(context))
    with torch.no_grad():
        logs = model(torch.tensor([tokens]))[0].log_softmax(dim=-1).tolist()
    return sum(logs[i - 1][tokens[i]] for i in range(first, len(tokens)))


def by_hand(model, score):
    """The place of the label with the highest score after each of the questions."""
    tables = [[score(model, text, label) for label in LABELS] for text in QUESTIONS]
    return [table.index(max(table)) for table in tables]


def per_token(model, text, label):
    return log_probability(model, text, label) / len(label)


def against_context(model, text, label):
    alone = log_probability(model, CONTEXT, label)
    return log_probability(model, text, label) - alone


def test_the_label_likeliest_per_token_is_chosen():
    model = small()
    expected = by_hand(model, per_token)
    assert len(set(expected)) > 1, "all questions have one answer"
    assert expected != by_hand(model, log_probability), "lengths make no difference"
    assert choose_label(model, BYTES, QUESTIONS, LABELS).tolist() == expected


def test_with_an_answer_context_the_label_that_the_prompt_speaks_for_is_chosen():
    model = small()
    expected = by_hand(model, against_context)
    assert len(set(expected)) > 1, "all questions have one answer"
    found = choose_label(model, BYTES, QUESTIONS, LABELS, answer_context=CONTEXT)
    assert found.tolist() == expected


def test_an_answer_context_makes_another_choice():
    model = small()
    plain = choose_label(model, BYTES, QUESTIONS, LABELS)
    normalised = choose_label(model, BYTES, QUESTIONS, LABELS, CONTEXT)
    assert (plain != normalised).any()


def test_against_the_context_whole_words_are_compared_not_their_means():
    model = small()
    means = by_hand(model, lambda *given: against_context(*given) / len(given[2]))
    assert choose_label(model, BYTES, QUESTIONS, LABELS, CONTEXT).tolist() != means


def test_the_order_of_the_labels_does_not_matter():
    model = small()
    for context in (None, CONTEXT):
        first = choose_label(model, BYTES, QUESTIONS, LABELS, context)
        turned = choose_label(model, BYTES, QUESTIONS, LABELS[::-1], context)
        checks.close(4 - turned, first, "choices")


def test_a_prompt_whose_label_does_not_fit_is_refused_and_not_cut():
    model = small(n_ctx=8)
    assert choose_label(model, BYTES, ["12+1:"], ["yes", "no"]).shape == (1,)
    with pytest.raises(ValueError, match="have 9 tokens, but the context is n_ctx=8"):
        choose_label(model, BYTES, ["2+2:", "12+12:"], ["yes", "no"])


@pytest.mark.parametrize("labels", [[], ["yes"]])
def test_fewer_than_two_labels_are_refused(labels):
    with pytest.raises(
        ValueError, match=r"label words \[.*\]; a choice needs at least"
    ):
        choose_label(small(), BYTES, QUESTIONS, labels)


def test_a_choice_for_no_prompts_is_refused():
    with pytest.raises(ValueError, match="no text to score"):
        choose_label(small(), BYTES, [], LABELS)


def test_an_empty_answer_context_is_refused():
    with pytest.raises(ValueError, match="has 0 tokens to read"):
        choose_label(small(), BYTES, QUESTIONS, LABELS, answer_context="")


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_in_its_mode_and_answers_without_dropout(training):
    model = small()
    texts, endings = written(model, n=4)
    expected = choose_label(model, BYTES, QUESTIONS, LABELS)
    model.train(training)
    assert exact_match(model, BYTES, texts, endings).all()
    found = choose_label(model, BYTES, QUESTIONS, LABELS)
    assert torch.equal(found, expected)
    assert model.training is training
