/* Question: does a program live on that shuts itself into a sandbox in which nobody makes a file, as man does:
 * its children, their children, and what they execute?
 *
 * usage: sandboxed [bytes to page out] [bytes of heap in use]
 */
#include "common.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static size_t churn, size;

/* Files are opened for reading only; no memory files, and nothing else that concerns new files. */
static void shut_in(void)
{
    enum { CALL = BPF_LD | BPF_W | BPF_ABS, IS = BPF_JMP | BPF_JEQ | BPF_K, HAS = BPF_JMP | BPF_JSET | BPF_K };
    struct sock_filter filter[] = {
        BPF_STMT(CALL, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(IS, SYS_memfd_create, 6, 0),
        BPF_JUMP(IS, SYS_fallocate, 5, 0),
        BPF_JUMP(IS, SYS_copy_file_range, 4, 0),
        BPF_JUMP(IS, SYS_openat, 0, 2),
        BPF_STMT(CALL, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(HAS, O_ACCMODE | O_CREAT, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "seccomp");
    CHECK(open("/dev/null", O_WRONLY) < 0 && errno == ENOSYS, "the sandbox is open");
}

static void *works(void *key)
{
    unsigned char *block = must_malloc(size / 4);
    fill(block, size / 4, (uintptr_t)key);
    page_out(churn);
    verify(block, size / 4, (uintptr_t)key, "a thread's block");
    free(block);
    return NULL;
}

/* A generation: has a child, and both change what they share no more. */
static void live(unsigned char *heap, int generations)
{
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0, "fork");
    if (child == 0) {
        verify(heap, size, 1, "a child's heap");
        fill(heap, size, 100 + generations);
        pthread_t one = start(works, (void *)7);
        works((void *)8);
        pthread_join(one, NULL);
        verify(heap, size, 100 + generations, "what a child wrote");
        fill(heap, size, 1);
        if (generations > 1)
            live(heap, generations - 1);
        printf("generation %d: ok\n", generations);
        fflush(stdout);
        _exit(generations);
    }
    page_out(churn);
    verify(heap, size, 1, "a parent's heap");
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == generations << 8, "status %#x of generation %d", status, generations);
}

int main(int argc, char **argv)
{
    int executed = argc > 1 && strcmp(argv[argc - 1], "executed") == 0;
    churn = argument(argc - executed, argv, 1, 12 * MIB);
    size = argument(argc - executed, argv, 2, 6 * MIB);
    unsigned char *heap = must_malloc(size);
    fill(heap, size, 1);
    page_out(churn);
    if (!executed)
        shut_in();
    live(heap, 3);
    live(heap, 2);
    said(executed ? "executed" : "shut in");
    if (!executed) {
        char first[32], second[32];
        snprintf(first, sizeof first, "%zu", churn), snprintf(second, sizeof second, "%zu", size);
        execl(argv[0], argv[0], first, second, "executed", (char *)NULL);
    }
    printf("%016llx\n", (unsigned long long)verify(heap, size, 1, "the heap"));
    return 0;
}
