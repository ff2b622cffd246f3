// The library that owns the precompiled header.
#include "tools/setup/mlir_headers.h"
