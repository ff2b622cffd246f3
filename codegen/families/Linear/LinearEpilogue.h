//===- LinearEpilogue.h - What follows the sums of a linear layer -*- C++ -*-===//
//
// What the families of linear layers share: the elementwise rest of a body as a functor of the
// sums, and the order of a gated weight's rows that it counts on.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "codegen/families/Linear/LinearDesc.h"

namespace ingot::codegen {

/// Rows of gate and of up that stand together in a gated weight: half a tile of eight columns.
constexpr int64_t kGateRows = 4;

/// W[2F, K], gate rows first, with four rows of each in turn.
WeightLayout interleaveGate(exec::KernelOp kernel, const LinearDesc &desc);

/// How many columns of the result the epilogue makes at once: a 16-byte vector of the widest type.
int epilogueColumns(exec::KernelOp kernel, const LinearDesc &desc);

/// Prints the epilogue's statements; nothing (with `problem`) if they have no form.
std::optional<std::string> printEpilogue(exec::KernelOp kernel, const LinearDesc &desc,
                                         std::string &problem);

/// "ingot::bf16"; a boolean is a byte.
std::string elementName(mlir::Type type);

/// What gemm_out_sm90.cuh has to know of an epilogue: the buffer of its results, and one that lies
/// beside them, element by element.
struct ResultPanels {
  unsigned result = 0;
  std::optional<unsigned> beside;
  int64_t columns = 0;
};

/// Nothing where results are no rows of 16-bit elements that are stored as vectors of as many as
/// panels take.
std::optional<ResultPanels> findPanels(exec::KernelOp kernel, const LinearDesc &desc,
                                       llvm::StringRef statements);

/// `struct Epilogue` with the kernel's buffers and sizes as members.
struct EpilogueFunctor {
  std::string declaration;
  std::string type;      // of one over pointers
  std::string arguments; // of its aggregate initialization
  int values = 0;        // sums that it takes
};
EpilogueFunctor makeEpilogueFunctor(exec::KernelOp kernel, const LinearDesc &desc,
                                    const std::string &statements);

/// The same as a template of what stands for results and for what lies beside them, with the rest
/// of what gemm_out_sm90.cuh asks for; `Epilogue<>` is the one of pointers.
EpilogueFunctor makePanelEpilogue(exec::KernelOp kernel, const LinearDesc &desc,
                                  const ResultPanels &panels, const std::string &statements);

} // namespace ingot::codegen
