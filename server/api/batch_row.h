#ifndef USERPROFILE_SERVER_API_BATCH_ROW_H_
#define USERPROFILE_SERVER_API_BATCH_ROW_H_

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/message.h"
#include "ops/metrics.h"
#include "server/api/method.h"
#include "server/api/status.h"
#include "server/api/validation.h"
#include "server/store/profile_store.h"

namespace userprofile::api {

// A call that holds many of another method, until all of them are answered.
// Thread-safe.
class Batch {
 public:
  Batch(std::size_t size, store::CallContext context, store::Done done)
      : context_(std::move(context)),
        done_(std::move(done)),
        times_(size),
        left_(size) {}

  // That of one of them.
  store::CallContext ContextOf(std::size_t place) {
    store::CallContext context = context_;
    context.times = &times_[place];
    return context;
  }

  // One of them was answered. The last one answers the call, whose times are
  // the longest of theirs.
  void FinishOne() {
    if (--left_ > 0) return;
    if (context_.times != nullptr) {
      for (const store::CallTimes& one : times_) {
        context_.times->queue = std::max(context_.times->queue, one.queue);
        context_.times->database =
            std::max(context_.times->database, one.database);
      }
    }
    done_(absl::OkStatus());
  }

 private:
  const store::CallContext context_;
  store::Done done_;
  std::vector<store::CallTimes> times_;
  std::atomic<std::size_t> left_;
};

// The row of a method whose `requests` are those of another one, `each`:
// carries each out as if it had come alone, once it was checked, and puts into
// `results`, in the same order, its `response` or its `error`. Each counts as a
// call of that other method. At the deadline the answer has what is done by
// then, and an error for the rest.
template <typename Request, typename Response>
MethodRow BatchRow(const char* name, MethodRow each, ops::Metrics& metrics) {
  struct Each {
    explicit Each(MethodRow its_row, ops::Metrics& metrics)
        : row(std::move(its_row)),
          validator(*row.request.GetDescriptor()),
          rpc_metrics(&metrics, row.name) {}

    const MethodRow row;
    const Validator validator;
    const RpcMetrics rpc_metrics;
  };
  const auto one = std::make_shared<const Each>(std::move(each), metrics);
  const auto act = [one](store::ProfileStore& store,
                         google::protobuf::Message* any_request,
                         google::protobuf::Message* any_response,
                         store::CallContext context, Progress& progress,
                         store::Done done) {
    auto& requests = *static_cast<Request*>(any_request)->mutable_requests();
    auto& results = *static_cast<Response*>(any_response)->mutable_results();
    const auto size = static_cast<std::size_t>(requests.size());
    // All of them first: the last answer may come before the last is asked for.
    while (results.size() < requests.size()) results.Add();
    progress.Begin(size);
    const auto batch =
        std::make_shared<Batch>(size, std::move(context), std::move(done));
    for (std::size_t i = 0; i < size; ++i) {
      auto* request = requests.Mutable(static_cast<int>(i));
      auto* result = results.Mutable(static_cast<int>(i));
      auto answer = [one, batch, result, i,
                     &progress](const absl::Status& status) {
        if (!status.ok()) {
          *result->mutable_error() = ToRpcStatus(status);
        } else if (one->row.count) {
          one->row.count(result->response());
        }
        one->rpc_metrics.CountWithin(
            static_cast<absl::StatusCode>(result->error().code()));
        progress.Finish(i, status);
        batch->FinishOne();
      };
      absl::Status valid = one->validator.Validate(request);
      if (!valid.ok()) {
        answer(valid);
      } else {
        one->row.act(store, request, result->mutable_response(),
                     batch->ContextOf(i), progress, std::move(answer));
      }
    }
  };
  const auto answer_in_part = [](const google::protobuf::Message& any_response,
                                 const Progress& progress,
                                 const absl::Status& late,
                                 google::protobuf::Message* any_answer) {
    const auto& results = static_cast<const Response&>(any_response).results();
    auto& answer = static_cast<Response&>(*any_answer);
    for (std::size_t i = 0; i < progress.done()->size(); ++i) {
      auto& result = *answer.add_results();
      if ((*progress.done())[i]) {
        result = results.Get(static_cast<int>(i));
      } else {
        *result.mutable_error() = ToRpcStatus(late);
      }
    }
  };
  return {name,
          one->row.verb,
          Request::default_instance(),
          Response::default_instance(),
          act,
          nullptr,
          answer_in_part};
}

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_BATCH_ROW_H_
