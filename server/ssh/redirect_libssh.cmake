# Makes a copy of the packaged libssh.a in which its system calls and some helpers go to Berth (server/ssh/transport_hooks.cpp):
# libssh then does no I/O of its own and keeps no copy of what it writes, Berth can send any packet, and the sessions of a thread share the
# host keys (a copy of an RSA key for each costs 8 KiB), and the session's identifier, which libssh keeps to itself, is seen when a signature is
# verified (the answer is passed on unchanged). Around the ciphers, memory, MACs and keys are had with less work (server/ssh/libssh_crypto.cpp).
# No source of libssh is changed or copied. Run by server/ssh/CMakeLists.txt; needs ARCHIVE, VERSION_HEADER, OUTPUT, AR, NM and OBJCOPY.
cmake_minimum_required(VERSION 3.25)

set(known_version "0.10.6")  # transport.cpp asserts the same
set(redirected
  "socket.c.o:recv" "socket.c.o:send" "socket.c.o:close" "poll.c.o:poll" "session.c.o:_ssh_buffer_pack"
  "bind.c.o:ssh_key_dup" "session.c.o:ssh_key_free" "messages.c.o:ssh_pki_signature_verify"
  "packet.c.o:ssh_socket_write" "client.c.o:ssh_socket_write" "socket.c.o:ssh_buffer_allocate" "bind.c.o:ssh_reseed"
  "packet_crypt.c.o:calloc" "packet_crypt.c.o:free" "packet_crypt.c.o:__explicit_bzero_chk"
  "packet_crypt.c.o:hmac_init" "packet_crypt.c.o:hmac_update" "packet_crypt.c.o:hmac_final"
  "pki_crypto.c.o:EVP_PKEY_new_raw_private_key" "curve25519.c.o:EVP_PKEY_new_raw_private_key" "curve25519.c.o:EVP_PKEY_get_raw_private_key")
set(declared_by_hand ssh_packet_set_callbacks ssh_packet_socket_callback ssh_buffer_allocate ssh_buffer_pack_va ssh_pki_signature_verify pki_sign_data ssh_pki_export_signature_blob ssh_signature_free)

file(READ ${VERSION_HEADER} header)
set(version "")
foreach(part MAJOR MINOR MICRO)
  string(REGEX MATCH "LIBSSH_VERSION_${part} +([0-9]+)" _ "${header}")
  list(APPEND version ${CMAKE_MATCH_1})
endforeach()
string(REPLACE ";" "." version "${version}")
if(NOT version STREQUAL known_version)
  message(FATAL_ERROR "libssh ${version} is installed, but Berth's use of libssh's inner symbols is proven with ${known_version} "
                      "only. Install libssh-dev ${known_version} (Debian 12), or check every symbol in server/ssh/redirect_libssh.cmake "
                      "and server/ssh/*.cpp against ${version} and then change both version numbers.")
endif()

function(run)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${work} RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(failed)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}: ${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

get_filename_component(work ${OUTPUT} DIRECTORY)
set(work ${work}/libssh)
file(REMOVE_RECURSE ${work})
file(MAKE_DIRECTORY ${work})
file(COPY_FILE ${ARCHIVE} ${work}/copy.a)
foreach(entry ${redirected})
  string(REPLACE ":" ";" entry ${entry})
  list(GET entry 0 member)
  list(GET entry 1 symbol)
  if(NOT EXISTS ${work}/${member})
    run(${AR} x ${ARCHIVE} ${member})
  endif()
  run(${NM} -u ${member})
  if(NOT output MATCHES " U ${symbol}\n")
    message(FATAL_ERROR "${ARCHIVE}: ${member} does not use ${symbol}; this build of libssh cannot be redirected")
  endif()
  string(REGEX REPLACE "^_+" "" name ${symbol})
  string(REGEX REPLACE "^ssh_" "" name ${name})
  run(${OBJCOPY} --redefine-sym ${symbol}=berth_libssh_${name} ${member})
  run(${NM} -u ${member})
  if(NOT output MATCHES " U berth_libssh_${name}\n" OR output MATCHES " U ${symbol}\n")
    message(FATAL_ERROR "${member}: ${symbol} could not be redirected")
  endif()
  # Replaced in place: two members of the archive share a name, so it must not be rebuilt from its parts.
  run(${AR} r copy.a ${member})
endforeach()
run(${NM} --defined-only copy.a)
foreach(symbol ${declared_by_hand})
  if(NOT output MATCHES " T ${symbol}\n")
    message(FATAL_ERROR "${ARCHIVE}: ${symbol} is missing; this build of libssh cannot be used")
  endif()
endforeach()
file(RENAME ${work}/copy.a ${OUTPUT})
