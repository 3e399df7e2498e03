#ifndef USERPROFILE_CLIENT_COMMAND_TEXT_H_
#define USERPROFILE_CLIENT_COMMAND_TEXT_H_

#include <string>
#include <vector>

namespace userprofile::command {

// Text as a terminal may have it: what is no UTF-8, controls it, breaks a line
// or turns the direction of what follows becomes U+FFFD. Names are strangers'.
std::string Printable(const std::string& text);

// How many columns of a terminal printable text takes: two for each wide
// character, none for a mark on the one before.
int WidthOf(const std::string& text);

// A line of RFC 4180, with its end.
std::string CsvLine(const std::vector<std::string>& fields);

// Rows under headers, in columns as wide as what is in them so far, for a
// terminal. What is longer than 40 columns is cut.
class Table {
 public:
  explicit Table(std::vector<std::string> headers);

  // The rows as lines; with the headers, the first time. A row has a cell for
  // each of them, of any text.
  std::string Add(std::vector<std::vector<std::string>> rows);

 private:
  std::string LineOf(const std::vector<std::string>& cells) const;

  const std::vector<std::string> headers_;
  std::vector<int> widths_;
  bool has_begun_ = false;
};

}  // namespace userprofile::command

#endif  // USERPROFILE_CLIENT_COMMAND_TEXT_H_
