# keel_layer(NAME DEPENDS a b): the folder NAME as one static library, keel_NAME.
#
# Headers are included as "NAME/header.h". The folder is reachable under that
# name only through a link in the build tree that comes with the target, so a
# folder that does not link keel_NAME cannot include its headers either: the
# direction of dependency is a property of the build.
function(keel_layer name)
  cmake_parse_arguments(LAYER "" "" "SOURCES;DEPENDS" ${ARGN})
  keel_expose_headers(${name})
  add_library(keel_${name} STATIC ${LAYER_SOURCES})
  target_include_directories(keel_${name} PUBLIC ${CMAKE_BINARY_DIR}/include/${name})
  target_link_libraries(keel_${name} PUBLIC ${LAYER_DEPENDS} PRIVATE keel_warnings)
endfunction()

function(keel_expose_headers name)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/include/${name})
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${name} ${CMAKE_BINARY_DIR}/include/${name}/${name} SYMBOLIC)
endfunction()
