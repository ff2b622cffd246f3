//===- StreamCheck.h - Streams against their launches ------------*- C++ -*-===//
#pragma once

#include "compiler/verify/Launches.h"
#include "compiler/verify/Tensor.h"
#include "runtime/exec/Model.h"

namespace ingot::verify {

/// Runs the calls of every case twice, launch by launch and with streams in place of launches
/// (plan.fbs), and compares the program's outputs of floats. Adds a StreamReport a stream to
/// `report`, and sets `failure` where one differs. A program without streams is not run.
Status checkStreams(Model &model, Program &program, const std::vector<Case> &cases,
                    LaunchesReport &report, std::optional<LaunchFailure> &failure);

} // namespace ingot::verify
