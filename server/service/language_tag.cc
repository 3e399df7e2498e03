#include "server/service/language_tag.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace userprofile::service {
namespace {

// The tags that the grammar lists one by one, for they fit no rule.
constexpr absl::string_view kIrregular[] = {
    "en-GB-oed", "i-ami", "i-bnn",     "i-default", "i-enochian", "i-hak",
    "i-klingon", "i-lux", "i-mingo",   "i-navajo",  "i-pwn",      "i-tao",
    "i-tay",     "i-tsu", "sgn-BE-FR", "sgn-BE-NL", "sgn-CH-DE"};

bool IsAlpha(absl::string_view subtag) {
  return std::all_of(subtag.begin(), subtag.end(), absl::ascii_isalpha);
}
bool IsDigits(absl::string_view subtag) {
  return std::all_of(subtag.begin(), subtag.end(), absl::ascii_isdigit);
}
bool HasLength(absl::string_view subtag, std::size_t least, std::size_t most) {
  return subtag.size() >= least && subtag.size() <= most;
}

bool IsExtlang(absl::string_view s) { return s.size() == 3 && IsAlpha(s); }
bool IsScript(absl::string_view s) { return s.size() == 4 && IsAlpha(s); }
bool IsRegion(absl::string_view s) {
  return (s.size() == 2 && IsAlpha(s)) || (s.size() == 3 && IsDigits(s));
}
bool IsVariant(absl::string_view s) {
  return HasLength(s, 5, 8) || (s.size() == 4 && absl::ascii_isdigit(s[0]));
}
bool IsPrivateUse(absl::string_view s) { return s == "x" || s == "X"; }

// The subtags of a tag, from left to right.
class Subtags {
 public:
  explicit Subtags(absl::string_view tag) : rest_(tag) { Advance(); }

  bool done() const { return done_; }
  absl::string_view current() const { return current_; }

  void Advance() {
    if (at_end_) {
      done_ = true;
      current_ = {};
      return;
    }
    const std::size_t dash = rest_.find('-');
    current_ = rest_.substr(0, dash);
    at_end_ = dash == absl::string_view::npos;
    if (!at_end_) rest_.remove_prefix(dash + 1);
  }

  // Takes the current subtag if it is of this kind.
  template <typename Predicate>
  bool Take(Predicate is_kind) {
    if (done_ || !is_kind(current_)) return false;
    Advance();
    return true;
  }

  // Takes subtags of these lengths; whether there was at least one.
  bool TakeAll(std::size_t least, std::size_t most) {
    bool any = false;
    while (!done_ && HasLength(current_, least, most)) {
      any = true;
      Advance();
    }
    return any;
  }

 private:
  absl::string_view rest_;
  absl::string_view current_;
  bool at_end_ = false;
  bool done_ = false;
};

bool TakeLanguage(Subtags& subtags) {
  const absl::string_view language = subtags.current();
  if (!HasLength(language, 2, 8) || !IsAlpha(language)) return false;
  subtags.Advance();
  if (language.size() <= 3) {
    for (int i = 0; i < 3 && subtags.Take(IsExtlang); ++i) {
    }
  }
  return true;
}

// langtag and privateuse of the grammar.
bool IsRegularTag(absl::string_view tag) {
  Subtags subtags(tag);
  if (!IsPrivateUse(subtags.current())) {
    if (!TakeLanguage(subtags)) return false;
    subtags.Take(IsScript);
    subtags.Take(IsRegion);
    while (subtags.Take(IsVariant)) {
    }
    while (subtags.Take([](absl::string_view s) {
      return s.size() == 1 && !IsPrivateUse(s);
    })) {
      if (!subtags.TakeAll(2, 8)) return false;
    }
  }
  if (subtags.Take(IsPrivateUse) && !subtags.TakeAll(1, 8)) return false;
  return subtags.done();
}

}  // namespace

bool IsWellFormedLanguageTag(absl::string_view tag) {
  const bool plain = std::all_of(tag.begin(), tag.end(), [](char c) {
    return c == '-' || absl::ascii_isalnum(static_cast<unsigned char>(c));
  });
  if (!plain) return false;
  return IsRegularTag(tag) ||
         std::any_of(std::begin(kIrregular), std::end(kIrregular),
                     [&](absl::string_view irregular) {
                       return absl::EqualsIgnoreCase(tag, irregular);
                     });
}

}  // namespace userprofile::service
