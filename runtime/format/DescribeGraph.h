//===- DescribeGraph.h - A plan as a graph of launches -----------*- C++ -*-===//
#pragma once

#include "runtime/format/Artifact.h"

#include <string>

namespace ingot {

/// The programs of a validated plan as graphs, for people: a node a launch, copy, port and state,
/// an edge from what wrote bytes to what reads them. Weights and constants, which every launch has,
/// are attributes of it.
///
/// JSON as Model Explorer opens it: {"label", "graphs": [{"id", "nodes": [{"id", "label",
/// "namespace", "attrs", "incomingEdges", "outputsMetadata"}]}]}; the namespace is the module path,
/// so layers fold.
std::string graphAsJson(const format::Plan &plan);

/// The same in the language of Graphviz, a cluster a program.
std::string graphAsDot(const format::Plan &plan);

} // namespace ingot
