#!/usr/bin/env bash
# Rules about the tree that no compiler checks.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
faults=0
fault() {
  echo "$1" >&2
  faults=$((faults + 1))
}
only_in() { # PATTERN FILES (sorted): nothing else in core/, wasm/ or native-server/ may match
  local found
  found=$(grep -rlE "$1" core wasm native-server --include='*.cpp' --include='*.h' | sort || true)
  [ "$found" = "$2" ] || fault "expected only $2 to match $1, found: $found"
}
only_in '#include [<"]mbedtls/' $'core/src/crypto.cpp\ncore/src/signing.cpp'
# The JSON parser has no library under it; the fuzz targets compare it with one.
only_in '#include [<"]nlohmann/' ''
# The core reads no clock, no randomness and no global state.
if grep -nE '\b(time|rand|getenv|clock_gettime)\(|std::chrono|std::random_device' core/src/*.cpp core/src/*.h core/include/postern/*.h; then
  fault "the core reads a clock, randomness or the environment"
fi
# No registry's host and no machine's path in what is committed.
if git ls-files | grep -vE '(^|/)package-lock\.json$' | xargs -r grep -nIE 'https?://[^ /]*(registry|mirror|pypi)[^ ]*|(^|[[:space:]"'\''=(:])(/root|/work|/home/[a-z]+)/' -- | grep -v '^tests/structure.sh:'; then
  fault "a registry host or a machine's path is committed"
fi
if git ls-files '*package-lock.json' | xargs -r grep -nE '"resolved": "https?:' | head -3; then
  fault "a lock file names a registry"
fi
formatter=$(command -v clang-format || command -v clang-format-14 || true)
if [ -z "$formatter" ]; then
  fault "clang-format is missing; scripts/setup native installs it"
else
  mapfile -t files < <(git ls-files 'core/*.cpp' 'core/*.h' 'wasm/*.cpp' 'wasm/*.h' 'native-server/*.cpp' 'native-server/*.h' 'tests/*.cpp' 'tests/*.h' | grep -v mbedtls_config)
  "$formatter" --dry-run --Werror "${files[@]}" || fault "clang-format would change something; run scripts/format"
fi
exit $((faults > 0))
