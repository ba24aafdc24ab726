// The other side of bench/web.py: an upstream that answers 101 and echoes bytes (to other requests 200, after their body), and clients that count (threads, blocking sockets, OpenSSL; one connection
// each). Frames are echoed as they are, so a message is a whole frame of known size. Prints one JSON object.
//   webload echo PORT
//   webload ws PORT PATH COOKIE CONNECTIONS SECONDS       {"per_s","p50_us","p99_us"}: a masked text frame of 64 bytes there and back
//   webload idle PORT PATH COOKIE COUNT                   prints "ready" when COUNT WebSockets are open; holds them until standard input ends
//   webload handshakes PORT THREADS SECONDS full|resumed  {"per_s","resumed"}: TLS 1.3 connections, one after the other in each thread
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { kFrame = 70, kMostSamples = 4000000 };  // two bytes of header, four of mask, 64 of text

static SSL_CTX *context;
static int port, seconds;
static const char *path, *cookie;
static int resume_sessions;

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int dial(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

static SSL *dial_tls(SSL_SESSION *session) {
  SSL *ssl = SSL_new(context);
  SSL_set_fd(ssl, dial());
  SSL_set_tlsext_host_name(ssl, "localhost");
  if (session) SSL_set_session(ssl, session);
  if (SSL_connect(ssl) != 1) {
    fprintf(stderr, "TLS handshake failed\n");
    exit(1);
  }
  return ssl;
}

static void hang_up(SSL *ssl) {
  int fd = SSL_get_fd(ssl);
  SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(ssl);
  struct linger none = {1, 0};  // no TIME_WAIT: ports are few
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  close(fd);
}

static SSL *open_websocket(void) {
  SSL *ssl = dial_tls(NULL);
  char head[4096];
  int size = snprintf(head, sizeof head,
                      "GET %s HTTP/1.1\r\nHost: localhost:%d\r\nOrigin: https://localhost:%d\r\nCookie: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                      path, port, port, cookie);
  SSL_write(ssl, head, size);
  int got = 0, piece;
  while ((piece = SSL_read(ssl, head + got, (int)sizeof head - 1 - got)) > 0) {
    head[got += piece] = 0;
    if (strstr(head, "\r\n\r\n")) break;
  }
  if (strncmp(head, "HTTP/1.1 101", 12) != 0) {
    fprintf(stderr, "no WebSocket: %.200s\n", head);
    exit(1);
  }
  return ssl;
}

struct worker {
  pthread_t thread;
  float *samples;
  long count, resumed;
  double end;
};

static void *send_messages(void *argument) {
  struct worker *me = argument;
  SSL *ssl = open_websocket();
  char frame[kFrame] = {(char)0x81, (char)(0x80 | 64)}, back[kFrame];
  me->end = now() + seconds;
  for (double at = now(); at < me->end && me->count < kMostSamples;) {
    if (SSL_write(ssl, frame, kFrame) != kFrame) break;
    for (int got = 0, piece; got < kFrame; got += piece)
      if ((piece = SSL_read(ssl, back + got, kFrame - got)) <= 0) {
        fprintf(stderr, "the WebSocket ended\n");
        exit(1);
      }
    double then = now();
    me->samples[me->count++] = (float)((then - at) * 1e6);
    at = then;
  }
  hang_up(ssl);
  return NULL;
}

static void *shake_hands(void *argument) {
  struct worker *me = argument;
  SSL_SESSION *session = NULL;
  if (resume_sessions) {  // the ticket comes after the handshake: ask for something
    SSL *ssl = dial_tls(NULL);
    char text[4096];
    int size = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: localhost:%d\r\n\r\n", port);
    SSL_write(ssl, text, size);
    SSL_read(ssl, text, sizeof text);
    session = SSL_get1_session(ssl);
    hang_up(ssl);
  }
  me->end = now() + seconds;
  while (now() < me->end) {
    SSL *ssl = dial_tls(session);
    me->resumed += SSL_session_reused(ssl);
    ++me->count;
    hang_up(ssl);
  }
  return NULL;
}

// No WebSocket: reads the body to its end, answers, and hangs up.
static void *swallow(int fd, const char *head, ssize_t have) {
  const char *length = strcasestr(head, "\r\nContent-Length:");
  long long left = (length ? atoll(length + 17) : 0) - (head + have - (strstr(head, "\r\n\r\n") + 4));
  char bytes[65536];
  for (ssize_t got = 1; left > 0 && got > 0; left -= got) got = read(fd, bytes, sizeof bytes);
  static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
  if (left <= 0 && write(fd, answer, sizeof answer - 1) < 0) perror("answer");
  close(fd);
  return NULL;
}

static void *echo(void *argument) {
  int fd = (int)(long)argument, on = 1;
  char bytes[65536];
  ssize_t got, have = 0;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  while ((got = read(fd, bytes + have, sizeof bytes - 1 - (size_t)have)) > 0) {
    bytes[have += got] = 0;
    if (strstr(bytes, "\r\n\r\n")) break;
  }
  if (got > 0 && !strcasestr(bytes, "\r\nUpgrade: websocket")) return swallow(fd, bytes, have);
  static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
  if (got > 0 && write(fd, answer, sizeof answer - 1) > 0)
    while ((got = read(fd, bytes, sizeof bytes)) > 0)
      if (write(fd, bytes, (size_t)got) != got) break;
  close(fd);
  return NULL;
}

static _Noreturn void serve_echo(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 4096) != 0) die("listen");
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&small, 256 * 1024);
  for (;;) {
    int fd = accept(listener, NULL, NULL);
    pthread_t thread;
    if (fd >= 0 && pthread_create(&thread, &small, echo, (void *)(long)fd) != 0) close(fd);
  }
}

