/* Load for the network benches: one process serves or loads inside of a network namespace that the caller has entered.
 *   net-load sink PORT                      takes bytes of every connection and drops them
 *   net-load accept PORT                    accepts connections and closes them
 *   net-load echo PORT                      sends datagrams back
 *   net-load send HOST PORT MS              one connection, as many bytes as go       -> bytes per second
 *   net-load connect HOST PORT MS           connections one after the other           -> per second
 *   net-load ping HOST PORT COUNT           datagrams there and back                  -> median in microseconds
 *   net-load lookup HOST PORT MS WIDTH NAME...  A queries, WIDTH of them under way    -> per second, median in microseconds
 * Servers write "ready" when they listen; clients write their figures and end. Time is CLOCK_MONOTONIC. IPv4 only. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char block[128 * 1024];

static void fail(const char *what)
{
    fprintf(stderr, "net-load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct sockaddr_in address(const char *host, const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1) {
        fprintf(stderr, "net-load: %s is no IPv4 address\n", host);
        exit(2);
    }
    return to;
}

static int listener(int type, const char *port)
{
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in any = address("0.0.0.0", port);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        fail("socket");
    if (bind(fd, (struct sockaddr *)&any, sizeof any) < 0 || (type == SOCK_STREAM && listen(fd, 4096) < 0))
        fail("bind");
    puts("ready");
    fflush(stdout);
    return fd;
}

static void sink(const char *port)
{
    int fd = listener(SOCK_STREAM, port);
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int peer = accept(fd, NULL, NULL);
        if (peer < 0)
            continue;
        if (fork() == 0) {
            while (read(peer, block, sizeof block) > 0) {
            }
            _exit(0);
        }
        close(peer);
    }
}

static void accept_all(const char *port)
{
    int fd = listener(SOCK_STREAM, port);
    for (;;) {
        int peer = accept(fd, NULL, NULL);
        if (peer >= 0)
            close(peer);
    }
}

static void echo(const char *port)
{
    int fd = listener(SOCK_DGRAM, port);
    for (;;) {
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t got = recvfrom(fd, block, sizeof block, 0, (struct sockaddr *)&from, &size);
        if (got >= 0)
            sendto(fd, block, (size_t)got, 0, (struct sockaddr *)&from, size);
    }
}

static int dial(const struct sockaddr_in *to)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof *to) < 0)
        fail("connect");
    return fd;
}

static void send_all(const struct sockaddr_in *to, int64_t ms)
{
    int fd = dial(to);
    int64_t started = now_ns(), until = started + ms * 1000000, sent = 0;
    while (now_ns() < until) {
        ssize_t n = write(fd, block, sizeof block);
        if (n < 0)
            fail("write");
        sent += n;
    }
    printf("%.0f\n", (double)sent / ((double)(now_ns() - started) / 1e9));
}

/* A reset in place of a close: no port waits in TIME_WAIT, however many connections there were. */
static void connect_all(const struct sockaddr_in *to, int64_t ms)
{
    int64_t started = now_ns(), until = started + ms * 1000000, made = 0;
    struct linger reset = {.l_onoff = 1};
    while (now_ns() < until) {
        int fd = dial(to);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
        made++;
    }
    printf("%.0f\n", (double)made / ((double)(now_ns() - started) / 1e9));
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static float median(float *values, size_t count)
{
    qsort(values, count, sizeof *values, ascending);
    return count == 0 ? -1 : values[count / 2];
}

static int connected(const struct sockaddr_in *to)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof *to) < 0)
        fail("connect");
    return fd;
}

static void ping(const struct sockaddr_in *to, size_t count)
{
    int fd = connected(to);
    float *took = calloc(count + 1, sizeof *took);
    for (size_t i = 0; i < count; i++) {
        int64_t started = now_ns();
        struct pollfd in = {.fd = fd, .events = POLLIN};
        if (send(fd, "ping", 4, 0) < 0 || poll(&in, 1, 2000) != 1 || recv(fd, block, sizeof block, 0) < 0)
            fail("ping");
        took[i] = (float)(now_ns() - started) / 1e3f;
    }
    printf("%.1f\n", (double)median(took, count));
}

