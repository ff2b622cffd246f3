//===- TestArtifact.h - A small hand-made artifact ----------------*- C++ -*-===//
//
// A plan of two programs over the kernels of kernels.c, for every test that needs something
// loadable:
//
//   forward  B in [1, 4], S in [1, 8], B * S <= 16
//            x[B, S] f32, ids[B, S] i32 in [0, 9], mask[B, S] i32 in [0, 1], optional, 1
//            -> y = x * w[0] + ids + mask, copy (of y), calls[1] (a counter in state)
//   step     B in [1, 3], S in [1, 4], NB in [1, 4], B * S <= 6: kernels.c's language model
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/exec/Model.h"
#include "runtime/format/Artifact.h"
#include "runtime/format/ArtifactWriter.h"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ingot::testing {

constexpr int64_t kVocabulary = 13, kBlockSize = 4, kNumBlocks = 9, kMaxContext = 16;

/// The code image kernels.c was compiled to.
const std::vector<std::byte> &kernelImage();

/// A program "decode" beside "step", the same for one token a row.
void addDecode(format::PlanT &plan);

/// The plan as objects that a test may change before it is packed.
std::unique_ptr<format::PlanT> makePlan();
/// Lets the plan's step program sample (kernels.c's sample), by ports named as in plan.fbs.
void addSampling(format::PlanT &plan);
/// Adds to "forward" a size T of at most B * S, read from what the state counts (the number of
/// calls), and a launch that computes the first T elements of "copy" again, doubled input and all.
void addResidentSize(format::ProgramT &program);
/// Adds a program "chain", for a CUDA target: y = 16 x over [B, 4] f32, B in [1, 6], by four launches
/// of kernels.c's twice, the last three of which its kernel chain does for up to 3 tokens, exchanging
/// what is between them: 16 bytes a token each. The first of the three has a tensor map of what it
/// reads. The tokens are B, or with `resident` T, at most B, that is read from an input "count".
void addStream(format::PlanT &plan, bool resident = false);
/// Adds what a tuning pack has: a program that launches `entry` (twice, sum, ... of kernels.c)
/// `launches` times over the weight, as a candidate of a kernel.
void addCandidate(format::PlanT &plan, const std::string &kernel, const std::string &config,
                  const char *entry, bool modelled, unsigned launches = 2);
/// The bytes of a plan section.
std::vector<std::byte> packPlan(const format::PlanT &plan);
/// A whole file: plan, code, and the weights section if plan.weights_embedded.
std::vector<std::byte> makeFile(const format::PlanT &plan,
                                std::span<const std::byte> code = kernelImage());
/// Recomputes the header's checksums after a test changed bytes.
void reseal(std::vector<std::byte> &file);

/// Bytes that Artifact::fromBytes may read: aligned as a mapping is.
class AlignedBytes {
public:
  explicit AlignedBytes(const std::vector<std::byte> &bytes);
  ~AlignedBytes();
  AlignedBytes(const AlignedBytes &) = delete;
  std::span<const std::byte> span() const { return {data_, size_}; }

private:
  std::byte *data_;
  size_t size_;
};

/// A loaded model of makePlan(), after `change`.
struct LoadedModel {
  std::unique_ptr<AlignedBytes> bytes;
  std::unique_ptr<Model> model;
};
LoadedModel loadModel(const std::function<void(format::PlanT &)> &change = {},
                      const LoadOptions &options = {});

/// A path in the test's temporary folder.
std::string temporaryPath(const std::string &name);
std::string writeFile(const std::string &name, const std::vector<std::byte> &bytes);

/// What kernels.c's step() continues `tokens` with.
int32_t nextToken(const std::vector<int32_t> &tokens);

} // namespace ingot::testing
