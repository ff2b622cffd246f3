"""What a launch works on: random operands in the order of its arguments, operations and bytes, the same work in
PyTorch, and what the result is expected to be by that."""
import math
import re

import torch
import torch.nn.functional as F

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16, "i32": torch.int32}
ACTIVATIONS = {"gelu": F.gelu, "silu": F.silu}


def make(case, device="cuda"):
    return (Attention if case.launch.family == "attention" else Linear)(case, device)


class Linear:
    """y = epilogue(x W^T): a bias, an activation, a gate, a residual."""
    PEER = "cublaslt"

    def __init__(self, case, device):
        self.case, self.device, self.launch = case, device, case.launch
        self.x, self.y = 0, len(case.shapes) - 1
        self.weight = self.bias = self.residual = None
        for i, (buffer, shape) in enumerate(zip(self.launch.buffers, case.shapes)):
            if i in (self.x, self.y):
                continue
            if buffer.space == "weights" and len(shape) == 2 and self.weight is None:
                self.weight = i
            elif buffer.space == "weights" and len(shape) == 1 and self.bias is None:
                self.bias = i
            elif shape == case.shapes[self.y] and self.residual is None:
                self.residual = i
            else:
                raise ValueError(f"argument {i}, {buffer.space} {buffer.dtype}{shape}: expected a weight, a bias or "
                                 "a residual; teach tools/bench/gpu/operands.py what it is")
        self.gated = self.launch.family == "gated_linear"
        self.activated = self.gated or "activation" in self.launch.kernel["entry"]
        rows, k = case.shapes[self.x]
        self.flops = 2 * rows * k * case.shapes[self.weight][0]
        self.bytes = sum(math.prod(shape) * DTYPES[buffer.dtype].itemsize
                         for buffer, shape in zip(self.launch.buffers, case.shapes))

    def draw(self, seed):
        """Operands of one launch; what it writes is not a number beforehand."""
        generator = torch.Generator(self.device).manual_seed(seed)
        tensors = []
        for i, (buffer, shape) in enumerate(zip(self.launch.buffers, self.case.shapes)):
            tensor = torch.empty(shape, dtype=DTYPES[buffer.dtype], device=self.device)
            if i == self.y:
                tensor.fill_(math.nan)
            else:
                tensor.normal_(0, shape[1] ** -0.5 if i == self.weight else 1, generator=generator)
            tensors.append(tensor)
        return tensors

    def output(self, tensors):
        return tensors[self.y]

    def peer(self, sets):
        """The same product and bias of set i, without what else the epilogue does."""
        bias = [self._bias(tensors) for tensors in sets]
        out = [t[self.x].new_empty(t[self.x].shape[0], t[self.weight].shape[0]) for t in sets]
        return lambda i: self._product(sets[i], bias[i], out[i])

    def reference(self, tensors):
        """The result in f32, by PyTorch's product."""
        result = self._product(tensors, self._bias(tensors), None).float()
        if self.gated:  # four rows of gate and of up in turn
            gate, up = result.view(result.shape[0], -1, 2, 4).unbind(2)
            result = (self._activate(gate) * up).flatten(1)
        elif self.activated:
            result = self._activate(result)
        return result if self.residual is None else result + tensors[self.residual].float()

    def _product(self, tensors, bias, out):
        x, weight = tensors[self.x], tensors[self.weight].t()
        return torch.mm(x, weight, out=out) if bias is None else torch.addmm(bias, x, weight, out=out)

    def _bias(self, tensors):
        return None if self.bias is None else tensors[self.bias].to(tensors[self.x].dtype)

    def _activate(self, x):
        return ACTIVATIONS[self.case.config["hidden_act"]](x)


