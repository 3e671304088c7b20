/* Question: do system calls that read from and write into the heap work when their buffers, their
 * vectors and their paths have been paged out, and when a buffer is larger than the arena?
 *
 * Before each call everything is sent out of memory. usage: calls_io [bytes to page out]
 */
#include "common.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>

static size_t churn;
static char *directory, *path;
static uint64_t sum;

/* A filled or an empty block that has just been paged out. */
static unsigned char *filled(size_t size, uint64_t key)
{
    unsigned char *block = must_malloc(size);
    fill(block, size, key);
    page_out(churn);
    return block;
}

static unsigned char *empty(size_t size)
{
    unsigned char *block = must_malloc(size);
    memset(block, 0xee, size);
    page_out(churn);
    return block;
}

static void done(void *block, size_t size, uint64_t key, const char *what)
{
    sum += verify(block, size, key, what);
    free(block);
}

/* Short counts are allowed for both, so both are repeated. */
static void write_all(int file, const unsigned char *from, size_t size)
{
    while (size > 0) {
        ssize_t count = write(file, from, size);
        CHECK(count > 0, "write of %zu gave %zd", size, count);
        from += count, size -= count;
    }
}

static void read_all(int file, unsigned char *to, size_t size)
{
    while (size > 0) {
        ssize_t count = read(file, to, size);
        CHECK(count > 0, "read of %zu gave %zd", size, count);
        to += count, size -= count;
    }
}

static int open_file(int flags)
{
    page_out(churn);
    int file = open(path, flags, 0600);
    CHECK(file >= 0, "open %s", path);
    return file;
}

static void file_calls(size_t size)
{
    int file = open_file(O_RDWR | O_CREAT | O_TRUNC);
    unsigned char *from = filled(size, 1), *to;
    write_all(file, from, size);
    done(from, size, 1, "after write");
    CHECK(lseek(file, 0, SEEK_SET) == 0, "lseek");
    to = empty(size);
    read_all(file, to, size);
    done(to, size, 1, "read");
    to = empty(100000);
    CHECK(pread(file, to, 100000, 4096) == 100000, "pread");
    done(to, 100000, 1 + 4096, "pread");
    from = filled(70001, 2);
    CHECK(pwrite(file, from, 70001, 333) == 70001, "pwrite");
    free(from);
    to = empty(70001);
    CHECK(pread(file, to, 70001, 333) == 70001, "pread of pwrite");
    done(to, 70001, 2, "pwrite");
    struct stat *status = (struct stat *)empty(sizeof *status);
    CHECK(fstat(file, status) == 0 && (size_t)status->st_size == size, "fstat");
    memset(status, 0xee, sizeof *status);
    page_out(churn);
    CHECK(stat(path, status) == 0 && (size_t)status->st_size == size, "stat");
    free(status);
    close(file);
    said("open, read, write, pread, pwrite, stat");
}

static void vectors(void)
{
    enum { COUNT = 40, LENGTH = 9000 };
    int file = open_file(O_RDWR | O_CREAT | O_TRUNC);
    struct iovec *vector = must_malloc(COUNT * sizeof *vector);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < COUNT; i++) {
            vector[i].iov_len = LENGTH + i;
            vector[i].iov_base = must_malloc(LENGTH + i);
            memset(vector[i].iov_base, 0, LENGTH + i);
            if (round % 2 == 0)
                fill(vector[i].iov_base, LENGTH + i, round + i);
        }
        page_out(churn);
        ssize_t expected = COUNT * LENGTH + COUNT * (COUNT - 1) / 2, count = 0;
        if (round == 0)
            count = writev(file, vector, COUNT);
        else if (round == 1)
            lseek(file, 0, SEEK_SET), count = readv(file, vector, COUNT);
        else if (round == 2)
            count = pwritev(file, vector, COUNT, 12345);
        else
            count = preadv(file, vector, COUNT, 12345);
        CHECK(count == expected, "round %d: %zd of %zd", round, count, expected);
        for (int i = 0; i < COUNT; i++)
            done(vector[i].iov_base, LENGTH + i, round / 2 * 2 + i, "vector");
    }
    free(vector);
    close(file);
    said("writev, readv, pwritev, preadv");
}

