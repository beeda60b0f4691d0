"""A module's state by name, and files in the safetensors format to keep it in.

The format (https://github.com/huggingface/safetensors): the length of the header as 8 bytes, little
endian; the header, a JSON object from each name to its dtype, shape and place in the data; the data.
"""

import json
import os

import numpy

from needle.autograd import Tensor

_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BOOL": "bool",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8",
}  # fmt: skip
_CODES = {name: code for code, name in _DTYPES.items()}


def _named_tensors(value, name=""):
    """(name, Tensor) for every Tensor below `value`: parameters, running statistics, ..."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _named_tensors(part, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        yield from _named_tensors(dict(enumerate(value)), name)
    elif hasattr(value, "parameters"):  # a Module
        yield from _named_tensors(value.__dict__, name)


def state_dict(module):
    """Copies of all Tensors of a module; a name is the path of attributes: "modules.0.weight"."""
    return {
        name: Tensor(value.numpy(), device=value.device, dtype=value.dtype, requires_grad=False)
        for name, value in _named_tensors(module)
    }


def load_state_dict(module, state):
    """Replace the data of all Tensors of a module; nothing changes if a name or shape is wrong.

    Args:
        state: dict from name to Tensor or NumPy array, with exactly the names of the module.

    Raises:
        KeyError, ValueError: they name the parameter.
    """
    targets = dict(_named_tensors(module))
    for name, target in targets.items():
        if name not in state:
            raise KeyError(f"{name} of {type(module).__name__} is missing in the state")
        if state[name].shape != target.shape:
            raise ValueError(
                f"{name} of {type(module).__name__} has shape {target.shape}, "
                f"the state holds {state[name].shape}"
            )
    for name in state:
        if name not in targets:
            raise KeyError(f"the state holds {name}, which {type(module).__name__} does not have")
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
        if array.dtype.name not in _CODES:
            raise ValueError(f"{name}: safetensors has no dtype {array.dtype}")
        part = array.astype(array.dtype.newbyteorder("<")).tobytes()
        header[name] = {
            "dtype": _CODES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [end, end + len(part)],
        }
        parts.append(part)
        end += len(part)
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
    start = 8 + int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8:start])
        header.pop("__metadata__", None)
        return {name: _read_array(content[start:], **entry) for name, entry in header.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}") from error


def _read_array(data, dtype, shape, data_offsets):
    begin, end = data_offsets
    stored = numpy.dtype(_DTYPES[dtype]).newbyteorder("<")
    array = numpy.frombuffer(data[begin:end], dtype=stored).reshape(shape)
    return array.astype(stored.newbyteorder("="))
