//===- ingot-opt.cpp - Run passes on IR -----------------------------------===//
//
// mlir-opt with the dialects and passes of this project: the tool of the tests and of anyone who
// wants to look at one step of a compile.
//
//===----------------------------------------------------------------------===//
#include "dialects/Exec/ExecDialect.h"
#include "dialects/Transformer/Decompose.h"
#include "dialects/Transformer/TransformerDialect.h"
#include "passes/Passes.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::registerAllPasses();
  ingot::transformer::registerDecomposeTransformerPass();
  ingot::registerIngotPasses();

  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  registry.insert<ingot::transformer::TransformerDialect, ingot::exec::ExecDialect>();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Ingot optimizer driver\n", registry));
}
