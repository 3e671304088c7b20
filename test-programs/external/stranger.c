/* Does the pager survive what is no application? Speaks to its socket without the library.
 *
 *   stranger SOCKET MODE
 *     silent     connects, says nothing, waits to be thrown out
 *     garbage    sends packets of all lengths and bytes
 *     turn       says hello and asks before its turn has come (somebody else must run)
 *     flood      asks without end and never reads an answer
 *     many       connects 300 times and goes
 *     spoil      is served, cuts its frame file off, and asks for more
 *     keep       maps all of its frame file for ever and stores to it while others run
 *     liar       is no application but a pager that answers nonsense, once
 *     stop       runs, and stops for ever in the middle of it
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct request {
    uint32_t kind, len;
    uint64_t address;
};
enum { HELLO = 1, LOAD, STORE, EXTEND, SYSLOG, YIELD };

static const char *path;

static int dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        perror("stranger: connect");
        exit(1);
    }
    return fd;
}

static int ask(int fd, uint32_t kind, uint32_t len, uint64_t address)
{
    struct request request = {kind, len, address};
    return send(fd, &request, sizeof request, MSG_NOSIGNAL) == sizeof request;
}

/* The next packet's length; 0 when thrown out. With a descriptor, if one came. */
static long hear(int fd, int *descriptor)
{
    char packet[4096];
    union { struct cmsghdr head; char room[CMSG_SPACE(sizeof(int))]; } control;
    struct iovec part = {packet, sizeof packet};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    long n = recvmsg(fd, &message, 0);
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (n > 0 && head != NULL && descriptor != NULL)
        memcpy(descriptor, CMSG_DATA(head), sizeof *descriptor);
    return n < 0 ? 0 : n;
}

static void must_be_thrown_out(int fd, const char *after)
{
    while (hear(fd, NULL) > 0)
        ;
    printf("thrown out after %s\n", after);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    path = argv[1];
    const char *mode = argv[2];
    if (strcmp(mode, "liar") == 0) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        strncpy(address.sun_path, path, sizeof address.sun_path - 1);
        int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
        if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1) != 0) {
            perror("stranger: bind");
            return 1;
        }
        int fd = accept(listener, NULL, NULL);
        char packet[600];
        memset(packet, 0x5a, sizeof packet);
        if (recv(fd, packet, sizeof packet, 0) > 0)
            send(fd, packet, sizeof packet, MSG_NOSIGNAL);
        pause();
    }
    if (strcmp(mode, "silent") == 0) {
        must_be_thrown_out(dial(), "silence");
    } else if (strcmp(mode, "garbage") == 0) {
        unsigned seed = 1;
        for (int i = 0; i < 200; i++) {
            char packet[5000];
            for (size_t j = 0; j < sizeof packet; j++)
                packet[j] = (char)(i % 2 ? rand_r(&seed) : rand_r(&seed) % 7);
            int fd = dial();
            if (i % 4 > 1)
                ask(fd, HELLO, 1, 0);
            send(fd, packet, (size_t)(1 + rand_r(&seed) % (i % 3 ? 20 : 4999)), MSG_NOSIGNAL);
            shutdown(fd, SHUT_WR);
            while (hear(fd, NULL) > 0)
                ;
            close(fd);
        }
        puts("200 times garbage");
    } else if (strcmp(mode, "turn") == 0) {
        int fd = dial();
        ask(fd, HELLO, 1, 0);
        ask(fd, EXTEND, 0, 0);
        ask(fd, EXTEND, 0, 0);
        must_be_thrown_out(fd, "asking out of turn");
    } else if (strcmp(mode, "flood") == 0) {
        int fd = dial();
        ask(fd, HELLO, 1, 0);
        hear(fd, NULL);
        unsigned long n = 0;
        while (ask(fd, n % 2 ? EXTEND : LOAD, 0, n % 2 ? 0 : n))
            n++;
        puts("thrown out after a flood");
    } else if (strcmp(mode, "many") == 0) {
        for (int i = 0; i < 300; i++)
            dial();
        puts("300 connections");
    } else if (strcmp(mode, "spoil") == 0) {
        int fd = dial(), frames = -1;
        ask(fd, HELLO, 1, 0);
        hear(fd, &frames);
        for (int i = 0; i < 10; i++) {
            ask(fd, EXTEND, 0, 0);
            hear(fd, NULL);
            ask(fd, STORE, 0, 0x60000000u + (unsigned)i * 8192);
            hear(fd, NULL);
            if (i == 5 && ftruncate(frames, 0) != 0)
                perror("stranger: ftruncate");
        }
        ask(fd, SYSLOG, 100, 0x60000000);
        hear(fd, NULL);
        puts("frame file cut off");
    } else if (strcmp(mode, "keep") == 0) {
        int fd = dial(), frames = -1;
        ask(fd, HELLO, 1, 0);
        hear(fd, &frames);
        off_t size = lseek(frames, 0, SEEK_END);
        volatile unsigned char *all = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, frames, 0);
        for (unsigned i = 0; i < 3; i++) {
            ask(fd, EXTEND, 0, 0);
            hear(fd, NULL);
            ask(fd, STORE, 0, 0x60000000u + i * 8192);
            hear(fd, NULL);
        }
        ask(fd, YIELD, 0, 0);
        puts("keeping");
        fflush(stdout);
        for (unsigned long round = 0; recv(fd, &size, 1, MSG_DONTWAIT | MSG_PEEK) < 0; round++)
            for (off_t i = 0; i < size; i += 64) {
                if (all[i] != 0 && all[i] != 0xff) {
                    printf("another's byte: %02x\n", all[i]);
                    return 1;
                }
                all[i] = 0xff;
            }
        puts("kept");
    } else if (strcmp(mode, "stop") == 0) {
        int fd = dial();
        ask(fd, HELLO, 1, 0);
        hear(fd, NULL);
        ask(fd, EXTEND, 0, 0);
        hear(fd, NULL);
        ask(fd, STORE, 0, 0x60000000);
        puts("running");
        fflush(stdout);
        raise(SIGSTOP);
    } else {
        return 2;
    }
}
