#ifndef USERPROFILE_SERVER_API_PERSONAL_DATA_H_
#define USERPROFILE_SERVER_API_PERSONAL_DATA_H_

#include <vector>

#include "google/protobuf/message.h"

namespace userprofile::api {

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

#endif  // USERPROFILE_SERVER_API_PERSONAL_DATA_H_
