/*===- ingot/runtime.h - C API of the Ingot runtime ------------------*- C -*-===*\
|*
|* Loads an .ingot file and runs its programs. Needs nothing but libc (and the GPU driver for GPU
|* targets). Sixteen functions:
|*
|*   ingot_file *file;  ingot_model *model;  ingot_program *program;
|*   if (ingot_open("model.ingot", &file)) fail(ingot_last_error());
|*   if (ingot_load(file, NULL, &model)) fail(ingot_last_error());
|*   if (ingot_find_program(model, "forward", &program)) fail(ingot_last_error());
|*
|*   int64_t shape[2] = {1, 5};  int32_t ids[5] = {101, 7592, 2088, 999, 102};
|*   ingot_tensor in = {"input_ids", INGOT_I32, 2, shape, ids, sizeof ids};
|*   ingot_tensor out = {"last_hidden_state"};          // data NULL: borrow the runtime's memory
|*   if (ingot_run(program, &in, 1, &out, 1)) fail(ingot_last_error());
|*   // out.data: f32, out.shape = {1, 5, E}, valid until the next ingot_run on this model
|*
|* Errors. Functions return ingot_status; anything but INGOT_OK leaves a message for a person in
|* ingot_last_error() of the calling thread and leaves outputs untouched. No function aborts on bad
|* arguments in files, shapes or values. NULL handles are the one thing that is undefined.
|*
|* Ownership. What a function hands out through a handle pointer is released by the function named
|* in its comment. Strings and arrays reached through a handle live as long as the handle.
|*
|* Threads. An ingot_file may be used by any number of threads. Calls on one ingot_model (and its
|* programs and generations) must not overlap: an overlapping call fails with INGOT_USAGE and does
|* nothing. Different models are independent, also of the same file.
|*
|* Memory. Everything is allocated by ingot_load; ingot_run allocates nothing, and the steps of
|* ingot_generate allocate nothing (it allocates its result once, before the first step).
|*
\*===----------------------------------------------------------------------===*/
#ifndef INGOT_RUNTIME_H
#define INGOT_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when functions or trailing struct members are added; compare with ingot_api_version(). */
#define INGOT_API_VERSION 1

#if defined(__GNUC__)
#define INGOT_API __attribute__((visibility("default")))
#else
#define INGOT_API
#endif

/* Also the exit codes of the command-line tools. */
typedef enum ingot_status {
  INGOT_OK = 0,
  INGOT_INTERNAL = 1,
  INGOT_USAGE = 2,             /* a wrong argument: name, shape, type, value */
  INGOT_MALFORMED_INPUT = 3,   /* a file that is not what it should be */
  INGOT_UNSUPPORTED = 4,
  INGOT_ACCURACY_MISMATCH = 5,
  INGOT_INTEGRITY = 6,         /* a damaged file */
  INGOT_DEVICE_MISMATCH = 7,   /* this machine cannot run this code */
  INGOT_OUT_OF_RESOURCES = 8   /* memory, disk, threads */
} ingot_status;

typedef enum ingot_dtype {
  INGOT_F32 = 0, INGOT_F16, INGOT_BF16, INGOT_I8, INGOT_U8, INGOT_I32, INGOT_I64,
  INGOT_BOOL,  /* one byte an element, zero or not zero */
  INGOT_F64    /* accepted for inputs only */
} ingot_dtype;

typedef struct ingot_file ingot_file;
typedef struct ingot_model ingot_model;
typedef struct ingot_program ingot_program;
typedef struct ingot_generation ingot_generation;

#define INGOT_MAX_RANK 8

/* INGOT_API_VERSION of the library. Any thread. */
INGOT_API uint32_t ingot_api_version(void);

/* The message of the last error on this thread, "" if there was none: what, where, expected, got,
 * what to do. Valid until the next failing call on this thread. */
INGOT_API const char *ingot_last_error(void);

/* ---- files ---- */

/* Maps and validates a file, verifying every checksum (several threads). Release: ingot_close. */
INGOT_API ingot_status ingot_open(const char *path, ingot_file **file);

/* A model loaded from the file keeps what it needs of it. NULL is allowed. */
INGOT_API void ingot_close(ingot_file *file);

/* What is in the file as a JSON object (sections, targets, memory in bytes, programs with their
 * ports and symbols, kernels, weights, states, generation settings). UTF-8, owned by the file. */
INGOT_API ingot_status ingot_describe(ingot_file *file, const char **json);

/* ---- models ---- */

typedef struct ingot_load_options {
  size_t struct_size;   /* sizeof(ingot_load_options) */
  /* NULL: the weights embedded in the file. Else a model folder or .safetensors file, or
   * "random:SEED" (SEED a decimal 64-bit number; for benchmarks and tests). */
  const char *weights;
  unsigned threads;     /* 0: INGOT_NUM_THREADS if set, else the CPUs of this process */
  /* NULL: all. Else names with commas: only these programs are loaded, with the memory that they
   * need; a model that only generates leaves out the activations of "forward". */
  const char *programs;
} ingot_load_options;

/* Allocates everything, binds the weights, loads the code. options may be NULL. Release:
 * ingot_unload. */
INGOT_API ingot_status ingot_load(ingot_file *file, const ingot_load_options *options,
                                  ingot_model **model);

/* NULL is allowed. Programs and borrowed outputs end with the model; generations do not. */
INGOT_API void ingot_unload(ingot_model *model);

/* Zeroes all program state (the KV cache). */
INGOT_API ingot_status ingot_reset(ingot_model *model);

