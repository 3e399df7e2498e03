#include "server/transport/reflection_service.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "server/api/status.h"

namespace userprofile::transport {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using grpc::reflection::v1alpha::ServerReflection;
using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;

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

void ListServices(ServerReflectionResponse* response) {
  std::set<std::string> names;
  for (const access::Permission& permission : access::Permissions()) {
    const auto service = permission.method.substr(1);
    names.emplace(service.substr(0, service.find('/')));
  }
  for (const std::string& name : names) {
    response->mutable_list_services_response()->add_service()->set_name(name);
  }
}

void ListExtensions(const google::protobuf::Descriptor& message,
                    ServerReflectionResponse* response) {
  std::vector<const google::protobuf::FieldDescriptor*> extensions;
  message.file()->pool()->FindAllExtensions(&message, &extensions);
  auto* const numbers = response->mutable_all_extension_numbers_response();
  numbers->set_base_type_name(message.full_name());
  for (const auto* extension : extensions) {
    numbers->add_extension_number(extension->number());
  }
}

void Answer(const ServerReflectionRequest& request,
            ServerReflectionResponse* response) {
  response->Clear();
  response->set_valid_host(request.host());
  *response->mutable_original_request() = request;
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  const FileDescriptor* file = nullptr;
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kFileByFilename:
      file = pool.FindFileByName(request.file_by_filename());
      break;
    case ServerReflectionRequest::kFileContainingSymbol:
      file = pool.FindFileContainingSymbol(request.file_containing_symbol());
      break;
    case ServerReflectionRequest::kFileContainingExtension: {
      const auto& asked = request.file_containing_extension();
      const auto* const type =
          pool.FindMessageTypeByName(asked.containing_type());
      if (type == nullptr) break;
      const auto* const extension =
          pool.FindExtensionByNumber(type, asked.extension_number());
      if (extension != nullptr) file = extension->file();
      break;
    }
    case ServerReflectionRequest::kAllExtensionNumbersOfType: {
      const auto* const type =
          pool.FindMessageTypeByName(request.all_extension_numbers_of_type());
      if (type != nullptr) return ListExtensions(*type, response);
      break;
    }
    case ServerReflectionRequest::kListServices:
      return ListServices(response);
    case ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET:
      break;
  }
  if (file != nullptr) {
    std::set<const FileDescriptor*> added;
    return AddFile(*file, added, response);
  }
  auto* const error = response->mutable_error_response();
  error->set_error_code(static_cast<int>(grpc::StatusCode::NOT_FOUND));
  error->set_error_message(
      "this server has no file, symbol or extension of that name");
}

}  // namespace

// One stream: a question is read when the one before it was answered.
class ReflectionService::Conversation final
    : public api::StreamReactor<
          grpc::ServerBidiReactor<ServerReflectionRequest,
                                  ServerReflectionResponse>,
          api::OpenStreams> {
 public:
  explicit Conversation(std::shared_ptr<api::OpenStreams> streams)
      : StreamReactor(std::move(streams)) {}

  void Begin(const absl::Status& admission) {
    if (admission.ok()) return Read();
    End(api::ToGrpcStatus(admission));
  }

  // Ends it once the answer that is under way was written.
  void Advance() override {
    {
      base::MutexLock lock(mutex_);
      if (!streams().closed() || finished_ || busy_ > 0) return;
      finished_ = true;
    }
    Finish(api::ServerLeaves());
  }

 private:
  void End(const grpc::Status& status) {
    {
      base::MutexLock lock(mutex_);
      finished_ = true;
    }
    Finish(status);
  }

  // gRPC is called without the lock, for it may call back at once: so others
  // may have read, answered and read again when StartRead returns.
  void Read() {
    StartRead(&request_);
    {
      base::MutexLock lock(mutex_);
      --busy_;
    }
    Advance();
  }

  void OnReadDone(bool ok) override {
    {
      base::MutexLock lock(mutex_);
      if (finished_) return;
      ++busy_;
    }
    if (!ok) return End(grpc::Status::OK);
    Answer(request_, &response_);
    StartWrite(&response_);
  }

  void OnWriteDone(bool ok) override {
    if (ok) return Read();
    End(grpc::Status::CANCELLED);
  }

  ServerReflectionRequest request_;
  ServerReflectionResponse response_;

  base::Mutex mutex_;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  // How many are between the end of one read and the start of the next, where
  // gRPC must not be told that it is over.
  int busy_ ABSL_GUARDED_BY(mutex_) = 1;
};

ReflectionService::ReflectionService(access::Access& access)
    : access_(access),
      permission_(*access::FindPermission(
          absl::StrCat("/", ServerReflection::service_full_name(),
                       "/ServerReflectionInfo"))),
      streams_(std::make_shared<api::OpenStreams>()) {}

ReflectionService::~ReflectionService() { Shutdown(); }

void ReflectionService::Shutdown() { streams_->Close(); }

grpc::ServerBidiReactor<ServerReflectionRequest, ServerReflectionResponse>*
ReflectionService::ServerReflectionInfo(grpc::CallbackServerContext* context) {
  std::shared_ptr<const access::Caller> caller;
  const absl::Status admission = access_.Admit(*context, permission_, &caller);
  const auto conversation = Conversation::Make<Conversation>(streams_);
  conversation->Begin(admission);
  return conversation.get();
}

}  // namespace userprofile::transport
