//===- EmitObject.cpp - LLVM dialect to an ELF object ---------------------===//
//
// The module is free of the machine it was compiled on: no paths, no host triple, no identification
// of the build. The kernels may not call libc, so LLVM is told that no library function exists; the
// few calls its code generator makes all the same (memcpy, memset, memmove) are defined here.
//
//===----------------------------------------------------------------------===//
#include "codegen/host/Kernel.h"
#include "codegen/host/KernelCache.h"

#include "mlir/Target/LLVMIR/Export.h"

#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

#include <mutex>

using namespace ingot;
using namespace ingot::host;

namespace {

constexpr const char *triple = "x86_64-unknown-linux-gnu";

std::unique_ptr<llvm::TargetMachine> makeTargetMachine(const HostTarget &target,
                                                       std::string &error) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser(); // the inline assembly of memcpy and memset
  });
  llvm::Triple parsed(triple);
  const llvm::Target *backend = llvm::TargetRegistry::lookupTarget(parsed, error);
  if (!backend)
    return nullptr;
  llvm::TargetOptions options;
  // Only what the program says may be contracted: vector.fma. Results do not depend on LLVM's mood.
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  return std::unique_ptr<llvm::TargetMachine>(backend->createTargetMachine(
      parsed, target.level, /*Features=*/"", options, llvm::Reloc::PIC_, llvm::CodeModel::Small,
      KernelCache::effort() == Effort::Full ? llvm::CodeGenOptLevel::Default
                                            : llvm::CodeGenOptLevel::Less));
}

/// Defines void *name(dst, src-or-byte, n) with one string instruction, unless it exists.
void defineLibcall(llvm::Module &module, llvm::StringRef name, bool fills) {
  llvm::LLVMContext &context = module.getContext();
  auto *pointer = llvm::PointerType::get(context, 0);
  auto *i64 = llvm::Type::getInt64Ty(context);
  auto *i32 = llvm::Type::getInt32Ty(context);
  auto *type = llvm::FunctionType::get(
      pointer, {pointer, fills ? static_cast<llvm::Type *>(i32) : pointer, i64}, false);
  auto *function = llvm::Function::Create(type, llvm::GlobalValue::WeakODRLinkage, name, module);
  function->setVisibility(llvm::GlobalValue::HiddenVisibility);
  function->addFnAttr(llvm::Attribute::NoInline);
  function->addFnAttr("no-builtins");
  llvm::IRBuilder<> builder(llvm::BasicBlock::Create(context, "", function));
  auto *result = llvm::StructType::get(pointer, i64);
  auto *operandType = fills ? static_cast<llvm::Type *>(llvm::Type::getInt8Ty(context)) : pointer;
  llvm::Value *operand = function->getArg(1);
  if (fills)
    operand = builder.CreateTrunc(operand, operandType);
  const char *text = fills ? "rep stosb" : "rep movsb";
  if (fills) {
    auto *asmType = llvm::FunctionType::get(result, {pointer, i64, operandType}, false);
    builder.CreateCall(
        asmType,
        llvm::InlineAsm::get(asmType, text, "={di},={cx},0,1,{ax},~{memory},~{dirflag},~{flags}",
                             true),
        {function->getArg(0), function->getArg(2), operand});
  } else {
    auto *three = llvm::StructType::get(pointer, pointer, i64);
    auto *asmType = llvm::FunctionType::get(three, {pointer, pointer, i64}, false);
    builder.CreateCall(
        asmType,
        llvm::InlineAsm::get(asmType, text,
                             "={di},={si},={cx},0,1,2,~{memory},~{dirflag},~{flags}", true),
        {function->getArg(0), operand, function->getArg(2)});
  }
  builder.CreateRet(function->getArg(0));
}

void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = true;
  tuning.SLPVectorization = false; // the tiles are vectors already
  llvm::PassBuilder builder(&machine, tuning);
  llvm::TargetLibraryInfoImpl library{llvm::Triple(triple)};
  library.disableAllFunctions();
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(library); });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  llvm::OptimizationLevel level = KernelCache::effort() == Effort::Full
                                      ? llvm::OptimizationLevel::O3
                                      : llvm::OptimizationLevel::O1;
  builder.buildPerModuleDefaultPipeline(level).run(module, modules);
}

} // namespace

Result<std::string> ingot::host::emitObject(mlir::ModuleOp module, const HostTarget &target) {
  std::string error;
  std::unique_ptr<llvm::TargetMachine> machine = makeTargetMachine(target, error);
  if (!machine)
    return Status(ExitCode::Internal, "no LLVM code generator for " + target.level + ": " + error);
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> llvmModule =
      mlir::translateModuleToLLVMIR(module, context, "ingot", /*disableVerification=*/true);
  if (!llvmModule)
    return Status(ExitCode::Internal, "host kernels could not be translated to LLVM IR");
  llvmModule->setSourceFileName("ingot");
  llvmModule->setTargetTriple(llvm::Triple(triple));
  llvmModule->setDataLayout(machine->createDataLayout());
  for (llvm::Function &function : *llvmModule)
    if (!function.isDeclaration()) {
      function.addFnAttr("target-cpu", target.level);
      function.addFnAttr("no-builtins");
      function.addFnAttr(llvm::Attribute::NoUnwind);
      // The levels' default of 256-bit vectors is for mixed code; these loops are vectors throughout.
      function.addFnAttr("prefer-vector-width", "512");
      function.addFnAttr("min-legal-vector-width", "512");
    }
  std::string problem;
  llvm::raw_string_ostream problems(problem);
  if (llvm::verifyModule(*llvmModule, &problems))
    return Status(ExitCode::Internal, "host kernels gave invalid LLVM IR: " + problem);
  optimize(*llvmModule, *machine);
  defineLibcall(*llvmModule, "memcpy", /*fills=*/false);
  defineLibcall(*llvmModule, "memset", /*fills=*/true);

  llvm::SmallVector<char, 0> object;
  llvm::raw_svector_ostream out(object);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, out, nullptr, llvm::CodeGenFileType::ObjectFile))
    return Status(ExitCode::Internal, "LLVM cannot emit an object for " + target.level);
  passes.run(*llvmModule);
  return std::string(object.data(), object.size());
}
