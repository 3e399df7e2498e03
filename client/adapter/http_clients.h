#ifndef USERPROFILE_CLIENT_ADAPTER_HTTP_CLIENTS_H_
#define USERPROFILE_CLIENT_ADAPTER_HTTP_CLIENTS_H_

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace httplib {
class Client;
}

namespace userprofile::adapter {

// Clients of one HTTP server, each for one request at a time. They keep their
// connections, and so are used again. Thread-safe.
class HttpClients {
 public:
  using Factory = std::function<std::unique_ptr<httplib::Client>()>;

  // `make` makes another one when none is idle. Called on any thread.
  explicit HttpClients(Factory make);
  ~HttpClients();
  HttpClients(const HttpClients&) = delete;
  HttpClients& operator=(const HttpClients&) = delete;

  // One that nobody else uses; to be given back, unless it is of no more use.
  std::unique_ptr<httplib::Client> Take();
  void GiveBack(std::unique_ptr<httplib::Client> client);

 private:
  const Factory make_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<httplib::Client>> idle_;  // protected by mutex_
};

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_HTTP_CLIENTS_H_
