#include "server/api/list_profiles.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/steady_time.h"
#include "google/protobuf/descriptor.h"
#include "server/api/sealed_token.h"

namespace userprofile::api {
namespace {

using google::protobuf::FieldDescriptor;
using store::ScanCall;

constexpr int kUsualPage = 100;
constexpr int kLargestPage = 1000;

// What the token and each profile have beside their own bytes is less.
constexpr std::size_t kBytesOfAPage = kLargestAnswer - 16 * 1024;

// A call that looks at one part of the table after another.
class Walk : public std::enable_shared_from_this<Walk> {
 public:
  virtual ~Walk() = default;

 protected:
  Walk(store::ProfileStore& store, store::CallContext context, store::Done done)
      : store_(store), context_(std::move(context)), done_(std::move(done)) {}

  // Looks at the next part, then calls Found.
  void Look(ScanCall call) {
    call.after = after_;
    call.result = &result_;
    store_.Scan(call, ContextOfPart(),
                [self = shared_from_this()](absl::Status status) {
                  self->AddTimes();
                  if (!status.ok()) return self->Finish(std::move(status));
                  self->after_ = self->result_.reached.value_or(self->after_);
                  self->Found();
                });
  }

  virtual void Found() = 0;

  void Finish(absl::Status status) { done_(std::move(status)); }

  const base::SteadyTime& deadline() const { return context_.deadline; }

  store::CallContext ContextOfPart() {
    store::CallContext context = context_;
    part_ = {};
    context.times = &part_;
    return context;
  }

  void AddTimes() {
    if (context_.times == nullptr) return;
    context_.times->queue += part_.queue;
    context_.times->database += part_.database;
  }

  store::ProfileStore& store_;
  std::int64_t after_ = 0;  // users up to this one are done
  ScanCall::Result result_;

 private:
  const store::CallContext context_;
  store::Done done_;
  store::CallTimes part_;
};

class Listing final : public Walk {
 public:
  Listing(store::ProfileStore& store, const v1::ListProfilesRequest& request,
          v1::ListProfilesResponse* response, store::CallContext context,
          store::Done done, absl::Duration patience)
      : Walk(store, std::move(context), std::move(done)),
        request_(request),
        profiles_(*response->mutable_profiles()),
        next_page_token_(*response->mutable_next_page_token()),
        size_(request.page_size() == 0
                  ? kUsualPage
                  : std::min(request.page_size(), kLargestPage)),
        // Of another filter it is another purpose.
        purpose_(absl::StrCat("list ", request.filter().SerializeAsString())) {
    const base::SteadyTime now = base::SteadyTime::Now();
    end_ = now + std::min(patience, (deadline() - now) / 2);
    for (int i = 0; i < v1::Profile::descriptor()->field_count(); ++i) {
      const FieldDescriptor* field = v1::Profile::descriptor()->field(i);
      const auto& paths = request.read_mask().paths();
      if (!paths.empty() &&
          std::find(paths.begin(), paths.end(), field->name()) == paths.end()) {
        unwanted_.push_back(field);
      }
    }
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
  absl::Status Begin() {
    constexpr char kField[] = "page_token";
    if (!request_.page_token().empty()) {
      USERPROFILE_ASSIGN_OR_RETURN(
          const std::string after,
          OpenToken(key_, purpose_, request_.page_token(), kField));
      if (!absl::SimpleAtoi(after, &after_)) return InvalidToken(kField);
    }
    // Most filters let many pass.
    LookOn(2 * size_);
    return absl::OkStatus();
  }

  void LookOn(std::int64_t most_scanned) {
    ScanCall call = {request_.filter()};
    call.most_scanned = most_scanned;
    call.most_found = size_ - profiles_.size();
    call.profiles = &profiles_;
    Look(call);
  }

  void Found() override {
    const bool is_full = !Take() || profiles_.size() >= size_;
    if (!is_full && result_.reached && base::SteadyTime::Now() < end_) {
      return LookOn(ScanCall::kMostScanned);
    }
    if (is_full || result_.reached) {
      next_page_token_ = SealToken(key_, purpose_, absl::StrCat(after_));
    }
    Finish(absl::OkStatus());
  }

  // Makes what was found last a part of the page, as far as it has room;
  // whether it has.
  bool Take() {
    for (; taken_ < profiles_.size(); ++taken_) {
      v1::Profile& profile = *profiles_.Mutable(taken_);
      const std::int64_t user_id = profile.user_id();
      for (const FieldDescriptor* field : unwanted_) {
        v1::Profile::GetReflection()->ClearField(&profile, field);
      }
      bytes_ += profile.ByteSizeLong() + 8;
      if (bytes_ > kBytesOfAPage && taken_ > 0) {
        profiles_.DeleteSubrange(taken_, profiles_.size() - taken_);
        after_ = last_;
        return false;
      }
      last_ = user_id;
    }
    return true;
  }

  const v1::ListProfilesRequest& request_;
  google::protobuf::RepeatedPtrField<v1::Profile>& profiles_;
  std::string& next_page_token_;
  const int size_;
  const std::string purpose_;
  base::SteadyTime end_;                          // of looking
  std::vector<const FieldDescriptor*> unwanted_;  // of a profile

  std::string key_;
  int taken_ = 0;
  std::size_t bytes_ = 0;
  std::int64_t last_ = 0;  // the user taken last
};

class Counting final : public Walk {
 public:
  Counting(store::ProfileStore& store, const v1::CountProfilesRequest& request,
           v1::CountProfilesResponse* response, store::CallContext context,
           store::Done done)
      : Walk(store, std::move(context), std::move(done)),
        request_(request),
        response_(*response) {}

  void Start() { Look({request_.filter()}); }

 private:
  void Found() override {
    response_.set_count(response_.count() + result_.count);
    if (!result_.reached) return Finish(absl::OkStatus());
    Start();
  }

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
