#ifndef USERPROFILE_SERVER_API_OPEN_STREAMS_H_
#define USERPROFILE_SERVER_API_OPEN_STREAMS_H_

#include <atomic>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace userprofile::api {

// The streams of a service that are open. gRPC waits for each of them at
// shutdown, so a server that leaves has to end them first. Thread-safe.
class OpenStreams {
 public:
  class Stream {
   public:
    virtual ~Stream() = default;

    // Does what there is reason to do: ends, if closed(). From any thread.
    virtual void Advance() = 0;
  };

  bool closed() const { return closed_; }

  // Streams shall end, now and later.
  void Close() {
    closed_ = true;
    AdvanceAll();
  }

  void AdvanceAll() {
    std::vector<std::shared_ptr<Stream>> streams;
    {
      base::MutexLock lock(mutex_);
      streams.assign(streams_.begin(), streams_.end());
    }
    for (const auto& stream : streams) stream->Advance();
  }

  void Add(std::shared_ptr<Stream> stream) {
    base::MutexLock lock(mutex_);
    streams_.insert(std::move(stream));
  }

  void Remove(const std::shared_ptr<Stream>& stream) {
    base::MutexLock lock(mutex_);
    streams_.erase(stream);
  }

 private:
  std::atomic<bool> closed_{false};
  base::Mutex mutex_;
  std::set<std::shared_ptr<Stream>> streams_ ABSL_GUARDED_BY(mutex_);
};

// A stream by one of gRPC's reactors, which lives until gRPC is done with it:
// that may be after the service is gone, hence the shared `Streams`.
template <typename Reactor, typename Streams>
class StreamReactor : public Reactor, public OpenStreams::Stream {
 public:
  template <typename Derived, typename... Arguments>
  static std::shared_ptr<Derived> Make(Arguments&&... arguments) {
    auto stream =
        std::make_shared<Derived>(std::forward<Arguments>(arguments)...);
    stream->self_ = stream;
    stream->streams_->Add(stream);
    return stream;
  }

 protected:
  explicit StreamReactor(std::shared_ptr<Streams> streams)
      : streams_(std::move(streams)) {}

  Streams& streams() { return *streams_; }

  // For what may still use it on another thread as gRPC is done with it. Not
  // once it is finished.
  std::shared_ptr<OpenStreams::Stream> self() const { return self_; }

 private:
  void OnDone() override {
    streams_->Remove(self_);
    const auto last = std::move(self_);
  }

  const std::shared_ptr<Streams> streams_;
  std::shared_ptr<OpenStreams::Stream> self_;
};

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_OPEN_STREAMS_H_
