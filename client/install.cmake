# "cmake --install build/PRESET --component client" puts the library, its
# headers and the programs under a prefix, where find_package(userprofile) finds
# userprofile::client, userprofile::telegram and userprofile::proto.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/userprofile)
set_target_properties(userprofile_base PROPERTIES EXPORT_NAME base)
set_target_properties(userprofile_client PROPERTIES EXPORT_NAME client)
set_target_properties(userprofile_telegram PROPERTIES EXPORT_NAME telegram)
set_target_properties(userprofile_proto PROPERTIES EXPORT_NAME proto)

install(TARGETS userprofile_base userprofile_client userprofile_telegram
                userprofile_proto
  EXPORT userprofile
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT client)
install(TARGETS userprofile-adapter userprofile
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT client)
install(DIRECTORY include/
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT client)
install(DIRECTORY ${PROJECT_BINARY_DIR}/proto/userprofile
                  ${PROJECT_BINARY_DIR}/proto/google
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT client
  FILES_MATCHING PATTERN "*.h")
install(DIRECTORY ${PROJECT_SOURCE_DIR}/proto/userprofile
                  ${PROJECT_SOURCE_DIR}/proto/google
  DESTINATION ${CMAKE_INSTALL_DATADIR}/userprofile/proto COMPONENT client
  FILES_MATCHING PATTERN "*.proto")

install(EXPORT userprofile NAMESPACE userprofile::
  FILE userprofile-targets.cmake
  DESTINATION ${package} COMPONENT client)
configure_package_config_file(userprofile-config.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/userprofile-config.cmake
  INSTALL_DESTINATION ${package})
write_basic_package_version_file(
  ${CMAKE_CURRENT_BINARY_DIR}/userprofile-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/userprofile-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/userprofile-config-version.cmake
  DESTINATION ${package} COMPONENT client)
