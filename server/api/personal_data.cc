#include "server/api/personal_data.h"

#include <utility>

#include "google/protobuf/descriptor.h"
#include "userprofile/v1/annotations.pb.h"

namespace userprofile::api {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;

PersonalData::PersonalData(const Descriptor& type) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* const field = type.field(i);
    if (field->options().GetExtension(v1::personal)) {
      personal_.push_back(field);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      PersonalData data(*field->message_type());
      if (!data.personal_.empty() || !data.nested_.empty()) {
        nested_.push_back({field, std::move(data)});
      }
    }
  }
}

void PersonalData::Withhold(Message* message) const {
  const Reflection& reflection = *message->GetReflection();
  for (const FieldDescriptor* field : personal_) {
    reflection.ClearField(message, field);
  }
  for (const auto& [field, data] : nested_) {
    if (field->is_repeated()) {
      for (int i = 0; i < reflection.FieldSize(*message, field); ++i) {
        data.Withhold(reflection.MutableRepeatedMessage(message, field, i));
      }
    } else if (reflection.HasField(*message, field)) {
      data.Withhold(reflection.MutableMessage(message, field));
    }
  }
}

}  // namespace userprofile::api
