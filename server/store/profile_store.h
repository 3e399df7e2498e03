#ifndef USERPROFILE_SERVER_STORE_PROFILE_STORE_H_
#define USERPROFILE_SERVER_STORE_PROFILE_STORE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/steady_time.h"
#include "google/protobuf/field_mask.pb.h"
#include "google/protobuf/repeated_field.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::store {

// Called once with the outcome of a call, from any thread, perhaps before the
// call returns. Must not block.
using Done = absl::AnyInvocable<void(absl::Status)>;

// Where a call's time went.
struct CallTimes {
  // Waiting for its statement: behind others, for a connection, or for a
  // database that was away.
  absl::Duration queue;

  // In statements, those of all tries.
  absl::Duration database;
};

// What a call knows of its caller.
struct CallContext {
  // The answer is of no use after this time.
  base::SteadyTime deadline = base::SteadyTime::InfiniteFuture();

  // Whether the caller gave up; called from any thread, until Done is. Empty
  // means never.
  std::function<bool()> cancelled = nullptr;

  // Where to write the times, before Done is called; may be null.
  CallTimes* times = nullptr;
};

// What a call is for the store; a deletion is an edit.
enum class Verb { kRead, kFind, kContact, kEdit, kScan, kSession };

// A read of users by their keys.
struct ReadCall {
  std::vector<std::int64_t> user_ids;  // all different

  // Where to put the profile of a user who is known; called once for each, in
  // any order, before Done. Filled in before the next is asked for.
  std::function<v1::Profile*(std::int64_t user_id)> found;

  // Whether one who is not known is an error, UserNotFound.
  bool all_must_exist = false;
};

// A look-up of users by what one of their columns holds, as the table of
// columns says that it is compared.
struct FindCall {
  std::string column;
  std::string value;

  // Where to put the user of several who was heard of last.
  v1::Profile* profile = nullptr;

  // Where to add the others, in that order; at most kMostOthers.
  google::protobuf::RepeatedField<std::int64_t>* others = nullptr;

  static constexpr std::size_t kMostOthers = 10;
};

// A change to what is stored of one user, made on conditions. One that would
// change nothing writes nothing.
struct EditCall {
  std::int64_t user_id = 0;

  // The answers that are there are stored; an empty one clears what is stored.
  // So are attributes, key by key, where null takes one away.
  v1::Profile changes;

  // Whether attributes that are there replace all that are stored.
  bool replace_attributes = false;

  // The field of the request that the changes come from.
  absl::string_view given_in;

  // What onboarding_completed becomes. True also says that the user was heard
  // of, and must change it: else the error is AlreadyOnboarded.
  absl::optional<bool> onboarding_completed;

  // Other than what is stored is RevisionMismatch.
  absl::optional<std::int64_t> expected_revision;

  // Where to put the user as stored then: after an AlreadyOnboarded, too.
  v1::Profile* profile = nullptr;
};

// Deletes a user, and their sessions.
struct DeleteCall {
  std::int64_t user_id = 0;

  // Other than what is stored is RevisionMismatch.
  absl::optional<std::int64_t> expected_revision;
};

// A look at a part of the table, in the order of user ids: for those that the
// filter lets pass.
struct ScanCall {
  const v1::ProfileFilter& filter;

  // Begins after this user.
  std::int64_t after = 0;

  // Ends after this many users were looked at, whether the filter lets them
  // pass or not (kMostScanned at most); or once this many were found.
  std::int64_t most_scanned = kMostScanned;
  int most_found = 0;

  // Where to add the profiles of those found; null to count them only, all of
  // those that are looked at.
  google::protobuf::RepeatedPtrField<v1::Profile>* profiles = nullptr;

  // What was found, and the user whom to go on after; none if the end of the
  // table was reached.
  struct Result {
    std::int64_t count = 0;
    std::size_t bytes = 0;  // of their profiles
    bool is_full = false;   // as many were found as may be, or their bytes
    absl::optional<std::int64_t> reached;
  };
  Result* result = nullptr;

  // What of profiles is wanted: these fields, or all if none is named; and as
  // many as have so many bytes in a message, but one in any case if there are
  // none among `profiles` yet.
  const google::protobuf::FieldMask* read_mask = nullptr;
  std::size_t most_bytes = std::numeric_limits<std::size_t>::max();

  // For stores: whether a field of profiles is wanted; and that this user was
  // added to `profiles`, which notes it in `result`, and takes them away again
  // if they are one too many.
  bool Wants(absl::string_view field) const;
  void NoteFound(std::int64_t user_id) const;

  // What bounds the time that one statement takes.
  static constexpr std::int64_t kMostScanned = 10'000;
};

// A place in the table of changes: one change that is there, as text that means
// something to its store only. Numbers of transactions are not enough, for
// those of a crash, or of a primary that was replaced, are given again.
using ChangePlace = std::string;

