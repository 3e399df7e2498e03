#include "server/schema/refusal.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/postgres/errors.h"

namespace userprofile::schema {
namespace {

constexpr char kRefusedState[] = "UP001";

}  // namespace

absl::optional<std::string> RefusalOf(const absl::Status& status) {
  if (postgres::SqlState(status) != kRefusedState) return absl::nullopt;
  // Without what the layers below put before them.
  absl::string_view text = status.message();
  const std::string state = absl::StrCat(kRefusedState, ": ");
  if (const std::size_t at = text.find(state); at != absl::string_view::npos) {
    text.remove_prefix(at + state.size());
  }
  // "ERROR:  ", in the language of the server.
  if (const std::size_t at = text.find(":  "); at != absl::string_view::npos) {
    text.remove_prefix(at + 3);
  }
  return std::string(text);
}

}  // namespace userprofile::schema
