#include "tests/support/bot_api.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "tests/support/http_client.h"

namespace userprofile::testing {
namespace {

using nlohmann::json;

constexpr int kWebhookConnections = 16;
constexpr absl::Duration kLongestWait = absl::Milliseconds(500);

json Error(int code, const std::string& description) {
  return {{"ok", false}, {"error_code", code}, {"description", description}};
}

// Arguments come as JSON, or as texts in a form or behind the path.
std::int64_t Number(const json& arguments, const char* name,
                    std::int64_t otherwise) {
  const auto found = arguments.find(name);
  if (found == arguments.end()) return otherwise;
  if (found->is_number_integer()) return found->get<std::int64_t>();
  std::int64_t number = otherwise;
  if (found->is_string()) {
    (void)absl::SimpleAtoi(found->get<std::string>(), &number);
  }
  return number;
}

json ArgumentsOf(const HttpRequest& request) {
  json arguments = json::object();
  for (const auto& [name, value] : request.arguments) arguments[name] = value;
  const json body = json::parse(request.body, nullptr, false);
  if (body.is_object()) arguments.update(body);
  return arguments;
}

// Whose update it is.
std::int64_t UserOf(const json& update) {
  for (const auto& [kind, event] : update.items()) {
    if (event.is_object() && event.contains("from")) {
      return event["from"]["id"].get<std::int64_t>();
    }
  }
  return 0;
}

}  // namespace

BotApi::BotApi(std::function<void(const Sent&)> on_sent)
    : on_sent_(std::move(on_sent)) {
  for (int i = 0; i < kWebhookConnections; ++i) {
    delivering_.emplace_back([this] { Deliver(); });
  }
}

BotApi::~BotApi() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  for (std::thread& thread : delivering_) thread.join();
}

std::string BotApi::url() const {
  return absl::StrCat("http://", server_.address());
}

HttpResponse BotApi::Serve(const HttpRequest& request) {
  const std::vector<std::string> parts = absl::StrSplit(request.path, '/');
  if (parts.size() != 3 || !absl::StartsWith(parts[1], "bot")) return {404};
  json result;
  if (parts[1] != "bot" + token_) {
    result = Error(401, "Unauthorized");
  } else {
    const json arguments = ArgumentsOf(request);
    Lie lie;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      lie = lie_;
    }
    if (lie) {
      if (const auto raw = lie(parts[2], arguments)) {
        return {raw->status, raw->body, "application/json"};
      }
    }
    result = Answer(parts[2], arguments);
  }
  const int status = result.value("error_code", 200);
  if (status == 502) return {status, "<html>Bad Gateway</html>", "text/html"};
  return {status, result.dump(), "application/json"};
}

std::int64_t BotApi::Add(json update) {
  std::lock_guard<std::mutex> lock(mutex_);
  const std::int64_t id = next_update_id_++;
  update["update_id"] = id;
  const std::int64_t user = UserOf(update);
  updates_.push_back({id, user, std::move(update)});
  changed_.notify_all();
  return id;
}

std::int64_t BotApi::AddMessage(std::int64_t user, const std::string& text,
                                const std::string& reply_to) {
  json message = {{"message_id", 1},
                  {"date", absl::ToUnixSeconds(absl::Now())},
                  {"chat", {{"id", user}, {"type", "private"}}},
                  {"from",
                   {{"id", user},
                    {"is_bot", false},
                    {"first_name", absl::StrCat("User ", user)}}},
                  {"text", text}};
  if (!reply_to.empty()) {
    message["reply_to_message"] = {
        {"message_id", 1},
        {"date", 0},
        {"chat", message["chat"]},
        {"from", {{"id", 123456}, {"is_bot", true}, {"first_name", "Bot"}}},
        {"text", reply_to}};
  }
  return Add({{"message", std::move(message)}});
}

void BotApi::SetBlockedBy(std::int64_t user) {
  std::lock_guard<std::mutex> lock(mutex_);
  blocked_by_.insert(user);
}

void BotApi::SetNextUpdateId(std::int64_t update_id) {
  std::lock_guard<std::mutex> lock(mutex_);
  next_update_id_ = update_id;
}

void BotApi::SetWebhook(const std::string& url, const std::string& secret) {
  std::lock_guard<std::mutex> lock(mutex_);
  webhook_ = url;
  secret_ = secret;
  changed_.notify_all();
}

void BotApi::LimitNext(int calls, int retry_after) {
  std::lock_guard<std::mutex> lock(mutex_);
  to_limit_ = calls;
  retry_after_ = retry_after;
}

void BotApi::FailNext(int calls) {
  std::lock_guard<std::mutex> lock(mutex_);
  to_fail_ = calls;
}

void BotApi::LieBy(Lie lie) {
  std::lock_guard<std::mutex> lock(mutex_);
  lie_ = std::move(lie);
}

std::size_t BotApi::pending() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return updates_.size();
}

bool BotApi::IsPending(std::int64_t update_id) const {
  std::lock_guard<std::mutex> lock(mutex_);
  return std::any_of(
      updates_.begin(), updates_.end(),
      [&](const Update& update) { return update.id == update_id; });
}

std::vector<BotApi::Sent> BotApi::sent() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return sent_;
}

int BotApi::calls(const std::string& method) const {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = calls_.find(method);
  return found == calls_.end() ? 0 : found->second;
}

int BotApi::failed_deliveries() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return failed_deliveries_;
}

