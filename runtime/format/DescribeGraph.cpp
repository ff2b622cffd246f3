//===- DescribeGraph.cpp - A plan as a graph of launches -------------------===//
#include "runtime/format/DescribeGraph.h"

#include "runtime/support/Text.h"
#include "runtime/weights/ElementType.h"
#include "runtime/weights/JsonWriter.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

namespace ingot {
namespace {

template <typename T> unsigned count(const T *vector) { return vector ? vector->size() : 0; }

struct Edge {
  size_t from;        // index of a node
  unsigned output;    // which of its outputs
  unsigned input;     // which input of the node it is an edge of
  std::string tensor; // "[B, S, 384] f32"
};

struct Node {
  std::string id, label, scope;
  std::vector<std::pair<std::string, std::string>> attributes;
  std::vector<Edge> edges;
  std::vector<std::string> outputs; // tensors
};

/// The nodes of one program, in the order in which they run.
class GraphBuilder {
public:
  GraphBuilder(const format::Plan &plan, const format::Program &program)
      : plan_(plan), program_(program) {}

  std::vector<Node> build();

private:
  /// Views show the same bytes, so bytes, not buffers, carry edges.
  using Place = std::tuple<unsigned, unsigned, uint64_t>;
  Place placeOf(const format::Buffer &buffer) const {
    return {unsigned(buffer.space()), buffer.device(), buffer.offset()};
  }

  std::string sizeText(const format::Size &size) const;
  std::string tensorText(const format::Buffer &buffer) const;
  const format::Buffer &buffer(unsigned index) const { return *program_.buffers()->Get(index); }
  Node &add(std::string id, std::string label, std::string scope);
  void read(Node &node, const format::Buffer &buffer);
  void write(size_t node, const format::Buffer &buffer);
  void addLaunch(const format::Launch &launch, unsigned step);
  void addCopy(const format::Copy &copy, unsigned step);

