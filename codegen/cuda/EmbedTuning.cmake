# Writes OUTPUT, a C++ file with the text of every tuning file in FILES (relative to FOLDER):
#   cmake -DOUTPUT=… -DFOLDER=… -DFILES=a.json;b.json -P EmbedTuning.cmake
set(text [[
// Made by codegen/cuda/EmbedTuning.cmake.
#include "codegen/cuda/ShippedTuning.h"

#include <vector>

static const std::vector<ingot::cuda::ShippedTuning> files = {
]])
foreach(file IN LISTS FILES)
  file(READ ${FOLDER}/${file} content)
  string(APPEND text "{\"${file}\", R\"tuning(${content})tuning\"},\n")
endforeach()
string(APPEND text [[
};

llvm::ArrayRef<ingot::cuda::ShippedTuning> ingot::cuda::getShippedTuning() { return files; }
]])
file(WRITE ${OUTPUT} "${text}")
