// A peer to compare with: uWebSockets as its authors recommend it.
//
//   - Built as its own makefile builds the examples: -O3 -flto -march=native, epoll, without TLS and zlib.
//   - Echo is its EchoServer example, broadcast its native publish/subscribe: one topic, batched and corked by the
//     library at the end of each turn of the loop.
//   - TCP_NODELAY (the library always sets it), no compression, no logging, idle timeout at its largest.
#include "App.h"

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>

struct PerSocketData {};

static constexpr const char *TOPIC = "all";

static int usage() {
    std::cerr << "usage: --listen ADDR --mode echo|broadcast [--threads 1]" << std::endl;
    return 2;
}

int main(int argc, char **argv) {
    std::string address = "127.0.0.1:0";
    std::string mode = "echo";
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--listen")) {
            address = argv[i + 1];
        } else if (!strcmp(argv[i], "--mode")) {
            mode = argv[i + 1];
        } else if (strcmp(argv[i], "--threads") || strcmp(argv[i + 1], "1")) {
            return usage();
        }
    }
    size_t colon = address.rfind(':');
    if (argc % 2 == 0 || colon == std::string::npos || (mode != "echo" && mode != "broadcast")) {
        return usage();
    }
    std::string host = address.substr(0, colon);
    int port = atoi(address.c_str() + colon + 1);
    bool broadcast = mode == "broadcast";

    uWS::App app;
    app.ws<PerSocketData>("/*", {
        .compression = uWS::DISABLED,
        .maxPayloadLength = 16 * 1024 * 1024,
        .idleTimeout = 960,
        .maxBackpressure = 16 * 1024 * 1024,
        .sendPingsAutomatically = false,
        .open = [broadcast](auto *ws) {
            if (broadcast) {
                ws->subscribe(TOPIC);
            }
        },
        .message = [broadcast, &app](auto *ws, std::string_view message, uWS::OpCode opCode) {
            if (broadcast) {
                app.publish(TOPIC, message, opCode);
            } else {
                ws->send(message, opCode);
            }
        },
    }).listen(host, port, [&host](auto *socket) {
        if (!socket) {
            std::cerr << "cannot listen" << std::endl;
            exit(1);
        }
        std::cout << "listening on " << host << ":" << us_socket_local_port(0, (us_socket_t *) socket) << std::endl;
    }).run();
}
