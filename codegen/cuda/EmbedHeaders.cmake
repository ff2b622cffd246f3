# Writes OUTPUT, a C++ file with the text of every header in HEADERS (relative to FOLDER):
#   cmake -DOUTPUT=… -DFOLDER=… -DHEADERS=a.cuh;b/c.cuh -P EmbedHeaders.cmake
set(text [[
// Made by codegen/cuda/EmbedHeaders.cmake.
#include "codegen/cuda/Nvrtc.h"

static const ingot::cuda::Header headers[] = {
]])
foreach(header IN LISTS HEADERS)
  file(READ ${FOLDER}/${header} content)
  string(APPEND text "{\"codegen/cuda/${header}\", R\"cuh(${content})cuh\"},\n")
endforeach()
string(APPEND text [[
};

llvm::ArrayRef<ingot::cuda::Header> ingot::cuda::getHeaders() { return headers; }
]])
file(WRITE ${OUTPUT} "${text}")
