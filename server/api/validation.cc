#include "server/api/validation.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/error_info.h"
#include "base/limits.h"
#include "base/text.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/field_mask.pb.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "google/rpc/error_details.pb.h"
#include "phonenumbers/phonenumberutil.h"
#include "server/api/attributes.h"
#include "userprofile/v1/annotations.pb.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::api {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::FieldMask;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;
using ::google::protobuf::Struct;
using ::google::protobuf::Timestamp;
using ::i18n::phonenumbers::PhoneNumber;
using ::i18n::phonenumbers::PhoneNumberUtil;

// Puts a phone number into E.164 form. Asks for a possible number, not for one
// in a known range: ranges are opened faster than packages are updated.
bool NormalizePhone(std::string* phone) {
  const PhoneNumberUtil& util = *PhoneNumberUtil::GetInstance();
  PhoneNumber number;
  if (util.Parse(*phone, "ZZ", &number) != PhoneNumberUtil::NO_PARSING_ERROR ||
      number.has_extension() || !util.IsPossibleNumber(number)) {
    return false;
  }
  util.Format(number, PhoneNumberUtil::E164, phone);
  return true;
}

// What is wrong with the text whatever it stands for; empty if nothing.
std::string TextFault(const std::string& text, const v1::FieldLimits& limits) {
  const base::TextTraits traits = base::Inspect(text);
  if (!traits.valid_utf8) return "must be valid UTF-8";
  if (limits.required() && traits.blank) return "must not be empty or blank";
  if (traits.code_points > limits.max_code_points()) {
    return absl::StrCat("must be at most ", limits.max_code_points(),
                        " code points long");
  }
  if (traits.has_control_characters) return "must not hold control characters";
  return "";
}

bool IsTime(const FieldDescriptor& field) {
  return field.message_type() == Timestamp::descriptor();
}

bool IsObject(const FieldDescriptor& field) {
  return field.message_type() == Struct::descriptor();
}

// Of another package, such as times: its fields are not the API's, and may hold
// messages of their own type.
bool IsForeign(const FieldDescriptor& field) {
  return field.message_type()->file()->package() !=
         v1::Profile::descriptor()->file()->package();
}

}  // namespace

// The check of one request: collects what is wrong with it.
class Validator::Check {
 public:
  void Fields(const std::vector<Field>& fields, Message* message) {
    const Reflection& reflection = *message->GetReflection();
    for (const Field& field : fields) {
      if (field.descriptor->real_containing_oneof() != nullptr &&
          !reflection.HasField(*message, field.descriptor)) {
        MissingOneof(field, reflection, *message);
        continue;
      }
      if (field.descriptor->is_repeated()) {
        List(field, reflection, message);
        continue;
      }
      switch (field.descriptor->cpp_type()) {
        case FieldDescriptor::CPPTYPE_MESSAGE:
          Nested(field, reflection, message);
          break;
        case FieldDescriptor::CPPTYPE_STRING:
          if (field.descriptor->type() == FieldDescriptor::TYPE_BYTES) {
            Bytes(field, reflection, *message);
          } else {
            Text(field, reflection, message);
          }
          break;
        case FieldDescriptor::CPPTYPE_INT32:
          if (reflection.GetInt32(*message, field.descriptor) < 0) {
            Violation(field, "must not be negative");
          }
          break;
        case FieldDescriptor::CPPTYPE_INT64:
          if (field.descriptor->has_optional_keyword() &&
              !reflection.HasField(*message, field.descriptor)) {
            break;
          }
          UserId(field, "", reflection.GetInt64(*message, field.descriptor));
          break;
        default:
          break;  // nothing that the API has limits
      }
    }
  }

  absl::Status Finish() const {
    if (bad_request_.field_violations().empty()) return absl::OkStatus();
    return InvalidFields(bad_request_);
  }

 private:
  void Violation(const Field& field, absl::string_view description) {
    Violation(field, "", description);
  }

  void Violation(const Field& field, absl::string_view element,
                 absl::string_view description) {
    auto* violation = bad_request_.add_field_violations();
    violation->set_field(absl::StrCat(within_, field.path, element));
    violation->set_description(std::string(description));
  }

