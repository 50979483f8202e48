"""Fine-tuning: against hand computations, against transformers, and its mutants."""

from itertools import product
from random import Random

import pytest
import torch
import transformers
from test_gpt import copy_weights, oracle

from gptcourse.finetuning import classifier
from gptcourse.finetuning.classifier import Classifier
from gptcourse.finetuning.transfer import (
    FineTuning,
    accuracy,
    fine_tune,
    objective,
    transfer_layers,
    with_special_tokens,
)
from gptcourse.finetuning.transformations import (
    Specials,
    encode_examples,
    transform,
)
from gptcourse.lesson import checks
from gptcourse.lesson.papers import fact
from gptcourse.models.gpt import GPT, GPTConfig
from gptcourse.models.lstm import LSTMConfig, LSTMLanguageModel
from gptcourse.tasks.labelled import Example, LabelledSet
from gptcourse.tokenizers.characters import ByteTokenizer
from gptcourse.training.batches import RandomBatches, pad
from gptcourse.training.checkpoints import load_checkpoint, save_checkpoint
from gptcourse.training.history import History
from gptcourse.training.optimizers import decayed_adam, short_warmup

SPECIALS = Specials(start=28, delimiter=29, extract=30)
SIZES = {"n_vocab": 31, "n_ctx": 12, "n_embd": 16, "n_head": 4, "n_layer": 3}


def small(block="post_norm", **changes):
    generator = torch.Generator().manual_seed(0)
    return GPT(GPTConfig(**(SIZES | {"block": block} | changes)), generator)


