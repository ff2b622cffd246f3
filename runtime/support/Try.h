//===- Try.h - Early return of errors ----------------------------*- C++ -*-===//
#pragma once

/// Returns the Status of `expression` from the enclosing function unless it is ok.
#define INGOT_TRY(expression)                                                                      \
  do {                                                                                             \
    if (::ingot::Status tried = (expression); !tried.ok())                                         \
      return tried;                                                                                \
  } while (false)
