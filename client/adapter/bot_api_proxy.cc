#include "client/adapter/bot_api_proxy.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/adapter/sender.h"
#include "client/adapter/telegram_api.h"
#include "client/adapter/update.h"
#include "client/adapter/updates_answer.h"
#include "spdlog/spdlog.h"

namespace userprofile::adapter {
namespace {

using base::SteadyTime;

// How much longer than its `timeout` a getUpdates may take: until Telegram's
// answer, and until ours while the service is away. A framework waits at least
// two seconds longer.
constexpr absl::Duration kTelegramsTime = absl::Seconds(30);
constexpr absl::Duration kServicesTime = absl::Seconds(1);
constexpr std::int64_t kLongestPoll = 300;  // in seconds; Telegram takes 50

constexpr absl::Duration kGrace = absl::Seconds(5);

// Of a request's body: what is read before it is passed on.
constexpr std::size_t kBegin = 64 * 1024;
// Of an answer that is an error.
constexpr std::size_t kMaxError = 4 * 1024;

constexpr char kNoUpdates[] = R"({"ok":true,"result":[]})";

// Headers that are of one connection, or that libraries write by themselves.
// What is compressed could not be read here.
constexpr const char* kOwnHeaders[] = {"Accept-Encoding",
                                       "Connection",
                                       "Content-Length",
                                       "Date",
                                       "Expect",
                                       "Host",
                                       "Keep-Alive",
                                       "Proxy-Authenticate",
                                       "Proxy-Authorization",
                                       "Proxy-Connection",
                                       "TE",
                                       "Trailer",
                                       "Transfer-Encoding",
                                       "Upgrade"};

ops::HttpHeaders PassedOn(const ops::HttpHeaders& headers) {
  ops::HttpHeaders passed;
  for (const auto& header : headers) {
    const auto is_it = [&header](const char* name) {
      return absl::EqualsIgnoreCase(header.first, name);
    };
    if (std::none_of(std::begin(kOwnHeaders), std::end(kOwnHeaders), is_it)) {
      passed.push_back(header);
    }
  }
  return passed;
}

absl::optional<std::uint64_t> LengthOf(const ops::HttpHeaders& headers) {
  for (const auto& [name, value] : headers) {
    std::uint64_t length = 0;
    if (absl::EqualsIgnoreCase(name, "Content-Length") &&
        absl::SimpleAtoi(value, &length)) {
      return length;
    }
  }
  return absl::nullopt;
}

std::string ErrorBody(int code, absl::string_view description) {
  return nlohmann::ordered_json({{"ok", false},
                                 {"error_code", code},
                                 {"description", std::string(description)}})
      .dump();
}

void Answer(ops::HttpStream& stream, int status, const std::string& json,
            ops::HttpHeaders headers = {{"Content-Type", "application/json"}}) {
  stream.Begin({.status = status, .headers = std::move(headers)}, json.size());
  stream.Write(json);
}

void AnswerThatTelegramIsAway(ops::HttpStream& stream,
                              const absl::Status& why) {
  Answer(stream, 502,
         ErrorBody(502, absl::StrCat("Bad Gateway: ", why.message())));
}

// Reads the begin of the body, or all of it, into the call. False if the client
// is gone.
bool ReadBegin(ops::HttpStream& stream, HttpCall& call) {
  while (call.body.size() < kBegin) {
    const auto part = stream.Read();
    if (!part.ok()) return false;
    if (part->empty()) return true;
    call.body += *part;
  }
  call.more = [&stream] { return stream.Read(); };
  if (const auto length = LengthOf(stream.request().headers)) {
    call.size = static_cast<std::int64_t>(*length);
  }
  return true;
}

void WarnThatItIsNotStored(const std::string& bot, const absl::Status& why) {
  spdlog::warn("bot {}: that a user blocked it could not be stored: {}", bot,
               std::string(why.message()));
}

absl::optional<ops::HttpResponse> RefuseCall(const ops::HttpRequest& request) {
  ops::HttpResponse refusal;
  if (request.method != "GET" && request.method != "POST") {
    refusal = ops::MethodNotAllowed("GET, HEAD, POST");
  } else if (!absl::StartsWith(request.target, "/")) {
    refusal.status = 400;
  } else {
    return absl::nullopt;
  }
  refusal.content_type = "application/json";
  refusal.body = ErrorBody(refusal.status, "no request to the Bot API");
  return refusal;
}

}  // namespace

BotApiProxy::BotApiProxy(const HttpUrl& telegram,
                         client::ProfileClient& service,
                         AdapterMetrics& metrics, const StopEvent& stop)
    : prefix_(telegram.path == "/" ? "" : telegram.path),
      telegram_(telegram.origin, "the Bot API", kMaxBotApiAnswer,
                kBotApiConnectTimeout),
      service_(service),
      metrics_(metrics),
      stop_(stop) {}

ops::HttpHandler BotApiProxy::Handler() {
  return {
      .refuse = RefuseCall, .answer = nullptr, .stream = [this](auto& stream) {
        const BotCall bot = ReadBotCall(stream.request());
        if (bot.method == "getupdates") return GetUpdates(stream, bot);
        if (bot.method == "setwebhook") {
          spdlog::warn(
              "bot {}: setWebhook: what Telegram delivers to a webhook "
              "does not pass here, so that nobody is recognized; "
              "userprofile-adapter webhook is for that",
              bot.bot);
        }
        PassOn(stream, bot);
      }};
}

HttpCall BotApiProxy::CallOf(const ops::HttpStream& stream) const {
  const ops::HttpRequest& request = stream.request();
  return {.method = request.method,
          .path = absl::StrCat(prefix_, request.target),
          .headers = PassedOn(request.headers),
          .stop = &stop_,
          .caller = stream.client()};
}

absl::Status BotApiProxy::Send(const HttpCall& call) {
  absl::Status status = telegram_.Send(call);
  // Those are the bot's doing.
  if (!absl::IsCancelled(status) && !absl::IsOutOfRange(status)) {
    metrics_.SetPeer(kTelegram, status);
  }
  return status;
}

void BotApiProxy::GetUpdates(ops::HttpStream& stream, const BotCall& bot) {
  const SteadyTime begin = SteadyTime::Now();
  HttpCall call = CallOf(stream);
  if (!ReadBegin(stream, call)) return;
  if (call.more) {
    return Answer(stream, 413, ErrorBody(413, "Request Entity Too Large"));
  }
  const auto timeout = absl::Seconds(std::clamp<std::int64_t>(
      NumberArgument(stream.request(), call.body, "timeout").value_or(0), 0,
      kLongestPoll));
  call.timeout = timeout + kTelegramsTime;

  int status = 0;
  ops::HttpHeaders headers;
  std::string answer;
  call.begin = [&](int received, const ops::HttpHeaders& its_headers) {
    status = received;
    headers = PassedOn(its_headers);
    return true;
  };
  call.write = [&](absl::string_view part) {
    absl::StrAppend(&answer, part);
    return answer.size() <= kMaxBotApiAnswer;
  };
  const absl::Status sent = Send(call);
  if (stop_.IsSet()) return Answer(stream, 200, kNoUpdates);
  if (absl::IsCancelled(sent)) return;
  if (!sent.ok()) return AnswerThatTelegramIsAway(stream, sent);
  if (status == 200) {
    answer = TellService(
        std::move(answer), bot,
        std::max(begin + timeout, SteadyTime::Now()) + kServicesTime);
    if (answer.empty()) {
      return AnswerThatTelegramIsAway(
          stream, absl::UnavailableError("not the Bot API's words"));
    }
  }
  Answer(stream, status, answer, std::move(headers));
}

// What the bot is answered; empty if this is no list of updates.
std::string BotApiProxy::TellService(std::string text, const BotCall& bot,
                                     SteadyTime until) {
  const SteadyTime begin = SteadyTime::Now();
  const auto answer = UpdatesAnswer::Read(std::move(text), bot.bot);
  if (!answer) return "";
  for (const Update& update : answer->updates()) {
    if (update.outcome.is_error()) {
      spdlog::error("update {}: {}", update.outcome.update_id.value_or(0),
                    update.outcome.message);
    }
  }
  const std::vector<Sender> senders =
      adapter::TellService(answer->updates(), service_, metrics_, until, stop_);
  const absl::Duration duration = SteadyTime::Now() - begin;
  for (const Sender& sender : senders) {
    metrics_.CountDelivered(sender.recognized, duration);
  }
  return answer->Tell(senders);
}

void BotApiProxy::PassOn(ops::HttpStream& stream, const BotCall& bot) {
  HttpCall call = CallOf(stream);
  call.grace = kGrace;
  if (!ReadBegin(stream, call)) return;
  int status = 0;
  std::string error;
  call.begin = [&](int received, const ops::HttpHeaders& headers) {
    status = received;
    stream.Begin({.status = received, .headers = PassedOn(headers)},
                 LengthOf(headers));
    return true;
  };
  call.write = [&](absl::string_view part) {
    if (status == 403 && error.size() < kMaxError) {
      absl::StrAppend(&error, part.substr(0, kMaxError - error.size()));
    }
    return stream.Write(part);
  };
  const absl::Status sent = Send(call);
  if (status == 0) return AnswerThatTelegramIsAway(stream, sent);
  if (!sent.ok()) stream.BreakOff();
  if (status == 403) Learn(bot, call, stream.request(), error);
}

void BotApiProxy::Learn(const BotCall& bot, const HttpCall& call,
                        const ops::HttpRequest& request,
                        const std::string& answer) {
  if (!absl::StrContains(answer, "bot was blocked by the user") &&
      !absl::StrContains(answer, "user is deactivated")) {
    return;
  }
  const auto chat =
      NumberArgument(request, call.body, "chat_id", /*whole=*/!call.more);
  if (!chat || *chat <= 0) return;
  // A contact makes a stranger a user, and is heard of: who is none, or is
  // known to be away, is left alone.
  v1::GetProfileRequest known;
  known.set_user_id(*chat);
  service_.GetProfile(std::move(known), [&service = service_, id = bot.bot,
                                         user_id = *chat](const auto& found) {
    if (absl::IsNotFound(found.status())) return;
    if (!found.ok()) return WarnThatItIsNotStored(id, found.status());
    if (!found->profile().is_active()) return;
    v1::UpsertUserRequest contact;
    contact.set_user_id(user_id);
    contact.set_is_active(false);
    service.UpsertUser(std::move(contact), [id](const auto& stored) {
      if (!stored.ok()) WarnThatItIsNotStored(id, stored.status());
    });
  });
}

}  // namespace userprofile::adapter
