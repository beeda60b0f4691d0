"""Encoding and decoding: what goes in comes out, and hostile JSON is refused by name."""

import datetime as dt
import json
import math

import hypothesis.extra.numpy as hnp
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mugrade.encoding import (
    ARRAY_DTYPES,
    Array,
    EncodingError,
    TypeName,
    canonical_type,
    check_limits,
    decode,
    encode,
)

arrays = hnp.arrays(
    dtype=st.sampled_from(sorted(ARRAY_DTYPES)),
    shape=hnp.array_shapes(min_dims=0, max_dims=4, min_side=0),
)


def over_the_wire(data):
    """Through the client's encoder and the server's decoder, as in life."""
    return msgspec.json.decode(json.dumps(data, allow_nan=False).encode())


@given(arrays)
def test_every_array_survives_the_wire_bit_for_bit(array):
    back = decode(over_the_wire(encode(array)))
    assert back.dtype == array.dtype.name and back.explicit_shape
    assert back.values.dtype == array.dtype and back.values.shape == array.shape
    np.testing.assert_array_equal(back.values, array)


def test_public_form_is_the_public_clients_bytes():
    value = {
        "a": [1, 2.5, None, "x", True],
        "t": (np.float32(0.5), np.int16(3)),
        "n": np.array([[1.0, 2.0]], dtype=np.float32),
        "d": dt.datetime(2026, 1, 2, 3, 4, 5),
        "y": np.dtype("float32"),
        "c": float,
    }
    assert encode(value, public=True) == {
        "a": [1, 2.5, None, "x", True],
        "t": [0.5, 3],
        "n": {"_encoded_type": "np.ndarray", "data": [[1.0, 2.0]]},
        "d": {"_encoded_type": "datetime", "data": "2026-01-02T03:04:05"},
        "y": {"_encoded_type": "type", "data": "dtype('float32')"},
        "c": {"_encoded_type": "type", "data": "<class 'float'>"},
    }


def test_big_arrays_and_arrays_with_nan_travel_as_base64_little_endian():
    big = encode(np.arange(100, dtype=">i4"))
    assert big["encoding"] == "base64" and big["dtype"] == "int32" and big["shape"] == [100]
    np.testing.assert_array_equal(decode(big).values, np.arange(100))
    assert encode(np.array([np.nan]))["encoding"] == "base64"
    assert "encoding" not in encode(np.array([1.0]))


def test_scalars_that_json_lacks_are_tagged():
    assert encode(float("-inf")) == {"_encoded_type": "float", "data": "-inf"}
    assert math.isnan(decode(encode(np.float32("nan"))))
    assert decode(encode(np.bool_(True))) is True


def test_an_object_with_a_numpy_method_is_its_array():
    class Tensor:
        def numpy(self):
            return np.ones((2, 3), dtype=np.float32)

    assert decode(encode(Tensor())).values.shape == (2, 3)


@pytest.mark.parametrize(
    "value",
    [object(), 1j, b"bytes", {1, 2}, {1: 2}, {"_encoded_type": 1}, 2**64, -(2**63) - 1]
    + [np.array(["a"]), np.array([object()]), np.array([1j]), lambda: 0],
)
def test_what_cannot_travel_is_refused(value):
    with pytest.raises(EncodingError):
        encode(value)


def test_a_refusal_names_the_type():
    with pytest.raises(EncodingError, match=r"builtins\.set"):
        encode([{"a": {1}}])


