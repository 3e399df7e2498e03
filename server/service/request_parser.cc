#include "server/service/request_parser.h"

#include <grpcpp/support/proto_buffer_reader.h>

#include <algorithm>
#include <cstddef>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/error_info.h"
#include "base/status_macros.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/unknown_field_set.h"
#include "server/service/text_traits.h"

namespace userprofile::service {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::UnknownField;
using google::protobuf::UnknownFieldSet;

// Far deeper than any message of the API: recursion ends somewhere.
constexpr int kMaxDepth = 16;

// Any request within the API's limits is smaller.
constexpr std::size_t kUsualSize = 8 * 1024;

// Empties the text fields of a message, given as the fields that its bytes
// hold, that are not UTF-8, and notes their paths. False if a message within it
// is broken in another way.
bool EmptyInvalidText(const Descriptor& type, const std::string& prefix,
                      int depth, UnknownFieldSet* fields,
                      std::vector<std::string>* not_utf8) {
  for (int i = 0; i < fields->field_count(); ++i) {
    UnknownField* field = fields->mutable_field(i);
    const FieldDescriptor* known = type.FindFieldByNumber(field->number());
    if (known == nullptr ||
        field->type() != UnknownField::TYPE_LENGTH_DELIMITED) {
      continue;
    }
    const std::string path = absl::StrCat(prefix, known->name());
    if (known->type() == FieldDescriptor::TYPE_STRING &&
        !Inspect(field->length_delimited()).valid_utf8) {
      field->set_length_delimited("");
      if (std::find(not_utf8->begin(), not_utf8->end(), path) ==
          not_utf8->end()) {
        not_utf8->push_back(path);
      }
    } else if (known->type() == FieldDescriptor::TYPE_MESSAGE) {
      UnknownFieldSet nested;
      if (depth == kMaxDepth ||
          !nested.ParseFromString(field->length_delimited()) ||
          !EmptyInvalidText(*known->message_type(), absl::StrCat(path, "."),
                            depth + 1, &nested, not_utf8)) {
        return false;
      }
      nested.SerializeToString(field->mutable_length_delimited());
    }
  }
  return true;
}

// Parses what Protobuf refused, without the text that is not UTF-8.
bool ParseWithoutInvalidText(const std::string& bytes,
                             google::protobuf::Message* request,
                             std::vector<std::string>* not_utf8) {
  UnknownFieldSet fields;
  std::string mended;
  return fields.ParseFromString(bytes) &&
         EmptyInvalidText(*request->GetDescriptor(), "", 0, &fields,
                          not_utf8) &&
         fields.SerializeToString(&mended) && request->ParseFromString(mended);
}

std::string Flatten(const grpc::ByteBuffer& bytes) {
  std::vector<grpc::Slice> slices;
  std::string flat;
  if (!bytes.Dump(&slices).ok()) return flat;
  for (const grpc::Slice& slice : slices) {
    flat.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return flat;
}

absl::Status ParseWhole(const grpc::ByteBuffer& bytes,
                        google::protobuf::Message* request,
                        std::vector<std::string>* not_utf8) {
  // The reader does not change the buffer, whatever its signature says.
  grpc::ProtoBufferReader reader(const_cast<grpc::ByteBuffer*>(&bytes));
  if (reader.status().ok() && request->ParseFromZeroCopyStream(&reader)) {
    return absl::OkStatus();
  }
  if (ParseWithoutInvalidText(Flatten(bytes), request, not_utf8)) {
    return absl::OkStatus();
  }
  return base::MakeError(
      absl::StatusCode::kInvalidArgument,
      absl::StrCat("the bytes are no ", request->GetDescriptor()->full_name()),
      "MALFORMED_REQUEST");
}

}  // namespace

absl::Status ParseRequest(const grpc::ByteBuffer& bytes,
                          google::protobuf::Message* request,
                          std::vector<std::string>* not_utf8) {
  if (bytes.Length() <= kUsualSize) {
    return ParseWhole(bytes, request, not_utf8);
  }
  // In a message of its own, for an arena frees nothing that is dropped.
  const std::unique_ptr<google::protobuf::Message> whole(request->New());
  USERPROFILE_RETURN_IF_ERROR(ParseWhole(bytes, whole.get(), not_utf8));
  whole->DiscardUnknownFields();
  request->CopyFrom(*whole);
  return absl::OkStatus();
}

}  // namespace userprofile::service