static int rising(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static int run_workers(int count, void *(*work)(void *)) {
  struct worker *workers = calloc((size_t)count, sizeof *workers);
  long total = 0, resumed = 0, copied = 0;
  for (int i = 0; i < count; ++i) {
    workers[i].samples = malloc(sizeof(float) * (size_t)kMostSamples);  // touched only as far as it is used
    if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) die("thread");
  }
  for (int i = 0; i < count; ++i) {
    pthread_join(workers[i].thread, NULL);
    total += workers[i].count;
    resumed += workers[i].resumed;
  }
  if (work == shake_hands) return printf("{\"per_s\": %.1f, \"resumed\": %.3f}\n", (double)total / seconds, total ? (double)resumed / (double)total : 0.0) < 0;
  float *all = malloc(sizeof(float) * (size_t)(total + 1));
  for (int i = 0; i < count; ++i)
    for (long k = 0; k < workers[i].count; ++k) all[copied++] = workers[i].samples[k];
  qsort(all, (size_t)total, sizeof(float), rising);
  return printf("{\"per_s\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", (double)total / seconds, (double)all[total / 2], (double)all[total * 99 / 100]) < 0;
}

int main(int count, char **arguments) {
  signal(SIGPIPE, SIG_IGN);
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (count < 3) return fprintf(stderr, "usage: webload echo|ws|idle|handshakes PORT …\n"), 2;
  const char *what = arguments[1];
  port = atoi(arguments[2]);
  if (strcmp(what, "echo") == 0) serve_echo();
  context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  if (strcmp(what, "handshakes") == 0 && count == 6) {
    seconds = atoi(arguments[4]);
    resume_sessions = strcmp(arguments[5], "resumed") == 0;
    return run_workers(atoi(arguments[3]), shake_hands);
  }
  if (count < 6) return 2;
  path = arguments[3];
  cookie = arguments[4];
  const int connections = atoi(arguments[5]);
  if (strcmp(what, "ws") == 0 && count == 7) {
    seconds = atoi(arguments[6]);
    return run_workers(connections, send_messages);
  }
  for (int i = 0; i < connections; ++i) open_websocket();
  puts("ready");
  fflush(stdout);
  while (getchar() != EOF) continue;
  return 0;
}