// What became of a user.
struct Change {
  // The profile, or who was deleted; without a token.
  v1::WatchProfilesResponse event;

  // Where to go on after it.
  ChangePlace place;
};

// A read of what changed after a place, of that which is settled: after which
// no change can come any more that belongs before it. Several changes of a user
// may be one here, and a profile is that which is stored as they are read. Who
// was deleted is told as that before they are told anew.
struct ChangesCall {
  // Where to begin. What is not kept any more, or is of another table, is
  // TokenExpired. Absent: at the end, which is all that is asked for then.
  absl::optional<ChangePlace> after = {};

  // Of whom to tell; of others their ids alone.
  v1::ProfileFilter filter = {};

  // Whether to tell of contacts that changed nothing, too. Where they are not
  // recorded it is ContactsNotRecorded.
  bool include_contacts = false;

  // How many changes to look at, at most; and an end of them once their
  // profiles have so many bytes.
  std::size_t limit = 200;
  std::size_t most_bytes = std::numeric_limits<std::size_t>::max();

  struct Page {
    std::vector<Change> changes;

    // After all of them. Absent where nothing is settled yet, as before the
    // first transactions of a new table are over.
    absl::optional<ChangePlace> end;

    bool more = false;  // perhaps

    // For how long the oldest change has waited that is not settled; told with
    // an end that was asked for.
    absl::Duration held_up;
  };
  Page* page = nullptr;
};

// Stores users, and the sessions of bots, by a few verbs from which the methods
// of the API are made. They mean what UserProfileService says in
// userprofile/v1/user_profile_service.proto, and so do their errors; requests
// have been validated, with phone numbers in E.164 form, and of an update's
// profile only what its mask says is there.
//
// The calls are asynchronous: what they refer to must live until `done` is
// called, which happens exactly once for each call, whatever fails. On an error
// what was to be filled in is unspecified. Thread-safe.
class ProfileStore {
 public:
  virtual ~ProfileStore() = default;

  virtual void Read(ReadCall call, CallContext context, Done done) = 0;
  virtual void Find(FindCall call, CallContext context, Done done) = 0;
  virtual void Contact(const v1::UpsertUserRequest& request,
                       v1::UpsertUserResponse* response, CallContext context,
                       Done done) = 0;
  virtual void Edit(EditCall call, CallContext context, Done done) = 0;
  virtual void Delete(DeleteCall call, CallContext context, Done done) = 0;
  virtual void Scan(ScanCall call, CallContext context, Done done) = 0;
  virtual void ReadChanges(ChangesCall call, CallContext context,
                           Done done) = 0;

  // Of sessions, each method of the API is a verb of its own.
  virtual void GetSession(const v1::GetSessionRequest& request,
                          v1::GetSessionResponse* response, CallContext context,
                          Done done) = 0;
  virtual void PutSession(const v1::PutSessionRequest& request,
                          v1::PutSessionResponse* response, CallContext context,
                          Done done) = 0;
  virtual void DeleteSession(const v1::DeleteSessionRequest& request,
                             v1::DeleteSessionResponse* response,
                             CallContext context, Done done) = 0;

  // The key of the tokens that callers are given to go on from: the same for
  // all servers of a database, and the next time. Read once; then answered
  // before this returns. UNAVAILABLE with reason TOKENS_UNAVAILABLE where there
  // is none that can be relied on. For Late it is a scan.
  virtual void ReadTokenKey(std::string* key, CallContext context,
                            Done done) = 0;

  // What to tell the caller of such a call that is under way and whose deadline
  // passes now: why the database does not carry it out, as far as that is
  // known.
  virtual absl::Status Late(Verb verb) const = 0;

  // Methods that are more than a verb of the same name.
  void GetProfile(const v1::GetProfileRequest& request,
                  v1::GetProfileResponse* response, CallContext context,
                  Done done);
  void BatchGetProfiles(const v1::BatchGetProfilesRequest& request,
                        v1::BatchGetProfilesResponse* response,
                        CallContext context, Done done);
  void LookupProfile(const v1::LookupProfileRequest& request,
                     v1::LookupProfileResponse* response, CallContext context,
                     Done done);
  void CompleteOnboarding(const v1::CompleteOnboardingRequest& request,
                          v1::CompleteOnboardingResponse* response,
                          CallContext context, Done done);
  void UpdateProfile(const v1::UpdateProfileRequest& request,
                     v1::UpdateProfileResponse* response, CallContext context,
                     Done done);
  void DeleteUser(const v1::DeleteUserRequest& request,
                  v1::DeleteUserResponse* response, CallContext context,
                  Done done);
};

// What is_active becomes of a user whom this contact creates.
bool IsActiveIfNew(const v1::UpsertUserRequest& request);

// Whether it is the contact that created this user, again. Whoever is onboarded
// is not new by any.
bool IsRepeated(const v1::UpsertUserRequest& request,
                const v1::Profile& stored);

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_PROFILE_STORE_H_