  // Once for each oneof of which no field is there.
  void MissingOneof(const Field& field, const Reflection& reflection,
                    const Message& message) {
    const auto& oneof = *field.descriptor->real_containing_oneof();
    if (field.descriptor->index_in_oneof() > 0 ||
        reflection.HasOneof(message, &oneof)) {
      return;
    }
    std::vector<std::string> names;
    for (int i = 0; i < oneof.field_count(); ++i) {
      names.push_back(oneof.field(i)->name());
    }
    Field missing = field;
    const std::size_t within =
        field.path.size() - field.descriptor->name().size();
    missing.path = field.path.substr(0, within) + oneof.name();
    Violation(missing,
              absl::StrCat("must be one of: ", absl::StrJoin(names, ", ")));
  }

  void List(const Field& field, const Reflection& reflection,
            Message* message) {
    const int size = reflection.FieldSize(*message, field.descriptor);
    if (field.limits.required() && size == 0) {
      Violation(field, "must not be empty");
    } else if (size > field.limits.max_items()) {
      Violation(field, absl::StrCat("must hold at most ",
                                    field.limits.max_items(), " items"));
      return;
    }
    if (field.limits.each_alone()) return;
    for (int i = 0; i < size; ++i) {
      if (bad_request_.field_violations_size() >= kMostNamed) return;
      const std::string element = absl::StrCat("[", i, "]");
      if (field.descriptor->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
        UserId(field, element,
               reflection.GetRepeatedInt64(*message, field.descriptor, i));
      } else if (field.descriptor->cpp_type() ==
                 FieldDescriptor::CPPTYPE_MESSAGE) {
        const std::string outer = within_;
        absl::StrAppend(&within_, field.path, element);
        Fields(field.fields,
               reflection.MutableRepeatedMessage(message, field.descriptor, i));
        within_ = outer;
      }
    }
  }

  void Nested(const Field& field, const Reflection& reflection,
              Message* message) {
    if (!reflection.HasField(*message, field.descriptor)) {
      if (field.limits.required()) Violation(field, "must be present");
      return;
    }
    Message* nested = reflection.MutableMessage(message, field.descriptor);
    if (IsTime(*field.descriptor)) {
      Time(field, static_cast<const Timestamp&>(*nested));
    } else if (IsObject(*field.descriptor)) {
      Object(field, static_cast<const Struct&>(*nested));
    } else if (field.limits.kind() == v1::FIELD_KIND_PROFILE_FIELDS) {
      Mask(field, static_cast<const FieldMask&>(*nested));
    } else {
      Fields(field.fields, nested);
    }
  }

  void Time(const Field& field, const Timestamp& time) {
    if (time.seconds() < base::kMinTimestampSeconds ||
        time.seconds() > base::kMaxTimestampSeconds || time.nanos() < 0 ||
        time.nanos() > 999999999) {
      Violation(field,
                "must be a time of the years 1 to 9999, nanos 0 to 999999999");
    }
  }

  // Is never told by its keys: they may be what somebody typed.
  void Object(const Field& field, const Struct& object) {
    const std::string fault = AttributesFault(object);
    if (!fault.empty()) Violation(field, fault);
  }

  // Never with the path, which may be anything.
  void Mask(const Field& field, const FieldMask& mask) {
    const int most = v1::Profile::descriptor()->field_count();
    if (mask.paths_size() > most) {
      return Violation(field,
                       absl::StrCat("must hold at most ", most, " paths"));
    }
    for (int i = 0; i < mask.paths_size(); ++i) {
      if (bad_request_.field_violations_size() >= kMostNamed) return;
      if (v1::Profile::descriptor()->FindFieldByName(mask.paths(i)) ==
          nullptr) {
        Violation(field, absl::StrCat(".paths[", i, "]"),
                  "must be a field of Profile");
      }
    }
  }

  void UserId(const Field& field, absl::string_view element,
              std::int64_t user_id) {
    if (user_id >= 1 && user_id <= base::kMaxUserId) return;
    Violation(field, element, absl::StrCat("must be 1 to ", base::kMaxUserId));
  }

