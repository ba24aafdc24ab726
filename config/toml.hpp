// toml++ without exceptions, header-only: only config/ includes it (it is costly to compile).
#pragma once
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>
