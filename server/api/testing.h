#ifndef USERPROFILE_SERVER_API_TESTING_H_
#define USERPROFILE_SERVER_API_TESTING_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/types/optional.h"
#include "google/rpc/error_details.pb.h"
#include "server/store/errors.h"
#include "server/store/profile_store.h"
#include "tests/support/error_details.h"

// What the tests of this folder share.
namespace userprofile::api {

// The paths that a BadRequest names, in order; empty if there is none.
inline std::vector<std::string> FieldsOf(
    const google::rpc::BadRequest& bad_request) {
  std::vector<std::string> fields;
  for (const auto& violation : bad_request.field_violations()) {
    fields.push_back(violation.field());
  }
  return fields;
}

inline std::vector<std::string> FieldsOf(const absl::Status& status) {
  google::rpc::BadRequest bad_request;
  const auto payload =
      status.GetPayload("type.googleapis.com/google.rpc.BadRequest");
  if (payload) bad_request.ParseFromString(std::string(*payload));
  return FieldsOf(bad_request);
}

using testing::DetailOf;
using testing::DetailsOf;
using testing::ReasonOf;

inline std::vector<std::string> FieldsOf(const grpc::Status& status) {
  return FieldsOf(DetailOf<google::rpc::BadRequest>(status));
}

// A store whose answers are given by the test. Called from any thread.
class ScriptedStore final : public store::ProfileStore {
 public:
  std::function<void(store::ReadCall, store::CallContext, store::Done)> read =
      [](store::ReadCall call, auto, auto done) {
        for (const auto id : call.user_ids) call.found(id)->set_user_id(id);
        done(absl::OkStatus());
      };
  std::function<void(store::FindCall, store::CallContext, store::Done)> find =
      [](store::FindCall call, auto, auto done) {
        call.profile->set_user_id(1);
        done(absl::OkStatus());
      };
  std::function<void(const v1::UpsertUserRequest&, v1::UpsertUserResponse*,
                     store::CallContext, store::Done)>
      contact = [](const auto& request, auto* response, auto, auto done) {
        response->mutable_profile()->set_user_id(request.user_id());
        done(absl::OkStatus());
      };
  std::function<void(store::EditCall, store::CallContext, store::Done)> edit =
      [](store::EditCall call, auto, auto done) {
        call.profile->set_user_id(call.user_id);
        done(absl::OkStatus());
      };
  std::function<void(store::DeleteCall, store::CallContext, store::Done)>
      erase = [](auto, auto, auto done) { done(absl::OkStatus()); };
  std::function<void(store::ChangesCall, store::CallContext, store::Done)>
      read_changes = [](const store::ChangesCall& call, auto, auto done) {
        *call.page = {};
        done(absl::OkStatus());
      };

  std::function<void(store::ScanCall, store::CallContext, store::Done)> scan =
      [](store::ScanCall call, auto, auto done) {
        *call.result = {};
        done(absl::OkStatus());
      };
  std::function<absl::Status()> session = [] { return absl::OkStatus(); };
  std::string token_key = std::string(32, 'k');

  std::function<absl::Status(store::Verb)> late = [](store::Verb) {
    return store::DeadlineExceeded();
  };

  void Read(store::ReadCall call, store::CallContext context,
            store::Done done) override {
    read(std::move(call), std::move(context), std::move(done));
  }
  void Find(store::FindCall call, store::CallContext context,
            store::Done done) override {
    find(std::move(call), std::move(context), std::move(done));
  }
  void Contact(const v1::UpsertUserRequest& request,
               v1::UpsertUserResponse* response, store::CallContext context,
               store::Done done) override {
    contact(request, response, std::move(context), std::move(done));
  }
  void Edit(store::EditCall call, store::CallContext context,
            store::Done done) override {
    edit(std::move(call), std::move(context), std::move(done));
  }
  void Delete(store::DeleteCall call, store::CallContext context,
              store::Done done) override {
    erase(call, std::move(context), std::move(done));
  }
  void Scan(store::ScanCall call, store::CallContext context,
            store::Done done) override {
    scan(call, std::move(context), std::move(done));
  }
  void ReadTokenKey(std::string* key, store::CallContext /*context*/,
                    store::Done done) override {
    *key = token_key;
    done(absl::OkStatus());
  }
  void ReadChanges(store::ChangesCall call, store::CallContext context,
                   store::Done done) override {
    read_changes(std::move(call), std::move(context), std::move(done));
  }
  void GetSession(const v1::GetSessionRequest& request,
                  v1::GetSessionResponse* response,
                  store::CallContext /*context*/, store::Done done) override {
    response->mutable_session()->set_key(request.key());
    done(session());
  }
  void PutSession(const v1::PutSessionRequest& /*request*/,
                  v1::PutSessionResponse* response,
                  store::CallContext /*context*/, store::Done done) override {
    response->set_revision(1);
    done(session());
  }
  void DeleteSession(const v1::DeleteSessionRequest& /*request*/,
                     v1::DeleteSessionResponse* /*response*/,
                     store::CallContext /*context*/,
                     store::Done done) override {
    done(session());
  }
  absl::Status Late(store::Verb verb) const override { return late(verb); }
};

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_TESTING_H_
