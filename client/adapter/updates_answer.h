#ifndef USERPROFILE_CLIENT_ADAPTER_UPDATES_ANSWER_H_
#define USERPROFILE_CLIENT_ADAPTER_UPDATES_ANSWER_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/types/optional.h"
#include "client/adapter/sender.h"
#include "client/adapter/update.h"

namespace userprofile::adapter {

// An answer of getUpdates, to be passed on with a member in each update that
// says who sent it:
//   "userprofile":{"recognized":"returning","profile":{...}}
// with what delivery.h says in headers: "unknown", without a profile, if the
// service refuses the contact. An update that is nobody's contact has no such
// member, nor has what has no update_id. All else stays as the Bot API wrote
// it, to the byte.
class UpdatesAnswer {
 public:
  // nullopt if it is no list of updates. What is not Unicode is replaced, as
  // ParseJson() does. `bot` as for telegram::ContactOf().
  static absl::optional<UpdatesAnswer> Read(std::string text,
                                            const std::string& bot);

  const std::vector<Update>& updates() const { return updates_; }

  // The answer with those updates that `senders` are of: the first ones.
  std::string Tell(const std::vector<Sender>& senders) const;

 private:
  std::string text_;
  std::vector<Update> updates_;
  std::size_t begin_ = 0;          // of the first update, in the text
  std::vector<std::size_t> ends_;  // just behind each update
};

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_UPDATES_ANSWER_H_
