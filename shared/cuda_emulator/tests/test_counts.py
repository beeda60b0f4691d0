"""NEEDLE_CUDA_COUNTS: what the checked build counts of kernels that can be counted by hand."""

import json

import building
import pytest

EXPECTED = {
    # A warp's 32 neighbours are one line of 128 bytes; one line is read, one written.
    "a_row": {"global_loads": 32, "floats_loaded": 32, "global_stores": 32, "transactions": 2},
    # Each of 32 loads meets a line of its own; the stores are one line.
    "a_column": {"global_loads": 32, "floats_loaded": 32, "transactions": 33},
    # One instruction a thread moves four floats: 512 bytes are 4 lines, read and written.
    "four_at_a_time": {"global_loads": 32, "floats_loaded": 128, "transactions": 8},
    # A column of a tile 32 wide lies in one bank: the last of 32 threads waits 31 turns, 32 times.
    "a_tile_of_32_columns": {"shared_stores": 1024, "bank_conflicts": 31 * 32, "barriers": 1},
    "a_tile_of_33_columns": {"shared_loads": 1024, "bank_conflicts": 0, "barriers": 1},
    "two_whole_warps": {"global_loads": 64, "split": 0},
}


@pytest.fixture
def program(once):
    return building.build(building.HERE / "counts.cu", "checked", once)


def counts(program, case, file, monkeypatch):
    monkeypatch.setenv("NEEDLE_CUDA_COUNTS", str(file))
    assert building.run(program, case) == "fine"
    (row,) = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return row


@pytest.mark.parametrize("case", EXPECTED)
def test_what_can_be_counted_by_hand(program, case, tmp_path, monkeypatch):
    row = counts(program, case, tmp_path / "counts.json", monkeypatch)
    assert {key: row[key] for key in EXPECTED[case]} == EXPECTED[case], row


def test_a_branch_through_a_warp_is_seen(program, tmp_path, monkeypatch):
    row = counts(program, "a_split_warp", tmp_path / "counts.json", monkeypatch)
    assert row["split"] >= 2 and row["block"] == [64, 1, 1], row  # both sides run for a part


def test_without_the_variable_nothing_is_written(program, tmp_path, monkeypatch):
    monkeypatch.delenv("NEEDLE_CUDA_COUNTS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert building.run(program, "a_row") == "fine" and not list(tmp_path.iterdir())
