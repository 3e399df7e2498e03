#include "client/adapter/http_clients.h"

#include <utility>

#include "httplib.h"

namespace userprofile::adapter {

HttpClients::HttpClients(Factory make) : make_(std::move(make)) {}

HttpClients::~HttpClients() = default;

std::unique_ptr<httplib::Client> HttpClients::Take() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!idle_.empty()) {
      auto client = std::move(idle_.back());
      idle_.pop_back();
      return client;
    }
  }
  return make_();
}

void HttpClients::GiveBack(std::unique_ptr<httplib::Client> client) {
  const std::lock_guard<std::mutex> lock(mutex_);
  idle_.push_back(std::move(client));
}

}  // namespace userprofile::adapter