  void Bytes(const Field& field, const Reflection& reflection,
             const Message& message) {
    std::string scratch;
    if (static_cast<std::int64_t>(
            reflection.GetStringReference(message, field.descriptor, &scratch)
                .size()) > field.limits.max_bytes()) {
      Violation(field, absl::StrCat("must have at most ",
                                    field.limits.max_bytes(), " bytes"));
    }
  }

  // As people write a username.
  static void TakeOffAt(const Field& field, const Reflection& reflection,
                        Message* message) {
    std::string scratch;
    const std::string& text =
        reflection.GetStringReference(*message, field.descriptor, &scratch);
    if (text.size() > 1 && text.front() == '@') {
      reflection.SetString(message, field.descriptor, text.substr(1));
    }
  }

  void Text(const Field& field, const Reflection& reflection,
            Message* message) {
    std::string scratch;
    if (field.limits.kind() == v1::FIELD_KIND_USERNAME) {
      TakeOffAt(field, reflection, message);
    }
    const std::string& text =
        reflection.GetStringReference(*message, field.descriptor, &scratch);
    if (text.empty() && (field.empty_clears || !field.limits.required())) {
      if (field.limits.empty_is_absent() && !field.empty_clears) {
        reflection.ClearField(message, field.descriptor);
      }
      return;
    }
    if (const std::string fault = TextFault(text, field.limits);
        !fault.empty()) {
      Violation(field, fault);
    } else if (field.limits.kind() == v1::FIELD_KIND_LANGUAGE_TAG) {
      if (!base::IsWellFormedLanguageTag(text)) {
        Violation(field, "must be a BCP 47 language tag, such as pt-BR");
      }
    } else if (field.limits.kind() == v1::FIELD_KIND_PHONE) {
      std::string phone = text;
      if (!NormalizePhone(&phone)) {
        return Violation(field,
                         "must be a phone number in international form, with + "
                         "and country code, without an extension");
      }
      reflection.SetString(message, field.descriptor, std::move(phone));
    }
  }

  std::string within_;  // the element of a list that is looked at
  google::rpc::BadRequest bad_request_;
};

std::vector<Validator::Field> Validator::FieldsOf(const Descriptor& type,
                                                  const std::string& prefix) {
  std::vector<Field> fields;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& descriptor = *type.field(i);
    // What is to become of a profile's answers has the limits of answers.
    const FieldDescriptor* const answer =
        &type == v1::Profile::descriptor()
            ? v1::OnboardingAnswers::descriptor()->FindFieldByName(
                  descriptor.name())
            : nullptr;
    const auto& options = (answer ? answer : &descriptor)->options();
    Field field = {&descriptor,
                   options.GetExtension(v1::limits),
                   /*empty_clears=*/answer != nullptr,
                   absl::StrCat(prefix, descriptor.name()),
                   {}};
    const bool is_message =
        descriptor.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (is_message && !IsForeign(descriptor)) {
      field.fields =
          FieldsOf(*descriptor.message_type(),
                   descriptor.is_repeated() ? "." : field.path + ".");
    }
    if (is_message || options.HasExtension(v1::limits)) {
      fields.push_back(std::move(field));
    }
  }
  return fields;
}

absl::Status InvalidFields(const google::rpc::BadRequest& what) {
  std::string message;
  for (const auto& violation : what.field_violations()) {
    absl::StrAppend(&message, message.empty() ? "" : "; ", violation.field(),
                    " ", violation.description());
  }
  return base::WithBadRequest(
      base::MakeError(absl::StatusCode::kInvalidArgument, message,
                      v1::ERROR_REASON_INVALID_FIELDS),
      what);
}

absl::Status Validator::Validate(Message* request) const {
  Check check;
  check.Fields(fields_, request);
  return check.Finish();
}

PersonalData::PersonalData(const Descriptor& type) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* const field = type.field(i);
    if (field->options().GetExtension(v1::personal)) {
      personal_.push_back(field);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
               !IsForeign(*field)) {
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