def spread(model):
    """The same model with weights large enough for differences to show."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(15)
    return model


def made(kind, n_labels=2, model=None):
    head = torch.Generator().manual_seed(1)
    return Classifier(model or spread(small()), kind, n_labels, head).eval()


def tokens(*sequences):
    """Sequences (t,) as a padded batch of examples of one sequence (b, 1, t)."""
    return pad(sequences, max(map(len, sequences)))[:, None]


# The transformations, by hand.


def check_transformations(transform):
    def of(kind, *texts):
        return transform(kind, texts, SPECIALS, 12)

    assert of("classification", [1, 2]) == [[28, 1, 2, 30]]
    assert of("entailment", [1, 2], [3]) == [[28, 1, 2, 29, 3, 30]]
    assert of("similarity", [1, 2], [3]) == [
        [28, 1, 2, 29, 3, 30],
        [28, 3, 29, 1, 2, 30],
    ]
    assert of("multiple_choice", [1, 2], [3], [4, 5]) == [
        [28, 1, 2, 29, 3, 30],
        [28, 1, 2, 29, 4, 5, 30],
    ]


def no_delimiter(kind, texts, specials, n_ctx):
    """A mutant: two texts run into one another."""
    whole = transform(kind, texts, specials, n_ctx)
    return [[t for t in one if t != specials.delimiter] for one in whole]


def one_order(kind, texts, specials, n_ctx):
    """A mutant: similarity reads its texts in the order given, twice."""
    first, *rest = transform(kind, texts, specials, n_ctx)
    return [first, first] if kind == "similarity" else [first, *rest]


def test_the_four_transformations_by_hand():
    check_transformations(transform)


@pytest.mark.parametrize("mutant", [no_delimiter, one_order])
def test_the_transformations_by_hand_catch(mutant):
    with pytest.raises(AssertionError):
        check_transformations(mutant)


def test_what_does_not_fit_is_cut_as_in_the_papers_code():
    story, ending = list(range(9)), [20, 21, 22, 23, 24]
    (cut,) = transform("entailment", (story, ending), SPECIALS, 12)
    assert cut == [28, 0, 1, 2, 3, 29, 20, 21, 22, 23, 30]  # 12 // 2 - 2 = 4 each
    (alone,) = transform("classification", (list(range(11)),), SPECIALS, 12)
    assert alone == [28, *range(10), 30]


def test_what_fits_exactly_stays_whole():
    story, ending = list(range(8)), [20]
    (whole,) = transform("entailment", (story, ending), SPECIALS, 12)
    assert whole == [28, *story, 29, 20, 30]


def test_all_endings_see_the_same_story_also_where_only_one_is_too_long():
    cut = transform("multiple_choice", ([1] * 6, [2], [3] * 9), SPECIALS, 12)
    assert cut == [[28, 1, 1, 1, 1, 29, 2, 30], [28, 1, 1, 1, 1, 29, 3, 3, 3, 3, 30]]


def test_the_papers_context_gives_the_papers_cut():
    (cut,) = transform("entailment", ([1] * 900, [2] * 900), SPECIALS, 512)
    assert cut.count(1) == cut.count(2) == 254


def test_an_impossible_transformation_is_refused():
    with pytest.raises(ValueError, match="kind 'regression'; choose one of"):
        transform("regression", ([1],), SPECIALS, 12)
    with pytest.raises(ValueError, match="text 1 of 2 holds no token"):
        transform("entailment", ([1], []), SPECIALS, 12)
    with pytest.raises(ValueError, match="3 texts are too few or too many for simil"):
        transform("similarity", ([1], [2], [3]), SPECIALS, 12)
    with pytest.raises(ValueError, match="1 texts are too few .* for multiple_choice"):
        transform("multiple_choice", ([1],), SPECIALS, 12)
    with pytest.raises(ValueError, match="n_ctx=4 is too short for entailment"):
        transform("entailment", ([1, 2], [3]), SPECIALS, 4)


# Encoded examples and their batches.


def mood(**parts):
    """Label 1 exactly where the text holds an x."""
    parts = {
        "train": ["ab", "xbc", "abcd", "bx", "acbd", "dcxb", "ba", "cx"],
        "validation": ["dd"],
        "test": ["cba", "bxb", "dab", "xc"],
    } | parts
    return LabelledSet(
        "mood",
        "classification",
        ("plain", "marked"),
        *(tuple(Example((t,), int("x" in t)) for t in part) for part in parts.values()),
    )


def encoded(part="train"):
    task = mood()
    return encode_examples(task, getattr(task, part), ByteTokenizer(), n_ctx=8)


def test_examples_are_padded_on_the_right_and_keep_their_lengths():
    found = encoded()[:2]
    assert found.tokens.tolist() == [
        [[256, 97, 98, 258, 0, 0]],
        [[256, 120, 98, 99, 258, 0]],
    ]
    assert found.lengths.tolist() == [4, 5] and found.labels.tolist() == [0, 1]
    assert found.batch(torch.tensor([0]))[0].tolist() == [[[256, 97, 98, 258]]]


def test_a_text_that_the_tokenizer_leaves_empty_is_named():
    class Deaf(ByteTokenizer):
        def encode(self, text):
            return [] if "x" in text else super().encode(text)

    task = mood()
    with pytest.raises(ValueError, match="mood, example 1: text 0 of 1 holds no token"):
        encode_examples(task, task.train, Deaf(), 8)
    with pytest.raises(ValueError, match="mood: no examples to encode"):
        encode_examples(task, [], Deaf(), 8)


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (Example(("ab",), 2), "mood, example 0: label 2; it must be 0 to 1"),
        (Example(("ab", "b"), 1), "mood, example 0: 2 texts; classification needs 1"),
        (Example((" ",), 1), "mood, example 0: an empty text"),
    ],
)
def test_an_example_of_no_label_or_of_another_kind_is_refused(example, message):
    with pytest.raises(ValueError, match=message):
        encode_examples(mood(), [example], ByteTokenizer(), 8)


def test_an_epoch_shows_every_example_once_in_batches_of_like_length():
    examples = encoded()
    batches = examples.shuffled_batches(3, torch.Generator().manual_seed(0))
    epoch = [next(batches) for _ in range(3)]
    assert sorted(len(labels) for _, labels in epoch) == [2, 3, 3]
    seen = [tuple(filter(None, row.flatten().tolist())) for b, _ in epoch for row in b]
    wanted = [tuple(filter(None, row.flatten().tolist())) for row in examples.tokens]
    assert sorted(seen) == sorted(wanted)
    # Sorted, the lengths are 4 4 4 | 4 5 6 | 6 6.
    assert sorted(batch.shape[2] for batch, _ in epoch) == [4, 6, 6]


# The head.


def check_extraction(classifier):
    """What stands behind the extract token must not reach the answer."""
    short = tokens([28, 5, 30])
    padded = tokens([28, 5, 30], [28, 1, 2, 3, 4, 30])
    with torch.no_grad():
        checks.close(classifier(padded)[:1], classifier(short), "label logits")


def test_padding_leaves_the_label_logits_unchanged():
    check_extraction(made("classification"))


class LastPosition(Classifier):
    """A mutant: the head reads the last column, padding or not."""

    def forward(self, tokens):
        hidden = self.language_model.hidden(tokens[:, 0])
        return self.label_logits(hidden[:, -1:])


def test_padding_catches_a_head_on_the_wrong_position():
    mutant = LastPosition(spread(small()), "classification", 2).eval()
    with pytest.raises(AssertionError, match="label logits: off by"):
        check_extraction(mutant)


def similar(first, second, transform=transform):
    sequences = transform("similarity", (first, second), SPECIALS, 12)
    return pad(sequences, max(map(len, sequences)))[None]


def check_symmetry(transform):
    head = made("similarity", 3)
    one, other = [1, 2, 3], [7, 4]
    with torch.no_grad():
        forth = head(similar(one, other, transform))
        back = head(similar(other, one, transform))
    checks.close(forth, back, "logits of the swapped texts", 1e-6)


def test_swapping_the_texts_of_a_similarity_leaves_its_logits_identical():
    check_symmetry(transform)


def test_swapping_catches_a_head_that_sees_one_order_only():
    with pytest.raises(AssertionError, match="logits of the swapped texts: off by"):
        check_symmetry(one_order)


def test_the_similarity_head_reads_the_sum_of_both_orders():
    head = made("similarity")
    pair = similar([1, 2], [3])
    with torch.no_grad():
        hidden = head.language_model.hidden(pair[0])[:, 5]
        checks.close(head(pair)[0], head.head(hidden[0] + hidden[1]), "logits")


def test_endings_are_scored_one_by_one_with_one_output():
    head = made("multiple_choice", 3)
    assert head.head.out_features == 1
    endings = transform("multiple_choice", ([1], [2], [3], [4]), SPECIALS, 12)
    with torch.no_grad():
        together = head(torch.tensor(endings)[None])[0]
        alone = [head(torch.tensor([[one] * 3]))[0, 0] for one in endings]
    checks.close(together, alone, "scores")


def test_all_endings_of_an_example_share_one_dropout_mask():
    head = made("multiple_choice", 2).train()
    torch.manual_seed(0)
    same = head.label_logits(torch.ones(50, 2, 16))
    assert torch.equal(same[:, 0], same[:, 1])
    assert len(same[:, 0].unique()) > 10


def test_the_head_starts_as_in_the_papers_code():
    head = Classifier(small(n_embd=512), "classification", 40).head
    assert head.weight.std().item() == pytest.approx(0.02, rel=0.03)
    assert (head.bias == 0).all()


# transformers' models, with copied weights.


def test_label_logits_equal_those_of_transformers_classifier():
    theirs = oracle("post_norm")
    config = theirs.config
    config.num_labels, config.pad_token_id = 3, 0
    torch.manual_seed(3)
    judge = transformers.OpenAIGPTForSequenceClassification(config).eval()
    judge.transformer.load_state_dict(theirs.transformer.state_dict())
    ours = made("classification", 3, small())
    copy_weights(judge, ours.language_model)
    with torch.no_grad():
        ours.head.weight.copy_(judge.score.weight)
        batch = tokens([28, 1, 2, 30], [28, 3, 4, 5, 6, 30])
        checks.close(ours(batch), judge(batch[:, 0]).logits, "label logits", 1e-5)


def test_choices_and_language_loss_equal_those_of_transformers_double_heads():
    theirs = oracle("post_norm")
    config = theirs.config
    config.num_labels = 1
    torch.manual_seed(3)
    judge = transformers.OpenAIGPTDoubleHeadsModel(config).eval()
    judge.transformer.load_state_dict(theirs.transformer.state_dict())
    ours = made("multiple_choice", 2, small())
    copy_weights(judge, ours.language_model)
    batch = torch.tensor([[[28, 1, 29, 2, 3, 30], [28, 1, 29, 4, 5, 30]]])
    with torch.no_grad():
        head = judge.multiple_choice_head.summary
        ours.head.weight.copy_(head.weight)
        ours.head.bias.copy_(head.bias)
        expected = judge(batch, mc_token_ids=torch.tensor([[5, 5]]), labels=batch)
        logits, language = ours(batch, with_language_loss=True)
    checks.close(logits, expected.mc_logits, "scores", 1e-5)
    checks.close(language, expected.loss, "language loss", 1e-5)


# The objective, by hand.


def by_hand(classifier, batch, ends, labels, auxiliary):
    """L2 + λ·L1 in loops over examples and positions."""
    total = 0.0
    for row, end, label in zip(batch[:, 0], ends, labels, strict=True):
        hidden = classifier.language_model.hidden(row[None])[0]
        total -= classifier.head(hidden[end]).log_softmax(0)[label].item() / len(labels)
        chances = (hidden @ classifier.language_model.wte.weight.T).log_softmax(1)
        mean = sum(chances[t - 1, row[t]].item() for t in range(1, end + 1)) / end
        total -= auxiliary * mean / len(labels)
    return total


@pytest.mark.parametrize("auxiliary", [0.0, 0.5])
def test_the_objective_of_a_padded_batch_by_hand(auxiliary):
    judge = made("classification")
    batch = tokens([28, 1, 30], [28, 3, 4, 5, 30])
    labels = torch.tensor([1, 0])
    expected = by_hand(judge, batch, [2, 4], labels, auxiliary)
    found = objective(auxiliary)(judge, batch, labels).item()
    assert found == pytest.approx(expected, abs=1e-5)


def test_the_objective_by_hand_catches_a_loss_on_padding(monkeypatch):
    def padded(model, hidden, tokens, counts):
        return right(model, hidden, tokens, torch.ones_like(counts))

    right = classifier.mean_of_counted
    monkeypatch.setattr(classifier, "mean_of_counted", padded)
    judge = made("classification")
    batch = tokens([28, 1, 30], [28, 3, 4, 5, 30])
    expected = by_hand(judge, batch, [2, 4], torch.tensor([1, 0]), 0.5)
    found = objective(0.5)(judge, batch, torch.tensor([1, 0])).item()
    assert abs(found - expected) > 1e-2


def test_padding_gets_no_gradient():
    judge = made("classification")
    batch = tokens([28, 1, 30], [28, 3, 4, 5, 30])
    logits, language = judge(batch, with_language_loss=True)
    (vectors,) = torch.autograd.grad(language, judge.language_model.wpe.weight)
    assert (vectors[4:] == 0).all() and (vectors[:4] != 0).any(dim=1).all()


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="auxiliary=-1; need a weight >= 0"):
        objective(-1)


# The schedule and the optimiser, by the paper's code.


def test_the_schedule_at_several_steps_by_hand():
    found = [short_warmup(step, 2000) for step in (0, 1, 2, 4, 5, 1000, 1999)]
    expected = [0, 0.25 * 0.9995, 0.5 * 0.999, 0.998, 0.9975, 0.5, 0.0005]
    assert found == pytest.approx(expected)


def test_every_tensor_of_more_than_one_axis_decays_and_no_other():
    judge = made("classification")
    optimizer = decayed_adam(judge, 1e-3, 0.01)
    decays = {
        id(p): group["weight_decay"]
        for group in optimizer.param_groups
        for p in group["params"]
    }
    assert {n: decays[id(p)] for n, p in judge.named_parameters()} == {
        n: 0.01 if p.ndim > 1 else 0.0 for n, p in judge.named_parameters()
    }
    assert decays[id(judge.language_model.wte.weight)] == 0.01


def test_the_settings_are_the_papers():
    def printed(name):
        return fact(f"gpt1.fine_tuning.{name}").value

    settings = FineTuning()
    assert settings.learning_rate == printed("learning_rate")
    assert settings.batch_size == printed("batch")
    assert settings.epochs == printed("epochs")
    assert settings.auxiliary == printed("auxiliary_weight")
    assert printed("dropout") == classifier.CLASSIFIER_DROPOUT
    adam = decayed_adam(torch.nn.Linear(2, 2), 1e-3, 0.0).defaults
    assert adam["betas"] == (printed("adam_beta1"), printed("adam_beta2"))
    assert adam["eps"] == printed("adam_eps")


# What is carried over.


def names_kept(before, after):
    weights = before.state_dict()
    return {n for n, t in after.state_dict().items() if torch.equal(t, weights[n])}


@pytest.mark.parametrize("block", ["post_norm", "pre_norm"])
@pytest.mark.parametrize("n_layers", [0, 1, 2, 3])
def test_exactly_the_layers_asked_for_are_transferred(block, n_layers):
    model = small(block)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5)
    part = transfer_layers(model, n_layers, torch.Generator().manual_seed(9))
    wanted = {"wte.weight", "wpe.weight"} | {
        n for n in model.state_dict() if n.startswith("h.") and int(n[2]) < n_layers
    }
    if n_layers == 3:
        wanted |= {n for n in model.state_dict() if n.startswith("ln_f")}
    assert names_kept(model, part) == wanted
    assert len([n for n in wanted if n.startswith("h.")]) == 12 * n_layers


@pytest.mark.parametrize("n_layers", [-1, 4])
def test_more_layers_than_there_are_is_refused(n_layers):
    with pytest.raises(ValueError, match=f"n_layers={n_layers}, but the model has 3"):
        transfer_layers(small(), n_layers)


@pytest.mark.parametrize(
    "make", [small, lambda: LSTMLanguageModel(LSTMConfig(31, 12, 16, 20))]
)
def test_special_tokens_are_added_and_all_else_is_kept(make):
    model = make()
    wider = with_special_tokens(model, torch.Generator().manual_seed(4))
    assert wider.wte.weight.shape == (34, 16) and wider.config.n_vocab == 34
    assert torch.equal(wider.wte.weight[:31], model.wte.weight)
    assert 0.01 < wider.wte.weight[31:].std() < 0.03
    assert names_kept(model, wider) == set(model.state_dict()) - {"wte.weight"}
    text = torch.tensor([[1, 2, 3]])
    torch.testing.assert_close(wider(text)[..., :31], model(text))


# Fine-tuning as a whole.


QUICK = FineTuning(learning_rate=3e-3, epochs=30, batch_size=8)


def bytes_classifier(seed=0, n_embd=32):
    generator = torch.Generator().manual_seed(seed)
    model = GPT(GPTConfig(256, 8, n_embd, 2, 1), generator)
    model = with_special_tokens(model, generator)
    return Classifier(model, "classification", 2, generator)


def test_a_simple_task_is_learnt_to_the_last_example():
    words = ["".join(letters) for letters in product("abx", repeat=4)]
    task = mood(train=words[::2], test=words[1::2])
    train, test = (
        encode_examples(task, part, ByteTokenizer(), 8)
        for part in (task.train, task.test)
    )
    judge = bytes_classifier()
    history = fine_tune(judge, train, QUICK, torch.Generator().manual_seed(0))
    assert history.step[-1] == 30 * 6
    assert accuracy(judge, train) == 1.0
    assert accuracy(judge, test) > 0.9


def test_fine_tuning_depends_on_its_generator_alone():
    before = torch.get_rng_state()
    runs = []
    for other in (0, 1):
        torch.manual_seed(other)
        generator = torch.Generator().manual_seed(7)
        short = FineTuning(1e-3, epochs=2, batch_size=4)
        runs.append(fine_tune(bytes_classifier(), encoded(), short, generator).loss)
    torch.set_rng_state(before)
    assert runs[0] == runs[1]


def test_fine_tuning_leaves_pytorchs_generator_alone():
    before = torch.get_rng_state()
    fine_tune(bytes_classifier(), encoded(), FineTuning(epochs=1))
    assert torch.equal(before, torch.get_rng_state())


def test_the_history_counts_the_tokens_of_every_batch():
    history = fine_tune(
        bytes_classifier(), encoded(), FineTuning(epochs=1, batch_size=4)
    )
    # Texts of 2, 2, 2, 2 letters, then of 3, 4, 4, 4: with two specials, 4·4 and 4·6.
    assert history.tokens[-1] == 4 * 4 + 4 * 6


def test_the_accuracy_of_many_is_that_of_one_by_one():
    random = Random(0)
    texts = {"".join(random.choices("abx", k=random.randint(2, 6))) for _ in range(150)}
    task = mood(train=sorted(texts))
    examples = encode_examples(task, task.train, ByteTokenizer(), n_ctx=8)
    judge = bytes_classifier().eval()
    with torch.no_grad():
        one_by_one = [judge(examples.batch(torch.tensor([i]))[0]) for i in range(90)]
        margins = torch.cat(one_by_one).diff(dim=1)[:, 0]
        middle = margins.sort().values[44:46].mean()  # between two: nothing is tied
        judge.head.bias[1] -= middle  # so that each label is chosen at times
    chosen = margins > middle
    expected = (chosen == examples.labels[:90].bool()).float().mean().item()
    assert accuracy(judge.train(), examples[:90]) == pytest.approx(expected)
    assert judge.training


def test_examples_of_another_task_are_refused():
    examples = encoded()
    other = Classifier(bytes_classifier().language_model, "classification", 3)
    message = "n_labels: the classifier has 3, the examples 2"
    with pytest.raises(ValueError, match=message):
        accuracy(other, examples)
    with pytest.raises(ValueError, match=message):
        fine_tune(other, examples, FineTuning())
    with pytest.raises(ValueError, match="kind: the classifier has entailment"):
        accuracy(Classifier(other.language_model, "entailment", 2), examples)


def test_a_saved_head_of_another_size_or_kind_is_refused(tmp_path):
    def parts(n_labels, kind="entailment"):
        judge = Classifier(small(), kind, n_labels)
        text = RandomBatches(torch.arange(20), 2, 4)
        return judge, decayed_adam(judge, 1e-3, 0.0), text

    path = tmp_path / "judge.safetensors"
    save_checkpoint(path, *parts(2), History())
    with pytest.raises(
        ValueError, match=r"model\.head\.weight is \(2, 16\) .*\(3, 16\)"
    ):
        load_checkpoint(path, *parts(3))
    with pytest.raises(ValueError, match="kind.*entailment.*similarity"):
        load_checkpoint(path, *parts(2, "similarity"))
    assert load_checkpoint(path, *parts(2)).loss == []


def test_fine_tuning_shows_no_progress_bar(capsys):
    fine_tune(bytes_classifier(), encoded(), FineTuning(epochs=1))
    assert capsys.readouterr() == ("", "")


def test_a_model_without_special_tokens_is_refused():
    plain = Classifier(GPT(GPTConfig(256, 8, 16, 2, 1)), "classification", 2)
    with pytest.raises(
        ValueError, match=r"specials: .*start=253.* the examples .*start=256"
    ):
        accuracy(plain, encoded())


@pytest.mark.parametrize("changes", [{"epochs": 0}, {"batch_size": 0}])
def test_no_epoch_and_no_batch_are_refused(changes):
    with pytest.raises(ValueError, match="need >= 1"):
        fine_tune(bytes_classifier(), encoded(), FineTuning(**changes))


@pytest.mark.parametrize(
    ("kind", "n_labels", "message"),
    [("regression", 2, "kind 'regression'"), ("entailment", 1, "n_labels=1")],
)
def test_an_impossible_head_is_refused(kind, n_labels, message):
    with pytest.raises(ValueError, match=message):
        Classifier(small(), kind, n_labels)