/* ---- programs ---- */

/* Owned by the model. The error lists the programs there are. */
INGOT_API ingot_status ingot_find_program(ingot_model *model, const char *name,
                                          ingot_program **program);

typedef struct ingot_port_info {
  const char *name;
  const char *description;       /* "" if there is none */
  ingot_dtype dtype;             /* what the program computes with; see ingot_tensor */
  int rank;
  const char *dims[INGOT_MAX_RANK];      /* "B", "16 * NB", "384" */
  int64_t max_dims[INGOT_MAX_RANK];      /* each at the compiled maxima */
  int64_t max_elements;          /* at the maxima, with limits like B * S <= 2048 */
  int optional;                  /* an input that may be left out, ... */
  int64_t fill;                  /* ... every element then being this */
  int has_range;                 /* an input whose elements must be in [minimum, maximum] */
  int64_t minimum, maximum;
} ingot_port_info;

/* The number of inputs (outputs != 0: outputs). */
INGOT_API size_t ingot_port_count(const ingot_program *program, int outputs);

/* Strings are owned by the program. INGOT_USAGE if index is not below ingot_port_count(). */
INGOT_API ingot_status ingot_port(const ingot_program *program, int outputs, size_t index,
                                  ingot_port_info *info);

/* A dense row-major tensor in host memory; element order is C order, no strides.
 *
 * As an input: all members are set by the caller. An integer port takes INGOT_I32, INGOT_I64 and
 * INGOT_BOOL (also I8, U8), a float port takes F32, F64, F16, BF16: values are converted, and
 * integers are checked against the port's type and range.
 *
 * As an output, `name` is set by the caller, and either
 *   data == NULL: borrow. data, dtype, rank, shape and bytes are set; they point into the model and
 *                 are valid until the next ingot_run, ingot_generate or ingot_unload; or
 *   data != NULL: copy. `bytes` is the size of that memory; dtype must be the port's. Too little
 *                 memory is INGOT_USAGE. rank, shape (borrowed as above) and bytes are set. */
typedef struct ingot_tensor {
  const char *name;
  ingot_dtype dtype;
  int rank;
  const int64_t *shape;
  void *data;
  size_t bytes;
} ingot_tensor;

/* Runs the program once and waits for it. Sizes (B, S, ...) are taken from the shapes of the
 * inputs. Inputs that are not optional must be there; outputs that are not asked for cost nothing
 * more. State is updated in place. */
INGOT_API ingot_status ingot_run(ingot_program *program, const ingot_tensor *inputs,
                                 size_t num_inputs, ingot_tensor *outputs, size_t num_outputs);

/* ---- generation ---- */

typedef enum ingot_stop_reason {
  INGOT_STOP_LENGTH = 0,  /* max_new_tokens */
  INGOT_STOP_EOS,         /* an end-of-sequence id; it is the last token of the result */
  INGOT_STOP_CONTEXT,     /* the compiled context is full */
  INGOT_STOP_CANCELLED    /* the callback said so */
} ingot_stop_reason;

/* After each new token: the prompt's index, the token, its position among the new tokens (0, 1, ...).
 * Called on the calling thread; calls on the model from inside fail. Non-zero stops everything. */
typedef int (*ingot_token_callback)(void *user, size_t prompt, int32_t token, size_t position);

typedef struct ingot_generate_options {
  size_t struct_size;        /* sizeof(ingot_generate_options) */
  size_t max_new_tokens;     /* at least 1 */
  int do_sample;             /* 0: greedy, and only repetition_penalty of the below matters */
  float temperature;         /* >= 0; 0 is greedy */
  uint32_t top_k;            /* 0: off */
  float top_p;               /* in (0, 1]; 1: off */
  float min_p;               /* in [0, 1]; 0: off */
  float repetition_penalty;  /* > 0; 1: off */
  uint64_t seed;             /* prompt i of a call draws what prompt 0 draws with seed + i */
  const int64_t *eos_ids;    /* owned by the caller (by the model after ..._init) */
  size_t num_eos_ids;
  ingot_token_callback callback; /* may be NULL */
  void *user;
} ingot_generate_options;

/* The settings the model was published with; max_new_tokens 128, seed 0, no callback. INGOT_USAGE
 * if the model has no generation loop. */
INGOT_API ingot_status ingot_generate_options_init(ingot_model *model,
                                                   ingot_generate_options *options);

typedef struct ingot_prompt {
  const int32_t *tokens;     /* at least one, each in [0, vocabulary) */
  size_t num_tokens;
} ingot_prompt;

/* Continues every prompt (any number; as many at once as the model was compiled for, the rest wait
 * their turn). A prompt's result does not depend on the other prompts. Resets the KV cache's block
 * tables. options may be NULL. Release: ingot_generation_free. */
INGOT_API ingot_status ingot_generate(ingot_model *model, const ingot_prompt *prompts,
                                      size_t num_prompts, const ingot_generate_options *options,
                                      ingot_generation **generation);

typedef struct ingot_generation_row {
  const int32_t *tokens;     /* the new tokens, owned by the generation */
  size_t num_tokens;
  ingot_stop_reason stop;
} ingot_generation_row;

/* The row of prompt `index`. INGOT_USAGE if there is no such prompt. */
INGOT_API ingot_status ingot_generation_get(const ingot_generation *generation, size_t index,
                                            ingot_generation_row *row);

/* NULL is allowed. */
INGOT_API void ingot_generation_free(ingot_generation *generation);

#ifdef __cplusplus
}
#endif

#endif /* INGOT_RUNTIME_H */
