#include "client/adapter/updates_answer.h"

#include <iterator>
#include <utility>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace userprofile::adapter {
namespace {

using nlohmann::json;

// Reads a text for the library's parser, and remembers how far that is.
struct CountingIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  reference operator*() const { return *at; }
  CountingIterator& operator++() {
    ++at;
    ++*count;
    return *this;
  }
  bool operator==(const CountingIterator& other) const {
    return at == other.at;
  }
  bool operator!=(const CountingIterator& other) const {
    return at != other.at;
  }

  const char* at;
  std::size_t* count;
};

// Finds where the elements of "result" lie. The parser has read a bracket, and
// nothing behind it, when it tells of it.
class Places : public nlohmann::json_sax<json> {
 public:
  explicit Places(const std::size_t& count) : count_(count) {}

  std::size_t begin = 0;
  std::vector<std::size_t> ends;

  bool start_array(std::size_t) override {
    if (++depth_ == 2 && is_result_) begin = count_;
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool start_object(std::size_t) override {
    ++depth_;
    return true;
  }
  bool end_object() override {
    if (--depth_ == 2 && is_result_) ends.push_back(count_);
    return true;
  }
  bool key(std::string& name) override {
    if (depth_ == 1) is_result_ = name == "result";
    return true;
  }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(std::int64_t) override { return true; }
  bool number_unsigned(std::uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(json::binary_t&) override { return true; }
  bool parse_error(std::size_t, const std::string&,
                   const json::exception&) override {
    return false;
  }

 private:
  const std::size_t& count_;
  int depth_ = 0;
  bool is_result_ = false;
};

std::string MemberOf(const Sender& sender) {
  return absl::StrCat(
      R"(,"userprofile":{"recognized":")", NameForBot(sender.recognized), "\"",
      sender.profile.empty() ? "" : R"(,"profile":)", sender.profile, "}");
}

}  // namespace

absl::optional<UpdatesAnswer> UpdatesAnswer::Read(std::string text,
                                                  const std::string& bot) {
  UpdatesAnswer answer;
  answer.text_ = std::move(text);
  const json parsed = ParseJson(answer.text_);
  if (!parsed.is_object() || parsed.value("ok", json()) != true) {
    return absl::nullopt;
  }
  const auto result = parsed.find("result");
  if (result == parsed.end() || !result->is_array()) return absl::nullopt;

  std::size_t count = 0;
  Places places(count);
  const char* const begin = answer.text_.data();
  if (!json::sax_parse(CountingIterator{begin, &count},
                       CountingIterator{begin + answer.text_.size(), &count},
                       &places)) {
    return absl::nullopt;
  }
  // They differ if the answer names "result" twice, or holds in it what is no
  // object.
  if (places.ends.size() != result->size()) return absl::nullopt;
  for (const json& element : *result) {
    answer.updates_.push_back(ReadUpdate(element, bot));
  }
  answer.begin_ = places.begin;
  answer.ends_ = std::move(places.ends);
  return answer;
}

std::string UpdatesAnswer::Tell(const std::vector<Sender>& senders) const {
  const absl::string_view text = text_;
  std::string told(text.substr(0, begin_));
  std::size_t at = begin_;
  for (std::size_t i = 0; i < senders.size(); ++i) {
    const std::size_t brace = ends_[i] - 1;
    absl::StrAppend(&told, text.substr(at, brace - at));
    if (senders[i].recognized != Recognized::kIgnored &&
        updates_[i].outcome.update_id) {
      told += MemberOf(senders[i]);
    }
    told += '}';
    at = ends_[i];
  }
  const std::size_t rest = ends_.empty() ? begin_ : ends_.back();
  absl::StrAppend(&told, text.substr(rest));
  return told;
}

}  // namespace userprofile::adapter
