import math
import re
from pathlib import Path

import pytest

from gptcourse.lesson import papers

ROOT = Path(__file__).resolve().parents[2]


def value(key):
    return papers.fact(key).value


def test_every_fact_has_a_value_a_place_a_paper_and_a_known_mark():
    for key in papers.every_key():
        fact = papers.fact(key)
        assert fact.value not in ("", None), key
        assert isinstance(fact.value, (int, float, str)), key
        assert fact.place, key
        assert fact.paper, key
        assert fact.mark in {"verified", "computed", "figure", "from memory"}, key
        assert re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+){2,3}", key), key


def test_every_fact_key_in_the_package_exists():
    for path in (ROOT / "gptcourse").rglob("*.py"):
        for key in re.findall(r"""\bfact\(\s*["']([^"']+)["']""", path.read_text()):
            assert papers.fact(key), path


def test_a_fact_knows_its_unit_place_and_mark():
    fact = papers.fact("gpt1.t5.no_pretraining")
    assert (fact.value, fact.unit, fact.place) == (59.9, "points", "T5")
    assert (fact.paper, fact.mark) == ("GPT-1", "verified")
    assert str(fact) == "59.9 points (GPT-1, T5)"
    assert papers.fact("gpt1.f2.race_all").mark == "figure"


def test_what_a_fact_says_itself_overrides_the_tables_around_it():
    assert papers.fact("gpt1.model.layer_norm_eps").place == "authors' code"
    assert papers.fact("gpt1.t5.cola.full").unit == "Matthews × 100"


def test_facts_read_well_as_text():
    assert papers.fact("gpt3.training.tokens").figure == "300,000,000,000 tokens"
    assert papers.fact("gpt1.pretraining.learning_rate").figure == "0.00025"
    assert papers.fact("gpt1.model.activation").figure == "GELU"
    assert papers.fact("gpt1.model.masked_logit").figure == "-1,000,000,000"


def test_an_unknown_key_is_refused_in_one_line_with_near_keys():
    with pytest.raises(KeyError, match=r"no fact 'gpt1.t5.no_pretrain'.*gpt1\.t5"):
        papers.fact("gpt1.t5.no_pretrain")
    with pytest.raises(KeyError, match="see papers.toml"):
        papers.fact("?")


def test_t5_means_are_the_means_of_their_rows():
    tasks = ["cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte"]
    for row in ("full", "no_pretraining", "no_auxiliary", "lstm"):
        mean = sum(value(f"gpt1.t5.{task}.{row}") for task in tasks) / len(tasks)
        assert mean == pytest.approx(value(f"gpt1.t5.mean.{row}"), abs=0.0051)
        assert mean == pytest.approx(value(f"gpt1.t5.{row}"), abs=0.07)


def test_gpt1_counts_follow_from_its_shapes():
    width = value("gpt1.model.n_embd")
    block = 12 * width**2 + 13 * width
    tables = (value("gpt1.model.n_vocab") + value("gpt1.model.n_ctx")) * width
    count = tables + value("gpt1.model.n_layer") * block
    assert count == value("gpt1.model.parameters")


def test_gpt1_costs_in_the_text_follow_from_t5():
    full = value("gpt1.t5.full")
    lstm, none = value("gpt1.t5.lstm"), value("gpt1.t5.no_pretraining")
    assert full - lstm == pytest.approx(value("gpt1.analysis.lstm_cost"))
    assert full - none == pytest.approx(value("gpt1.analysis.no_pretraining_cost"))


def pre_norm_count(n_vocab, n_ctx, width, n_layer):
    """Biases, tied output, one more norm after the last block."""
    block = 12 * width**2 + 13 * width
    return (n_vocab + n_ctx) * width + n_layer * block + 2 * width


@pytest.mark.parametrize("size", ["small", "medium", "large", "xl"])
def test_gpt2_counts_follow_from_t2(size):
    width, layers = value(f"gpt2.t2.n_embd.{size}"), value(f"gpt2.t2.n_layer.{size}")
    count = pre_norm_count(50257, value("gpt2.model.n_ctx"), width, layers)
    assert count == value(f"gpt2.parameters.{size}")
    assert width / value(f"gpt2.n_head.{size}") == 64