static void streams(size_t size)
{
    char *mode = strdup("w+");
    page_out(churn);
    FILE *stream = fopen(path, mode);
    CHECK(stream != NULL, "fopen");
    unsigned char *from = filled(size, 4);
    CHECK(fwrite(from, 1, size, stream) == size, "fwrite");
    free(from);
    page_out(churn);
    CHECK(fprintf(stream, "%s %d\n", "the end", 42) == 11 && fflush(stream) == 0, "fprintf");
    rewind(stream);
    unsigned char *to = empty(size);
    CHECK(fread(to, 1, size, stream) == size, "fread of %zu", size);
    done(to, size, 4, "fread");
    char *line = NULL;
    size_t capacity = 0;
    CHECK(getline(&line, &capacity, stream) == 11 && strcmp(line, "the end 42\n") == 0, "getline");
    free(line);
    fclose(stream);
    free(mode);
    said("fopen, fwrite, fread, fprintf, getline");
}

static void sockets(int type, const char *what)
{
    enum { COUNT = 30, LENGTH = 6000 };
    int pair[2];
    CHECK(socketpair(AF_UNIX, type, 0, pair) == 0, "socketpair");
    for (int i = 0; i < COUNT; i++) {   /* a datagram read into a buffer that is away would be lost */
        unsigned char *from = filled(LENGTH, i), *to;
        CHECK((i & 1 ? send(pair[0], from, LENGTH, 0) : write(pair[0], from, LENGTH)) == LENGTH, "send");
        free(from);
        to = empty(LENGTH);
        socklen_t *length = (socklen_t *)must_malloc(128 + sizeof *length);
        *length = 128;
        ssize_t count = i % 3 == 0   ? recv(pair[1], to, LENGTH, 0)
                        : i % 3 == 1 ? recvfrom(pair[1], to, LENGTH, 0, (struct sockaddr *)(length + 1), length)
                                     : read(pair[1], to, LENGTH);
        CHECK(count == LENGTH, "receive %d: %zd", i, count);
        done(to, LENGTH, i, what);
        free(length);
    }
    close(pair[0]), close(pair[1]);
    said(what);
}

/* A message with two parts and a descriptor in its control data, all of it in the heap. */
static void messages(void)
{
    int pair[2], pipes[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0 && pipe(pipes) == 0, "socketpair, pipe");
    for (int i = 0; i < 5; i++) {
        struct iovec *vector = must_malloc(2 * sizeof *vector);
        struct msghdr *header = calloc(1, sizeof *header);
        char *control = calloc(1, CMSG_SPACE(sizeof(int)));
        CHECK(header != NULL && control != NULL, "calloc");
        for (int part = 0; part < 2; part++) {
            vector[part].iov_base = must_malloc(5000);
            vector[part].iov_len = 5000;
            fill(vector[part].iov_base, 5000, 10 * i + part);
        }
        *header = (struct msghdr){.msg_iov = vector, .msg_iovlen = 2, .msg_control = control,
                                  .msg_controllen = CMSG_SPACE(sizeof(int))};
        struct cmsghdr *item = CMSG_FIRSTHDR(header);
        item->cmsg_level = SOL_SOCKET, item->cmsg_type = SCM_RIGHTS, item->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(item), &pipes[1], sizeof(int));
        page_out(churn);
        CHECK(sendmsg(pair[0], header, 0) == 10000, "sendmsg");
        memset(control, 0, CMSG_SPACE(sizeof(int)));
        memset(vector[0].iov_base, 0, 5000), memset(vector[1].iov_base, 0, 5000);
        page_out(churn);
        CHECK(recvmsg(pair[1], header, 0) == 10000, "recvmsg");
        item = CMSG_FIRSTHDR(header);
        CHECK(item != NULL && item->cmsg_type == SCM_RIGHTS, "control data");
        int passed;
        memcpy(&passed, CMSG_DATA(item), sizeof passed);
        char byte = 'a' + i;
        CHECK(write(passed, &byte, 1) == 1 && read(pipes[0], &byte, 1) == 1 && byte == 'a' + i, "passed descriptor");
        close(passed);
        done(vector[0].iov_base, 5000, 10 * i, "recvmsg, first part");
        done(vector[1].iov_base, 5000, 10 * i + 1, "recvmsg, second part");
        free(vector), free(header), free(control);
    }
    close(pair[0]), close(pair[1]), close(pipes[0]), close(pipes[1]);
    said("sendmsg, recvmsg with control data");
}

static void *drain(void *parameter)
{
    int file = *(int *)parameter;
    unsigned char *to = empty(3 * MIB);
    read_all(file, to, 3 * MIB);
    return to;
}