@pytest.mark.parametrize(
    "data",
    [
        {"_encoded_type": "pickle", "data": "gASV"},
        {"_encoded_type": "np.ndarray"},
        {"_encoded_type": "np.ndarray", "data": "text"},
        {"_encoded_type": "np.ndarray", "data": [[1], [1, 2]]},
        {"_encoded_type": "np.ndarray", "data": [None]},
        {"_encoded_type": "np.ndarray", "data": [{"a": 1}]},
        {"_encoded_type": "np.ndarray", "data": ["a"]},
        {"_encoded_type": "np.ndarray", "data": [2**64, -1]},
        {"_encoded_type": "np.ndarray", "data": [1.5], "dtype": "int32", "shape": [1]},
        {"_encoded_type": "np.ndarray", "data": [300], "dtype": "uint8", "shape": [1]},
        {"_encoded_type": "np.ndarray", "data": [1e300], "dtype": "float32", "shape": [1]},
        {"_encoded_type": "np.ndarray", "data": [True], "dtype": "float32", "shape": [1]},
        {"_encoded_type": "np.ndarray", "data": [1.5], "dtype": "object", "shape": [1]},
        {"_encoded_type": "np.ndarray", "data": [1.5], "dtype": ["f4"], "shape": [1]},
        {"_encoded_type": "np.ndarray", "data": [1.5], "dtype": "float32", "shape": [2]},
        {"_encoded_type": "np.ndarray", "data": [1.5], "dtype": "float32", "shape": [True]},
        {"_encoded_type": "np.ndarray", "data": [1.5], "dtype": "float32", "shape": [1] * 17},
        {"_encoded_type": "np.ndarray", "data": "AAAA", "encoding": "base64"},
        {
            "_encoded_type": "np.ndarray",
            "data": "A",
            "encoding": "base64",
            "dtype": "int8",
            "shape": [1],
        },
        {
            "_encoded_type": "np.ndarray",
            "data": "é",
            "encoding": "base64",
            "dtype": "int8",
            "shape": [1],
        },
        {
            "_encoded_type": "np.ndarray",
            "data": "AAAA",
            "encoding": "base64",
            "dtype": "int8",
            "shape": [2**39] * 3,
        },
        {
            "_encoded_type": "np.ndarray",
            "data": "Ag==",
            "encoding": "base64",
            "dtype": "bool",
            "shape": [1],
        },
        {"_encoded_type": "np.ndarray", "data": [1], "encoding": "zip"},
        {"_encoded_type": "float", "data": 1},
        {"_encoded_type": "datetime", "data": "yesterday"},
        {"_encoded_type": ["float"]},
        {"_encoded_type": None, "data": 1},
    ],
)
def test_malformed_tagged_objects_are_refused(data):
    check_limits([data]) if "data" not in data or data["data"] != [2**64, -1] else None
    with pytest.raises(EncodingError):
        decode([{"a": data}])


json_data = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.text() | st.sampled_from(["_encoded_type", "data", "dtype", "shape"]), inner
        )
        | st.fixed_dictionaries(
            {
                "_encoded_type": st.sampled_from(["np.ndarray", "type", "datetime", "float"]),
                "data": inner,
            },
            optional={
                "dtype": st.sampled_from(["float32", "int8", "bool"]) | inner,
                "shape": inner,
            },
        )
    ),
    max_leaves=20,
)


@given(json_data)
def test_decode_returns_or_refuses_and_nothing_else(data):
    try:
        check_limits(data)
        decode(data)
    except EncodingError:
        pass


def test_limits_are_exact():
    deep = 0
    for _ in range(16):
        deep = [deep]
    assert check_limits(deep) == 17
    with pytest.raises(EncodingError, match="deeper"):
        check_limits([deep])
    assert check_limits([0] * 199_999) == 200_000
    with pytest.raises(EncodingError, match="nodes"):
        check_limits([0] * 200_000)
    check_limits([2**64 - 1, -(2**63)])
    for bad in (2**64, -(2**63) - 1, float("nan"), float("inf")):
        with pytest.raises(EncodingError):
            check_limits({"a": [bad]})


def test_depth_ten_thousand_is_refused_without_recursion():
    deep = 0
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(EncodingError):
        check_limits(deep)


@pytest.mark.parametrize(
    "spelling",
    ["float32", "dtype('float32')", "<class 'numpy.float32'>", "numpy.float32", "dtype('<f4')"]
    + ["dtype('>f4')", "np.float32", "torch.float32", "<f4", " float32 ", "numpy.dtype('float32')"],
)
def test_float32_however_it_was_spelled(spelling):
    assert canonical_type(spelling) == "float32"


def test_other_types_keep_their_name():
    assert canonical_type("<class 'needle.autograd.Tensor'>") == "needle.autograd.Tensor"
    assert canonical_type("<class 'float'>") == canonical_type(repr(np.dtype(float))) == "float64"
    assert decode(encode(np.dtype("bool"))) == TypeName("bool") == decode(encode(bool))


def test_nested_lists_without_shape_are_marked_as_such():
    back = decode({"_encoded_type": "np.ndarray", "data": [[1, 2]]})
    assert isinstance(back, Array) and back.dtype is None and not back.explicit_shape


@pytest.mark.parametrize("value", ["half \ud800", {"\udfff": 1}, ["a", {"b": "\ud83d"}]])
def test_half_characters_are_refused_before_they_travel(value):
    with pytest.raises(EncodingError, match="surrogate"):
        encode(value)


@pytest.mark.parametrize("shape", [[2**39, 2**39, 0], [2**20, 2**20], [2**39, 2, 0]])
def test_shapes_that_no_array_can_have_are_refused(shape):
    for body in ({"encoding": "base64", "data": ""}, {"data": []}):
        with pytest.raises(EncodingError):
            decode({"_encoded_type": "np.ndarray", "dtype": "float64", "shape": shape, **body})
