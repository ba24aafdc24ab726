// How berthd leaves the program that started it waiting until it serves.
#pragma once
#include <functional>
#include <optional>

namespace berth::server {

// Goes on in a child. There the answer is nothing, and `ready` is to be called once all is well; the program that was started answers with the exit
// status to end with: 0 once the child was ready, else what the child ended with. Call it before there are threads.
std::optional<int> go_to_background(std::function<void()>& ready);

}  // namespace berth::server
