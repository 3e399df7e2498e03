#ifndef USERPROFILE_BASE_LIMITS_H_
#define USERPROFILE_BASE_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace userprofile::base {

// Telegram promises that user ids have at most 52 significant bits.
inline constexpr std::int64_t kMaxUserId = (std::int64_t{1} << 52) - 1;

// What a google.protobuf.Timestamp may say: 0001-01-01T00:00:00Z to
// 9999-12-31T23:59:59Z.
inline constexpr std::int64_t kMinTimestampSeconds = -62135596800;
inline constexpr std::int64_t kMaxTimestampSeconds = 253402300799;

// Of v1::Profile.attributes: their keys; their bytes, as JSON; and of these the
// most that the answer to a contact has.
inline constexpr std::size_t kMaxAttributes = 64;
inline constexpr std::size_t kMaxAttributesBytes = 16 * 1024;
inline constexpr std::size_t kMaxAnsweredAttributesBytes = 1024;

}  // namespace userprofile::base

#endif  // USERPROFILE_BASE_LIMITS_H_