static void pipes(void)
{
    int *ends = must_malloc(2 * sizeof *ends);
    page_out(churn);
    CHECK(pipe(ends) == 0, "pipe into the heap");
    size_t saved = churn;
    churn /= 2;   /* two threads page out at the same time */
    pthread_t reader = start(drain, ends);
    unsigned char *from = filled(3 * MIB, 6);
    write_all(ends[1], from, 3 * MIB);
    void *to;
    pthread_join(reader, &to);
    churn = saved;
    done(to, 3 * MIB, 6, "through the pipe");
    free(from);
    unsigned char *some = filled(1000, 8);
    write_all(ends[1], some, 1000);
    int *waiting = (int *)empty(sizeof *waiting);
    CHECK(ioctl(ends[0], FIONREAD, waiting) == 0 && *waiting == 1000, "FIONREAD: %d", *waiting);
    close(ends[0]), close(ends[1]);
    free(some), free(waiting), free(ends);
    said("pipe, FIONREAD");
}

static void names(void)
{
    char *old = getcwd(NULL, 0), *here = (char *)empty(5000);
    CHECK(old != NULL && chdir(directory) == 0 && getcwd(here, 5000) == here, "chdir, getcwd");
    CHECK(strcmp(here, directory) == 0, "getcwd: %s", here);
    for (int i = 0; i < 300; i++) {
        char *name = must_malloc(20);
        snprintf(name, 20, "file%d", i);
        if (i % 50 == 0)
            page_out(churn);
        int file = open(name, O_CREAT | O_WRONLY, 0600);
        CHECK(file >= 0, "open %s", name);
        close(file), free(name);
    }
    DIR *stream = opendir(directory);
    CHECK(stream != NULL, "opendir");
    struct dirent *entry;
    int count = 0, total = 0, number;
    while ((entry = readdir(stream)) != NULL) {
        if (count % 100 == 0)
            page_out(churn);
        if (sscanf(entry->d_name, "file%d", &number) == 1)
            count++, total += number, unlink(entry->d_name);
    }
    closedir(stream);
    CHECK(count == 300 && total == 44850, "readdir: %d names, %d", count, total);
    char *link = strdup("a link"), *target = (char *)filled(200, 1), *found;
    memset(target, 't', 199), target[199] = 0;
    page_out(churn);
    CHECK(symlink(target, link) == 0, "symlink");
    found = (char *)empty(300);
    CHECK(readlink(link, found, 300) == 199 && memcmp(found, target, 199) == 0, "readlink");
    CHECK(rename(link, strcpy(found, "renamed")) == 0 && access(found, F_OK) == -1 && unlink(found) == 0, "rename");
    CHECK(chdir(old) == 0, "chdir back");
    char *real = realpath(path, NULL);
    CHECK(real != NULL && strcmp(real, path) == 0, "realpath");
    free(old), free(here), free(link), free(target), free(found), free(real);
    said("getcwd, readdir, symlink, readlink, rename, realpath");
}

static void little_ones(void)
{
    struct timespec *now = (struct timespec *)empty(sizeof *now);
    CHECK(clock_gettime(CLOCK_REALTIME, now) == 0 && now->tv_nsec < 1000000000, "clock_gettime");
    free(now);
    struct utsname *name = (struct utsname *)empty(sizeof *name);
    CHECK(uname(name) == 0 && strcmp(name->sysname, "Linux") == 0, "uname");
    free(name);
    int in = open_file(O_RDONLY), out = dup(1);
    off_t *offset = (off_t *)empty(sizeof *offset);
    *offset = 10;
    int pair[2];
    CHECK(pipe(pair) == 0, "pipe");
    page_out(churn);
    CHECK(sendfile(pair[1], in, offset, 100) == 100 && *offset == 110, "sendfile");
    close(in), close(out), close(pair[0]), close(pair[1]);
    free(offset);
    said("clock_gettime, uname, sendfile");
}

int main(int argc, char **argv)
{
    churn = argument(argc, argv, 1, 12 * MIB);
    directory = strdup("/tmp/calls_io.XXXXXX");
    CHECK(mkdtemp(directory) != NULL, "mkdtemp");
    path = must_malloc(100);
    snprintf(path, 100, "%s/file", directory);
    file_calls(1 * MIB);
    vectors();
    streams(1 * MIB + 17);
    sockets(SOCK_STREAM, "stream sockets");
    sockets(SOCK_DGRAM, "datagrams");
    sockets(SOCK_SEQPACKET, "packets");
    messages();
    pipes();
    names();
    little_ones();
    /* Now a buffer that the arena cannot hold, without anything else in the heap. */
    size_t large = churn / 4 * 3;
    churn = 0;
    file_calls(large);
    streams(large);
    page_out(0);
    unlink(path), rmdir(directory);
    free(path), free(directory);
    printf("calls_io %016llx\n", (unsigned long long)sum);
    return 0;
}
