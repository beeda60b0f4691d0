"""The reference's rungs of the CUDA product ask of a GPU what the course's formulas say, exactly."""

import re
import sys

import inside
import pytest

sys.path.append(str(inside.ROOT / "shared" / "bench"))
import hw3_cuda

N = 64
WARPS = N * N // 32  # with one thread a result
LINES_OF_A_RESULT = 2  # a warp of a 16 x 16 block is two rows of 16 floats, half a line each


@pytest.fixture(scope="module")
def rungs():
    return {rung: hw3_cuda.counted(rung, N, inside.place) for rung in hw3_cuda.RUNGS}


@pytest.mark.parametrize("rung", hw3_cuda.RUNGS)
def test_every_float_is_loaded_once_for_a_tile(rungs, rung):
    assert rungs[rung]["floats_loaded"] == 2 * N**3 // hw3_cuda.RUNGS[rung]
    assert rungs[rung]["split"] == 0  # 64 is a multiple of every tile


def test_the_naive_rung_reads_two_rows_of_a_and_one_of_b_for_each_k(rungs):
    row = rungs["naive"]
    assert row["global_stores"] == N * N and row["global_loads"] == 2 * N**3
    # For each k a warp wants a number of two rows of a, 256 bytes apart, and 16 neighbours of b.
    assert row["transactions"] == WARPS * (3 * N + LINES_OF_A_RESULT)
    assert row["shared_loads"] == row["shared_stores"] == row["barriers"] == 0


def test_shared_tiles_wait_twice_a_tile_and_for_no_bank(rungs):
    row, tiles, blocks = rungs["shared_tiles"], N // 16, (N // 16) ** 2
    assert row["shared_loads"] == 2 * N**3 and row["shared_stores"] == 2 * N**3 // 16
    assert row["barriers"] == 2 * tiles * blocks
    assert row["transactions"] == WARPS * (4 * tiles + LINES_OF_A_RESULT)
    assert row["bank_conflicts"] == 0


@pytest.mark.parametrize("rung", ["register_tiles", "vector_loads"])
def test_register_tiles_need_half_a_load_from_shared_memory_for_a_product(rungs, rung):
    row = rungs[rung]
    assert row["shared_loads"] == N**3 // 2 and row["barriers"] == 2 * N // 16


def test_vector_loads_are_a_quarter_of_the_instructions(rungs):
    assert 4 * rungs["vector_loads"]["global_loads"] == rungs["register_tiles"]["global_loads"]


@pytest.mark.parametrize("text", ["hw3/README.md", "shared/notes/gpu-model.md"])
def test_the_texts_have_these_counts(rungs, text):
    keys = {title: key for key, title in hw3_cuda.COLUMNS.items()}
    content = (inside.ROOT / text).read_text(encoding="utf-8")
    table = re.search(r"^\| rung \| floats loaded .*\n\|[-:|]+\n((?:\|.*\n)+)", content, re.M)
    titles, *rows = [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in [table[0].splitlines()[0], *table[1].splitlines()]
    ]
    told = {
        rung.replace(" ", "_"): {keys[t]: int(n.replace(",", "")) for t, n in zip(titles[1:], row)}
        for rung, *row in rows
    }
    assert told == {rung: {key: rungs[rung][key] for key in told[rung]} for rung in rungs}
