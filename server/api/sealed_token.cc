#include "server/api/sealed_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/rpc/error_details.pb.h"
#include "server/api/validation.h"

namespace userprofile::api {
namespace {

using Seal = std::array<char, 32>;

Seal SealOf(absl::string_view key, absl::string_view purpose,
            absl::string_view content) {
  // Where the one ends and the other begins.
  const std::string text = absl::StrCat(purpose.size(), ":", purpose, content);
  Seal seal;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(),
           reinterpret_cast<unsigned char*>(seal.data()), nullptr) == nullptr) {
    std::abort();
  }
  return seal;
}

}  // namespace

std::string SealToken(absl::string_view key, absl::string_view purpose,
                      absl::string_view content) {
  const Seal seal = SealOf(key, purpose, content);
  return absl::WebSafeBase64Escape(
      absl::StrCat(absl::string_view(seal.data(), seal.size()), content));
}

absl::StatusOr<std::string> OpenToken(absl::string_view key,
                                      absl::string_view purpose,
                                      absl::string_view token,
                                      const std::string& field) {
  std::string bytes;
  // Several texts are the same bytes; one of them is the token.
  if (!absl::WebSafeBase64Unescape(token, &bytes) ||
      absl::WebSafeBase64Escape(bytes) != token ||
      bytes.size() < Seal().size()) {
    return InvalidToken(field);
  }
  std::string content = bytes.substr(Seal().size());
  const Seal seal = SealOf(key, purpose, content);
  // In a time that does not tell where they differ.
  if (CRYPTO_memcmp(bytes.data(), seal.data(), seal.size()) != 0) {
    return InvalidToken(field);
  }
  return content;
}

std::string PurposeOf(absl::string_view what, const v1::ProfileFilter& filter) {
  std::string purpose = absl::StrCat(what, " ");
  google::protobuf::io::StringOutputStream stream(&purpose);
  google::protobuf::io::CodedOutputStream coded(&stream);
  // Maps may be in any order.
  coded.SetSerializationDeterministic(true);
  filter.SerializeToCodedStream(&coded);
  coded.Trim();
  return purpose;
}

absl::Status InvalidToken(const std::string& field) {
  google::rpc::BadRequest bad_request;
  auto* violation = bad_request.add_field_violations();
  violation->set_field(field);
  violation->set_description(
      "must be as an earlier answer to the same request gave it");
  return InvalidFields(bad_request);
}

}  // namespace userprofile::api
