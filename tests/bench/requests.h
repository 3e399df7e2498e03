#ifndef USERPROFILE_TESTS_BENCH_REQUESTS_H_
#define USERPROFILE_TESTS_BENCH_REQUESTS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace userprofile::bench {

// A kind of request, and its share of the load.
struct MixPart {
  std::string
      method;  // check, get, upsert, rename, onboard, get-100 or upsert-100
  int weight;
};

// Reads "upsert=70,get=25,onboard=5", or one method alone. Empty if the text is
// no such thing.
std::vector<MixPart> ParseMix(const std::string& text);

// Requests in the form in which they travel, made before the load begins, for
// random users from 1 to `users`. Immutable, hence thread-safe.
class Requests {
 public:
  struct Request {
    const char* path;     // of the RPC
    std::string message;  // with gRPC's prefix of five bytes
  };

  // `count` of them, or as many as have 64 MiB; the same ones for the same
  // seed.
  Requests(const std::vector<MixPart>& mix, std::int64_t users, unsigned seed,
           std::size_t count);

  // The request at `index`, counted round and round.
  const Request& operator[](std::size_t index) const {
    return requests_[index % requests_.size()];
  }

 private:
  std::vector<Request> requests_;
};

}  // namespace userprofile::bench

#endif  // USERPROFILE_TESTS_BENCH_REQUESTS_H_
