/* SPDX-License-Identifier: MIT */
/*
 * Two helpers of the laboratory (see __init__.py), in one program.
 *
 *     wire hold                 makes a network namespace and keeps it until standard input ends
 *     wire join PID:DEV PID:DEV makes a TUN device in the network namespaces of two processes and carries packets
 *                               between them
 *
 * Both say "ready" once they are, die with the thread that started them, and leave nothing behind: a namespace and its
 * devices vanish with their last process. "join" is told by lines on standard input, and answers each with "ok":
 *
 *     delay USEC     one way
 *     rate BYTES     a second and direction, 0 for as fast as it goes; a queue longer than 200 ms loses its tail
 *     loss P SEED    the probability that a packet is lost, and where the random numbers start
 *     down, up       a wire that is down swallows everything, also what is on its way
 *
 * A packet waits in a queue of its direction until its time has come; the kernel here has no netem that could do it.
 * The devices take and give packets of up to 64 KiB that the kernel has not yet cut into segments (IFF_VNET_HDR), which
 * makes a fast wire cheap. A lossy wire has them cut first, so that one loss is one packet's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX (65536 + 64)
#define QUEUE_MAX  (64L * 1024 * 1024) /* bytes on their way in one direction */
#define TAIL_MAX   200000              /* µs that a packet may wait for its turn on a wire with a rate */
#define BATCH      64
#define HEADER     10 /* of struct virtio_net_hdr */

typedef struct Packet {
    struct Packet *next;
    int64_t due; /* µs, monotonic */
    size_t size;
    char bytes[];
} Packet;

typedef struct {
    int from, to;
    Packet *first, **last;
    long queued;
    int64_t free_at; /* when the wire has sent what it was given */
} Direction;

typedef struct {
    int64_t delay;
    double rate;
    double loss;
    uint64_t random;
    bool down;
} Wire;

static int64_t now_usec(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static int fail(const char *what)
{
    fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
    return 1;
}

static void die_with_parent(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent)
        _exit(1);
}

static int hold(void)
{
    if (unshare(CLONE_NEWNET) != 0)
        return fail("can't make a network namespace");
    puts("ready");
    fflush(stdout);
    char byte;
    while (read(0, &byte, 1) > 0)
        ;
    return 0;
}

/* A TUN device in the network namespace of a process; the descriptor belongs to it from wherever it is used. */
static int open_tun(const char *where)
{
    char path[64];
    const char *name = strchr(where, ':');
    if (!name || strlen(name + 1) == 0 || strlen(name + 1) >= IFNAMSIZ) {
        errno = EINVAL;
        return -1;
    }
    snprintf(path, sizeof path, "/proc/%ld/ns/net", strtol(where, NULL, 10));
    int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int other = open(path, O_RDONLY | O_CLOEXEC);
    int fd = -1;
    if (own >= 0 && other >= 0 && setns(other, CLONE_NEWNET) == 0) {
        struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
        memcpy(request.ifr_name, name + 1, strlen(name + 1));
        fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (fd >= 0 && ioctl(fd, TUNSETIFF, &request) != 0) {
            int error = errno;
            close(fd);
            fd = -1;
            errno = error;
        }
        if (setns(own, CLONE_NEWNET) != 0)
            abort();
    }
    int error = errno;
    if (own >= 0)
        close(own);
    if (other >= 0)
        close(other);
    errno = error;
    return fd;
}

static void set_offload(int fd, bool on)
{
    ioctl(fd, TUNSETOFFLOAD, on ? (unsigned long)(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) : 0UL);
}

/* xorshift64*, 0 to 1 */
static double draw(Wire *wire)
{
    uint64_t x = wire->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    wire->random = x;
    return (double)((x * 2685821657736338717ULL) >> 11) / (double)(1ULL << 53);
}

static void clear(Direction *direction)
{
    while (direction->first) {
        Packet *packet = direction->first;
        direction->first = packet->next;
        free(packet);
    }
    direction->last = &direction->first;
    direction->queued = 0;
    direction->free_at = 0;
}

static void take(Direction *direction, Wire *wire)
{
    static char bytes[PACKET_MAX];
    for (int i = 0; i < BATCH; i++) {
        ssize_t size = read(direction->from, bytes, sizeof bytes);
        if (size <= 0)
            return;
        if (wire->down || (wire->loss > 0 && draw(wire) < wire->loss))
            continue;
        int64_t now = now_usec();
        int64_t sent = now;
        if (wire->rate > 0) {
            int64_t begin = direction->free_at > now ? direction->free_at : now;
            if (begin - now > TAIL_MAX)
                continue;
            sent = begin + (int64_t)((double)(size - HEADER) * 1e6 / wire->rate);
            direction->free_at = sent;
        }
        if (direction->queued + size > QUEUE_MAX)
            continue;
        Packet *packet = malloc(sizeof *packet + (size_t)size);
        if (!packet)
            continue;
        packet->next = NULL;
        packet->due = sent + wire->delay;
        packet->size = (size_t)size;
        memcpy(packet->bytes, bytes, (size_t)size);
        *direction->last = packet;
        direction->last = &packet->next;
        direction->queued += size;
    }
}

