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
  for (const access::Permission& permission : access::Permissions()) {
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

}  // namespace

// The streams that are open.
class ReflectionService::Conversations {
 public:
  void Add(const std::shared_ptr<Conversation>& conversation);
  void Remove(const std::shared_ptr<Conversation>& conversation);

  // Ends them all, and those that are added later.
  void Close();

 private:
  base::Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::shared_ptr<Conversation>> open_ ABSL_GUARDED_BY(mutex_);
};

// One stream: a question is read when the one before it was answered.
class ReflectionService::Conversation final
    : public grpc::ServerBidiReactor<ServerReflectionRequest,
                                     ServerReflectionResponse> {
 public:
  static Conversation* Start(std::shared_ptr<Conversations> all) {
    auto conversation = std::make_shared<Conversation>(std::move(all));
    conversation->self_ = conversation;  // until gRPC is done with it
    conversation->all_->Add(conversation);
    conversation->Read();
    return conversation.get();
  }

  explicit Conversation(std::shared_ptr<Conversations> all)
      : all_(std::move(all)) {}

  // Does so once the answer that is under way was written. From any thread.
  void End() {
    {
      base::MutexLock lock(mutex_);
      ended_ = true;
    }
    FinishIfEnded();
  }

 private:
  // gRPC is called without the lock, for it may call back at once: so others
  // may have read, answered and read again when StartRead returns.
  void Read() {
    StartRead(&request_);
    {
      base::MutexLock lock(mutex_);
      --busy_;
    }
    FinishIfEnded();
  }

  void FinishIfEnded() {
    {
      base::MutexLock lock(mutex_);
      if (!ended_ || finished_ || busy_ > 0) return;
      finished_ = true;
    }
    Finish(api::ServerLeaves());
  }

  void OnReadDone(bool ok) override {
    {
      base::MutexLock lock(mutex_);
      if (finished_) return;
      ++busy_;
      finished_ = !ok;
    }
    if (!ok) return Finish(grpc::Status::OK);
    Answer(request_, &response_);
    StartWrite(&response_);
  }

  void OnWriteDone(bool ok) override {
    if (ok) return Read();
    {
      base::MutexLock lock(mutex_);
      finished_ = true;
    }
    Finish(grpc::Status::CANCELLED);
  }

  void OnDone() override {
    all_->Remove(self_);
    const auto last = std::move(self_);
  }

  const std::shared_ptr<Conversations> all_;
  std::shared_ptr<Conversation> self_;
  ServerReflectionRequest request_;
  ServerReflectionResponse response_;

  base::Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  // How many are between the end of one read and the start of the next, where
  // gRPC must not be told that it is over.
  int busy_ ABSL_GUARDED_BY(mutex_) = 1;
};

void ReflectionService::Conversations::Add(
    const std::shared_ptr<Conversation>& conversation) {
  {
    base::MutexLock lock(mutex_);
    open_.insert(conversation);
    if (!closed_) return;
  }
  conversation->End();
}

void ReflectionService::Conversations::Remove(
    const std::shared_ptr<Conversation>& conversation) {
  base::MutexLock lock(mutex_);
  open_.erase(conversation);
}

void ReflectionService::Conversations::Close() {
  std::vector<std::shared_ptr<Conversation>> open;
  {
    base::MutexLock lock(mutex_);
    closed_ = true;
    open.assign(open_.begin(), open_.end());
  }
  for (const auto& conversation : open) conversation->End();
}

namespace {

// A stream that is not let in.
class Refusal final : public grpc::ServerBidiReactor<ServerReflectionRequest,
                                                     ServerReflectionResponse> {
 public:
  explicit Refusal(const absl::Status& why) { Finish(api::ToGrpcStatus(why)); }

 private:
  void OnDone() override { delete this; }
};

}  // namespace

ReflectionService::ReflectionService(access::Access& access)
    : access_(access),
      permission_(*access::FindPermission(
          absl::StrCat("/", ServerReflection::service_full_name(),
                       "/ServerReflectionInfo"))),
      conversations_(std::make_shared<Conversations>()) {}

ReflectionService::~ReflectionService() { Shutdown(); }

void ReflectionService::Shutdown() { conversations_->Close(); }

grpc::ServerBidiReactor<ServerReflectionRequest, ServerReflectionResponse>*
ReflectionService::ServerReflectionInfo(grpc::CallbackServerContext* context) {
  std::shared_ptr<const access::Caller> caller;
  const absl::Status admission = access_.Admit(*context, permission_, &caller);
  if (!admission.ok()) return new Refusal(admission);
  return Conversation::Start(conversations_);
}

}  // namespace userprofile::transport
