//===- ValidateKernel.cpp - Kernels, and rule V12 ---------------*- C++ -*-===//
#include "runtime/format/ValidateProgram.h"

#include "runtime/format/DType.h"
#include "runtime/format/Validate.h"
#include "runtime/support/CheckedMath.h"
#include "runtime/support/Text.h"
#include "runtime/support/Try.h"

#include <algorithm>

namespace ingot::validation {

namespace {

using Sizes = flatbuffers::Vector<flatbuffers::Offset<format::Size>>;

/// A size over the kernel's size arguments.
Status checkArgumentSize(const std::string &where, const format::Kernel &kernel,
                         const format::Size &size) {
  if (size.factor() < 1 || size.divisor() < 1)
    return expected(where, "a size with factor >= 1 and divisor >= 1",
                    text("factor ", size.factor(), ", divisor ", size.divisor()));
  for (unsigned i = 0; i < count(size.symbols()); ++i)
    if (size.symbols()->Get(i) >= kernel.num_sizes())
      return expected(where, text("size arguments below ", kernel.num_sizes()),
                      text(size.symbols()->Get(i)));
  return {};
}

Status checkBlocks(const std::string &where, const char *what,
                   const flatbuffers::Vector<uint32_t> *list, uint64_t most) {
  uint64_t product = 1;
  for (unsigned i = 0; i < count(list); ++i)
    product *= std::min<uint64_t>(list->Get(i), 4096);
  if ((count(list) != 0 && count(list) != 3) || product < 1 || product > most)
    return expected(where, text("no ", what, ", or 3 sizes of 1 to ", most, " in all"),
                    text(count(list), " sizes"));
  return {};
}

Status checkTensorMap(const std::string &where, const format::Kernel &kernel,
                      const format::TensorMap &map) {
  if (map.buffer() >= kernel.num_buffers())
    return expected(where, text("a buffer argument below ", kernel.num_buffers()),
                    text(map.buffer()));
  size_t elementBytes = dtypeBytes(map.dtype());
  if (elementBytes == 0)
    return expected(where, "an element type", text(unsigned(map.dtype())));
  unsigned rank = map.dims()->size();
  if (rank < 1 || rank > kMaxTensorMapRank || count(map.strides()) != rank - 1 ||
      map.box()->size() != rank ||
      (count(map.element_strides()) != 0 && count(map.element_strides()) != rank))
    return expected(where,
                    text("1 to ", kMaxTensorMapRank, " dimensions, a box and element strides of ",
                         "as many, and a stride less"),
                    text(rank, " dimensions, ", count(map.strides()), " strides, a box of ",
                         map.box()->size(), ", ", count(map.element_strides()),
                         " element strides"));
  if (map.offset() % 16 != 0)
    return expected(where, "an offset that is a multiple of 16", text(map.offset()));
  for (unsigned i = 0; i < rank; ++i) {
    INGOT_TRY(checkArgumentSize(text(where, ": dims[", i, "]"), kernel, *map.dims()->Get(i)));
    if (map.box()->Get(i) < 1 || map.box()->Get(i) > 256)
      return expected(text(where, ": box[", i, "]"), "1 to 256", text(map.box()->Get(i)));
    if (count(map.element_strides()) != 0 &&
        (map.element_strides()->Get(i) < 1 || map.element_strides()->Get(i) > 8))
      return expected(text(where, ": element_strides[", i, "]"), "1 to 8",
                      text(map.element_strides()->Get(i)));
  }
  for (unsigned i = 0; i + 1 < rank; ++i) {
    std::string place = text(where, ": strides[", i, "]");
    const format::Size &stride = *map.strides()->Get(i);
    INGOT_TRY(checkArgumentSize(place, kernel, stride));
    // So it is a multiple at any value of the arguments.
    if (stride.factor() % 16 != 0 || stride.divisor() != 1)
      return expected(place, "a factor that is a multiple of 16, without a divisor",
                      text("factor ", stride.factor(), ", divisor ", stride.divisor()));
  }
  if (unsigned(map.swizzle()) > unsigned(format::Swizzle::MAX) ||
      unsigned(map.promotion()) > unsigned(format::L2Promotion::MAX))
    return expected(where, "a known swizzle and promotion",
                    text(unsigned(map.swizzle()), " and ", unsigned(map.promotion())));
  uint64_t rowBytes = map.box()->Get(0) * elementBytes;
  uint64_t widest = map.swizzle() == format::Swizzle::None
                        ? UINT64_MAX
                        : uint64_t(16) << unsigned(map.swizzle()); // 32, 64, 128
  if (rowBytes % 16 != 0 || rowBytes > widest)
    return expected(text(where, ": box[0]"),
                    text("a multiple of 16 bytes, no more than the swizzle's"),
                    text(rowBytes, " bytes"));
  return {};
}

Status checkVariants(const std::string &where, const format::Plan &plan, unsigned index) {
  const format::Kernel &kernel = *plan.kernels()->Get(index);
  const format::Target &target = *plan.targets()->Get(plan.images()->Get(kernel.image())->target());
  if (count(kernel.variants()) >= kMaxDevices)
    return expected(where, text("less than ", kMaxDevices, " variants"),
                    text(count(kernel.variants())));
  for (unsigned i = 0; i < count(kernel.variants()); ++i) {
    std::string place = text(where, ": variants[", i, "]");
    uint32_t other = kernel.variants()->Get(i);
    if (other >= count(plan.kernels()) || other == index)
      return expected(place, text("another kernel below ", count(plan.kernels())), text(other));
    const format::Kernel &variant = *plan.kernels()->Get(other);
    if (variant.image() >= count(plan.images()) ||
        plan.images()->Get(variant.image())->target() >= plan.targets()->size())
      return expected(place, "a kernel with an image", text("image ", variant.image()));
    const format::Target &its = *plan.targets()->Get(plan.images()->Get(variant.image())->target());
    if (its.kind()->string_view() != target.kind()->string_view())
      return expected(place, text("a kernel for a target of kind ", quoted(target.kind()->str())),
                      quoted(its.kind()->str()));
    bool same =
        variant.num_buffers() == kernel.num_buffers() &&
        variant.num_sizes() == kernel.num_sizes() &&
        count(variant.written()) == kernel.written()->size() &&
        std::equal(kernel.written()->begin(), kernel.written()->end(), variant.written()->begin());
    if (!same)
      return expected(place, "a kernel of the same arguments", "another one");
    if (count(variant.grid()) != 3)
      return expected(place, "a kernel with a grid of its own",
                      text(count(variant.grid()), " sizes"));
  }
  return {};
}

} // namespace

Status checkKernel(const format::Plan &plan, unsigned index) {
  const format::Kernel &kernel = *plan.kernels()->Get(index);
  std::string where = text("kernels[", index, "]");
  INGOT_TRY(checkName(where, kernel.entry()));
  where += text(" ", quoted(kernel.entry()->string_view()));
  if (kernel.image() >= count(plan.images()))
    return expected(where, text("an image below ", count(plan.images())), text(kernel.image()));
  if (kernel.num_buffers() > kMaxKernelBuffers || kernel.num_sizes() > kMaxKernelSizes)
    return expected(where,
                    text("at most ", kMaxKernelBuffers, " buffers and ", kMaxKernelSizes, " sizes"),
                    text(kernel.num_buffers(), " and ", kernel.num_sizes()));
  if (!kernel.written() || kernel.written()->size() != kernel.num_buffers())
    return expected(where, text(kernel.num_buffers(), " written flags"),
                    text(count(kernel.written())));
  if (kernel.scratch_bytes() > kMaxScratchBytes)
    return expected(where, text("at most ", kMaxScratchBytes, " bytes of scratch"),
                    text(kernel.scratch_bytes()));
  INGOT_TRY(checkBlocks(where, "block", kernel.block(), 1024));
  INGOT_TRY(checkBlocks(where, "cluster", kernel.cluster(), 16));
  if (count(kernel.device_sizes()) > kMaxKernelSizes ||
      count(kernel.tensor_maps()) > kMaxTensorMaps)
    return expected(
        where, text("at most ", kMaxKernelSizes, " device sizes, ", kMaxTensorMaps, " tensor maps"),
        text(count(kernel.device_sizes()), " and ", count(kernel.tensor_maps())));
  for (unsigned i = 0; i < count(kernel.device_sizes()); ++i)
    if (kernel.device_sizes()->Get(i) >= kernel.num_sizes())
      return expected(text(where, ": device_sizes[", i, "]"),
                      text("a size argument below ", kernel.num_sizes()),
                      text(kernel.device_sizes()->Get(i)));
  for (unsigned i = 0; i < count(kernel.tensor_maps()); ++i)
    INGOT_TRY(checkTensorMap(text(where, ": tensor_maps[", i, "]"), kernel,
                             *kernel.tensor_maps()->Get(i)));
  if (count(kernel.grid()) != 0 && count(kernel.grid()) != 3)
    return expected(where, "no grid, or one of 3 sizes", text(kernel.grid()->size()));
  for (unsigned i = 0; i < count(kernel.grid()); ++i)
    INGOT_TRY(checkArgumentSize(text(where, ": grid[", i, "]"), kernel, *kernel.grid()->Get(i)));
  const format::Image &image = *plan.images()->Get(kernel.image());
  bool isCuda = plan.targets()->Get(image.target())->kind()->string_view() == "cuda";
  if (!isCuda && (count(kernel.cluster()) || kernel.overlaps() || count(kernel.device_sizes()) ||
                  count(kernel.tensor_maps())))
    return expected(where, "clusters, overlap, device sizes and tensor maps on CUDA only",
                    "a kernel for another target");
  return checkVariants(where, plan, index);
}

namespace {

/// `outer`, a size over the arguments `sizes`, as one over the program's symbols where it has such
/// a form, and its maximum either way.
struct Composed {
  std::optional<SizeExpr> exact; // without a divisor
  std::optional<int64_t> maximum;
};

Composed compose(const SizeExpr &outer, std::span<const SizeExpr> sizes,
                 const SymbolBounds &bounds) {
  SizeExpr product{outer.factor, {}, 1};
  std::optional<int64_t> factor = outer.factor;
  bool exact = outer.divisor == 1;
  for (uint16_t argument : outer.symbols) {
    const SizeExpr &size = sizes[argument];
    if (size.divisor == 1) {
      factor = factor ? checkedMul(*factor, size.factor) : std::nullopt;
      product.symbols.insert(product.symbols.end(), size.symbols.begin(), size.symbols.end());
    } else {
      exact = false;
      auto most = maxSize(size, bounds);
      factor = factor && most ? checkedMul(*factor, *most) : std::nullopt;
    }
  }
  if (!factor)
    return {};
  product.factor = *factor;
  std::sort(product.symbols.begin(), product.symbols.end());
  Composed out;
  if (exact)
    out.exact = product;
  product.divisor = outer.divisor;
  out.maximum = maxSize(product, bounds);
  return out;
}

/// The bytes from the first element of a map to behind its last, at the maxima.
std::optional<int64_t> mapSpan(const format::TensorMap &map, std::span<const SizeExpr> sizes,
                               const SymbolBounds &bounds) {
  // Of the dimensions so far: as one product, where they follow each other, and at most.
  SizeExpr dim = sizeExpr(*map.dims()->Get(0));
  Composed inner = compose(dim, sizes, bounds);
  int64_t elementBytes = int64_t(dtypeBytes(map.dtype()));
  std::optional<int64_t> span =
      inner.maximum ? checkedMul(*inner.maximum, elementBytes) : std::nullopt;
  std::optional<SizeExpr> dense = inner.exact;
  if (dense) {
    auto factor = checkedMul(dense->factor, elementBytes);
    dense = factor ? std::optional(SizeExpr{*factor, dense->symbols, 1}) : std::nullopt;
  }
  for (unsigned i = 1; i < map.dims()->size() && span; ++i) {
    Composed extent = compose(sizeExpr(*map.dims()->Get(i)), sizes, bounds);
    Composed stride = compose(sizeExpr(*map.strides()->Get(i - 1)), sizes, bounds);
    if (!extent.maximum || !stride.maximum)
      return std::nullopt;
    std::optional<SizeExpr> whole; // extent * stride
    if (extent.exact && stride.exact) {
      if (auto factor = checkedMul(extent.exact->factor, stride.exact->factor)) {
        whole = SizeExpr{*factor, extent.exact->symbols, 1};
        whole->symbols.insert(whole->symbols.end(), stride.exact->symbols.begin(),
                              stride.exact->symbols.end());
        std::sort(whole->symbols.begin(), whole->symbols.end());
      }
    }
    bool follows = dense && stride.exact && stride.exact->symbols == dense->symbols &&
                   stride.exact->factor >= dense->factor;
    bool constant = stride.exact && stride.exact->symbols.empty();
    if (constant) {
      auto outer = checkedMul(*extent.maximum - 1, *stride.maximum);
      span = outer ? checkedAdd(*outer, *span) : std::nullopt;
    } else if (follows && whole) {
      span = maxSize(*whole, bounds);
    } else {
      auto outer = checkedMul(*extent.maximum, *stride.maximum);
      span = outer ? checkedAdd(*outer, *span) : std::nullopt;
    }
    dense = follows ? whole : std::nullopt;
  }
  return span;
}

/// A map at the maxima of the arguments `sizes`.
Status checkMapRange(const std::string &place, const format::TensorMap &map,
                     std::span<const SizeExpr> sizes, const SymbolBounds &bounds, uint64_t bytes) {
  for (unsigned d = 0; d < map.dims()->size(); ++d) {
    auto dim = compose(sizeExpr(*map.dims()->Get(d)), sizes, bounds).maximum;
    if (!dim || *dim > (int64_t(1) << 32))
      return expected(place, "dimensions of at most 2^32 at the maxima",
                      dim ? text(*dim) : std::string("more than 63 bits"));
    auto stride = d == 0 ? 0 : compose(sizeExpr(*map.strides()->Get(d - 1)), sizes, bounds).maximum;
    if (!stride || *stride >= (int64_t(1) << 40))
      return expected(place, "strides below 2^40 at the maxima",
                      stride ? text(*stride) : std::string("more than 63 bits"));
  }
  auto span = mapSpan(map, sizes, bounds);
  if (!span || !rangeFits(map.offset(), uint64_t(*span), bytes))
    return expected(place, text("a range inside the ", bytes, " bytes of its buffer at the maxima"),
                    span ? text("offset ", map.offset(), " + ", *span, " bytes")
                         : std::string("more than 63 bits"));
  return {};
}

uint64_t bufferBytes(const format::Program &program, const format::Launch &launch,
                     uint16_t argument) {
  return program.buffers()->Get(launch.buffers()->Get(argument))->bytes();
}

} // namespace

Status checkConstantMap(const std::string &where, const format::Kernel &kernel,
                        const format::TensorMap &map, const format::Program &program,
                        const format::Launch &launch) {
  INGOT_TRY(checkTensorMap(where, kernel, map));
  for (const auto *sizes : {map.dims(), map.strides()})
    for (unsigned i = 0; i < count(sizes); ++i)
      if (count(sizes->Get(i)->symbols()) != 0)
        return expected(where, "constant dimensions and strides", "one over size arguments");
  return checkMapRange(where, map, {}, {}, bufferBytes(program, launch, map.buffer()));
}

Status checkKernelSizes(const std::string &where, const format::Plan &plan, uint32_t kernelIndex,
                        const format::Program &program, const format::Launch &launch) {
  const format::Kernel &kernel = *plan.kernels()->Get(kernelIndex);
  SymbolBounds bounds = symbolBounds(program);
  std::vector<SizeExpr> sizes;
  for (unsigned i = 0; i < count(launch.sizes()); ++i)
    sizes.push_back(sizeExpr(*launch.sizes()->Get(i)));
  for (unsigned i = 0; i < count(kernel.tensor_maps()); ++i) {
    const format::TensorMap &map = *kernel.tensor_maps()->Get(i);
    INGOT_TRY(checkMapRange(text(where, ": tensor map ", i), map, sizes, bounds,
                            bufferBytes(program, launch, map.buffer())));
  }
  std::optional<int64_t> blocks = 1;
  for (unsigned i = 0; i < count(kernel.grid()); ++i) {
    auto extent = compose(sizeExpr(*kernel.grid()->Get(i)), sizes, bounds).maximum;
    blocks = blocks && extent ? checkedMul(*blocks, *extent) : std::nullopt;
  }
  if (!blocks)
    return expected(where, "a grid whose number of blocks fits 63 bits at the maxima",
                    "a larger one");
  return {};
}

} // namespace ingot::validation
