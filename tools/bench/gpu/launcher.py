"""Launches a kernel of an ingot in this process, in the way that runtime/device/cuda/CudaDevice.cpp does, so that it
can be timed in turn with a peer by the same events: arguments are buffers, sizes (64-bit), an address for each
size that the device may know (none here: null), tensor maps."""
import ctypes

import plan

MAP_TYPES = {"u8": 0, "i8": 0, "i1": 0, "i32": 3, "i64": 5, "f16": 6, "f32": 7, "bf16": 9}
_SWIZZLE = {0: 0, 32: 1, 64: 2, 128: 3}
_PROMOTION = {0: 0, 64: 1, 128: 2, 256: 3}
MAX_SHARED_BYTES, NON_PORTABLE_CLUSTER = 8, 14   # CUfunction_attribute
CLUSTER_DIMENSION, PROGRAMMATIC_SERIALIZATION = 4, 6  # CUlaunchAttributeID


class Attribute(ctypes.Structure):
    """CUlaunchAttribute: the value is a union of 64 bytes, of which these are the first."""
    _fields_ = [("id", ctypes.c_int), ("pad", ctypes.c_char * 4), ("value", ctypes.c_uint * 16)]


class Config(ctypes.Structure):
    """CUlaunchConfig."""
    _fields_ = [("grid", ctypes.c_uint * 3), ("block", ctypes.c_uint * 3), ("shared_bytes", ctypes.c_uint),
                ("stream", ctypes.c_void_p), ("attributes", ctypes.POINTER(Attribute)),
                ("attribute_count", ctypes.c_uint)]


def open_driver():
    """libcuda.so.1; PyTorch has made the context that is current."""
    return ctypes.CDLL("libcuda.so.1")


def _check(driver, result, what):
    if result:
        text = ctypes.c_char_p()
        driver.cuGetErrorString(result, ctypes.byref(text))
        raise RuntimeError(f"{what}: {(text.value or b'unknown').decode()} (CUDA error {result})")


class Kernel:
    """A loaded entry point. `spec` is its object in the report of inspect."""

    def __init__(self, driver, launch):
        self.driver, self.spec = driver, launch.kernel
        self.image = launch.code
        module, self.function = ctypes.c_void_p(), ctypes.c_void_p()
        name = self.spec["entry"]
        _check(driver, driver.cuModuleLoadData(ctypes.byref(module), self.image), f"loading the code of {name}")
        result = driver.cuModuleGetFunction(ctypes.byref(self.function), module, name.encode())
        _check(driver, result, f"finding {name}")
        self._set(MAX_SHARED_BYTES, self.spec.get("shared_bytes", 0))
        x, y, z = self.spec.get("cluster", (1, 1, 1))
        if x * y * z > 8:
            self._set(NON_PORTABLE_CLUSTER, 1)

    def _set(self, attribute, value):
        _check(self.driver, self.driver.cuFuncSetAttribute(self.function, attribute, value),
               f"setting attribute {attribute} of {self.spec['entry']} to {value}")

    def _tensor_map(self, spec, addresses, sizes):
        """An encoded CUtensorMap: 128 bytes at a multiple of 64."""
        values = {f"size{i}": value for i, value in enumerate(sizes)}
        dims, strides = plan.sizes(spec["dims"], values), plan.sizes(spec["strides"], values)
        rank = len(dims)
        memory = ctypes.create_string_buffer(192)
        address = (ctypes.addressof(memory) + 63) // 64 * 64
        result = self.driver.cuTensorMapEncodeTiled(
            ctypes.c_void_p(address), MAP_TYPES[spec["dtype"]], rank,
            ctypes.c_void_p(addresses[spec["buffer"]] + spec["offset"]), (ctypes.c_uint64 * rank)(*dims),
            (ctypes.c_uint64 * max(1, rank - 1))(*strides), (ctypes.c_uint32 * rank)(*spec["box"]),
            (ctypes.c_uint32 * rank)(*spec.get("element_strides", [1] * rank)), 0, _SWIZZLE[spec["swizzle"]],
            _PROMOTION[spec["l2_promotion"]], int(spec["nan_fill"]))
        _check(self.driver, result, f"encoding a tensor map of {spec['dims']} of {self.spec['entry']}")
        return memory, address

    def prepare(self, grid, addresses, sizes):
        """A function of a stream that launches it with these arguments; encoded once."""
        values = [ctypes.c_uint64(address) for address in addresses]
        values += [ctypes.c_int64(value) for value in sizes]
        values += [ctypes.c_void_p(None) for _ in self.spec.get("device_sizes", [])]
        maps = [self._tensor_map(spec, addresses, sizes) for spec in self.spec.get("tensor_maps", [])]
        pointers = [ctypes.addressof(value) for value in values] + [address for _, address in maps]
        parameters = (ctypes.c_void_p * len(pointers))(*pointers)
        attributes, count = (Attribute * 2)(), 0
        cluster = self.spec.get("cluster")
        if cluster:
            grid = [-(-n // c) * c for n, c in zip(grid, cluster)]  # whole clusters
            attributes[count].id = CLUSTER_DIMENSION
            attributes[count].value[:3] = cluster
            count += 1
        if self.spec.get("overlaps"):
            attributes[count].id = PROGRAMMATIC_SERIALIZATION
            attributes[count].value[0] = 1
            count += 1
        config = Config((ctypes.c_uint * 3)(*grid), (ctypes.c_uint * 3)(*self.spec["block"]),
                        self.spec.get("shared_bytes", 0), None, attributes, count)

        def launch(stream, alive=(values, maps)):  # what the pointers point to lives as long as this
            config.stream = stream
            _check(self.driver, self.driver.cuLaunchKernelEx(ctypes.byref(config), self.function, parameters, None),
                   f"launching {self.spec['entry']} (grid {grid}, sizes {sizes})")

        return launch