static void deliver(Direction *direction)
{
    int64_t now = now_usec();
    while (direction->first && direction->first->due <= now) {
        Packet *packet = direction->first;
        if (write(direction->to, packet->bytes, packet->size) < 0 && errno == EAGAIN)
            return; /* again with the next look */
        direction->first = packet->next;
        if (!direction->first)
            direction->last = &direction->first;
        direction->queued -= (long)packet->size;
        free(packet);
    }
}

static bool obey(char *line, Wire *wire, Direction *directions)
{
    char *end = line;
    if (strncmp(line, "delay ", 6) == 0) {
        wire->delay = strtoll(line + 6, &end, 10);
    } else if (strncmp(line, "rate ", 5) == 0) {
        wire->rate = strtod(line + 5, &end);
    } else if (strncmp(line, "loss ", 5) == 0) {
        wire->loss = strtod(line + 5, &end);
        wire->random = strtoull(end, &end, 10) * 2654435769ULL + 88172645463325252ULL;
        set_offload(directions[0].from, wire->loss <= 0);
        set_offload(directions[1].from, wire->loss <= 0);
    } else if (strcmp(line, "down") == 0 || strcmp(line, "up") == 0) {
        wire->down = line[0] == 'd';
        clear(&directions[0]);
        clear(&directions[1]);
        end = line + strlen(line);
    }
    return end > line && *end == '\0';
}

/* FALSE at the end of standard input. */
static bool listen_to_orders(Wire *wire, Direction *directions)
{
    static char line[256];
    static size_t length;
    ssize_t size = read(0, line + length, sizeof line - 1 - length);
    if (size <= 0)
        return size < 0 && errno == EINTR;
    length += (size_t)size;
    line[length] = '\0';
    char *begin = line, *end;
    while ((end = strchr(begin, '\n')) != NULL) {
        *end = '\0';
        puts(obey(begin, wire, directions) ? "ok" : "what?");
        begin = end + 1;
    }
    fflush(stdout);
    length = strlen(begin);
    if (length >= sizeof line - 1)
        length = 0;
    memmove(line, begin, length);
    return true;
}

static int join(const char *left, const char *right)
{
    int a = open_tun(left), b = a < 0 ? -1 : open_tun(right);
    if (a < 0 || b < 0)
        return fail("can't make a TUN device");
    set_offload(a, true);
    set_offload(b, true);
    Direction directions[2] = {{.from = a, .to = b}, {.from = b, .to = a}};
    directions[0].last = &directions[0].first;
    directions[1].last = &directions[1].first;
    Wire wire = {.random = 88172645463325252ULL};
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct pollfd fds[3] = {{.fd = 0, .events = POLLIN}, {.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
        int64_t wait = -1, now = now_usec();
        for (int i = 0; i < 2; i++) {
            if (!directions[i].first)
                continue;
            int64_t left_over = directions[i].first->due > now ? directions[i].first->due - now : 20;
            if (wait < 0 || left_over < wait)
                wait = left_over;
        }
        struct timespec time = {.tv_sec = wait / 1000000, .tv_nsec = wait % 1000000 * 1000};
        if (ppoll(fds, 3, wait < 0 ? NULL : &time, NULL) < 0 && errno != EINTR)
            return fail("ppoll");
        if ((fds[0].revents & (POLLIN | POLLHUP)) && !listen_to_orders(&wire, directions))
            return 0;
        if ((fds[1].revents | fds[2].revents) & (POLLERR | POLLNVAL))
            return 0; /* a namespace is gone, and its device with it */
        for (int i = 0; i < 2; i++) {
            take(&directions[i], &wire);
            deliver(&directions[i]);
        }
    }
}

int main(int argc, char **argv)
{
    /* The name of the process that is to live as long as we do comes by the environment: it may have ended by now. */
    const char *parent = getenv("WIRE_PARENT");
    die_with_parent(parent ? (pid_t)strtol(parent, NULL, 10) : getppid());
    prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
    if (argc == 2 && strcmp(argv[1], "hold") == 0)
        return hold();
    if (argc == 4 && strcmp(argv[1], "join") == 0)
        return join(argv[2], argv[3]);
    fprintf(stderr, "usage: wire hold | wire join PID:DEVICE PID:DEVICE\n");
    return 2;
}
