#ifndef USERPROFILE_TESTS_SUPPORT_FREE_PORT_H_
#define USERPROFILE_TESTS_SUPPORT_FREE_PORT_H_

namespace userprofile::testing {

// A port of the loopback interface that nobody listens on, for a program that
// is told its port. From below those that the kernel gives to connections, so
// that it stays free while the program is killed and started again.
int FreePort();

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_SUPPORT_FREE_PORT_H_
