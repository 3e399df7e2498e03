#ifndef USERPROFILE_SERVER_API_VALIDATION_H_
#define USERPROFILE_SERVER_API_VALIDATION_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/message.h"
#include "google/rpc/error_details.pb.h"
#include "userprofile/v1/annotations.pb.h"

namespace userprofile::api {

// Errors travel in headers, of which clients take 8 KiB.
inline constexpr int kMostNamed = 16;

// INVALID_ARGUMENT with reason INVALID_FIELDS, which names the fields and what
// is wrong with each.
absl::Status InvalidFields(const google::rpc::BadRequest& what);

// Checks requests of one type against the limits that stand in the API file
// (annotations.proto), and makes of them what the store expects: phone numbers
// in E.164 form, usernames without "@", text that may as well be absent,
// absent. What is to be done is found once, here; a check walks over the fields
// that have limits, and over times, which must be such as
// google.protobuf.Timestamp allows. Requests within a request that are to be
// checked each alone it leaves alone. Thread-safe.
class Validator {
 public:
  explicit Validator(const google::protobuf::Descriptor& type)
      : fields_(FieldsOf(type, "")) {}

  // On an error the request is unspecified. The error is INVALID_ARGUMENT with
  // reason INVALID_FIELDS and a BadRequest that names every field at fault, in
  // the order of the request's fields; of lists no further elements once it
  // names 16. It never holds a value.
  absl::Status Validate(google::protobuf::Message* request) const;

 private:
  struct Field {
    const google::protobuf::FieldDescriptor* descriptor;
    v1::FieldLimits limits;
    bool empty_clears;          // whether empty text is fine whatever they say
    std::string path;           // such as "identity.first_name"; within a list,
                                // from its element on: ".user_id"
    std::vector<Field> fields;  // of a message
  };
  class Check;

  static std::vector<Field> FieldsOf(const google::protobuf::Descriptor& type,
                                     const std::string& prefix);

  const std::vector<Field> fields_;
};

// What of messages of one type the API file calls personal
// (annotations.proto): callers without Caller::pii may not know it. Where it is
// to be found is looked up once, here. Thread-safe.
class PersonalData {
 public:
  explicit PersonalData(const google::protobuf::Descriptor& type);

  // Takes it out of the message.
  void Withhold(google::protobuf::Message* message) const;

 private:
  struct Nested;

  std::vector<const google::protobuf::FieldDescriptor*> personal_;
  std::vector<Nested> nested_;  // messages that have some
};

struct PersonalData::Nested {
  const google::protobuf::FieldDescriptor* field;
  PersonalData data;
};

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_VALIDATION_H_
