#ifndef USERPROFILE_CLIENT_COMMAND_OUTPUT_H_
#define USERPROFILE_CLIENT_COMMAND_OUTPUT_H_

#include <ostream>
#include <string>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/repeated_field.h>

#include "absl/status/status.h"
#include "absl/types/optional.h"
#include "client/command/text.h"
#include "ops/command_line.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::command {

// How results are written: "text" for people, "json" for programs (an object a
// line, with the names of the API), "csv" for spreadsheets (RFC 4180, with a
// header).
struct OutputOptions {
  std::string form = "text";
};
void AddOutputFlag(ops::Command command, OutputOptions& options);

using Profiles = google::protobuf::RepeatedPtrField<v1::Profile>;

// What one run of the command writes to standard output. Text is Printable(),
// and so are CSV and JSON on a terminal.
class Output {
 public:
  // `out` must outlive it.
  Output(const OutputOptions& options, bool is_terminal, std::ostream& out);

  // In text, all that is known of each, a field a line.
  void WriteProfiles(const Profiles& profiles);

  // In text, a row of a table for each. May be called for each page.
  void WriteList(const Profiles& profiles);

  // In text, a row of a table: "changed", "deleted" or "unmatched", and whom. A
  // sign of life is not written.
  void WriteEvent(const v1::WatchProfilesResponse& event);

  void WriteCount(const v1::CountProfilesResponse& response);

  // In text alone.
  void WriteSentence(const std::string& text);

  // Brings it on its way. UNAVAILABLE if not all could be written.
  absl::Status Flush();

 private:
  bool is_text() const { return form_ == "text"; }
  void WriteJson(const google::protobuf::Message& message);
  void WriteRows(const std::vector<std::string>& headers,
                 std::vector<std::vector<std::string>> rows);

  const std::string form_;
  const bool is_terminal_;
  std::ostream& out_;
  bool has_begun_ = false;
  absl::optional<Table> table_;
};

// A field of a profile as text: a time as RFC 3339 has it, in UTC; attributes
// as JSON; empty if it is absent.
std::string CellOf(const v1::Profile& profile,
                   const google::protobuf::FieldDescriptor& field);

}  // namespace userprofile::command

#endif  // USERPROFILE_CLIENT_COMMAND_OUTPUT_H_
