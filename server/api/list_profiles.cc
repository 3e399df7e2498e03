#include "server/api/list_profiles.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/steady_time.h"
#include "server/api/sealed_token.h"
#include "server/api/watch_token.h"

namespace userprofile::api {
namespace {

using store::ScanCall;

constexpr int kUsualPage = 100;
constexpr int kLargestPage = 1000;

// What the token and each profile have beside their own bytes is less.
constexpr std::size_t kBytesOfAPage = kLargestAnswer - 16 * 1024;

// What a part of the table takes at most, as far as that can be foretold: so
// that others get their turn, and no statement is ended for the time it takes.
constexpr absl::Duration kLongPart = absl::Seconds(1);

// A call that looks at one part of the table after another.
class Walk : public std::enable_shared_from_this<Walk> {
 public:
  virtual ~Walk() = default;

 protected:
  // The first part is of so many users.
  Walk(store::ProfileStore& store, store::CallContext context, store::Done done,
       std::int64_t most_scanned)
      : store_(store),
        context_(std::move(context)),
        done_(std::move(done)),
        most_scanned_(most_scanned) {}

  // Looks at the next part, then calls Found or Failed.
  void Look(ScanCall call, base::SteadyTime deadline) {
    call.after = after_;
    call.most_scanned = most_scanned_;
    call.result = &result_;
    began_ = base::SteadyTime::Now();
    store::CallContext context = ContextOfPart();
    context.deadline = deadline;
    store_.Scan(call, std::move(context),
                [self = shared_from_this()](absl::Status status) {
                  self->AddTimes();
                  if (!status.ok()) return self->Failed(std::move(status));
                  self->after_ = self->result_.reached.value_or(self->after_);
                  self->Found();
                });
  }

  virtual void Found() = 0;
  virtual void Failed(absl::Status status) { Finish(std::move(status)); }

  void Finish(absl::Status status) { done_(std::move(status)); }

  // Makes the next part as large as it may be. Returns when it will be done, if
  // its users are like those before.
  base::SteadyTime ResizePart() {
    const base::SteadyTime now = base::SteadyTime::Now();
    const absl::Duration took = now - began_;
    const std::int64_t before = most_scanned_;
    if (2 * took <= kLongPart) {
      most_scanned_ = std::min(2 * before, ScanCall::kMostScanned);
    } else if (took > kLongPart) {
      most_scanned_ = (before + 1) / 2;
    }
    return now + took * most_scanned_ / before;
  }

  const base::SteadyTime& deadline() const { return context_.deadline; }

  store::CallContext ContextOfPart() {
    store::CallContext context = context_;
    times_of_part_ = {};
    context.times = &times_of_part_;
    return context;
  }

  void AddTimes() {
    if (context_.times == nullptr) return;
    context_.times->queue += times_of_part_.queue;
    context_.times->database += times_of_part_.database;
  }

  store::ProfileStore& store_;
  std::int64_t after_ = 0;  // users up to this one are done
  ScanCall::Result result_;

 private:
  const store::CallContext context_;
  store::Done done_;
  store::CallTimes times_of_part_;
  std::int64_t most_scanned_;
  base::SteadyTime began_;  // the part
};

class Listing final : public Walk {
 public:
  Listing(store::ProfileStore& store, const v1::ListProfilesRequest& request,
          v1::ListProfilesResponse* response, store::CallContext context,
          store::Done done, absl::Duration patience)
      // Most filters let many pass.
      : Walk(store, std::move(context), std::move(done), 2 * SizeOf(request)),
        request_(request),
        profiles_(*response->mutable_profiles()),
        next_page_token_(*response->mutable_next_page_token()),
        watch_token_(*response->mutable_watch_token()),
        size_(SizeOf(request)),
        purpose_(PurposeOf("list", request.filter())) {
    const base::SteadyTime now = base::SteadyTime::Now();
    end_ = now + std::min(patience, (deadline() - now) / 2);
  }

  void Start() {
    store_.ReadTokenKey(&key_, ContextOfPart(),
                        [this, self = shared_from_this()](absl::Status status) {
                          AddTimes();
                          if (status.ok()) status = Begin();
                          if (!status.ok()) Finish(std::move(status));
                        });
  }

 private:
  static int SizeOf(const v1::ListProfilesRequest& request) {
    return request.page_size() == 0
               ? kUsualPage
               : std::min(request.page_size(), kLargestPage);
  }

