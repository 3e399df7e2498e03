#include "server/store/testing/fake_store.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/limits.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/store/errors.h"
#include "server/store/profile_rows.h"
#include "server/users/columns.h"
#include "server/users/token_key.h"

namespace userprofile::store {
namespace {

// What PostgreSQL keeps of a time.
absl::Time ToMicros(absl::Time time) {
  return absl::FromUnixMicros(absl::ToUnixMicros(time));
}

absl::Status Verdict(const CallContext& context) {
  if (context.cancelled && context.cancelled()) return Cancelled();
  return base::SteadyTime::Now() < context.deadline ? absl::OkStatus()
                                                    : DeadlineExceeded();
}

// What comes of a call, unless nobody wants to know.
template <typename Call>
absl::Status Try(const CallContext& context, Call call) {
  absl::Status verdict = Verdict(context);
  return verdict.ok() ? call() : verdict;
}

// Stores a text, NULL if it is empty; whether that changed anything.
bool Store(const std::string& text,
           const google::protobuf::FieldDescriptor* field,
           google::protobuf::Message& profile) {
  const bool changes = users::Text(profile, field) != text;
  if (text.empty()) {
    profile.GetReflection()->ClearField(&profile, field);
  } else {
    profile.GetReflection()->SetString(&profile, field, text);
  }
  return changes;
}

// Attributes with a patch, where null takes a key away.
google::protobuf::Struct Patched(google::protobuf::Struct attributes,
                                 const google::protobuf::Struct& patch) {
  for (const auto& [key, value] : patch.fields()) {
    if (value.kind_case() == google::protobuf::Value::kNullValue) {
      attributes.mutable_fields()->erase(key);
    } else {
      (*attributes.mutable_fields())[key] = value;
    }
  }
  return attributes;
}

bool IsIn(bool is_known, const google::protobuf::Timestamp& time,
          const v1::TimeRange& range) {
  if (!range.has_from() && !range.has_before()) return true;
  return is_known &&
         (!range.has_from() ||
          FromTimestamp(time) >= ToMicros(FromTimestamp(range.from()))) &&
         (!range.has_before() ||
          FromTimestamp(time) < ToMicros(FromTimestamp(range.before())));
}

bool Passes(const v1::Profile& user, const v1::ProfileFilter& filter) {
  const auto is = [](bool given, const auto& wanted, const auto& stored) {
    return !given || wanted == stored;
  };
  return is(filter.has_onboarding_completed(), filter.onboarding_completed(),
            user.onboarding_completed()) &&
         is(filter.has_is_active(), filter.is_active(), user.is_active()) &&
         is(filter.has_study_track(), filter.study_track(),
            user.study_track()) &&
         is(filter.has_grade_band(), filter.grade_band(), user.grade_band()) &&
         is(filter.has_grade_year(), filter.grade_year(), user.grade_year()) &&
         (!filter.has_language_code() ||
          absl::StartsWithIgnoreCase(
              absl::StrCat(user.language_code(), "-"),
              absl::StrCat(filter.language_code(), "-"))) &&
         (!filter.has_nickname_prefix() ||
          absl::StartsWith(user.nickname(), filter.nickname_prefix())) &&
         IsIn(true, user.created_at(), filter.created_at()) &&
         IsIn(true, user.last_seen_at(), filter.last_seen_at()) &&
         IsIn(user.has_last_activity(), user.last_activity(),
              filter.last_activity()) &&
         absl::c_all_of(filter.attributes().fields(), [&](const auto& wanted) {
           const auto& has = user.attributes().fields();
           const auto found = has.find(wanted.first);
           return found == has.end()
                      ? wanted.second.has_null_value()
                      : google::protobuf::util::MessageDifferencer::Equals(
                            found->second, wanted.second);
         });
}

v1::Profile WhatIsWanted(v1::Profile profile, const ScanCall& call) {
  for (const users::Column& column : users::Columns()) {
    if (call.Wants(column.name)) continue;
    const auto* field = v1::Profile::descriptor()->FindFieldByName(column.name);
    v1::Profile::GetReflection()->ClearField(&profile, field);
  }
  return profile;
}

}  // namespace

FakeStore::FakeStore(base::Clock clock) : clock_(std::move(clock)) {}

void FakeStore::Contact(const v1::UpsertUserRequest& request,
                        v1::UpsertUserResponse* response, CallContext context,
                        Done done) {
  done(Try(context, [&] {
    base::MutexLock lock(mutex_);
    v1::Profile& profile = users_[request.user_id()];
    const bool is_new = profile.revision() == 0;
    const bool is_repeated = IsRepeated(request, profile);
    if (!is_repeated) Write(request, profile);
    *response->mutable_profile() = profile;
    if (SqlObject(profile.attributes()).size() >
        base::kMaxAnsweredAttributesBytes) {
      response->mutable_profile()->clear_attributes();
      response->set_attributes_omitted(true);
    }
    response->set_created(is_new || is_repeated);
    return absl::OkStatus();
  }));
}

void FakeStore::Write(const v1::UpsertUserRequest& request,
                      v1::Profile& profile) {
  const absl::Time now = ToMicros(clock_());
  const bool created = profile.revision() == 0;
  const absl::Time occurred_at = ToMicros(FromTimestamp(request.occurred_at()));
  const bool dated =
      request.has_occurred_at() && occurred_at <= now + absl::Minutes(5);
  bool changed = created;
  if (!dated || !profile.has_last_activity() ||
      occurred_at >= FromTimestamp(profile.last_activity())) {
    const v1::Identity& identity = request.identity();
    for (const auto& [given, stored] : users::IdentityTexts()) {
      if (users::Has(identity, given)) {
        changed |= Store(users::Text(identity, given), stored, profile);
      }
    }
    if (created || request.has_is_active()) {
      const bool is_active = IsActiveIfNew(request);
      changed = changed || profile.is_active() != is_active;
      profile.set_is_active(is_active);
    }
    if (dated) SetTimestamp(occurred_at, profile.mutable_last_activity());
  }
  if (created) {
    profile.set_user_id(request.user_id());
    if (!request.event_id().empty()) {
      profile.set_created_by_event(request.event_id());
    }
    SetTimestamp(now, profile.mutable_created_at());
  }
  if (changed) SetTimestamp(now, profile.mutable_updated_at());
  changed_.push_back({request.user_id(), changed ? 'w' : 'c'});
  SetTimestamp(now, profile.mutable_last_seen_at());
  profile.set_revision(profile.revision() + 1);
}

void FakeStore::Read(ReadCall call, CallContext context, Done done) {
  done(Try(context, [&] { return TryRead(call); }));
}

absl::Status FakeStore::TryRead(const ReadCall& call) {
  base::MutexLock lock(mutex_);
  for (const std::int64_t user_id : call.user_ids) {
    const auto user = users_.find(user_id);
    if (user != users_.end()) {
      *call.found(user_id) = user->second;
    } else if (call.all_must_exist) {
      return UserNotFound(user_id);
    }
  }
  return absl::OkStatus();
}

void FakeStore::Find(FindCall call, CallContext context, Done done) {
  done(Try(context, [&] { return TryFind(call); }));
}

absl::Status FakeStore::TryFind(const FindCall& call) {
  base::MutexLock lock(mutex_);
  const users::Lookup lookup = users::ColumnNamed(call.column).lookup;
  const auto* field = v1::Profile::descriptor()->FindFieldByName(call.column);
  std::vector<const v1::Profile*> found;
  for (const auto& [id, profile] : users_) {
    const std::string& text = users::Text(profile, field);
    if (lookup == users::Lookup::kAnyCase
            ? absl::EqualsIgnoreCase(text, call.value)
            : text == call.value) {
      found.push_back(&profile);
    }
  }
  if (found.empty()) return NobodyFound(call.column);
  absl::c_stable_sort(found, [](const auto* a, const auto* b) {
    return FromTimestamp(a->last_seen_at()) > FromTimestamp(b->last_seen_at());
  });
  *call.profile = *found.front();
  for (std::size_t i = 1; i < found.size() && i <= FindCall::kMostOthers; ++i) {
    call.others->Add(found[i]->user_id());
  }
  return absl::OkStatus();
}

void FakeStore::Scan(ScanCall call, CallContext context, Done done) {
  done(Try(context, [&] { return TryScan(call); }));
}

absl::Status FakeStore::TryScan(const ScanCall& call) {
  base::MutexLock lock(mutex_);
  ScanCall::Result& result = *call.result;
  result = {};
  result.reached = call.after;
  std::int64_t scanned = 0;
  for (auto user = users_.upper_bound(call.after); user != users_.end();
       ++user) {
    if (!Passes(user->second, call.filter)) {
      // Only looked at.
    } else if (call.profiles == nullptr) {
      ++result.count;
    } else {
      *call.profiles->Add() = WhatIsWanted(user->second, call);
      call.NoteFound(user->first);
      if (result.is_full) return absl::OkStatus();
    }
    result.reached = user->first;
    if (++scanned == call.most_scanned) return absl::OkStatus();
  }
  result.reached.reset();
  return absl::OkStatus();
}

void FakeStore::ReadTokenKey(std::string* key, CallContext context, Done done) {
  *key = std::string(users::kTokenKeySize, 'k');
  done(Verdict(context));
}

absl::Status FakeStore::Late(Verb /*verb*/) const { return DeadlineExceeded(); }

void FakeStore::Edit(EditCall call, CallContext context, Done done) {
  done(Try(context, [&] { return TryEdit(call); }));
}

absl::Status FakeStore::TryEdit(const EditCall& call) {
  base::MutexLock lock(mutex_);
  const auto user = users_.find(call.user_id);
  if (user == users_.end()) return UserNotFound(call.user_id);
  v1::Profile& profile = user->second;
  *call.profile = profile;
  const std::int64_t revision = profile.revision();
  if (call.expected_revision.value_or(revision) != revision) {
    return RevisionMismatch(call.user_id, revision);
  }
  const bool completes = call.onboarding_completed.value_or(false);
  if (completes && profile.onboarding_completed()) {
    return AlreadyOnboarded(call.user_id);
  }
  const std::string& nickname = call.changes.nickname();
  for (const auto& [id, other] : users_) {
    if (!nickname.empty() && other.nickname() == nickname &&
        id != call.user_id) {
      return NicknameTaken(absl::StrCat(call.given_in, ".nickname"));
    }
  }
  google::protobuf::Struct attributes = profile.attributes();
  if (call.changes.has_attributes()) {
    attributes = Patched(
        call.replace_attributes ? google::protobuf::Struct() : attributes,
        call.changes.attributes());
    const std::size_t size = SqlObject(attributes).size();
    if (size > SqlObject(profile.attributes()).size() &&
        (attributes.fields().size() > base::kMaxAttributes ||
         size > base::kMaxAttributesBytes)) {
      return AttributesTooLarge(call.user_id);
    }
  }
  bool changes = !google::protobuf::util::MessageDifferencer::Equals(
      attributes, profile.attributes());
  *profile.mutable_attributes() = attributes;
  if (attributes.fields().empty()) profile.clear_attributes();
  for (const auto& text : users::AnswerTexts()) {
    if (!users::Has(call.changes, text.stored)) continue;
    changes |=
        Store(users::Text(call.changes, text.stored), text.stored, profile);
  }
  if (call.onboarding_completed) {
    changes |= *call.onboarding_completed != profile.onboarding_completed();
    profile.set_onboarding_completed(*call.onboarding_completed);
  }
  if (!changes) return absl::OkStatus();
  const absl::Time now = ToMicros(clock_());
  SetTimestamp(now, profile.mutable_updated_at());
  if (completes) SetTimestamp(now, profile.mutable_last_seen_at());
  profile.set_revision(revision + 1);
  changed_.push_back({call.user_id, 'w'});
  *call.profile = profile;
  return absl::OkStatus();
}

void FakeStore::Delete(DeleteCall call, CallContext context, Done done) {
  done(Try(context, [&] { return TryDelete(call); }));
}

absl::Status FakeStore::TryDelete(const DeleteCall& call) {
  base::MutexLock lock(mutex_);
  const auto user = users_.find(call.user_id);
  if (user == users_.end()) return UserNotFound(call.user_id);
  const std::int64_t revision = user->second.revision();
  if (call.expected_revision.value_or(revision) != revision) {
    return RevisionMismatch(call.user_id, revision);
  }
  users_.erase(user);
  for (auto session = sessions_.begin(); session != sessions_.end();) {
    const bool is_theirs = session->second.user_id() == call.user_id;
    session = is_theirs ? sessions_.erase(session) : std::next(session);
  }
  changed_.push_back({call.user_id, 'd'});
  return absl::OkStatus();
}

v1::Session* FakeStore::FindSession(const std::string& bot,
                                    const std::string& key) {
  const auto found = sessions_.find({bot, key});
  if (found == sessions_.end()) return nullptr;
  v1::Session& session = found->second;
  // By the clock of the database, which is not what `clock_` stands for.
  const bool is_expired = session.has_expires_at() &&
                          FromTimestamp(session.expires_at()) <= absl::Now();
  return is_expired ? nullptr : &session;
}

void FakeStore::GetSession(const v1::GetSessionRequest& request,
                           v1::GetSessionResponse* response,
                           CallContext context, Done done) {
  done(Try(context, [&] {
    base::MutexLock lock(mutex_);
    const auto* session = FindSession(request.bot(), request.key());
    if (session == nullptr) return SessionNotFound();
    *response->mutable_session() = *session;
    return absl::OkStatus();
  }));
}

void FakeStore::PutSession(const v1::PutSessionRequest& request,
                           v1::PutSessionResponse* response,
                           CallContext context, Done done) {
  done(Try(context, [&] { return TryPutSession(request, response); }));
}

absl::Status FakeStore::TryPutSession(const v1::PutSessionRequest& request,
                                      v1::PutSessionResponse* response) {
  base::MutexLock lock(mutex_);
  const v1::Session& given = request.session();
  const auto* stored = FindSession(given.bot(), given.key());
  const std::int64_t revision = stored == nullptr ? 0 : stored->revision();
  if (request.has_expected_revision() &&
      request.expected_revision() != revision) {
    return SessionMismatch(revision);
  }
  const absl::Time now = ToMicros(clock_());
  v1::Session& session = sessions_[{given.bot(), given.key()}];
  const std::int64_t next =
      std::max(session.revision() + 1, absl::ToUnixMicros(now));
  session = given;
  session.set_revision(next);
  SetTimestamp(now, session.mutable_updated_at());
  if (given.has_expires_at()) {
    SetTimestamp(ToMicros(FromTimestamp(given.expires_at())),
                 session.mutable_expires_at());
  }
  response->set_revision(next);
  *response->mutable_updated_at() = session.updated_at();
  return absl::OkStatus();
}

void FakeStore::DeleteSession(const v1::DeleteSessionRequest& request,
                              v1::DeleteSessionResponse* /*response*/,
                              CallContext context, Done done) {
  done(Try(context, [&] {
    base::MutexLock lock(mutex_);
    const auto* session = FindSession(request.bot(), request.key());
    if (session == nullptr) {
      return request.allow_missing() ? absl::OkStatus() : SessionNotFound();
    }
    if (request.has_expected_revision() &&
        request.expected_revision() != session->revision()) {
      return SessionMismatch(session->revision());
    }
    sessions_.erase({request.bot(), request.key()});
    return absl::OkStatus();
  }));
}

void FakeStore::ReadChanges(ChangesCall call, CallContext context, Done done) {
  done(Try(context, [&] { return TryReadChanges(call); }));
}

absl::Status FakeStore::TryReadChanges(const ChangesCall& call) {
  base::MutexLock lock(mutex_);
  const auto place = [](std::size_t i) { return absl::StrCat("fake.", i); };
  ChangesCall::Page& page = *call.page;
  page = {};
  page.end = call.after.value_or(place(changed_.size()));
  std::size_t i = 0;
  while (i < changed_.size() && place(i) != page.end) ++i;
  if (place(i) != page.end) return TokenExpired();
  absl::flat_hash_set<std::int64_t> told;
  std::size_t bytes = 0;
  for (std::size_t looked_at = 0; i < changed_.size(); ++looked_at) {
    page.more = looked_at == call.limit || bytes >= call.most_bytes;
    if (page.more) break;
    const ChangePlace before = *page.end;
    const auto [user_id, kind] = changed_[i++];
    page.end = place(i);
    const bool is_deleted_later =
        std::find(changed_.begin() + i, changed_.end(),
                  std::pair(user_id, 'd')) != changed_.end();
    if (is_deleted_later || (kind == 'c' && !call.include_contacts) ||
        !told.insert(user_id).second) {
      continue;
    }
    const auto user = users_.find(user_id);
    const bool is_there = user != users_.end();
    if (!is_there || kind == 'd') {
      page.changes.push_back({{}, is_there ? before : *page.end});
      page.changes.back().event.set_deleted_user_id(user_id);
    }
    if (!is_there) continue;
    page.changes.push_back({{}, *page.end});
    if (!Passes(user->second, call.filter)) {
      page.changes.back().event.set_unmatched_user_id(user_id);
      continue;
    }
    *page.changes.back().event.mutable_profile() = user->second;
    bytes += user->second.ByteSizeLong();
  }
  return absl::OkStatus();
}

}  // namespace userprofile::store
