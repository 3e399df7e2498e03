// A bot in C++ with the client library: polls the Bot API, and tells the
// service of every contact by itself.
//   BOT_TOKEN=... bot [SERVICE [BOT_API_URL]]

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>

#include <curl/curl.h>
#include <userprofile/client/errors.h>
#include <userprofile/client/profile_client.h>
#include <userprofile/telegram/update.h>
#include <nlohmann/json.hpp>

#include "onboarding.h"

namespace {

using nlohmann::json;
using namespace nlohmann::literals;

class Bot {
 public:
  Bot(userprofile::client::ProfileClient& service, const std::string& api,
      const std::string& token)
      : token_(token),
        service_(service),
        onboarding_(service),
        methods_(api + "/bot" + token + "/") {
    headers_ = curl_slist_append(nullptr, "Content-Type: application/json");
    curl_easy_setopt(api_, CURLOPT_HTTPHEADER, headers_);
    curl_easy_setopt(api_, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(api_, CURLOPT_WRITEFUNCTION, &Append);
  }
  ~Bot() {
    curl_easy_cleanup(api_);
    curl_slist_free_all(headers_);
  }
  Bot(const Bot&) = delete;
  Bot& operator=(const Bot&) = delete;

  [[noreturn]] void Run() {
    json poll = {{"timeout", 50}};
    while (true) {
      const json updates = Call("getUpdates", poll);
      if (!updates.is_array()) Pause();
      for (const json& update : updates) {
        // The update is confirmed by the offset, and that moves only once the
        // contact and the answers in it are stored.
        while (!Handle(update)) Pause();
        poll["offset"] = update.at("update_id").get<std::int64_t>() + 1;
      }
    }
  }

 private:
  bool Handle(const json& update) {
    const auto contact = userprofile::telegram::ContactOf(update, token_);
    if (!contact.ok() || !*contact) return true;  // nobody's
    const auto known = service_.UpsertUser(**contact);
    if (!known.ok()) {
      std::cerr << known.status() << std::endl;
      // What is refused for good would hold everybody up.
      return userprofile::client::IsRefused(known.status());
    }
    const json& message = update.value("message", json());
    if (!message.is_object()) return true;
    if (message.value("/chat/type"_json_pointer, "") != "private") return true;
    const auto reply = onboarding_.Reply(
        *known, message.value("text", ""),
        message.value("/reply_to_message/text"_json_pointer, ""));
    if (!reply.ok()) {
      std::cerr << reply.status() << std::endl;
      return false;
    }
    json call = {{"chat_id", message.at("chat").at("id")}, {"text", *reply}};
    if (reply->ends_with("?")) call["reply_markup"] = {{"force_reply", true}};
    return !Call("sendMessage", call).is_null();
  }

  // The result of a method; null if it has to be tried again, an empty object
  // if it is refused for good: the user has blocked the bot, for instance.
  json Call(const std::string& method, const json& arguments) {
    const std::string url = methods_ + method;
    const std::string request = arguments.dump();
    std::string answer;
    curl_easy_setopt(api_, CURLOPT_URL, url.c_str());
    curl_easy_setopt(api_, CURLOPT_COPYPOSTFIELDS, request.c_str());
    curl_easy_setopt(api_, CURLOPT_WRITEDATA, &answer);
    if (curl_easy_perform(api_) != CURLE_OK) return nullptr;
    long status = 0;
    curl_easy_getinfo(api_, CURLINFO_RESPONSE_CODE, &status);
    if (status == 400 || status == 403) return json::object();
    const json result = json::parse(answer, nullptr, false);
    return result.is_object() ? result.value("result", json()) : json();
  }

  static std::size_t Append(const char* data, std::size_t, std::size_t size,
                            void* answer) {
    static_cast<std::string*>(answer)->append(data, size);
    return size;
  }

  static void Pause() { std::this_thread::sleep_for(std::chrono::seconds(1)); }

  const std::string token_;
  userprofile::client::ProfileClient& service_;
  Onboarding onboarding_;
  const std::string methods_;  // the URL in front of their names
  CURL* const api_ = curl_easy_init();
  curl_slist* headers_;
};

}  // namespace

int main(int argc, char** argv) {
  const char* token = std::getenv("BOT_TOKEN");
  if (token == nullptr) {
    std::cerr << "BOT_TOKEN is not set" << std::endl;
    return 2;
  }
  const auto service = userprofile::client::MakeProfileClient(
      argc > 1 ? argv[1] : "127.0.0.1:50051");
  if (!service.ok()) {
    std::cerr << service.status() << std::endl;
    return 2;
  }
  Bot(**service, argc > 2 ? argv[2] : "https://api.telegram.org", token).Run();
}
