"""A module's state by name, and files in the safetensors format to keep it in.

The format (https://github.com/huggingface/safetensors): the length of the header as 8 bytes, little
endian; the header, a JSON object from each name to its dtype, shape and place in the data; the data.
"""

import json
import os

import numpy

from needle.autograd import Tensor

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
           "I8": "|i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1"}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}


def named(value, kind, name=""):
    """(path, part) for everything of class `kind` in a Module, dict, list or tuple: depth first,
    in order. The path of attributes, keys and indices reads "modules.0.weight"."""
    if isinstance(value, kind):
        yield name, value
    if hasattr(value, "forward"):  # a Module
        value = vars(value)
    elif isinstance(value, (list, tuple)):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        for key, part in value.items():
            yield from named(part, kind, f"{name}.{key}" if name else str(key))


def state_dict(module):
    """Copies of all Tensors of a module; a name is the path of attributes: "modules.0.weight"."""
    return {
        name: Tensor(value.numpy(), device=value.device, dtype=value.dtype, requires_grad=False)
        for name, value in named(module, Tensor)
    }


def load_state_dict(module, state):
    """Replace the data of all Tensors of a module; nothing changes if a name or shape is wrong.

    Args:
        state: dict from name to Tensor or NumPy array, with exactly the names of the module.

    Raises:
        KeyError, ValueError: they name the parameter.
    """
    targets = dict(named(module, Tensor))
    kind = type(module).__name__
    for name in [*targets, *state]:
        if name not in state:
            raise KeyError(f"{name} of {kind} is missing in the state")
        if name not in targets:
            raise KeyError(f"the state holds {name}, which {kind} does not have")
        given, expected = state[name].shape, targets[name].shape
        if given != expected:
            raise ValueError(f"{name} of {kind} has shape {expected}, the state holds {given}")
    for name, target in targets.items():
        value = state[name].numpy() if isinstance(state[name], Tensor) else state[name]
        target.data = Tensor(value, device=target.device, dtype=target.dtype)


def save(state, path):
    """Write a Module, or a dict from names to Tensors or NumPy arrays, as a safetensors file."""
    if hasattr(state, "state_dict"):
        state = state.state_dict()
    header, parts, end = {}, [], 0
    for name, value in state.items():
        array = numpy.asarray(value.numpy() if isinstance(value, Tensor) else value)
        array = array.astype(array.dtype.newbyteorder("<"))
        if array.dtype.str not in _CODES:
            raise ValueError(f"{name}: safetensors has no dtype {array.dtype}")
        place = [end, end := end + array.nbytes]
        code = _CODES[array.dtype.str]
        header[name] = {"dtype": code, "shape": array.shape, "data_offsets": place}
        parts.append(array.tobytes())
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the data begin at a multiple of 8 bytes
    unfinished = f"{path}.part"
    with open(unfinished, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + b"".join(parts))
    os.replace(unfinished, path)  # an interrupted save leaves the old file as it was


def load(path):
    """Read a safetensors file: a dict from names to NumPy arrays."""
    with open(path, "rb") as file:
        content = file.read()
    arrays, start = {}, 8 + int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8:start])
        header.pop("__metadata__", None)
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            array = numpy.frombuffer(content[start + begin : start + end], _DTYPES[entry["dtype"]])
            arrays[name] = array.reshape(entry["shape"]).copy()
        return arrays
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}") from error
