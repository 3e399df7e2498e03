#include "client/telegram/acceptable_text.h"

#include "base/text.h"
#include "google/protobuf/descriptor.h"
#include "userprofile/v1/annotations.pb.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::telegram {

absl::optional<std::string> AcceptableText(const char* field,
                                           const std::string& text) {
  const v1::FieldLimits& limits = v1::Identity::descriptor()
                                      ->FindFieldByName(field)
                                      ->options()
                                      .GetExtension(v1::limits);
  std::string fit = base::Fit(text, limits.max_code_points());
  switch (limits.kind()) {
    case v1::FIELD_KIND_USERNAME:
      if (fit != text) return absl::nullopt;
      break;
    case v1::FIELD_KIND_LANGUAGE_TAG:
      if (fit != text || !base::IsWellFormedLanguageTag(text)) {
        return absl::nullopt;
      }
      break;
    default:
      break;
  }
  return fit;
}

}  // namespace userprofile::telegram
