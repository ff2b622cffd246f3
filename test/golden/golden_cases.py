"""The golden cases: one tiny model each, written as the config.json a publisher would write.

Every config is a diff from its class defaults, as real ones are: a key that is absent here must be
filled by the importer. Sizes are odd on purpose (heads that do not divide into powers of two, a head
dimension that is not hidden/heads, a vocabulary that is no multiple of anything).
"""

# Rows of a batch as masks: 1 a token, 0 padding. What a padded row must give is what its tokens give
# alone, so left, right and interior padding all appear.
PADDED = ["111111111", "111110000", "000111111", "110101101"]
SINGLE = ["1111111"]
LONG = ["1" * 24, "0" * 7 + "1" * 17, "1" * 12 + "0" * 12]

LLAMA = dict(
    architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=97, hidden_size=48,
    intermediate_size=40, num_hidden_layers=2, num_attention_heads=6,
)
# The rope cases: 8 frequencies a head, trained length 16, so that every band of every rule is used.
ROPE = dict(
    architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=61, hidden_size=32,
    intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
)
QWEN = dict(vocab_size=97, hidden_size=48, intermediate_size=40, num_attention_heads=6,
            num_key_value_heads=2, max_position_embeddings=64)
BERT = dict(model_type="bert", vocab_size=97, hidden_size=48, num_hidden_layers=2,
            num_attention_heads=6, intermediate_size=40, max_position_embeddings=40)
ROBERTA = dict(model_type="roberta", vocab_size=97, hidden_size=40, num_hidden_layers=2,
               num_attention_heads=5, intermediate_size=56, max_position_embeddings=34)
DISTIL = dict(model_type="distilbert", vocab_size=97, dim=40, n_layers=2, n_heads=5, hidden_dim=56,
              max_position_embeddings=40)


def with_ids(config, pad, bos=None, eos=None):
    return dict(config, pad_token_id=pad, bos_token_id=bos, eos_token_id=eos)


PROMPTS = [3, 7, 1]
LONG_PROMPTS = [13, 5, 20]

