#include "server/postgres/known_cluster.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/error_info.h"
#include "base/read_file.h"
#include "base/replace_file.h"
#include "base/status_macros.h"
#include "spdlog/spdlog.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::postgres {
namespace {

// Before the identifier and the timeline in the file.
constexpr char kSystemIdentifier[] = "system_identifier";
constexpr char kTimeline[] = "timeline";

}  // namespace

absl::StatusOr<std::shared_ptr<KnownCluster>> KnownCluster::Load(
    std::string file) {
  auto cluster = std::make_shared<KnownCluster>(std::move(file));
  if (cluster->file_.empty()) return cluster;
  const absl::StatusOr<std::string> text = base::ReadFile(cluster->file_);
  if (absl::IsNotFound(text.status())) return cluster;
  USERPROFILE_RETURN_IF_ERROR(text.status());
  const std::vector<absl::string_view> words =
      absl::StrSplit(*text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  std::uint32_t timeline = 0;
  if (words.size() != 4 || words[0] != kSystemIdentifier ||
      words[2] != kTimeline || !absl::SimpleAtoi(words[3], &timeline)) {
    return absl::InvalidArgumentError(absl::StrCat(
        cluster->file_,
        " is not what --cluster-file is for; delete it if it is not needed"));
  }
  base::MutexLock lock(cluster->mutex_);
  cluster->system_identifier_ = std::string(words[1]);
  cluster->timeline_ = timeline;
  return cluster;
}

absl::Status KnownCluster::See(const ServerIdentity& server,
                               const std::string& host) {
  base::MutexLock lock(mutex_);
  const bool first =
      system_identifier_.empty() && !server.system_identifier.empty();
  if (!first && !server.system_identifier.empty() &&
      server.system_identifier != system_identifier_) {
    return base::MakeError(
        absl::StatusCode::kUnavailable,
        absl::StrCat("the database at ", host, " is of another cluster (",
                     server.system_identifier, ") than the one before (",
                     system_identifier_, ")", HowToAccept()),
        v1::ERROR_REASON_WRONG_DATABASE);
  }
  if (!first && server.timeline <= timeline_) return absl::OkStatus();
  if (first) system_identifier_ = server.system_identifier;
  if (server.timeline > timeline_) {
    if (timeline_ != 0) {
      spdlog::warn("the database went from timeline {} to {}, says {}",
                   timeline_.load(), server.timeline, host);
    }
    timeline_ = server.timeline;
  }
  Save();
  return absl::OkStatus();
}

absl::Status KnownCluster::Admit(const ServerIdentity& server,
                                 const std::string& host) {
  USERPROFILE_RETURN_IF_ERROR(See(server, host));
  if (IsCurrent(server.timeline)) return absl::OkStatus();
  return base::MakeError(
      absl::StatusCode::kUnavailable,
      absl::StrCat("the database at ", host, " is on timeline ",
                   server.timeline, ", but timeline ", timeline_.load(),
                   " was seen: another primary has replaced it", HowToAccept()),
      v1::ERROR_REASON_DEPOSED_PRIMARY);
}

bool KnownCluster::known() const {
  base::MutexLock lock(mutex_);
  return !system_identifier_.empty();
}

std::string KnownCluster::HowToAccept() const {
  return absl::StrCat("; if it is the right one, ",
                      file_.empty() ? "" : "delete ", file_,
                      file_.empty() ? "" : " and ", "start the server again");
}

void KnownCluster::SaveAgain() const {
  base::MutexLock lock(mutex_);
  Save();
}

void KnownCluster::Save() const {
  if (file_.empty() || system_identifier_.empty()) return;
  const std::string text =
      absl::StrCat(kSystemIdentifier, " ", system_identifier_, "\n", kTimeline,
                   " ", timeline_.load(), "\n");
  const absl::Status written = base::ReplaceFile(file_, text, 0600);
  if (written.ok()) return;
  spdlog::error("can't write {}, so a restart will not know the database: {}",
                file_, std::string(written.message()));
}

}  // namespace userprofile::postgres