class Attention:
    """Attention of packed queries over packed keys, or over a paged cache."""
    PEER = "cudnn"

    def __init__(self, case, device):
        self.case, self.device, self.launch = case, device, case.launch
        self.heads, self.kv, self.width = map(int, re.search(
            r"heads=(\d+)/(\d+) D=(\d+)", self.launch.kernel["description"]).groups())
        self.rows, self.length, self.past = case.batch.rows, case.batch.length, case.batch.past
        self.keys = self.past + self.length
        self.paged = any(buffer.space == "state" for buffer in self.launch.buffers)
        self.tables = [i for i, buffer in enumerate(self.launch.buffers) if buffer.dtype == "i32"]
        if len(self.tables) != (3 if self.paged else 1):
            raise ValueError(f"{len(self.tables)} tables of i32, expected {3 if self.paged else 1}; teach "
                             "tools/bench/gpu/operands.py what they are")
        if case.batch.fill != 100 or (self.past and self.length > 1):
            raise ValueError("rows of one length, several tokens only without a cache: PyTorch's has no other")
        self.y = len(case.shapes) - 1
        pairs = self.length * self.past + self.length**2 * (0.5 if case.causal() and self.length > 1 else 1)
        self.flops = int(4 * self.rows * self.heads * self.width * pairs)
        element = DTYPES[self.launch.buffers[self.y].dtype].itemsize
        self.bytes = 2 * self.rows * self.width * element * (self.heads * self.length + self.kv * self.keys)
        self.cache = None

    def draw(self, seed):
        generator = torch.Generator(self.device).manual_seed(seed)
        tensors = []
        if self.paged and self.cache is None:  # one cache; each set has other blocks of it, in no order
            state = [(b, s) for b, s in zip(self.launch.buffers, self.case.shapes) if b.space == "state"]
            self.cache = [torch.empty(s, dtype=DTYPES[b.dtype], device=self.device).normal_(generator=generator)
                          for b, s in state]
            self.free = 1 + torch.randperm(self.cache[0].shape[0] - 1, generator=generator, device=self.device)
            self.taken = 0
        cache = iter(self.cache or [])
        for i, (buffer, shape) in enumerate(zip(self.launch.buffers, self.case.shapes)):
            if buffer.space == "state":
                tensors.append(next(cache))
            elif i in self.tables:
                tensors.append(self._table(self.tables.index(i), shape))
            else:
                tensor = torch.empty(shape, dtype=DTYPES[buffer.dtype], device=self.device)
                tensors.append(tensor.fill_(math.nan) if i == self.y else tensor.normal_(generator=generator))
        return tensors

    def _table(self, which, shape):
        """cu_seqlens, block table, tokens in the cache before these."""
        if which == 0:
            row = torch.arange(shape[0], device=self.device).clamp(max=self.rows)
            return (row * self.length).to(torch.int32)
        if which == 2:
            return torch.full(shape, self.past, dtype=torch.int32, device=self.device)
        first = self.taken % (self.free.numel() - math.prod(shape) + 1)
        self.taken = first + math.prod(shape)
        return self.free[first:first + math.prod(shape)].view(shape).to(torch.int32)

    def output(self, tensors):
        return tensors[self.y]

    def dense(self, tensors):
        """q, k, v as [B, H, S, D], the keys and values in memory of their own."""
        columns = [tensor for i, (tensor, buffer) in enumerate(zip(tensors, self.launch.buffers))
                   if buffer.space == "arena" and i != self.y and i not in self.tables]
        widths = [self.heads * self.width, self.kv * self.width, self.kv * self.width]
        parts, names = [], widths[:1] if self.paged else widths
        for i, width in enumerate(names):
            tensor = columns[min(i, len(columns) - 1)]
            first = 0 if tensor.shape[1] == width else sum(widths[:i])  # else queries, keys and values in one
            parts.append(tensor[:, first:first + width].view(self.rows, self.length, -1, self.width)
                         .transpose(1, 2).contiguous())
        if self.paged:
            table = tensors[self.tables[1]].long()
            for cache in self.cache:  # [blocks, Hkv, block, D]
                found = cache[table].transpose(1, 2).flatten(2, 3)
                parts.append(found[:, :, :self.keys].contiguous())
        return parts

    def peer(self, sets):
        """Attention of set i through PyTorch, of contiguous keys and values."""
        from torch.nn.attention import SDPBackend, sdpa_kernel
        dense = [self.dense(tensors) for tensors in sets]

        def attention(i):
            with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
                return self._attention(dense[i])

        return attention

    def reference(self, tensors):
        """The result in f32, by what PyTorch chooses."""
        return self._attention(self.dense(tensors)).transpose(1, 2).flatten(0, 1).flatten(1).float()

    def _attention(self, dense):
        # A query behind a cache sees all of it; so do the first of several, here without one.
        return F.scaled_dot_product_attention(*dense, is_causal=self.case.causal() and self.length > 1,
                                              enable_gqa=self.heads != self.kv)