# name, config, and what differs from the usual: dtype (stored), save ("shards", "no_prefix",
# "legacy_names", "keep_tied"), compile (more compiler flags), batches (name -> masks), prompts (lengths), new_tokens, folder files.
CASES = [
    # --- llama -----------------------------------------------------------------------------------
    # Everything at its default but the sizes; eos ids come from generation_config.json, a list.
    dict(name="llama-default", config=dict(LLAMA, torch_dtype="float32"), eos_list=True),
    dict(name="llama-gqa-headdim", dtype="bfloat16",
         config=dict(LLAMA, num_key_value_heads=2, head_dim=12, rms_norm_eps=1e-5, rope_theta=500000.0,
                     torch_dtype="bfloat16")),
    dict(name="llama-biases", save="shards",
         config=dict(LLAMA, num_key_value_heads=3, attention_bias=True, mlp_bias=True, rope_scaling=None,
                     hidden_act="gelu_pytorch_tanh", num_hidden_layers=3, hidden_size=36,
                     intermediate_size=44)),
    dict(name="llama-tied", save="no_prefix", dtype="float16",
         config=dict(LLAMA, num_key_value_heads=2, tie_word_embeddings=True, head_dim=None,
                     num_hidden_layers=3, torch_dtype="float16")),
    dict(name="llama-base", config=dict(LLAMA, architectures=["LlamaModel"], num_key_value_heads=1,
                                        dtype="bfloat16"),
         save="no_prefix", dtype="bfloat16", prompts=[]),
    dict(name="llama-rope-linear", batches=dict(long=LONG), prompts=LONG_PROMPTS, dtype="bfloat16",
         config=dict(ROPE, max_position_embeddings=64, rope_scaling=dict(type="linear", factor=3.0))),
    dict(name="llama-rope-dynamic", batches=dict(long=LONG), prompts=LONG_PROMPTS, dtype="bfloat16",
         compile=["--max-context", "64"],
         config=dict(ROPE, max_position_embeddings=16, rope_scaling=dict(type="dynamic", factor=2.0))),
    dict(name="llama-rope-llama3", batches=dict(long=LONG), prompts=LONG_PROMPTS, dtype="bfloat16",
         config=dict(ROPE, max_position_embeddings=64, rope_theta=300.0,
                     rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0,
                                       high_freq_factor=4.0, original_max_position_embeddings=32))),
    dict(name="llama-rope-yarn", batches=dict(long=LONG), prompts=LONG_PROMPTS, dtype="bfloat16",
         config=dict(ROPE, max_position_embeddings=64, rope_theta=200.0,
                     rope_scaling=dict(rope_type="yarn", factor=4.0, beta_fast=8.0,
                                       original_max_position_embeddings=16))),
    # The newer generation of keys: dtype, and everything about rope in one dictionary.
    dict(name="llama-rope-parameters", batches=dict(long=LONG), prompts=LONG_PROMPTS, dtype="bfloat16",
         config=dict(ROPE, max_position_embeddings=64, dtype="bfloat16",
                     rope_parameters=dict(rope_type="yarn", rope_theta=1000.0, factor=2.0,
                                          original_max_position_embeddings=32, attention_factor=1.25,
                                          truncate=False))),
    # --- mistral, qwen ----------------------------------------------------------------------------
    dict(name="mistral-window", dtype="bfloat16",
         config=dict(architectures=["MistralForCausalLM"], model_type="mistral", vocab_size=97,
                     hidden_size=48, intermediate_size=40, num_hidden_layers=2, num_attention_heads=6,
                     num_key_value_heads=2, head_dim=10, sliding_window=5,
                     max_position_embeddings=64)),
    dict(name="mistral-default-heads", dtype="float16",  # num_key_value_heads absent: 8, no window
         config=dict(architectures=["MistralForCausalLM"], model_type="mistral", vocab_size=97,
                     hidden_size=48, intermediate_size=40, num_hidden_layers=2, num_attention_heads=8,
                     sliding_window=None, rope_theta=1000000.0)),
    dict(name="qwen2-bias",
         config=dict(QWEN, architectures=["Qwen2ForCausalLM"], model_type="qwen2", num_hidden_layers=2,
                     sliding_window=3, tie_word_embeddings=True)),  # the window is off by default
    dict(name="qwen2-window-tail", dtype="bfloat16",
         config=dict(QWEN, architectures=["Qwen2ForCausalLM"], model_type="qwen2", num_hidden_layers=3,
                     use_sliding_window=True, sliding_window=4, max_window_layers=1,
                     rope_theta=1000000.0)),
    dict(name="qwen3-qknorm", dtype="bfloat16",
         config=dict(QWEN, architectures=["Qwen3ForCausalLM"], model_type="qwen3", num_hidden_layers=2,
                     head_dim=20, tie_word_embeddings=True, rms_norm_eps=1e-5)),
    dict(name="qwen3-default-headdim", dtype="bfloat16",  # head_dim absent: 128 whatever the width
         config=dict(QWEN, architectures=["Qwen3ForCausalLM"], model_type="qwen3", num_hidden_layers=1,
                     hidden_size=36, num_attention_heads=2, num_key_value_heads=1, attention_bias=True)),
    # --- encoders -----------------------------------------------------------------------------------
    dict(name="bert-base", config=dict(BERT, architectures=["BertModel"]), save="no_prefix"),
    dict(name="bert-masked-lm", config=dict(BERT, architectures=["BertForMaskedLM"]), save="legacy_names"),
    dict(name="bert-classifier", dtype="float16", torch_dtype_key=True,
         config=dict(BERT, architectures=["BertForSequenceClassification"], type_vocab_size=3,
                     hidden_act="gelu_new", layer_norm_eps=1e-5,
                     id2label={"0": "a", "1": "b", "2": "c"}, label2id={"a": 0, "b": 1, "c": 2})),
    dict(name="bert-sentence-mean", config=dict(BERT, architectures=["BertModel"]), dtype="bfloat16",
         save="no_prefix", pooling=dict(pooling_mode_mean_tokens=True), normalize=True),
    dict(name="bert-sentence-cls", config=dict(BERT, architectures=["BertModel"]), dtype="bfloat16",
         save="no_prefix", pooling=dict(pooling_mode_cls_token=True, pooling_mode_mean_tokens=False)),
    dict(name="roberta-base", config=dict(ROBERTA, architectures=["RobertaModel"], type_vocab_size=1,
                                          layer_norm_eps=1e-5), dtype="float16",
         extra_batches=dict(pad_inside=["11111111"])),
    dict(name="roberta-masked-lm", config=dict(ROBERTA, architectures=["RobertaForMaskedLM"]),
         dtype="bfloat16"),
    # pad_token_id is not always 1, and positions follow it.
    dict(name="roberta-classifier", dtype="bfloat16",
         config=dict(ROBERTA, architectures=["RobertaForSequenceClassification"], pad_token_id=4,
                     type_vocab_size=1)),
    dict(name="xlm-roberta-base", dtype="bfloat16", save="no_prefix",
         config=dict(ROBERTA, architectures=["XLMRobertaModel"], model_type="xlm-roberta",
                     type_vocab_size=1, num_hidden_layers=1)),
    dict(name="distilbert-base", config=dict(DISTIL, architectures=["DistilBertModel"]), dtype="bfloat16",
         save="no_prefix"),
    dict(name="distilbert-masked-lm", config=dict(DISTIL, architectures=["DistilBertForMaskedLM"]),
         dtype="bfloat16", save="keep_tied"),
    dict(name="distilbert-classifier", dtype="bfloat16",
         config=dict(DISTIL, architectures=["DistilBertForSequenceClassification"], activation="relu",
                     id2label={str(i): f"LABEL_{i}" for i in range(5)},
                     label2id={f"LABEL_{i}": i for i in range(5)})),
]