SIZES = ["small", "medium", "large", "xl", "2_7b", "6_7b", "13b", "175b"]


@pytest.mark.parametrize("size", SIZES)
def test_gpt3_counts_and_compute_follow_from_t2_1(size):
    width = value(f"gpt3.t2_1.n_embd.{size}")
    if size == "13b":
        width = value("gpt3.parameters.13b_width")
    layers = value(f"gpt3.t2_1.n_layer.{size}")
    millions = pre_norm_count(50257, 2048, width, layers) / 1e6
    assert millions == pytest.approx(value(f"gpt3.d1.parameters.{size}"), rel=0.004)
    flops = 6 * value(f"gpt3.d1.parameters.{size}") * 1e6 * 300e9
    days = flops / value("gpt3.d1.flops.per_pf_day")
    assert days == pytest.approx(value(f"gpt3.d1.compute.{size}"), rel=0.006)


@pytest.mark.parametrize("size", [size for size in SIZES if size not in ("xl", "13b")])
def test_gpt3_heads_multiply_out_but_for_two_misprints(size):
    heads, width = value(f"gpt3.t2_1.n_head.{size}"), value(f"gpt3.t2_1.n_embd.{size}")
    assert heads * value(f"gpt3.t2_1.d_head.{size}") == width


def test_the_misprints_of_gpt3_carry_a_note():
    for key in ("gpt3.t2_1.n_head.xl", "gpt3.t2_1.n_embd.13b"):
        assert (
            "multiply out" in papers.fact(key).note
            or "misprint" in papers.fact(key).note
        )


BLOOM_BITS = -math.log(1e-8) / math.log(2) ** 2
CHECKS = {
    "gpt3.checks.parameters_175b": pre_norm_count(50257, 2048, 12288, 96) / 1e6,
    "gpt3.checks.parameters_13b": pre_norm_count(50257, 2048, 5120, 40) / 1e6,
    "gpt3.checks.flops_175b": 6 * 174.6e9 * 300e9,
    "gpt3.checks.pf_days_175b": 6 * 174.6e9 * 300e9 / 8.64e19,
    "gpt3.checks.pareto_keep": (2 - 0.5) ** -9,
    "best_of_n.kl.n16": math.log(16) - 15 / 16,
    "dpo.loss.at_reference": math.log(2),
    "toolformer.weights.sum": sum(max(0, 1 - 0.2 * t) for t in range(9)),
    "bloom.filter.bits": BLOOM_BITS,
    "bloom.filter.hashes": round(BLOOM_BITS * math.log(2)),
    "minhash.bands.b20_r5": 1 - (1 - 0.8**5) ** 20,
}


@pytest.mark.parametrize("key", CHECKS)
def test_a_check_value_follows_from_its_formula(key):
    assert value(key) == pytest.approx(CHECKS[key], rel=3e-4)


@pytest.mark.parametrize(
    ("size", "width", "layers", "hidden"),
    [("7b", 4096, 32, 11008), ("13b", 5120, 40, 13824),
     ("33b", 6656, 60, 17920), ("65b", 8192, 80, 22016)],
)  # fmt: skip
def test_llama_counts_follow_from_its_shapes(size, width, layers, hidden):
    block = 4 * width**2 + 3 * width * hidden + 2 * width
    count = 2 * 32000 * width + layers * block + width
    assert count / 1e9 == pytest.approx(value(f"llama.parameters.{size}"), abs=5e-4)


def test_gpt2_overlap_means_follow_from_t6():
    sets = ["ptb", "wikitext2", "enwik8", "text8", "wikitext103", "one_billion_words"]
    for row in ("own_train", "webtext"):
        mean = sum(value(f"gpt2.t6.{row}.{name}") for name in sets) / len(sets)
        assert mean == pytest.approx(value(f"gpt2.t6.mean.{row}"), abs=0.0051)
