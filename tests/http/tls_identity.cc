#include "tests/http/tls_identity.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <cstdio>

namespace trireme::gateway {

Identity make_identity(const char* name) {
  Identity made;
  made.key.reset(EVP_EC_gen("P-256"));
  made.certificate.reset(X509_new());
  X509* const certificate = made.certificate.get();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, made.key.get());
  X509_NAME* const subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(
      subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_issuer_name(certificate, subject);
  EXPECT_GT(X509_sign(certificate, made.key.get(), EVP_sha256()), 0);
  return made;
}

void write_files(const Identity& identity, const std::string& certificate, const std::string& key) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> first(std::fopen(certificate.c_str(), "w"),
                                                              std::fclose);
  PEM_write_X509(first.get(), identity.certificate.get());
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> second(std::fopen(key.c_str(), "w"),
                                                               std::fclose);
  PEM_write_PrivateKey(second.get(), identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
}

std::string name_in(const X509& certificate) {
  char name[64] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(&certificate), NID_commonName, name, sizeof name);
  return name;
}

}  // namespace trireme::gateway
