// Seen instead of Protobuf's map_field.h in builds with ThreadSanitizer.
//
// That header gives maps two members more where ThreadSanitizer is on. Debian's
// libprotobuf, which has google.protobuf.Struct compiled, was built without:
// both sides are to see maps as they lie there.

#ifndef USERPROFILE_CMAKE_TSAN_GOOGLE_PROTOBUF_MAP_FIELD_H_
#define USERPROFILE_CMAKE_TSAN_GOOGLE_PROTOBUF_MAP_FIELD_H_

#include <memory>  // whose header looks at the same macro

#pragma push_macro("__SANITIZE_THREAD__")
#undef __SANITIZE_THREAD__
#include_next <google/protobuf/map_field.h>
#pragma pop_macro("__SANITIZE_THREAD__")

#endif  // USERPROFILE_CMAKE_TSAN_GOOGLE_PROTOBUF_MAP_FIELD_H_
