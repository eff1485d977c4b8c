// Keys and certificates that a test makes for servers and clients.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace trireme::gateway {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

struct Identity {
  Key key{nullptr, EVP_PKEY_free};
  Certificate certificate{nullptr, X509_free};
};

// Signed by itself, so that it is also the authority that a peer trusts.
Identity make_identity(const char* name);
// As PEM.
void write_files(const Identity& identity, const std::string& certificate, const std::string& key);
// The common name in a certificate.
std::string name_in(const X509& certificate);

}  // namespace trireme::gateway
