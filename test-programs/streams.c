/* Does a stream give and take in one call all that it does natively?
 *
 * Who waits for edges (EPOLLET) takes less than asked for as a sign that nothing is left. Everything is in
 * the pipe or the socket before it is asked for, into buffers that are absent. And one buffer may be made of
 * several blocks that are neighbours, as servers make them. streams [BYTES] */
#include "common.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { MOST = 160000, BLOCK = 200 * KIB, BLOCKS = 12 };

static size_t bytes;
static unsigned char *from, *to;

static void expect(const char *what, ssize_t got, size_t wanted, uint64_t key)
{
    CHECK(got == (ssize_t)wanted, "%s: %zd of %zu bytes", what, got, wanted);
    verify(to, wanted, key, what);
    said(what);
}

static void put(int fd, size_t size, uint64_t key)
{
    fill(from, size, key);
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, from + done, size - done);
        CHECK(n > 0, "write");
        done += n;
    }
    memset(to, 0, size);
    page_out(bytes);
}

static void read_all(const char *name, int in, int out, int is_socket)
{
    char what[64];
    struct iovec parts[3] = {{to, 1000}, {to + 1000, 90000}, {to + 91000, MOST - 91000}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
    put(in, MOST, 1);
    snprintf(what, sizeof what, "%s: read", name);
    expect(what, read(out, to, 2 * MOST), MOST, 1);
    put(in, MOST, 2);
    snprintf(what, sizeof what, "%s: readv", name);
    expect(what, readv(out, parts, 3), MOST, 2);
    if (!is_socket)
        return;
    put(in, MOST, 3);
    snprintf(what, sizeof what, "%s: recv", name);
    expect(what, recv(out, to, MOST, MSG_PEEK), MOST, 3);
    expect(what, recv(out, to, MOST, 0), MOST, 3);
    put(in, MOST, 4);
    snprintf(what, sizeof what, "%s: recvmsg", name);
    expect(what, recvmsg(out, &message, 0), MOST, 4);
}

static int socket_out;

static void *drain(void *argument)
{
    size_t wanted = *(size_t *)argument, done = 0;
    unsigned char *part = must_malloc(BLOCK);
    for (uintptr_t block = 0; done < wanted; block++) {
        for (size_t had = 0; had < BLOCK;) {
            ssize_t n = read(socket_out, part + had, BLOCK - had);
            CHECK(n > 0, "read");
            had += n;
        }
        verify(part, BLOCK, block, "joined blocks");
        done += BLOCK;
    }
    free(part);
    return NULL;
}

/* One iovec over blocks that touch; where none do, each block has its own. */
static void write_joined(int in)
{
    struct iovec parts[BLOCKS];
    size_t total = (size_t)BLOCKS * BLOCK;
    int n = 0;
    for (uintptr_t i = 0; i < BLOCKS; i++) {
        unsigned char *block = must_malloc(BLOCK);
        fill(block, BLOCK, i);
        if (n > 0 && (unsigned char *)parts[n - 1].iov_base + parts[n - 1].iov_len == block)
            parts[n - 1].iov_len += BLOCK;
        else
            parts[n++] = (struct iovec){block, BLOCK};
    }
    page_out(bytes);
    pthread_t reader = start(drain, &total);
    CHECK(writev(in, parts, n) == (ssize_t)total, "writev");
    pthread_join(reader, NULL);
    said("joined blocks");
}

int main(int argc, char **argv)
{
    bytes = argument(argc, argv, 1, 10 * MIB);
    from = must_malloc(MOST);
    to = must_malloc(2 * MOST);
    int ends[2];
    CHECK(pipe(ends) == 0 && fcntl(ends[1], F_SETPIPE_SZ, MIB) >= MIB, "pipe");
    read_all("pipe", ends[1], ends[0], 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
    int size = 200000;
    CHECK(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0, "SO_SNDBUF");
    read_all("socket", ends[0], ends[1], 1);
    socket_out = ends[1];
    write_joined(ends[0]);
    return 0;
}
