#include "tls.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/ip/address.hpp>
#include <stdexcept>

namespace postern::native {

asio::ssl::context make_tls_context(const std::string& ca_file) {
  asio::ssl::context context(asio::ssl::context::tls_client);
  SSL_CTX* const native = context.native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // Frees the record buffers of a connection that waits for the next event of a stream.
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  context.set_verify_mode(asio::ssl::verify_peer);
  context.set_default_verify_paths();
  if (!ca_file.empty()) {
    error_code error;
    context.load_verify_file(ca_file, error);
    if (error) throw std::invalid_argument("cannot use the certificates in " + ca_file + ": " + error.message());
  }
  return context;
}

bool demand_host(TlsStream& stream, const std::string& host, Inside inside) {
  SSL* const native = stream.native_handle();
  X509_VERIFY_PARAM* const demands = SSL_get0_param(native);
  // RFC 9525 section 6.3: a wildcard stands for one whole label.
  X509_VERIFY_PARAM_set_hostflags(demands, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  error_code not_an_address;
  asio::ip::make_address(host, not_an_address);
  if (!not_an_address) return X509_VERIFY_PARAM_set1_ip_asc(demands, host.c_str()) == 1;
  static const unsigned char alpn[] = "\x08http/1.1";
  return SSL_set1_host(native, host.c_str()) == 1 && SSL_set_tlsext_host_name(native, host.c_str()) == 1 &&
         (inside != Inside::http || SSL_set_alpn_protos(native, alpn, sizeof alpn - 1) == 0);
}

std::string handshake_failure(TlsStream& stream, error_code error) {
  const long verdict = SSL_get_verify_result(stream.native_handle());
  if (verdict == X509_V_OK) return error.message();
  return std::string("certificate not accepted: ") + X509_verify_cert_error_string(verdict);
}

}  // namespace postern::native
