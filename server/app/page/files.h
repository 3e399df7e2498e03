#ifndef USERPROFILE_SERVER_APP_PAGE_FILES_H_
#define USERPROFILE_SERVER_APP_PAGE_FILES_H_

#include "absl/strings/string_view.h"

namespace userprofile::app {

// The files of this folder, status.html, status.css and status.js, embedded.
extern const absl::string_view kStatusHtml;
extern const absl::string_view kStatusCss;
extern const absl::string_view kStatusJs;

}  // namespace userprofile::app

#endif  // USERPROFILE_SERVER_APP_PAGE_FILES_H_
