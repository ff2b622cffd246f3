"""Reads and writes .npy files of int32, int64 and float32 with the standard library alone."""
import array
import ast
import struct
import sys

CODES = {"<f4": "f", "<i4": "i", "<i8": "q"}


class Array:
    """A shape and its elements in row-major order."""

    def __init__(self, shape, values):
        self.shape, self.values = tuple(shape), values

    def row(self, index):
        """The elements of one index of the first axis, as an Array of the other axes."""
        size = len(self.values) // self.shape[0]
        return Array(self.shape[1:], self.values[index * size:(index + 1) * size])

    def rows(self, indices):
        """Some indices of the first axis, joined."""
        out = array.array(self.values.typecode)
        for index in indices:
            out += self.row(index).values
        return Array((len(indices),) + self.shape[1:], out)


def load(path):
    with open(path, "rb") as file:
        data = file.read()
    if data[:6] != b"\x93NUMPY":
        raise ValueError(f"{path}: not an .npy file")
    wide = data[6] > 1
    length = struct.unpack_from("<I" if wide else "<H", data, 8)[0]
    start = (12 if wide else 10) + length
    header = ast.literal_eval(data[start - length:start].decode())
    if header["fortran_order"] or header["descr"] not in CODES:
        raise ValueError(f"{path}: unexpected layout {header}")
    values = array.array(CODES[header["descr"]])
    values.frombytes(data[start:])
    if sys.byteorder == "big":
        values.byteswap()
    count = 1
    for size in header["shape"]:
        count *= size
    if count != len(values):
        raise ValueError(f"{path}: {len(values)} elements, expected {count}")
    return Array(header["shape"], values)


def save(path, shape, values):
    """Writes int32 elements."""
    shape = tuple(shape)
    header = str({"descr": "<i4", "fortran_order": False, "shape": shape})
    header += " " * ((64 - (11 + len(header)) % 64) % 64) + "\n"
    data = array.array("i", values)
    if sys.byteorder == "big":
        data.byteswap()
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        file.write(data.tobytes())
