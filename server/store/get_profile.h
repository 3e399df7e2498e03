#ifndef USERPROFILE_SERVER_STORE_GET_PROFILE_H_
#define USERPROFILE_SERVER_STORE_GET_PROFILE_H_

#include <cstdint>
#include <utility>

#include "server/store/session_executor.h"

namespace userprofile::store {

// One GetProfile call.
struct GetProfileOperation final : Operation {
  GetProfileOperation(const v1::GetProfileRequest& request,
                      v1::GetProfileResponse* r, CallContext context, Done done)
      : Operation(std::move(context), std::move(done)),
        user_id(request.user_id()),
        response(r) {}

  const std::int64_t user_id;
  v1::GetProfileResponse* const response;
};

// Reads the profiles of a batch by one statement.
class GetProfileExecutor final : public SessionExecutor {
 public:
  using SessionExecutor::SessionExecutor;

  absl::Status Execute(absl::Span<Operation* const> batch) override;
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_GET_PROFILE_H_
