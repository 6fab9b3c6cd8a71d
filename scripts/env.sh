# Source this file: it exports where scripts/setup put things, and does nothing else.
#   . scripts/env.sh
# Works in bash and zsh, from any folder; sourcing it twice changes nothing.
# A variable the user has set already is kept.

POSTERN_ROOT=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]:-$0}")/.." && pwd -P)
export POSTERN_ROOT
export POSTERN_CACHE="${POSTERN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/postern}"

# Third-party sources. Left unset where there is no private copy: CMake then fetches the upstream release.
if [ -z "${MBEDTLS_SOURCE_DIR:-}" ] && [ -e "$POSTERN_CACHE/mbedtls-3.6/library/ecdsa.c" ]; then
  export MBEDTLS_SOURCE_DIR="$POSTERN_CACHE/mbedtls-3.6"
fi
if [ -z "${POSTERN_LLHTTP_DIR:-}" ] && [ -e "$POSTERN_CACHE/llhttp-9.2.1/include/llhttp.h" ]; then
  export POSTERN_LLHTTP_DIR="$POSTERN_CACHE/llhttp-9.2.1"
fi
if [ -z "${POSTERN_BOOST_DIR:-}" ] && [ -e "$POSTERN_CACHE/boost-1.81/include/boost/version.hpp" ]; then
  export POSTERN_BOOST_DIR="$POSTERN_CACHE/boost-1.81"
fi
if [ -z "${POSTERN_REDIS_SERVER:-}" ] && [ -e "$POSTERN_CACHE/redis-7.0/redis-server" ]; then
  export POSTERN_REDIS_SERVER="$POSTERN_CACHE/redis-7.0/redis-server"
fi
if [ -z "${POSTERN_JWT_CPP_DIR:-}" ] && [ -e "$POSTERN_CACHE/jwt-cpp-0.7.2/include/jwt-cpp/jwt.h" ]; then
  export POSTERN_JWT_CPP_DIR="$POSTERN_CACHE/jwt-cpp-0.7.2"
fi

# scripts/setup makes a private Emscripten only where it found no emcc that is new enough.
if [ -e "$POSTERN_CACHE/emscripten-3.1.69/.complete" ]; then
  export EM_CONFIG="$POSTERN_CACHE/emscripten-3.1.69/emscripten.config"
  case ":$PATH:" in
    *":$POSTERN_CACHE/emscripten-3.1.69/usr/share/emscripten:"*) ;;
    *) export PATH="$POSTERN_CACHE/emscripten-3.1.69/usr/share/emscripten:$PATH" ;;
  esac
fi

# One venv for each list of requirements, so that two checkouts with different lists do not fight.
if [ -z "${POSTERN_PYTHON:-}" ] && [ -e "$POSTERN_ROOT/tests/upstream/requirements.txt" ]; then
  POSTERN_PYTHON="$POSTERN_CACHE/python-$(git hash-object --no-filters "$POSTERN_ROOT/tests/upstream/requirements.txt" | cut -c1-12)/bin/python"
  export POSTERN_PYTHON
fi

# Node 24, Deno and Bun, for scripts/bench: one folder for each list of versions.
if [ -z "${POSTERN_RUNTIMES:-}" ] && [ -e "$POSTERN_ROOT/bench/runtimes/package-lock.json" ]; then
  POSTERN_RUNTIMES="$POSTERN_CACHE/runtimes-$(git hash-object --no-filters "$POSTERN_ROOT/bench/runtimes/package-lock.json" | cut -c1-12)"
  export POSTERN_RUNTIMES
fi
