// The one unit that compiles Asio and Beast themselves (BOOST_*_SEPARATE_COMPILATION in cmake/presets.cmake).
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
