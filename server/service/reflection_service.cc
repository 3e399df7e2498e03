#include "server/service/reflection_service.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "server/service/status.h"

namespace userprofile::service {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using grpc::reflection::v1alpha::ServerReflection;
using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;

const DescriptorPool& Pool() { return *DescriptorPool::generated_pool(); }

void SetNotFound(const std::string& name, ServerReflectionResponse* response) {
  auto* const error = response->mutable_error_response();
  error->set_error_code(static_cast<int>(grpc::StatusCode::NOT_FOUND));
  error->set_error_message(absl::StrCat("this server has no ", name));
}

// Adds the file behind those that it imports.
void AddFile(const FileDescriptor& file, std::set<const FileDescriptor*>& added,
             ServerReflectionResponse* response) {
  if (!added.insert(&file).second) return;
  for (int i = 0; i < file.dependency_count(); ++i) {
    AddFile(*file.dependency(i), added, response);
  }
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  proto.SerializeToString(response->mutable_file_descriptor_response()
                              ->add_file_descriptor_proto());
}

void AnswerFile(const FileDescriptor* file, const std::string& name,
                ServerReflectionResponse* response) {
  if (file == nullptr) return SetNotFound(name, response);
  std::set<const FileDescriptor*> added;
  AddFile(*file, added, response);
}

void AnswerExtension(const grpc::reflection::v1alpha::ExtensionRequest& request,
                     ServerReflectionResponse* response) {
  const auto* const message =
      Pool().FindMessageTypeByName(request.containing_type());
  const auto* const extension =
      message == nullptr
          ? nullptr
          : Pool().FindExtensionByNumber(message, request.extension_number());
  AnswerFile(extension == nullptr ? nullptr : extension->file(),
             absl::StrCat("extension ", request.extension_number(), " of ",
                          request.containing_type()),
             response);
}

void AnswerExtensionNumbers(const std::string& name,
                            ServerReflectionResponse* response) {
  const auto* const message = Pool().FindMessageTypeByName(name);
  if (message == nullptr) return SetNotFound(name, response);
  std::vector<const google::protobuf::FieldDescriptor*> extensions;
  Pool().FindAllExtensions(message, &extensions);
  auto* const numbers = response->mutable_all_extension_numbers_response();
  numbers->set_base_type_name(name);
  for (const auto* extension : extensions) {
    numbers->add_extension_number(extension->number());
  }
}

void AnswerServices(ServerReflectionResponse* response) {
  std::set<std::string> names;
  for (const Permission& permission : Permissions()) {
    const auto service = permission.method.substr(1);
    names.emplace(service.substr(0, service.find('/')));
  }
  for (const std::string& name : names) {
    response->mutable_list_services_response()->add_service()->set_name(name);
  }
}

void Answer(const ServerReflectionRequest& request,
            ServerReflectionResponse* response) {
  response->Clear();
  response->set_valid_host(request.host());
  *response->mutable_original_request() = request;
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kFileByFilename:
      return AnswerFile(Pool().FindFileByName(request.file_by_filename()),
                        request.file_by_filename(), response);
    case ServerReflectionRequest::kFileContainingSymbol:
      return AnswerFile(
          Pool().FindFileContainingSymbol(request.file_containing_symbol()),
          request.file_containing_symbol(), response);
    case ServerReflectionRequest::kFileContainingExtension:
      return AnswerExtension(request.file_containing_extension(), response);
    case ServerReflectionRequest::kAllExtensionNumbersOfType:
      return AnswerExtensionNumbers(request.all_extension_numbers_of_type(),
                                    response);
    case ServerReflectionRequest::kListServices:
      return AnswerServices(response);
    case ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET:
      return SetNotFound("answer to no question", response);
  }
}

// One stream: a question is read when the one before it was answered.
class Conversation final
    : public grpc::ServerBidiReactor<ServerReflectionRequest,
                                     ServerReflectionResponse> {
 public:
  explicit Conversation(const absl::Status& admission) {
    if (admission.ok()) {
      StartRead(&request_);
    } else {
      Finish(ToGrpcStatus(admission));
    }
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    Answer(request_, &response_);
    StartWrite(&response_);
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    StartRead(&request_);
  }

  void OnDone() override { delete this; }

  ServerReflectionRequest request_;
  ServerReflectionResponse response_;
};

}  // namespace

ReflectionService::ReflectionService(Access& access)
    : access_(access),
      permission_(*FindPermission(
          absl::StrCat("/", ServerReflection::service_full_name(),
                       "/ServerReflectionInfo"))) {}

grpc::ServerBidiReactor<ServerReflectionRequest, ServerReflectionResponse>*
ReflectionService::ServerReflectionInfo(grpc::CallbackServerContext* context) {
  std::shared_ptr<const Caller> caller;
  return new Conversation(access_.Admit(*context, permission_, &caller));
}

}  // namespace userprofile::service
