// The exception of an untouched stub. The bindings of every backend translate it into Python's
// NotImplementedError, so that a test of work still to be done fails with the problem's name
// instead of aborting the process.
#pragma once

#include <stdexcept>

namespace needle {

struct NotImplemented : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace needle
