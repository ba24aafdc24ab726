// BERTH_ASSERT: an invariant of our own is broken; the process ends, in every build. Never for peers' input.
#pragma once
#include <cstdio>
#include <cstdlib>

#define BERTH_ASSERT(condition)                                                              \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      std::fprintf(stderr, "berth: invariant broken: %s (%s:%d)\n", #condition, __FILE__, __LINE__); \
      std::abort();                                                                          \
    }                                                                                        \
  } while (false)
