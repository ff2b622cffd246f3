//===- ingot-opt.cpp - Run passes on IR -----------------------------------===//
//
// mlir-opt with the dialects and passes of this project: the tool of the tests and of anyone who
// wants to look at one step of a compile.
//
//===----------------------------------------------------------------------===//
#include "dialects/Transformer/Decompose.h"
#include "dialects/Transformer/TransformerDialect.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::registerAllPasses();
  ingot::transformer::registerDecomposeTransformerPass();

  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  registry.insert<ingot::transformer::TransformerDialect>();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Ingot optimizer driver\n", registry));
}
