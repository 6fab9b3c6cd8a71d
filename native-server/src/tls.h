// TLS to the upstream and to issuers: the peer's certificate chain and its name are always verified.
//
// Invariant configured-origins: an origin is who its certificate says it is, or there is no connection.
// Nothing turns this off.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <cstdint>
#include <string>

#include "io.h"

namespace postern::native {

using TlsStream = asio::ssl::stream<Socket&>;

// Trusts the system's certificates (SSL_CERT_FILE and SSL_CERT_DIR override where they are) and those in
// `ca_file`, if one is named. Throws std::invalid_argument if that file cannot be used.
[[nodiscard]] asio::ssl::context make_tls_context(const std::string& ca_file);

// What is spoken inside: only HTTP has a name to offer for it (ALPN, RFC 7301).
enum class Inside : std::uint8_t { http, redis };

// Demands that the certificate is for `host`, a name or an IP address, and sends the name along (SNI).
// False: this name cannot be demanded, so the stream must not be used.
[[nodiscard]] bool demand_host(TlsStream& stream, const std::string& host, Inside inside);

// Why a handshake failed, for a person: the verification's verdict if there was one.
[[nodiscard]] std::string handshake_failure(TlsStream& stream, error_code error);

}  // namespace postern::native