  const format::Plan &plan_;
  const format::Program &program_;
  std::vector<Node> nodes_;
  /// Who wrote the bytes last: node and output.
  std::map<Place, std::pair<size_t, unsigned>> writers_;
};

std::string GraphBuilder::sizeText(const format::Size &size) const {
  std::string product;
  for (unsigned i = 0; i < count(size.symbols()); ++i)
    product += (product.empty() ? "" : " * ") +
               program_.symbols()->Get(size.symbols()->Get(i))->name()->str();
  if (size.factor() != 1 || product.empty())
    product = std::to_string(size.factor()) + (product.empty() ? "" : " * " + product);
  return size.divisor() == 1 ? product : text("ceil(", product, " / ", size.divisor(), ")");
}

std::string GraphBuilder::tensorText(const format::Buffer &buffer) const {
  std::string shape;
  for (unsigned i = 0; i < count(buffer.shape()); ++i)
    shape += (i ? ", " : "") + sizeText(*buffer.shape()->Get(i));
  return text("[", shape, "] ", nameOf(ElementType(buffer.dtype())));
}

Node &GraphBuilder::add(std::string id, std::string label, std::string scope) {
  Node &node = nodes_.emplace_back();
  node.id = std::move(id);
  node.label = std::move(label);
  node.scope = std::move(scope);
  return node;
}

void GraphBuilder::write(size_t node, const format::Buffer &buffer) {
  writers_[placeOf(buffer)] = {node, unsigned(nodes_[node].outputs.size())};
  nodes_[node].outputs.push_back(tensorText(buffer));
}

void GraphBuilder::read(Node &node, const format::Buffer &buffer) {
  auto writer = writers_.find(placeOf(buffer));
  if (writer != writers_.end())
    node.edges.push_back({writer->second.first, writer->second.second, unsigned(node.edges.size()),
                          tensorText(buffer)});
}

/// "model.layers.3.self_attn.q_proj" as folders without the last name; "" has none.
std::pair<std::string, std::string> splitLocation(std::string location) {
  // Of a launch that several modules share, the first says where it is.
  location = location.substr(0, location.find(','));
  std::replace(location.begin(), location.end(), '.', '/');
  size_t slash = location.rfind('/');
  if (slash == std::string::npos)
    return {"", location};
  return {location.substr(0, slash), location.substr(slash + 1)};
}

void GraphBuilder::addLaunch(const format::Launch &launch, unsigned step) {
  const format::Kernel &kernel = *plan_.kernels()->Get(launch.kernel());
  std::string location = launch.location() ? launch.location()->str() : "";
  std::string scope = splitLocation(location).first;
  size_t index = nodes_.size();
  Node &node = add(text("step", step), kernel.entry()->str(), std::move(scope));
  node.attributes.push_back({"module", location});
  if (kernel.description())
    node.attributes.push_back({"kernel", kernel.description()->str()});
  std::string grid;
  for (unsigned i = 0; i < count(launch.grid()); ++i)
    grid += (i ? " x " : "") + sizeText(*launch.grid()->Get(i));
  node.attributes.push_back({"grid", grid});
  std::vector<unsigned> written;
  for (unsigned i = 0; i < launch.buffers()->size(); ++i) {
    const format::Buffer &operand = buffer(launch.buffers()->Get(i));
    bool isWritten = i < count(kernel.written()) && kernel.written()->Get(i);
    if (operand.space() == format::Space::Weights || operand.space() == format::Space::Constants)
      node.attributes.push_back(
          {operand.space() == format::Space::Weights ? "weight" : "constant",
           text(operand.name() ? operand.name()->str() : "", " ", tensorText(operand))});
    else if (!isWritten || operand.space() == format::Space::State)
      read(node, operand);
    if (isWritten)
      written.push_back(launch.buffers()->Get(i));
  }
  for (unsigned operand : written)
    write(index, buffer(operand));
}

void GraphBuilder::addCopy(const format::Copy &copy, unsigned step) {
  size_t index = nodes_.size();
  read(add(text("step", step), "copy", ""), buffer(copy.source()));
  write(index, buffer(copy.target()));
}

std::vector<Node> GraphBuilder::build() {
  // Whatever is written in place there is a version of the state.
  for (unsigned i = 0; i < count(program_.buffers()); ++i) {
    const format::Buffer &state = buffer(i);
    if (state.space() != format::Space::State || writers_.count(placeOf(state)))
      continue;
    size_t index = nodes_.size();
    add(text("state", i), state.name() ? state.name()->str() : "state", "state");
    write(index, state);
  }
  for (unsigned i = 0; i < count(program_.inputs()); ++i) {
    const format::Port &port = *program_.inputs()->Get(i);
    size_t index = nodes_.size();
    add(text("input", i), port.name()->str(), "");
    write(index, buffer(port.buffer()));
  }
  for (unsigned i = 0; i < count(program_.steps()); ++i) {
    const format::Step &step = *program_.steps()->Get(i);
    if (const format::Launch *launch = step.action_as_Launch())
      addLaunch(*launch, i);
    else if (const format::Copy *copy = step.action_as_Copy())
      addCopy(*copy, i);
  }
  for (unsigned i = 0; i < count(program_.outputs()); ++i) {
    const format::Port &port = *program_.outputs()->Get(i);
    read(add(text("output", i), port.name()->str(), ""), buffer(port.buffer()));
  }
  return std::move(nodes_);
}

/// A string of the Graphviz language, with its quotes.
std::string dotString(std::string_view plain) {
  std::string out = "\"";
  for (char c : plain) {
    if (c == '"' || c == '\\')
      out += '\\';
    out += (unsigned char)c < 0x20 ? ' ' : c;
  }
  return out + "\"";
}

} // namespace

std::string graphAsJson(const format::Plan &plan) {
  JsonWriter json;
  json.beginObject();
  json.member("label", plan.model_type() ? plan.model_type()->string_view() : "model");
  json.key("graphs").beginArray();
  for (const format::Program *program : *plan.programs()) {
    std::vector<Node> nodes = GraphBuilder(plan, *program).build();
    json.beginObject().member("id", program->name()->string_view()).key("nodes").beginArray();
    for (const Node &node : nodes) {
      json.beginObject().member("id", node.id).member("label", node.label);
      json.member("namespace", node.scope).key("attrs").beginArray();
      for (const auto &[key, value] : node.attributes)
        json.beginObject().member("key", key).member("value", value).endObject();
      json.endArray().key("incomingEdges").beginArray();
      for (const Edge &edge : node.edges)
        json.beginObject()
            .member("sourceNodeId", nodes[edge.from].id)
            .member("sourceNodeOutputId", std::to_string(edge.output))
            .member("targetNodeInputId", std::to_string(edge.input))
            .endObject();
      json.endArray().key("outputsMetadata").beginArray();
      for (size_t i = 0; i < node.outputs.size(); ++i) {
        json.beginObject().member("id", std::to_string(i)).key("attrs").beginArray();
        json.beginObject().member("key", "tensor").member("value", node.outputs[i]).endObject();
        json.endArray().endObject();
      }
      json.endArray().endObject();
    }
    json.endArray().endObject();
  }
  json.endArray().endObject();
  return json.text() + "\n";
}

std::string graphAsDot(const format::Plan &plan) {
  std::string out = "digraph ingot {\n  node [shape=box, fontname=\"sans\"];\n";
  unsigned index = 0;
  for (const format::Program *program : *plan.programs()) {
    std::string prefix = text("p", index, "_");
    out += text("  subgraph cluster_", index++,
                " {\n    label=", dotString(program->name()->string_view()), ";\n");
    std::vector<Node> nodes = GraphBuilder(plan, *program).build();
    for (const Node &node : nodes) {
      std::string where = node.attributes.empty() ? "" : node.attributes.front().second;
      out += text("    ", prefix, node.id, " [label=", dotString(node.label),
                  where.empty() ? "" : text(", tooltip=", dotString(where)), "];\n");
      for (const Edge &edge : node.edges)
        out += text("    ", prefix, nodes[edge.from].id, " -> ", prefix, node.id,
                    " [label=", dotString(edge.tensor), "];\n");
    }
    out += "  }\n";
  }
  return out + "}\n";
}

} // namespace ingot
