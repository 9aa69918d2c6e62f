# What every one of our translation units is compiled with. Generated code is
# compiled without the warnings (see proto/CMakeLists.txt).
add_compile_definitions(_GNU_SOURCE)
add_compile_options(-fno-omit-frame-pointer -g)
if(KEELFS_SANITIZE)
  add_compile_options(-fsanitize=${KEELFS_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${KEELFS_SANITIZE})
else()
  add_compile_options(-D_FORTIFY_SOURCE=2 -fstack-protector-strong)
endif()
# Asserts stay on in release builds.
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELWITHDEBINFO "${CMAKE_C_FLAGS_RELWITHDEBINFO}")

add_library(keel_warnings INTERFACE)
target_compile_options(keel_warnings INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
  -Wpointer-arith -Wundef -Wvla -Werror)
