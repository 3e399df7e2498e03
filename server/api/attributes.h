#ifndef USERPROFILE_SERVER_API_ATTRIBUTES_H_
#define USERPROFILE_SERVER_API_ATTRIBUTES_H_

#include <string>

#include "google/protobuf/struct.pb.h"

namespace userprofile::api {

// What is wrong with attributes that somebody wants to be stored; empty if
// nothing. The API file says what they may be (v1::Profile.attributes); whether
// they fit with those that are stored, the store finds out. Holds neither keys
// nor values.
std::string AttributesFault(const google::protobuf::Struct& attributes);

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_ATTRIBUTES_H_
