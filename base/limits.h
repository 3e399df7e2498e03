#ifndef USERPROFILE_BASE_LIMITS_H_
#define USERPROFILE_BASE_LIMITS_H_

#include <cstdint>

namespace userprofile::base {

// Telegram promises that user ids have at most 52 significant bits.
inline constexpr std::int64_t kMaxUserId = (std::int64_t{1} << 52) - 1;

// What a google.protobuf.Timestamp may say: 0001-01-01T00:00:00Z to
// 9999-12-31T23:59:59Z.
inline constexpr std::int64_t kMinTimestampSeconds = -62135596800;
inline constexpr std::int64_t kMaxTimestampSeconds = 253402300799;

}  // namespace userprofile::base

#endif  // USERPROFILE_BASE_LIMITS_H_
