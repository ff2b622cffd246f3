//===- Generator.cpp --------------------------------------------*- C++ -*-===//
#include "runtime/generate/Generator.h"

#include "runtime/support/Clock.h"
#include "runtime/support/Text.h"
#include "runtime/support/Try.h"

#include <algorithm>
#include <bit>

namespace ingot {

const char *stopReasonName(StopReason reason) {
  static const char *const names[] = {"length", "eos", "context", "cancelled"};
  return names[unsigned(reason)];
}

struct Generator::Run {
  std::span<const std::span<const int32_t>> prompts;
  const GenerateSettings &settings;
  std::vector<GeneratedRow> results;
  size_t next = 0; // the first prompt that was not admitted yet
  bool cancelled = false;
};

Result<std::unique_ptr<Generator>> Generator::create(Model &model) {
  std::unique_ptr<Generator> out(new Generator);
  const format::Generation *table = model.artifact().plan().generation();
  if (!table)
    return Status(ExitCode::Usage, "this model does not generate: its file describes no step "
                                   "program (encoders only run)");
  out->model_ = &model;
  out->table_ = table;
  auto step = out->findProgram(table->program()->string_view());
  if (!step.ok())
    return step.status();
  out->step_ = *step;
  // A caller may have loaded the model without it.
  if (table->decode_program() && model.hasProgram(table->decode_program()->string_view())) {
    auto decode = out->findProgram(table->decode_program()->string_view());
    if (!decode.ok())
      return decode.status();
    out->decode_ = *decode;
  }
  out->rowsSymbol_ = out->step_.inputIds->dims[0].symbols[0];
  out->tokensSymbol_ = out->step_.inputIds->dims[1].symbols[0];
  out->blocksSymbol_ = out->step_.blockTable->dims[1].symbols[0];
  out->maxContext_ = table->max_context();
  out->blockSize_ = table->block_size();
  out->vocabulary_ = table->vocab_size();
  out->allocator_ = std::make_unique<BlockAllocator>(table->num_blocks());
  out->sampler_ = std::make_unique<Sampler>(out->vocabulary_);
  // More rows than blocks could never be active together.
  size_t rows = size_t(std::min<int64_t>(out->step_.program->bounds().ranges[out->rowsSymbol_].max,
                                         int64_t(table->num_blocks()) - 1));
  out->rows_.reserve(rows);
  for (size_t i = 0; i < rows; ++i)
    out->rows_.emplace_back(out->vocabulary_, out->maxContext_ + 1,
                            out->blocksFor(out->maxContext_));
  for (size_t i = rows; i-- > 0;)
    out->idle_.push_back(&out->rows_[i]);
  out->active_.reserve(rows);
  out->batch_.reserve(rows);
  return out;
}

/// The plan has been validated (V10): ports, types and shapes are what plan.fbs says.
Result<Generator::StepProgram> Generator::findProgram(std::string_view name) const {
  auto program = model_->findProgram(name);
  if (!program.ok())
    return program.status();
  StepProgram out;
  out.program = *program;
  auto input = [&](const flatbuffers::String *port) {
    return out.program->findPort(port->string_view(), false);
  };
  auto output = [&](const flatbuffers::String *port) {
    return out.program->findPort(port->string_view(), true);
  };
  out.inputIds = input(table_->input_ids());
  out.numTokens = input(table_->num_tokens());
  out.pastTokens = input(table_->past_tokens());
  out.blockTable = input(table_->block_table());
  out.logits = output(table_->logits());
  if (const format::Sampling *sampling = table_->sampling())
    out.sampling = {output(sampling->tokens()), input(sampling->temperature()),
                    input(sampling->top_k()),   input(sampling->top_p()),
                    input(sampling->min_p()),   input(sampling->repetition_penalty()),
                    input(sampling->seed()),    input(sampling->draw()),
                    input(sampling->slot())};
  // All that the loop reads of a run, besides what a caller asks for.
  out.program->fetchAfterSteps(out.sampling.tokens ? *out.sampling.tokens : *out.logits);
  return out;
}

GenerateSettings Generator::defaults() const {
  GenerateSettings out;
  out.sampling.sample = table_->do_sample();
  out.sampling.temperature = table_->temperature();
  out.sampling.topK = table_->top_k();
  out.sampling.topP = table_->top_p();
  out.sampling.minP = table_->min_p();
  out.sampling.repetitionPenalty = table_->repetition_penalty();
  if (table_->eos_ids())
    out.eosIds.assign(table_->eos_ids()->begin(), table_->eos_ids()->end());
  return out;
}

Status Generator::checkRequest(std::span<const std::span<const int32_t>> prompts,
                               const GenerateSettings &settings) const {
  if (prompts.empty())
    return Status(ExitCode::Usage, "expected at least one prompt, got none");
  if (settings.maxNewTokens < 1)
    return Status(ExitCode::Usage, "max_new_tokens: expected at least 1, got 0");
  for (size_t i = 0; i < prompts.size(); ++i) {
    if (prompts[i].empty() || prompts[i].size() > maxContext_)
      return Status(ExitCode::Usage,
                    text("prompt ", i, ": expected 1 to ", maxContext_, " tokens (the compiled ",
                         "context), got ", prompts[i].size(),
                         prompts[i].empty() ? "" : "; compile with a larger --max-context"));
    for (size_t j = 0; j < prompts[i].size(); ++j)
      if (prompts[i][j] < 0 || size_t(prompts[i][j]) >= vocabulary_)
        return Status(ExitCode::Usage,
                      text("prompt ", i, ", token ", j, ": expected an id from 0 to ",
                           vocabulary_ - 1, ", got ", prompts[i][j]));
  }
  return checkSamplingOptions(settings.sampling);
}

void Generator::admit(Run &run) {
  while (run.next < run.prompts.size() && !idle_.empty()) {
    std::span<const int32_t> tokens = run.prompts[run.next];
    // The last new token is never fed back.
    size_t newTokens = size_t(std::min<uint64_t>(run.settings.maxNewTokens, maxContext_));
    uint32_t blocks = uint32_t(blocksFor(std::min(maxContext_, tokens.size() + newTokens - 1)));
    if (!allocator_->reserve(blocks))
      return;
    Row *row = idle_.back();
    idle_.pop_back();
    row->prompt = run.next++;
    row->tokens = tokens;
    row->fed = 0;
    row->reserved = blocks;
    row->blocks.clear();
    row->seen.clear();
    if (run.settings.sampling.repetitionPenalty != 1)
      for (int32_t token : tokens)
        row->seen.insert(token);
    active_.push_back(row);
  }
}

bool Generator::fits(size_t rows, size_t tokens, size_t blocks) const {
  const SymbolBounds &bounds = step_.program->bounds();
  int64_t values[3] = {};
  values[rowsSymbol_] = int64_t(rows);
  values[tokensSymbol_] = int64_t(tokens);
  values[blocksSymbol_] = int64_t(blocks);
  for (size_t i = 0; i < 3; ++i)
    if (values[i] > bounds.ranges[i].max)
      return false;
  for (const SymbolBounds::Limit &limit : bounds.limits) {
    int64_t room = limit.max;
    for (uint16_t symbol : limit.symbols)
      room /= values[symbol];
    if (room < 1)
      return false;
  }
  return true;
}

/// Blocks of the longest row after a call that feeds up to `tokens` tokens of each.
size_t Generator::tableWidth(std::span<Row *const> batch, size_t tokens) const {
  size_t width = 1;
  for (const Row *row : batch) {
    size_t left = row->prefilling() ? row->tokens.size() - row->fed : 1;
    width = std::max(width, blocksFor(row->fed + std::min(left, tokens)));
  }
  // A few widths instead of one more for every block: what was recorded can be used again.
  if (step_.program->prefersFewSizes())
    width =
        std::min(std::bit_ceil(width), size_t(step_.program->bounds().ranges[blocksSymbol_].max));
  return width;
}

void Generator::chooseBatch(bool prefill, size_t &tokens) {
  batch_.clear();
  size_t longest = 1;
  for (Row *row : active_) {
    if (row->prefilling() != prefill)
      continue;
    batch_.push_back(row);
    if (!fits(batch_.size(), 1, tableWidth(batch_, 1))) {
      batch_.pop_back(); // a limit of rows and blocks: the others wait for the next call
      break;
    }
    if (prefill)
      longest = std::max(longest, row->tokens.size() - row->fed);
  }
  // The largest number of tokens a row that fits; one fits.
  size_t low = 1, high = longest;
  while (low < high) {
    size_t middle = low + (high - low + 1) / 2;
    if (fits(batch_.size(), middle, tableWidth(batch_, middle)))
      low = middle;
    else
      high = middle - 1;
  }
  tokens = low;
}

Status Generator::call(size_t tokens, const Run &run) {
  size_t width = tableWidth(batch_, tokens);
  int64_t symbols[3] = {};
  symbols[rowsSymbol_] = int64_t(batch_.size());
  symbols[tokensSymbol_] = int64_t(tokens);
  symbols[blocksSymbol_] = int64_t(width);
  called_ = tokens == 1 && decode_.program ? &decode_ : &step_;
  const StepProgram &step = *called_;
  INGOT_TRY(step.program->bind(symbols));
  for (Port &port : step.program->inputs())
    if (port.optional)
      step.program->fillDefault(port);
  auto *ids = static_cast<int32_t *>(step.inputIds->host);
  auto *num = static_cast<int32_t *>(step.numTokens->host);
  auto *past = static_cast<int32_t *>(step.pastTokens->host);
  auto *table = static_cast<int32_t *>(step.blockTable->host);
  for (size_t i = 0; i < batch_.size(); ++i) {
    Row &row = *batch_[i];
    const int32_t *from = row.prefilling() ? row.tokens.data() + row.fed : &row.last;
    row.feeding = row.prefilling() ? std::min(tokens, row.tokens.size() - row.fed) : 1;
    while (row.blocks.size() < blocksFor(row.fed + row.feeding)) {
      row.blocks.push_back(allocator_->take());
      --row.reserved;
    }
    std::fill(std::copy_n(from, row.feeding, ids + i * tokens), ids + (i + 1) * tokens, 0);
    std::fill(std::copy(row.blocks.begin(), row.blocks.end(), table + i * width),
              table + (i + 1) * width, 0);
    num[i] = int32_t(row.feeding);
    past[i] = int32_t(row.fed);
  }
  if (step.sampling.tokens)
    fillSampling(run);
  INGOT_TRY(step.program->execute());
  for (Row *row : batch_)
    row->fed += row->feeding;
  return step.program->fetch(step.sampling.tokens ? *step.sampling.tokens : *step.logits);
}

void Generator::fillSampling(const Run &run) {
  const SamplingOptions &options = run.settings.sampling;
  const DeviceSampling &ports = called_->sampling;
  auto set = [](Port *port, size_t i, auto value) {
    static_cast<decltype(value) *>(port->host)[i] = value;
  };
  for (size_t i = 0; i < batch_.size(); ++i) {
    const Row &row = *batch_[i];
    set(ports.temperature, i, options.sample ? options.temperature : 0.0f);
    set(ports.topK, i, int32_t(std::min<uint32_t>(options.topK, INT32_MAX)));
    set(ports.topP, i, options.topP);
    set(ports.minP, i, options.minP);
    set(ports.repetitionPenalty, i, options.repetitionPenalty);
    set(ports.seed, i, int64_t(run.settings.seed + row.prompt));
    set(ports.draw, i, int64_t(run.results[row.prompt].tokens.size()));
    set(ports.slot, i, int32_t(&row - rows_.data()));
  }
}

/// The token that row `index` of the last call goes on with.
Result<int32_t> Generator::nextToken(size_t index, const Run &run) {
  const Row &row = *batch_[index];
  if (!called_->sampling.tokens) {
    const auto *logits = static_cast<const float *>(called_->logits->host);
    return sampler_->pick({logits + index * vocabulary_, vocabulary_}, run.settings.sampling,
                          row.seen, run.settings.seed + row.prompt,
                          run.results[row.prompt].tokens.size());
  }
  int32_t token = static_cast<const int32_t *>(called_->sampling.tokens->host)[index];
  if (token < 0 || size_t(token) >= vocabulary_)
    return Status(ExitCode::MalformedInput,
                  text("the logits are not finite (the program sampled ", token,
                       "): the weights are damaged, or their values overflow"));
  return token;
}

Status Generator::sampleRows(Run &run) {
  for (size_t i = 0; i < batch_.size() && !run.cancelled; ++i) {
    Row *row = batch_[i];
    if (row->prefilling())
      continue;
    GeneratedRow &result = run.results[row->prompt];
    auto token = nextToken(i, run);
    if (!token.ok())
      return token.status().withContext(
          text("prompt ", row->prompt, ", new token ", result.tokens.size(), ": "));
    size_t position = result.tokens.size();
    result.tokens.push_back(*token);
    row->last = *token;
    if (run.settings.sampling.repetitionPenalty != 1)
      row->seen.insert(*token);
    if (run.settings.onToken)
      run.cancelled = run.settings.onToken(run.settings.user, row->prompt, *token, position);
    const std::vector<int64_t> &eos = run.settings.eosIds;
    if (std::find(eos.begin(), eos.end(), int64_t(*token)) != eos.end())
      finish(row, run, StopReason::Eos);
    else if (result.tokens.size() >= run.settings.maxNewTokens)
      finish(row, run, StopReason::Length);
    else if (row->fed == maxContext_)
      finish(row, run, StopReason::Context);
  }
  return {};
}

void Generator::finish(Row *row, Run &run, StopReason reason) {
  run.results[row->prompt].stop = reason;
  allocator_->release(row->blocks, row->reserved);
  active_.erase(std::find(active_.begin(), active_.end(), row));
  idle_.push_back(row);
}

void Generator::releaseAll() {
  for (Row *row : active_) {
    allocator_->release(row->blocks, row->reserved);
    idle_.push_back(row);
  }
  active_.clear();
}

Status Generator::generate(std::span<const std::span<const int32_t>> prompts,
                           const GenerateSettings &settings, std::vector<GeneratedRow> &results,
                           GenerateStats *stats) {
  INGOT_TRY(checkRequest(prompts, settings));
  Run run{prompts, settings, std::vector<GeneratedRow>(prompts.size())};
  GenerateStats counts;
  for (size_t i = 0; i < prompts.size(); ++i) {
    counts.promptTokens += prompts[i].size();
    run.results[i].tokens.reserve(
        size_t(std::min<uint64_t>(settings.maxNewTokens, maxContext_ - prompts[i].size() + 1)));
  }
  Status status;
  for (admit(run); !active_.empty() && !run.cancelled && status.ok(); admit(run)) {
    bool prefill = std::any_of(active_.begin(), active_.end(),
                               [](const Row *row) { return row->prefilling(); });
    size_t tokens = 1;
    chooseBatch(prefill, tokens);
    double begin = monotonicSeconds();
    status = call(tokens, run);
    (prefill ? counts.prefillSeconds : counts.decodeSeconds) += monotonicSeconds() - begin;
    ++(prefill ? counts.prefillCalls : counts.decodeCalls);
    if (status.ok())
      status = sampleRows(run);
  }
  releaseAll();
  INGOT_TRY(status);
  for (const GeneratedRow &row : run.results)
    counts.newTokens += row.tokens.size();
  results = std::move(run.results);
  if (stats)
    *stats = counts;
  return {};
}

} // namespace ingot
