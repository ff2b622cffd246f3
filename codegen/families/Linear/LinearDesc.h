//===- LinearDesc.h - What, how and where of a linear kernel ----*- C++ -*-===//
#pragma once

#include "codegen/cuda/Stub.h"
#include "dialects/Exec/ExecOps.h"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace ingot::codegen {

/// The rms_norm that x goes through, if any.
struct LinearNorm {
  unsigned gains = 0; // buffer
  mlir::Type gainType;
  double eps = 0;
};

/// What: result[M, N] = epilogue(x[M, K] weight[N, K]^T).
struct LinearDesc {
  mlir::Operation *root = nullptr; // transformer.linear or gated_linear
  bool gated = false;
  bool activated = false; // gated, or an activation follows
  /// Results can be copied by panels (findPanels in LinearEpilogue.h), and an operand lies beside
  /// them; a heuristic's input.
  bool panels = false, beside = false;
  mlir::Type elementType;
  int64_t columns = 0; // rows of the weight: N, or 2 F
  int64_t k = 0;
  unsigned x = 0, weight = 0; // buffers
  int64_t rowStride = 0;      // elements of x from row to row
  int64_t offset = 0;         // of x's first column
  exec::SizeAttr rows;        // M
  std::optional<LinearNorm> norm;

  std::string str() const { return str("M=" + rows.str()); }
  /// The same for at most so many rows: what measurements are kept under.
  std::string str(int64_t mostRows) const { return str("M<=" + std::to_string(mostRows)); }

private:
  std::string str(const std::string &rows) const;
};

/// Reads the desc of a body, or says why it is no linear layer for these families. A norm of x is
/// part of it for those that ask for it only.
std::variant<LinearDesc, std::string> describeLinear(exec::KernelOp kernel, bool withNorm = false);

/// How.
struct LinearConfig {
  unsigned threads = 256;
  /// Warpgroup instructions fed by the tensor copy engine (gemm_sm90.cuh), else mma.sync.
  bool warpgroups = false;
  int tileM = 128, tileN = 128, stages = 3, warpsM = 2;
  /// Of warpgroups (gemm_sm90.cuh): blocks of a cluster; whether they take tiles in turn, else the
  /// stages by which one begins a shared tile ahead of the other; whether W's rows come in the
  /// order that leaves a thread neighbouring columns.
  int cluster = 1;
  bool inTurn = false;
  int lead = 0;
  bool columnsInOrder = false;
  /// Panels of results of a warpgroup (gemm_out_sm90.cuh); 0: the epilogue stores.
  int outPanels = 0;
  /// Tiles of eight rows of W that a block reads together when there are few tokens.
  int tilesAtOnce = 1;
  /// Steps of weights that are in flight there.
  int ringStages = 2;
  unsigned blocksPerMultiprocessor = 2;
  uint32_t sharedBytes = 0;
  std::string reason;

  std::string str() const;
};

/// The ways to run a shape on an architecture that are worth measuring: first what the model
/// chooses, then others in the order of their modelled time.
std::vector<LinearConfig> listLinearConfigs(const LinearDesc &desc, int64_t mostRows,
                                            const cuda::ArchInfo &arch);

/// How few rows are multiplied on sm_90a (gemm_few_sm90.cuh). No part of a config, as it is the
/// same beside each.
struct FewTiles {
  /// Columns of tiles, and the way for each number of 128 rows: two bits each, 0 where there are
  /// more tiles than blocks.
  int narrow = 64, wide = 128;
  uint64_t ways = 0;

  bool cover(int64_t rows) const;
};
FewTiles chooseFewTiles(const LinearDesc &desc, int64_t mostRows, int cluster,
                        const cuda::ArchInfo &arch);

/// The part of them for many rows on sm_90a.
std::vector<LinearConfig> listWarpgroups(const LinearDesc &desc, int64_t mostRows,
                                         const cuda::ArchInfo &arch);

} // namespace ingot::codegen