/* A query for the A record of a name, RFC 1035 4.1; ids are the place in `sent`. */
static size_t query(unsigned char *out, uint16_t id, const char *name)
{
    const unsigned char head[12] = {(unsigned char)(id >> 8), (unsigned char)id, 1, 0, 0, 1};
    memcpy(out, head, sizeof head);
    size_t at = sizeof head;
    while (*name) {
        size_t length = strcspn(name, ".");
        if (length > 63 || at + length > 250)
            fail("name");
        out[at++] = (unsigned char)length;
        memcpy(out + at, name, length);
        at += length;
        name += length + (name[length] == '.');
    }
    const unsigned char tail[5] = {0, 0, 1, 0, 1};
    memcpy(out + at, tail, sizeof tail);
    return at + sizeof tail;
}

enum { most = 1000, kept = 1 << 20 };

static void lookup(const struct sockaddr_in *to, int64_t ms, unsigned width, char **names, unsigned name_count)
{
    static int64_t sent[most];
    static float took[kept];
    int fd = connected(to), size = 4 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (width > most)
        width = most;
    int64_t started = now_ns(), until = started + ms * 1000000;
    size_t answered = 0;
    uint64_t asked = 0;
    unsigned char message[512];
    for (unsigned id = 0; id < width; id++) {
        size_t length = query(message, (uint16_t)id, names[asked++ % name_count]);
        sent[id] = now_ns();
        if (send(fd, message, length, 0) < 0)
            fail("send");
    }
    while (now_ns() < until) {
        struct pollfd in = {.fd = fd, .events = POLLIN};
        if (poll(&in, 1, 3000) != 1)
            fail("no answer");
        ssize_t got = recv(fd, message, sizeof message, 0);
        if (got < 12 || (message[3] & 15) != 0 || message[7] == 0) {
            fprintf(stderr, "net-load: no address in the answer: rcode %d\n", message[3] & 15);
            exit(1);
        }
        unsigned id = (unsigned)(message[0] << 8 | message[1]);
        if (id >= width)
            continue;
        int64_t now = now_ns();
        if (answered < kept)
            took[answered] = (float)(now - sent[id]) / 1e3f;
        answered++;
        size_t length = query(message, (uint16_t)id, names[asked++ % name_count]);
        sent[id] = now;
        if (send(fd, message, length, 0) < 0)
            fail("send");
    }
    double seconds = (double)(now_ns() - started) / 1e9;
    printf("%.0f %.1f\n", (double)answered / seconds, (double)median(took, answered < kept ? answered : kept));
}

int main(int argc, char **argv)
{
    const char *mode = argc > 2 ? argv[1] : "";
    if (argc == 3 && strcmp(mode, "sink") == 0)
        sink(argv[2]);
    if (argc == 3 && strcmp(mode, "accept") == 0)
        accept_all(argv[2]);
    if (argc == 3 && strcmp(mode, "echo") == 0)
        echo(argv[2]);
    if (argc < 5) {
        fprintf(stderr, "net-load: see its first lines for usage\n");
        return 2;
    }
    struct sockaddr_in to = address(argv[2], argv[3]);
    int64_t amount = atoll(argv[4]);
    if (strcmp(mode, "send") == 0)
        send_all(&to, amount);
    else if (strcmp(mode, "connect") == 0)
        connect_all(&to, amount);
    else if (strcmp(mode, "ping") == 0 && amount > 0)
        ping(&to, (size_t)amount);
    else if (strcmp(mode, "lookup") == 0 && argc > 6)
        lookup(&to, amount, (unsigned)atoi(argv[5]), argv + 6, (unsigned)(argc - 6));
    else
        return 2;
    return 0;
}
