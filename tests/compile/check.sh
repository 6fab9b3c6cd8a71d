#!/usr/bin/env bash
# Misuse of the types that carry trust must be a compile error. Each file here compiles with GOOD defined and does not
# compile without: so a file that fails for another reason is noticed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
compile() { "${CXX:-g++}" -std=c++20 -fno-exceptions -fsyntax-only -Werror=unused-result -Icore/include -Icore/src "$@"; }
for file in tests/compile/*.cpp; do
  compile -DGOOD "$file" || { echo "$file does not compile even when used rightly" >&2; exit 1; }
  if compile "$file" 2>/dev/null; then
    echo "$file compiles, and must not" >&2
    exit 1
  fi
done