  absl::Status Begin() {
    constexpr char kField[] = "page_token";
    if (request_.page_token().empty()) {
      ReadPlace();
      return absl::OkStatus();
    }
    USERPROFILE_ASSIGN_OR_RETURN(
        const std::string after,
        OpenToken(key_, purpose_, request_.page_token(), kField));
    if (!absl::SimpleAtoi(after, &after_)) return InvalidToken(kField);
    LookOn(deadline());
    return absl::OkStatus();
  }

  // Where to watch from, before anybody is looked at: then who changes
  // meanwhile is told. A list goes on without, soon.
  void ReadPlace() {
    store::CallContext context = ContextOfPart();
    const base::SteadyTime now = base::SteadyTime::Now();
    context.deadline = now + std::min(kLongPart, (deadline() - now) / 4);
    store_.ReadChanges(
        {.page = &newest_}, std::move(context),
        [this, self = shared_from_this()](const absl::Status& status) {
          AddTimes();
          if (absl::IsCancelled(status)) return Finish(status);
          if (status.ok() && newest_.end.has_value()) {
            watch_token_ = WatchToken(key_, request_.filter(), *newest_.end);
          }
          LookOn(deadline());
        });
  }

  void LookOn(base::SteadyTime deadline) {
    ScanCall call = {request_.filter()};
    call.most_found = size_ - found_;
    call.profiles = &profiles_;
    call.read_mask = &request_.read_mask();
    call.most_bytes = kBytesOfAPage - bytes_;
    Look(call, deadline);
  }

  void Found() override {
    got_on_ = true;
    found_ = profiles_.size();
    bytes_ += result_.bytes;
    if (!result_.is_full && result_.reached && ResizePart() < end_) {
      return LookOn(end_);
    }
    EndPage(/*is_last=*/!result_.reached);
  }

  // What was found before is a page, too.
  void Failed(absl::Status status) override {
    if (!got_on_ || absl::IsCancelled(status)) {
      return Finish(std::move(status));
    }
    profiles_.DeleteSubrange(found_, profiles_.size() - found_);
    EndPage(/*is_last=*/false);
  }

  void EndPage(bool is_last) {
    if (!is_last) {
      next_page_token_ = SealToken(key_, purpose_, absl::StrCat(after_));
    }
    Finish(absl::OkStatus());
  }

  const v1::ListProfilesRequest& request_;
  google::protobuf::RepeatedPtrField<v1::Profile>& profiles_;
  std::string& next_page_token_;
  std::string& watch_token_;
  const int size_;
  const std::string purpose_;
  base::SteadyTime end_;  // of looking
  std::string key_;
  store::ChangesCall::Page newest_;
  bool got_on_ = false;  // a part was looked at
  int found_ = 0;
  std::size_t bytes_ = 0;  // of those found
};

class Counting final : public Walk {
 public:
  Counting(store::ProfileStore& store, const v1::CountProfilesRequest& request,
           v1::CountProfilesResponse* response, store::CallContext context,
           store::Done done)
      : Walk(store, std::move(context), std::move(done), kFirstPart),
        request_(request),
        response_(*response) {}

  void Start() { Look({request_.filter()}, deadline()); }

 private:
  void Found() override {
    response_.set_count(response_.count() + result_.count);
    if (!result_.reached) return Finish(absl::OkStatus());
    ResizePart();
    Start();
  }

  static constexpr std::int64_t kFirstPart = 1000;

  const v1::CountProfilesRequest& request_;
  v1::CountProfilesResponse& response_;
};

// The row of a method whose calls are such walks.
template <typename Call, typename Request, typename Response,
          typename... Options>
MethodRow WalkRow(const char* name, Options... options) {
  return {name, store::Verb::kScan, Request::default_instance(),
          Response::default_instance(),
          [options...](
              store::ProfileStore& store, google::protobuf::Message* request,
              google::protobuf::Message* response, store::CallContext context,
              Progress& /*progress*/, store::Done done) {
            std::make_shared<Call>(store, static_cast<const Request&>(*request),
                                   static_cast<Response*>(response),
                                   std::move(context), std::move(done),
                                   options...)
                ->Start();
          }};
}

}  // namespace

MethodRow ListProfilesRow(absl::Duration patience) {
  return WalkRow<Listing, v1::ListProfilesRequest, v1::ListProfilesResponse>(
      "ListProfiles", patience);
}

MethodRow CountProfilesRow() {
  return WalkRow<Counting, v1::CountProfilesRequest, v1::CountProfilesResponse>(
      "CountProfiles");
}

}  // namespace userprofile::api
