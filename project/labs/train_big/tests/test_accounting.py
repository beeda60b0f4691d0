"""The accounting sheet: counts of needle's own model, and figures that others have published."""

from dataclasses import replace
from fractions import Fraction

import needle as ndl
import numpy as np
import pytest
from cluster import run
from course_testing import assert_close, slip
from needle import nn, optim
from train_big.accounting import (
    Decoder,
    activation_bytes,
    all_reduce_bytes,
    block_operations,
    gradient_traffic,
    parameters,
    pipeline_bubble,
    state_bytes,
    tensor_traffic,
    training_operations,
)
from train_big.data_parallel import DataParallel
from train_big.meter import Meter
from train_big.sharded_optimizer import ShardedOptimizer
from train_big_networks import loss_of, network, normal

PROBLEM = "train-big/accounting"
GB = 10**9


def gpt(layers, width, heads, words=50257, positions=1024):
    """The form of GPT-2 and GPT-3."""
    sizes = (layers, width, heads, width // heads, heads, 4 * width, words, positions)
    return Decoder(*sizes, attention_bias=True, network_bias=True, tied=True)


def llama(layers, width, heads, key_heads, hidden, words=32000):
    """The form of Llama and Mistral."""
    return Decoder(
        layers, width, heads, width // heads, key_heads, hidden, words, gated=True, norm_vectors=1
    )


GPT3 = gpt(96, 12288, 96, positions=2048)
LLAMA2_7B = llama(32, 4096, 32, 32, 11008)

PUBLISHED = {
    "GPT-2": (gpt(12, 768, 12), 124_439_808),
    "GPT-2 XL": (gpt(48, 1600, 25), 1_557_611_200),
    "Llama 2 7B": (LLAMA2_7B, 6_738_415_616),
    "Llama 2 70B": (llama(80, 8192, 64, 8, 28672), 68_976_648_192),
    "Mistral 7B": (llama(32, 4096, 32, 8, 14336), 7_241_732_096),
    "Llama 3 8B": (llama(32, 4096, 32, 8, 14336, 128256), 8_030_261_248),
}


FLAGS = ("gated", "attention_bias", "network_bias", "logits_bias", "last_norm", "tied")


def draw(rng):
    """A model that nobody has built."""
    heads = int(rng.randint(1, 5))
    sizes = {"width": 40, "head_width": 9, "hidden": 99, "words": 200, "positions": 50}
    sizes = {name: int(rng.randint(2, most)) for name, most in sizes.items()}
    flags = {name: bool(rng.randint(0, 2)) for name in FLAGS}
    counts = {"layers": int(rng.randint(2, 9)), "block_norms": int(rng.randint(1, 5))}
    counts["norm_vectors"] = int(rng.randint(1, 3))
    return Decoder(heads=2 * heads, key_heads=heads, **sizes, **flags, **counts)


def assert_number(actual, desired, op):
    assert isinstance(actual, (int, np.integer)), (
        f"{PROBLEM}: {op} is a whole number; got {actual!r} of type {type(actual).__name__} (// is "
        "the division of whole numbers)"
    )
    assert_close(int(actual), desired, problem=PROBLEM, op=op)


# ------------------------------------------------------------------------------------ parameters


@pytest.mark.parametrize("name", PUBLISHED)
def test_accounting_parameters_are_those_of_published_models(name):
    model, published = PUBLISHED[name]
    assert_number(parameters(model), published, f"parameters of {name}")


def needle_model(layers, width, heads, head_width, hidden, words, positions):
    """Homework 4's language model from its parts, and its description."""
    sizes = {"num_head": heads, "dim_head": head_width, "sequence_len": positions}
    parts = [
        nn.Embedding(words, width),
        nn.Transformer(width, hidden, layers, **sizes),
        nn.Linear(width, words),
    ]
    described = (layers, width, heads, head_width, heads, hidden, words, positions)
    form = {"network_bias": True, "logits_bias": True, "block_norms": 4, "last_norm": False}
    model = Decoder(*described, **form)
    return parts, model


def test_accounting_parameters_are_those_of_your_own_language_model():
    parts, model = needle_model(3, 8, 2, 5, 24, 30, 16)
    count = sum(p.numpy().size for p in nn.Sequential(*parts).parameters())
    assert_number(parameters(model), count, "parameters of homework 4's language model")


def weights_of(model):
    """All weights by name, with their shapes."""
    F, H, K = model.width, model.heads * model.head_width, model.key_heads * model.head_width
    yield "embedding", (model.words, F)
    yield "positions", (model.positions, F)
    for k in range(model.layers):
        for name, shape in (("q", (F, H)), ("k", (F, K)), ("v", (F, K)), ("o", (H, F))):
            yield f"{k}.{name}", shape
            yield f"{k}.{name}.bias", (shape[1] * model.attention_bias,)
        names = ["gate", "up", "down"] if model.gated else ["up", "down"]
        for name in names:
            shape = (model.hidden, F) if name == "down" else (F, model.hidden)
            yield f"{k}.{name}", shape
            yield f"{k}.{name}.bias", (shape[1] * model.network_bias,)
        yield f"{k}.norms", (model.block_norms, model.norm_vectors, F)
    yield "last norm", (model.last_norm * model.norm_vectors, F)
    yield "logits", (F, model.words * (not model.tied))
    yield "logits.bias", (model.words * model.logits_bias,)


@pytest.mark.parametrize("seed", range(12))
def test_accounting_parameters_of_a_model_never_seen(seed):
    model = draw(np.random.RandomState(seed))
    desired = sum(int(np.prod(shape)) for _, shape in weights_of(model))
    assert_number(parameters(model), desired, f"parameters of {model}")


# ------------------------------------------------------------------------------------ operations


def test_accounting_operations_of_grouped_queries_and_a_gated_network():
    model = Decoder(1, 6, 6, 5, 2, 7, 11, gated=True)
    batch, time = 3, 8
    matrices = 6 * 30 + 2 * 6 * 10 + 30 * 6 + 3 * 6 * 7
    heads = slip("attention has as many products as there are queries, not keys", 6, 2)
    terms = slip("scores only: their product with the values is as large", 2, 1)
    pairs = slip("masked pairs are computed too", time * time, time * (time + 1) // 2)
    desired = 2 * batch * time * matrices + 2 * terms * batch * heads * pairs * 5
    assert_number(block_operations(model, batch, time), desired, "operations of one block")


def test_accounting_operations_are_those_that_your_transformer_layer_makes():
    batch, time, model = 2, 6, Decoder(1, 8, 3, 5, 3, 24, 30)
    layer = nn.TransformerLayer(8, 3, 5, 24)
    x = ndl.Tensor(np.ones((batch, time, 8)), dtype="float32")
    with Meter() as forward:
        y = layer(x)
    with Meter() as backward:
        y.backward()
    op = "operations of homework 4's Transformer layer"
    assert_number(block_operations(model, batch, time), forward.operations, op)
    both = forward.operations + backward.operations
    op = "operations of a step of one block, without logits"
    logits = training_operations(replace(model, layers=0), batch, time)
    assert_number(training_operations(model, batch, time) - logits, both, op)


@pytest.mark.parametrize("batch", [1, 3])
def test_accounting_operations_of_gpt3_are_the_published_formula(batch):
    """Narayanan et al.: 96 B s l h^2 (1 + s / 6h + V / 16lh), where blocks run again."""
    s, l, h, V = 2048, GPT3.layers, GPT3.width, GPT3.words
    desired = 96 * batch * s * l * h * h * (1 + Fraction(s, 6 * h) + Fraction(V, 16 * l * h))
    got = training_operations(GPT3, batch, s, checkpointed=True)
    assert_number(got, int(desired), "operations of a step of GPT-3, blocks computed again")


def test_accounting_operations_of_llama_2_fit_the_time_that_it_took():
    """2.0e12 tokens took 184,320 hours on A100, which promise 312e12 operations a second."""
    operations = training_operations(LLAMA2_7B, 1, 4096) * 2.0e12 / 4096
    share = operations / (184_320 * 3600 * 312e12)
    assert 0.35 < share < 0.5, f"{PROBLEM}: the machines were used to {share:.0%}: 45% is right"


# ----------------------------------------------------------------------------------------- bytes


def test_accounting_state_is_that_of_the_zero_paper():
    """Rajbhandari et al., figure 1: 7.5 billion parameters on 64 ranks."""
    for stage, published in enumerate((120, 31.4, 16.6, 1.9)):
        got = state_bytes(7_500_000_000, 64, stage)
        assert_close(got / GB, published, atol=0.05, rtol=0, problem=PROBLEM, op=f"stage {stage}")


@pytest.mark.parametrize("numbers, ranks", [(10, 1), (12, 4), (13, 4), (1, 8)])
def test_accounting_state_counts_the_largest_part(numbers, ranks):
    part = slip("parts are rounded up", -(-numbers // ranks), numbers // ranks)
    desired = [16 * numbers, 4 * numbers + 12 * part, 2 * numbers + 14 * part, 16 * part]
    for stage in range(4):
        op = f"state of {numbers} numbers on {ranks} ranks, stage {stage}"
        assert_number(state_bytes(numbers, ranks, stage), desired[stage], op)


def test_accounting_activations_of_gpt3_are_the_published_formula():
    """Korthikanti et al.: s b h (34 + 5 a s / h) bytes a layer; 2 s b h where it is recomputed."""
    s, b, h, a, L = 2048, 2, GPT3.width, GPT3.heads, GPT3.layers
    layer = 34 * s * b * h + 5 * a * s * s * b
    assert_number(activation_bytes(GPT3, b, s), L * layer, "activations of GPT-3")
    op = "activations of GPT-3, only inputs kept"
    assert_number(activation_bytes(GPT3, b, s, checkpointed=True), L * 2 * s * b * h + layer, op)


@pytest.mark.parametrize("gated", [False, True])
def test_accounting_activations_of_a_model_never_seen(gated):
    model = Decoder(3, 10, 6, 4, 2, 14, 50, gated=gated, block_norms=3)
    tokens, pairs = 2 * 5, 2 * 6 * 5 * 5
    halves = 10 * (3 + 1 + 1) + 2 * 24 + 2 * 8 + 14 * (4 if gated else 2)
    block = 2 * tokens * halves + tokens * 10 * 2 + 5 * pairs
    assert_number(activation_bytes(model, 2, 5), 3 * block, "activations")
    op = "activations, only inputs kept"
    assert_number(activation_bytes(model, 2, 5, checkpointed=True), 3 * 200 + block, op)


RINGS = pytest.mark.parametrize("numbers, ranks", [(12, 4), (13, 4), (7, 1), (64, 64)])


@RINGS
def test_accounting_all_reduce_sends_every_part_twice(numbers, ranks):
    part = slip("parts are rounded up", -(-numbers // ranks), numbers // ranks)
    desired = 2 * (ranks - 1) * part * 2
    assert_number(all_reduce_bytes(numbers, ranks), desired, "bytes of an all-reduce")


@RINGS
def test_accounting_traffic_is_that_of_rings(numbers, ranks):
    part = slip("parts are rounded up", -(-numbers // ranks), numbers // ranks)
    steps = slip("a ring of p ranks has p - 1 steps", ranks - 1, ranks)
    size = slip("a number of 16 bits has 2 bytes", 2, 4)
    for stage, rounds in enumerate((2, 2, 2, 3)):
        op = f"bytes that a rank sends, stage {stage}"
        desired = rounds * steps * part * size
        assert_number(gradient_traffic(numbers, ranks, stage), desired, op)


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_accounting_traffic_is_what_your_ranks_send(ranks):
    """Data parallel and with a sharded optimizer; needle's numbers have 4 bytes where the sheet has 2."""

    def data_parallel(comm, model):
        DataParallel(comm, model.parameters(), 10**9).backward(loss_of(model, normal(4, 8)))

    def sharded(comm, model):
        loss_of(model, normal(4, 8)).backward()
        ShardedOptimizer(comm, model.parameters(), lambda p: optim.SGD(p, lr=0.1)).step()

    numbers = sum(p.numpy().size for p in network().parameters())
    for stage, program in enumerate((data_parallel, sharded)):
        outcome = run(lambda comm, program=program: program(comm, network()), ranks)
        op = f"bytes that a rank sends, stage {stage}, in numbers of 4 bytes"
        assert_number(2 * gradient_traffic(numbers, ranks, stage), outcome.bytes_sent[0], op)


def test_accounting_traffic_of_tensor_parallel_blocks():
    model = Decoder(3, 10, 6, 4, 2, 14, 50)
    desired = 3 * 4 * 2 * 3 * (2 * 6 * 10 // 4) * 2
    assert_number(tensor_traffic(model, 2, 6, 4), desired, "bytes that a rank sends")


BUBBLES = [(1, 5, Fraction(0)), (4, 1, Fraction(3, 4)), (4, 8, Fraction(3, 11))]


@pytest.mark.parametrize("stages, micro_batches, share", BUBBLES)
def test_accounting_bubble_of_a_pipeline(stages, micro_batches, share):
    got = pipeline_bubble(stages, micro_batches)
    assert got == share, f"{PROBLEM}: the bubble of {stages}, {micro_batches} is {got}, not {share}"


# ---------------------------------------------------------------------------------------- graded


def submit_accounting():
    import mugrade

    rng = mugrade.rng()
    mark = int(rng.randint(2**31 - 1))  # no two variants have the same numbers
    for number in range(4):
        chosen = {name: (number + place) % 2 == 0 for place, name in enumerate(FLAGS)}
        model = replace(draw(rng), **chosen)
        batch, time, ranks = (int(rng.randint(2, 9)) for _ in range(3))
        total = parameters(model)
        mugrade.submit(total, label=f"model {number}: parameters")
        sheet = [block_operations(model, batch, time), training_operations(model, batch, time)]
        sheet.append(training_operations(model, batch, time, checkpointed=True))
        mugrade.submit(sheet, label=f"model {number}: operations")
        memory = [state_bytes(total, ranks, stage) for stage in range(4)]
        memory += [activation_bytes(model, batch, time, flag) for flag in (False, True)]
        mugrade.submit(memory, label=f"model {number}: bytes in memory")
        sent = [all_reduce_bytes(total, ranks), tensor_traffic(model, batch, time, ranks)]
        sent += [gradient_traffic(total, ranks, stage) for stage in range(4)]
        mugrade.submit(sent, label=f"model {number}: bytes sent")
        bubble = pipeline_bubble(ranks, batch)
        pair = [bubble.numerator, bubble.denominator, mark]
        mugrade.submit(pair, label=f"model {number}: bubble")
