//===- TransformerOps.td - All operations of the dialect ---*- tablegen -*-===//
//
// What mlir-tblgen reads; the operations are in one file a family.
//
//===----------------------------------------------------------------------===//
#ifndef INGOT_TRANSFORMER_OPS_TD
#define INGOT_TRANSFORMER_OPS_TD

include "dialects/Transformer/WeightOps.td"
include "dialects/Transformer/EmbeddingOps.td"
include "dialects/Transformer/NormOps.td"
include "dialects/Transformer/ResidualNormOps.td"
include "dialects/Transformer/LinearOps.td"
include "dialects/Transformer/GatedLinearOps.td"
include "dialects/Transformer/AttentionOps.td"
include "dialects/Transformer/FusedAttentionOps.td"
include "dialects/Transformer/CacheOps.td"
include "dialects/Transformer/PoolingOps.td"
include "dialects/Transformer/PackingOps.td"
include "dialects/Transformer/SamplingOps.td"

#endif // INGOT_TRANSFORMER_OPS_TD
