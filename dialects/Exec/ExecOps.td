//===- ExecOps.td - All ops, for mlir-tblgen ---------------*- tablegen -*-===//
#ifndef INGOT_EXEC_OPS_TD
#define INGOT_EXEC_OPS_TD

include "dialects/Exec/TargetOps.td"
include "dialects/Exec/StorageOps.td"
include "dialects/Exec/KernelOps.td"
include "dialects/Exec/ProgramOps.td"
include "dialects/Exec/StreamOps.td"

#endif
