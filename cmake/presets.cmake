# Compiler flags of each preset. Assertions (BERTH_ASSERT) stay on in all of them.
add_compile_options(-Wall -Wextra -Wshadow -Wnon-virtual-dtor -fno-omit-frame-pointer -fstack-protector-strong)
# g++ 12 reports maybe-uninitialized inside coroutine frames of Asio itself.
add_compile_options(-Wno-maybe-uninitialized -Wno-missing-field-initializers)
if(BERTH_PRESET STREQUAL "release")
  add_compile_options(-O2 -g1 -D_FORTIFY_SOURCE=2)
  add_link_options(-Wl,-z,relro,-z,now)
elseif(BERTH_PRESET STREQUAL "dev")
  add_compile_options(-O0 -g1)
elseif(BERTH_PRESET STREQUAL "asan")
  add_compile_options(-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
elseif(BERTH_PRESET STREQUAL "tsan")
  add_compile_options(-O1 -g1 -fsanitize=thread)
  add_link_options(-fsanitize=thread)
else()
  message(FATAL_ERROR "BERTH_PRESET is '${BERTH_PRESET}'; expected release, dev, asan or tsan")
endif()
# Asio and Beast are compiled once (base/asio_impl.cpp) instead of in every unit.
add_compile_definitions(BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
                        BOOST_BEAST_SEPARATE_COMPILATION SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL)
