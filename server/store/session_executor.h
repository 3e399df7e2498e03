#ifndef USERPROFILE_SERVER_STORE_SESSION_EXECUTOR_H_
#define USERPROFILE_SERVER_STORE_SESSION_EXECUTOR_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "google/protobuf/timestamp.pb.h"
#include "server/postgres/array_literal.h"
#include "server/postgres/session.h"
#include "server/store/lane.h"

namespace userprofile::store {

// An operation that PostgreSQL carries out.
struct SqlOperation : Operation {
  using Operation::Operation;

  // The times that its tries wrote, as updated_at say, of which it is not known
  // whether they took effect: a row with one of them was written by it.
  std::vector<absl::Time> tries;

  // Whether one of them wrote this time.
  bool Wrote(const google::protobuf::Timestamp& time) const;
};

// Arrays as the parameters of a statement.
postgres::Parameters FinishArrays(std::vector<postgres::ArrayLiteral>& arrays);

// Carries out batches of SqlOperations by a function, with a session that is
// made when it is needed and replaced once it is lost, or finds the schema not
// as needed.
class SessionExecutor final : public BatchExecutor {
 public:
  using Batch = absl::Span<Operation* const>;

  // Carries out a batch; what is written, is written at `now`.
  using Run = std::function<absl::Status(SessionExecutor& by, Batch batch,
                                         absl::Time now)>;

  // Its sessions have these settings beside those that all have.
  SessionExecutor(postgres::SessionFactory connect, base::Clock clock, Run run,
                  std::string settings = "")
      : connect_(std::move(connect)),
        clock_(std::move(clock)),
        run_(std::move(run)),
        settings_(std::move(settings)) {}

  absl::Status Connect() override;
  absl::Status Execute(Batch batch) override;

  // For `run`: runs a statement.
  absl::StatusOr<postgres::Rows> Query(const postgres::Statement& statement,
                                       const postgres::Parameters& parameters);

  // For `run`: proves that whoever was not found before is not there. A primary
  // that another one has replaced does not know those who came since, so a
  // commit goes to where commits have to be (postgres::ConfirmPrimary).
  absl::Status ProveAbsence();

 private:
  const postgres::SessionFactory connect_;
  const base::Clock clock_;
  const Run run_;
  const std::string settings_;  // as SQL
  std::unique_ptr<postgres::Session> session_;

  // The schema was not as needed. Where a search path or a role is mended, that
  // holds for new sessions only.
  bool replace_ = false;

  // A statement of the batch took effect, whatever came after it: an absence
  // that can't be proven fails those, too, who were written.
  bool ran_ = false;
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_SESSION_EXECUTOR_H_
