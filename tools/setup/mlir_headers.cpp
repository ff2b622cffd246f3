//===- mlir_headers.cpp - The owner of the precompiled header ---------------===//
#include "tools/setup/mlir_headers.h"
