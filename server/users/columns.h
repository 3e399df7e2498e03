#ifndef USERPROFILE_SERVER_USERS_COLUMNS_H_
#define USERPROFILE_SERVER_USERS_COLUMNS_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "userprofile/v1/user_profile_service.pb.h"

// What the service knows of the table `users`, once: the schema contract, the
// SQL of the store and the reading of rows are derived from it. A new column is
// a row here, a field in the API file and a migration; one that is neither
// identity nor answer also has to be written by a statement of the store.
namespace userprofile::users {

enum class Kind {
  kKey,       // bigint: whose row it is
  kIdentity,  // text: what a contact says, in a field of v1::Identity
  kAnswer,    // text: what onboarding says, in one of v1::OnboardingAnswers
  kFlag,      // boolean
  kTime,      // without time zone it is in UTC
  kCount,     // bigint
  kObject,    // jsonb: what bots keep, in v1::Profile.attributes
  kEvent,     // text: the contact that created the row
};

// How a value gets into a profile.
using IntegerField = void (v1::Profile::*)(std::int64_t);
using FlagField = void (v1::Profile::*)(bool);
using TextField = std::string* (v1::Profile::*)();
using TimeField = google::protobuf::Timestamp* (v1::Profile::*)();
using ObjectField = google::protobuf::Struct* (v1::Profile::*)();

// Whether users are looked up by a text, and how it is compared then.
enum class Lookup {
  kNone,
  kExact,
  kAnyCase,  // a and A are the same, of ASCII's letters
};

struct Column {
  const char* name;  // and that of its field in v1::Profile
  const char* type;  // as pg_catalog.format_type() writes it
  Kind kind;
  std::variant<IntegerField, FlagField, TextField, TimeField, ObjectField>
      field;
  bool nullable = true;

  // As pg_get_expr() writes it; nullptr is none, kAnyDefault any but none.
  const char* default_value = nullptr;

  // The contract has an index for such a look-up.
  Lookup lookup = Lookup::kNone;
};

inline constexpr char kAnyDefault[] = "a default";

// All of them, the key first.
absl::Span<const Column> Columns();

// Those of a kind, in that order.
std::vector<Column> Columns(Kind kind);

// The column of that name, which there must be.
const Column& ColumnNamed(absl::string_view name);

// What a look-up by the column compares, and the index is on, of an SQL
// expression that stands for its value.
std::string LookupKey(const Column& column, const std::string& value);

// A text that a request gives for a column: its field there, and in a profile.
struct GivenText {
  const google::protobuf::FieldDescriptor* given;
  const google::protobuf::FieldDescriptor* stored;
};

// For each identity column its field in v1::Identity, and for each answer that
// in v1::OnboardingAnswers, in the order of Columns.
const std::vector<GivenText>& IdentityTexts();
const std::vector<GivenText>& AnswerTexts();

// Whether the field of a message is there, and the text in it; empty if not.
bool Has(const google::protobuf::Message& message,
         const google::protobuf::FieldDescriptor* field);
const std::string& Text(const google::protobuf::Message& message,
                        const google::protobuf::FieldDescriptor* field);

}  // namespace userprofile::users

#endif  // USERPROFILE_SERVER_USERS_COLUMNS_H_
