#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/replace_file.h"
#include "client/command/commands.h"
#include "client/command/errors.h"
#include "client/command/filter.h"
#include "client/command/output.h"
#include "client/command/values.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::command {
namespace {

// So many profiles fit into an answer, however large their attributes are.
constexpr std::size_t kGetAtOnce = 100;

constexpr std::int64_t kMostOnAPage = 1000;

struct GetOptions : CommonOptions {
  std::vector<std::string> user_ids;
};

absl::Status GetAll(const std::vector<std::int64_t>& ids,
                    client::ProfileClient& client, Output& output) {
  std::vector<std::int64_t> missing;
  for (std::size_t i = 0; i < ids.size(); i += kGetAtOnce) {
    v1::BatchGetProfilesRequest request;
    const std::size_t end = std::min(ids.size(), i + kGetAtOnce);
    request.mutable_user_ids()->Assign(ids.begin() + i, ids.begin() + end);
    const auto response = client.BatchGetProfiles(request);
    if (!response.ok()) return response.status();
    output.WriteProfiles(response->profiles());
    missing.insert(missing.end(), response->missing_user_ids().begin(),
                   response->missing_user_ids().end());
  }
  if (missing.empty()) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat(
      missing.size() == 1 ? "user " : "users ", absl::StrJoin(missing, ", "),
      missing.size() == 1 ? " is" : " are", " not known"));
}

int Get(const GetOptions& options) {
  std::vector<std::int64_t> ids;
  for (const std::string& text : options.user_ids) {
    const auto id = ParseUserId(text);
    if (!id.ok()) return Fail(id.status());
    ids.push_back(*id);
  }
  return RunWith(options, [&](client::ProfileClient& client, Output& output) {
    return GetAll(ids, client, output);
  });
}

struct FindOptions : CommonOptions {
  std::string name;
};

// Whoever has the username, if the name begins with an @; or else the nickname,
// for that may begin so, too.
absl::StatusOr<v1::LookupProfileResponse> LookUp(
    const std::string& name, client::ProfileClient& client) {
  v1::LookupProfileRequest request;
  request.set_nickname(name);
  absl::string_view username = name;
  if (!absl::ConsumePrefix(&username, "@")) {
    return client.LookupProfile(request);
  }
  v1::LookupProfileRequest by_username;
  by_username.set_username(std::string(username));
  auto found = client.LookupProfile(by_username);
  if (!absl::IsNotFound(found.status()) &&
      !absl::IsInvalidArgument(found.status())) {
    return found;
  }
  auto namesake = client.LookupProfile(request);
  return absl::IsNotFound(namesake.status()) ? found : namesake;
}

int Find(const FindOptions& options) {
  return RunWith(options, [&](client::ProfileClient& client, Output& output) {
    const auto response = LookUp(options.name, client);
    if (!response.ok()) return response.status();
    Profiles found;
    *found.Add() = response->profile();
    output.WriteProfiles(found);
    if (!response->other_user_ids().empty()) {
      std::cerr << "userprofile: others who had this username, and were heard "
                   "of earlier: "
                << absl::StrJoin(response->other_user_ids(), ", ") << std::endl;
    }
    return absl::OkStatus();
  });
}

struct ListOptions : CommonOptions {
  FilterOptions filter;
  std::int64_t limit = 0;
  std::string resume_file;
};

// Page by page.
absl::Status ListAll(const v1::ProfileFilter& filter,
                     const ListOptions& options, client::ProfileClient& client,
                     Output& output) {
  const std::int64_t limit = options.limit;
  std::string watch_token;
  v1::ListProfilesRequest request;
  *request.mutable_filter() = filter;
  std::int64_t left = limit;
  do {
    request.set_page_size(static_cast<std::int32_t>(
        limit == 0 ? kMostOnAPage : std::min(kMostOnAPage, left)));
    auto page = client.ListProfiles(request);
    if (!page.ok()) return page.status();
    output.WriteList(page->profiles());
    absl::Status written = output.Flush();
    if (!written.ok()) return written;
    if (request.page_token().empty()) watch_token = page->watch_token();
    left -= page->profiles_size();
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() && (limit == 0 || left > 0));
  if (options.resume_file.empty()) return absl::OkStatus();
  if (watch_token.empty()) {
    return absl::UnavailableError(
        "the service can't say right now where to watch from; list again");
  }
  return base::ReplaceFile(options.resume_file, watch_token + "\n");
}

int List(const ListOptions& options) {
  const auto filter = MakeFilter(options.filter);
  if (!filter.ok()) return Fail(filter.status());
  return RunWith(options, [&](client::ProfileClient& client, Output& output) {
    return ListAll(*filter, options, client, output);
  });
}

struct CountOptions : CommonOptions {
  FilterOptions filter;
};

int Count(const CountOptions& options) {
  v1::CountProfilesRequest request;
  auto filter = MakeFilter(options.filter);
  if (!filter.ok()) return Fail(filter.status());
  *request.mutable_filter() = *std::move(filter);
  return RunWith(options, [&](client::ProfileClient& client, Output& output) {
    const auto response = client.CountProfiles(request);
    if (!response.ok()) return response.status();
    output.WriteCount(*response);
    return absl::OkStatus();
  });
}

}  // namespace

void AddGetCommand(ops::CommandLine& command_line) {
  const ops::Command command = command_line.AddCommand(
      command_line.root(), "get", "Print what is known of users");
  const auto options = std::make_shared<GetOptions>();
  ops::AddArguments(command, "USER_ID", options->user_ids,
                    "Their Telegram user ids");
  AddCommonFlags(command, *options);
  command_line.OnCall(command, [options] { return Get(*options); });
}

void AddFindCommand(ops::CommandLine& command_line) {
  const ops::Command command = command_line.AddCommand(
      command_line.root(), "find", "Print who has a nickname or a username");
  const auto options = std::make_shared<FindOptions>();
  ops::AddArgument(
      command, "NAME", options->name,
      "The nickname, exactly; or, with an @, the Telegram username, and if "
      "nobody has that, the nickname");
  AddCommonFlags(command, *options);
  command_line.OnCall(command, [options] { return Find(*options); });
}

void AddListCommand(ops::CommandLine& command_line) {
  const ops::Command command = command_line.AddCommand(
      command_line.root(), "list",
      "Print all users by their ids, or those whom a filter lets pass");
  command.Footer(
      "A table has no room for all that is known; --output json and csv have "
      "it.\nA TIME is 2026-11-22T15:00:00Z, or 2026-11-22 for its begin in "
      "UTC.");
  const auto options = std::make_shared<ListOptions>();
  AddFilterFlags(command, options->filter);
  const ops::Flag limit = ops::AddFlag(command, "--limit", options->limit,
                                       "At most that many; 0 for all", 0)
                              .TypeName("NUMBER")
                              .OnlyHere();
  ops::AddFlag(command, "--resume-file", options->resume_file,
               "Once all are written, keep there from where 'watch' is to go "
               "on, with the same filter")
      .TypeName("FILE")
      .OnlyHere()
      .Excludes(limit);
  AddCommonFlags(command, *options);
  command_line.OnCall(command, [options] { return List(*options); });
}

void AddCountCommand(ops::CommandLine& command_line) {
  const ops::Command command = command_line.AddCommand(
      command_line.root(), "count",
      "Print how many users there are, or how many a filter lets pass");
  const auto options = std::make_shared<CountOptions>();
  AddFilterFlags(command, options->filter);
  AddCommonFlags(command, *options);
  command_line.OnCall(command, [options] { return Count(*options); });
}

}  // namespace userprofile::command