json BotApi::Answer(const std::string& method, const json& arguments) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ++calls_[method];
    if (to_fail_ > 0) {
      --to_fail_;
      return Error(502, "Bad Gateway");
    }
    if (to_limit_ > 0) {
      --to_limit_;
      json error = Error(
          429, absl::StrCat("Too Many Requests: retry after ", retry_after_));
      error["parameters"]["retry_after"] = retry_after_;
      return error;
    }
  }
  if (method == "getUpdates") return GetUpdates(arguments);
  if (method == "sendMessage") return SendMessage(arguments);
  if (method == "setWebhook" || method == "deleteWebhook") {
    SetWebhook(arguments.value("url", ""), arguments.value("secret_token", ""));
    return {{"ok", true}, {"result", true}};
  }
  if (method == "getMe") {
    return {{"ok", true},
            {"result",
             {{"id", 123456},
              {"is_bot", true},
              {"first_name", "Bot"},
              {"username", "test_bot"}}}};
  }
  return Error(404, "Not Found: method not found");
}

json BotApi::GetUpdates(const json& arguments) {
  const std::int64_t offset = Number(arguments, "offset", 0);
  const auto limit = static_cast<std::size_t>(
      std::clamp<std::int64_t>(Number(arguments, "limit", 100), 1, 100));
  const absl::Time end =
      absl::Now() + absl::Seconds(Number(arguments, "timeout", 0));

  std::unique_lock<std::mutex> lock(mutex_);
  const int poll = ++polls_;
  changed_.notify_all();
  while (true) {
    if (!webhook_.empty()) {
      return Error(409,
                   "Conflict: can't use getUpdates method while webhook is "
                   "active; use deleteWebhook to delete the webhook first");
    }
    if (polls_ != poll) {
      return Error(409,
                   "Conflict: terminated by other getUpdates request; make "
                   "sure that only one bot instance is running");
    }
    if (offset < 0) {
      const auto kept = std::min<std::int64_t>(-offset, updates_.size());
      updates_.erase(updates_.begin(), updates_.end() - kept);
    }
    // Those that come while it waits are no exception.
    if (offset > 0) {
      const auto confirmed = [&](const Update& u) { return u.id < offset; };
      updates_.erase(
          std::remove_if(updates_.begin(), updates_.end(), confirmed),
          updates_.end());
    }
    if (!updates_.empty() || stopping_ || absl::Now() >= end) break;
    changed_.wait_until(lock, absl::ToChronoTime(end));
  }
  json result = json::array();
  for (const Update& update : updates_) {
    if (result.size() == limit) break;
    result.push_back(update.content);
  }
  return {{"ok", true}, {"result", std::move(result)}};
}

json BotApi::SendMessage(const json& arguments) {
  const std::int64_t chat = Number(arguments, "chat_id", 0);
  const std::string text = arguments.value("text", "");
  if (chat == 0) return Error(400, "Bad Request: chat_id is empty");
  if (text.empty()) return Error(400, "Bad Request: message text is empty");
  std::lock_guard<std::mutex> sending(sending_);
  Sent sent;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (blocked_by_.contains(chat)) {
      return Error(403, "Forbidden: bot was blocked by the user");
    }
    sent = {static_cast<std::int64_t>(sent_.size()) + 1, chat, text};
    sent_.push_back(sent);
  }
  if (on_sent_) on_sent_(sent);
  return {{"ok", true},
          {"result",
           {{"message_id", sent.message_id},
            {"date", absl::ToUnixSeconds(absl::Now())},
            {"chat", {{"id", chat}, {"type", "private"}}},
            {"text", text}}}};
}

// One of the connections to the webhook.
void BotApi::Deliver() {
  std::optional<HttpClient> client;
  std::string origin;
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopping_) {
    std::set<std::int64_t> passed = in_delivery_;
    const absl::Time now = absl::Now();
    const auto next = std::find_if(
        updates_.begin(), updates_.end(), [&](const Update& update) {
          return (update.user == 0 || passed.insert(update.user).second) &&
                 update.not_before <= now && !update.in_delivery;
        });
    if (webhook_.empty() || next == updates_.end()) {
      changed_.wait_for(lock, std::chrono::milliseconds(20));
      continue;
    }
    next->in_delivery = true;
    const Update update = *next;
    if (update.user != 0) in_delivery_.insert(update.user);
    const std::size_t path = webhook_.find('/', sizeof("http://"));
    if (webhook_.substr(0, path) != origin) {
      origin = webhook_.substr(0, path);
      client.emplace(origin, /*patience=*/absl::Seconds(20));
    }
    const std::string target = webhook_.substr(path);
    HttpClient::Headers headers = {{"Content-Type", "application/json"}};
    if (!secret_.empty()) {
      headers.emplace("X-Telegram-Bot-Api-Secret-Token", secret_);
    }
    lock.unlock();
    const HttpAnswer result =
        client->Post(target, update.content.dump(), headers);
    const bool delivered = result.status >= 200 && result.status < 300;
    if (delivered) {
      const json call = json::parse(result.body, nullptr, false);
      if (call.is_object() && call.contains("method")) {
        Answer(call["method"].get<std::string>(), call);
      }
    }
    lock.lock();
    in_delivery_.erase(update.user);
    const auto it =
        std::find_if(updates_.begin(), updates_.end(),
                     [&](const Update& u) { return u.id == update.id; });
    if (it != updates_.end()) {
      if (delivered) {
        updates_.erase(it);
      } else {
        ++failed_deliveries_;
        it->in_delivery = false;
        it->not_before = absl::Now() + it->wait;
        it->wait = std::min(it->wait * 2, kLongestWait);
      }
    }
    changed_.notify_all();
  }
}

}  // namespace userprofile::testing
