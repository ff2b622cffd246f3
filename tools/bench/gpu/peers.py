"""The same work in PyTorch: the reference library with SDPA, eager and compiled."""
import gc

import torch
import transformers
from transformers.cache_utils import StaticCache

from ceilings import median_ms

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


def build(config, dtype, attention="sdpa"):
    """A model with random weights, made on the GPU."""
    parsed = transformers.AutoConfig.for_model(**config)
    kind = (transformers.AutoModelForCausalLM if config["model_type"] == "llama"
            else transformers.AutoModel)
    torch.manual_seed(0)
    with torch.device("cuda"):
        model = kind.from_config(parsed, dtype=DTYPES[dtype], attn_implementation=attention)
    return model.eval()


def release():
    gc.collect()
    torch._dynamo.reset()
    torch.cuda.empty_cache()


def decode(model, rows, context, compiled):
    """Times of one decode step with `context` tokens in a static cache."""
    cache = StaticCache(config=model.config, max_cache_len=context + 64)
    ids = torch.randint(0, model.config.vocab_size, (rows, context), device="cuda")
    position = torch.arange(context, device="cuda")
    # Filled in pieces, so that the logits of a long prompt need no memory.
    for start in range(0, context, 256):
        piece = position[start:start + 256]
        model(input_ids=ids[:, piece], past_key_values=cache, cache_position=piece,
              position_ids=piece[None].expand(rows, -1), logits_to_keep=1)
    step = torch.compile(model, mode="reduce-overhead", fullgraph=True) if compiled else model
    token = ids[:, -1:].clone()
    place = torch.tensor([context], device="cuda")
    places = place[None].expand(rows, 1).contiguous()

    def work():
        step(input_ids=token, past_key_values=cache, cache_position=place, position_ids=places)

    return median_ms(work, runs=30, warmup=8 if compiled else 3)


def prefill(model, rows, length):
    ids = torch.randint(0, model.config.vocab_size, (rows, length), device="cuda")
    return median_ms(lambda: model(input_ids=ids, use_cache=True, logits_to_keep=1), runs=5, warmup=2)


def prefill_memory(model, rows, length):
    """Peak bytes of a prefill above what was there before, without a cache."""
    ids = torch.randint(0, model.config.vocab_size, (rows, length), device="cuda")
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    model(input_ids=ids, use_cache=False, logits_to_keep=1)
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def forward(model, lengths, width, compiled):
    """A padded batch with an attention mask; packed without padding logic is the caller's to time."""
    rows = len(lengths)
    ids = torch.randint(0, model.config.vocab_size, (rows, width), device="cuda")
    mask = (torch.arange(width, device="cuda")[None] <
            torch.tensor(lengths, device="cuda")[:, None]).long()
    run = torch.compile(model, mode="reduce-overhead") if compiled else model
    return median_ms(lambda: run(input_ids=ids, attention_mask=mask), runs=10, warmup=4)
