/* Question: do children of every make live as they should while the heap that they share, or have a
 * copy of, is paged: vfork, posix_spawn with file actions, clone with and without CLONE_VM, daemon,
 * forkpty, and forks from stacks that lie in the heap?
 *
 * usage: children [bytes to page out] [bytes of heap in use]
 */
#include "common.h"

#include <fcntl.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

extern char **environ;
static size_t churn, size;
static unsigned char *heap;

static int wait_for(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, __WALL) < 0)
        CHECK(errno == EINTR, "waitpid: %s", strerror(errno));
    return status;
}

static void heap_is_right(const char *when)
{
    page_out(churn);
    verify(heap, size, 1, when);
}

/* The classic: the child reports why it could not execute through its parent's variables. */
static void vforks(void)
{
    int *error = must_malloc(sizeof *error);
    char *missing = strdup("/nonexistent/program");
    char **arguments = must_malloc(2 * sizeof *arguments);
    arguments[0] = missing, arguments[1] = NULL;
    volatile int local = 1, steps = 0;
    *error = 0;
    page_out(churn);
    pid_t child = vfork();
    if (child == 0) {
        local = 2;
        steps++;
        execv(missing, arguments);
        *error = errno;
        _exit(3);
    }
    CHECK(child > 0 && local == 2 && steps == 1, "the child's stores: local %d", local);
    CHECK(*error == ENOENT, "the child's errno was %d", *error);
    CHECK(WEXITSTATUS(wait_for(child)) == 3, "status");
    heap_is_right("after vfork");
    said("vfork: the parent sees the child's stores");

    for (int i = 0; i < 300; i++) {
        child = vfork();
        if (child == 0) {
            pid_t nested = i % 3 ? -1 : vfork();
            if (nested == 0)
                _exit(5);
            if (nested > 0 && WEXITSTATUS(wait_for(nested)) != 5)
                _exit(9);
            heap[i % size] ^= 1;
            page_out(i % 100 ? 0 : churn);
            heap[i % size] ^= 1;
            signal(SIGUSR1, SIG_IGN);   /* the child's own table */
            if (i % 2)
                execl("/bin/true", "true", (char *)NULL);
            _exit(0);
        }
        CHECK(child > 0 && wait_for(child) == 0, "child %d", i);
    }
    struct sigaction now;
    CHECK(sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == SIG_DFL, "the child's action is the parent's");
    heap_is_right("after many vforks");
    said("vfork: nested, repeated");
    free(error), free(missing), free(arguments);
}

static void *spawner(void *parameter)
{
    size_t me = (size_t)parameter;
    for (int i = 0; i < 12; i++) {
        char name[64], text[64];
        snprintf(name, sizeof name, "/tmp/children.%d.%zu.%d", (int)getpid(), me, i);
        snprintf(text, sizeof text, "echo $0 thread %zu round %d; exit %d", me, i, i);
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addclose(&actions, 0);
        posix_spawn_file_actions_addopen(&actions, 1, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        posix_spawn_file_actions_adddup2(&actions, 1, 2);
        posix_spawnattr_init(&attributes);
        sigset_t set;
        sigfillset(&set);
        posix_spawnattr_setsigdefault(&attributes, &set);
        sigemptyset(&set);
        posix_spawnattr_setsigmask(&attributes, &set);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
        char *arguments[] = {strdup("sh"), strdup("-c"), strdup(text), strdup("spawned"), NULL};
        page_out(churn / 4);
        pid_t child;
        int error = posix_spawnp(&child, arguments[0], &actions, &attributes, arguments, environ);
        CHECK(error == 0, "posix_spawnp: %s", strerror(error));
        CHECK(WEXITSTATUS(wait_for(child)) == i, "status of a spawned child");
        char line[128] = "", expected[128];
        snprintf(expected, sizeof expected, "spawned thread %zu round %d\n", me, i);
        FILE *file = fopen(name, "r");
        CHECK(file != NULL && fgets(line, sizeof line, file) != NULL, "%s: %s", name, strerror(errno));
        CHECK(strcmp(line, expected) == 0, "the child wrote '%s'", line);
        fclose(file), unlink(name);
        posix_spawn_file_actions_destroy(&actions), posix_spawnattr_destroy(&attributes);
        for (int j = 0; arguments[j] != NULL; j++)
            free(arguments[j]);
    }
    return NULL;
}

static void spawns(void)
{
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        threads[i] = start(spawner, (void *)i);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    char *arguments[] = {"nothing", NULL};
    pid_t child;
    CHECK(posix_spawn(&child, "/nonexistent/program", NULL, NULL, arguments, environ) == ENOENT, "posix_spawn of nothing");
    heap_is_right("after posix_spawn");
    said("posix_spawnp with file actions, from three threads");
}

/* A child on a stack of its own that shares the memory: verifies, pages, writes. */
static int on_shared_memory(void *argument)
{
    unsigned char *block = argument;
    for (size_t i = 0; i < size; i += PAGE)
        block[i] ^= 0xff;
    int ends[2];
    if (pipe(ends) != 0 || write(ends[1], block, PAGE) != PAGE)
        return 1;
    char *copy = alloca(PAGE);
    if (read(ends[0], copy, PAGE) != PAGE || memcmp(copy, block, PAGE) != 0)
        return 2;
    return 42;
}

static int on_own_memory(void *argument)
{
    unsigned char *block = argument;
    verify(block, size, 1, "in a cloned child");
    fill(block, size, 2);
    page_out(churn);
    verify(block, size, 2, "a cloned child's own bytes");
    return 43;
}

static void clones(void)
{
    enum { STACK = 256 * KIB };
    char *stack = must_malloc(STACK);
    page_out(churn);
    pid_t child = clone(on_shared_memory, stack + STACK, CLONE_VM | SIGCHLD, heap);
    CHECK(child > 0 && WEXITSTATUS(wait_for(child)) == 42, "clone with CLONE_VM");
    for (size_t i = 0; i < size; i += PAGE)
        heap[i] ^= 0xff;
    heap_is_right("after a child with CLONE_VM");
    child = clone(on_shared_memory, stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, heap);
    CHECK(child > 0 && WEXITSTATUS(wait_for(child)) == 42, "clone with CLONE_VFORK");
    for (size_t i = 0; i < size; i += PAGE)
        heap[i] ^= 0xff;
    heap_is_right("after a child with CLONE_VFORK");
    child = clone(on_own_memory, stack + STACK, SIGCHLD, heap);
    CHECK(child > 0 && WEXITSTATUS(wait_for(child)) == 43, "clone without CLONE_VM");
    heap_is_right("after a child without CLONE_VM");
    int descriptor = -1;
    child = clone(on_own_memory, stack + STACK, CLONE_PIDFD | CLONE_FS | SIGCHLD, heap, &descriptor);
    CHECK(child > 0 && descriptor >= 0 && WEXITSTATUS(wait_for(child)) == 43, "clone with CLONE_PIDFD");
    close(descriptor);
    heap_is_right("after a child with CLONE_PIDFD");
    for (int i = 0; i < 3; i++) {
        child = clone(on_own_memory, stack + STACK, CLONE_FILES | SIGCHLD, heap);
        CHECK(child > 0 && WEXITSTATUS(wait_for(child)) == 43, "clone with CLONE_FILES");
        heap_is_right("after a child with CLONE_FILES");
    }
    child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
    if (child == 0)
        _exit(on_own_memory(heap));
    CHECK(child > 0 && WEXITSTATUS(wait_for(child)) == 43, "a bare clone");
    heap_is_right("after a bare clone");
    free(stack);
    said("clone with and without CLONE_VM, on stacks in the heap");
}

/* clone3 refuses a stack without a size, and a size without a stack. */
static void wrong_stacks(void)
{
    uint64_t words[11] = { [4] = SIGCHLD, [5] = (uintptr_t)heap };
    for (int i = 0; i < 2; i++) {
        long child = syscall(SYS_clone3, words, sizeof words);
        if (child == 0)
            _exit(0);
        CHECK(child == -1 && errno == EINVAL, "clone3: %ld", child);
        words[5] = 0, words[6] = 4;
    }
    said("clone3 with half a stack");
}

static void fork_here(void)
{
    volatile uint64_t on_stack[512];
    fill((void *)on_stack, sizeof on_stack, 77);
    pid_t child = fork();
    if (child == 0) {
        verify((void *)on_stack, sizeof on_stack, 77, "the child's stack");
        fill((void *)on_stack, sizeof on_stack, 78);
        page_out(churn);
        verify((void *)on_stack, sizeof on_stack, 78, "the child's own stack");
        verify(heap, size, 1, "the heap in a child of a coroutine");
        _exit(6);
    }
    for (int i = 0; i < 20; i++) {
        fill((void *)on_stack, sizeof on_stack, 79 + i);
        sched_yield();
        verify((void *)on_stack, sizeof on_stack, 79 + i, "the parent's stack");
    }
    CHECK(WEXITSTATUS(wait_for(child)) == 6, "the child on a stack in the heap");
}

static ucontext_t main_context, coroutine;

static void in_coroutine(void)
{
    for (int i = 0; i < 5; i++)
        fork_here();
    CHECK(system("exit 4") == 4 << 8, "system on a stack in the heap");
}

static void *in_thread(void *unused)
{
    for (int i = 0; i < 5; i++)
        fork_here();
    return unused;
}

static void forks_on_heap_stacks(void)
{
    enum { STACK = 256 * KIB };
    char *stack = memalign(PAGE, STACK);
    getcontext(&coroutine);
    coroutine.uc_stack.ss_sp = stack, coroutine.uc_stack.ss_size = STACK, coroutine.uc_link = &main_context;
    makecontext(&coroutine, in_coroutine, 0);
    page_out(churn);
    swapcontext(&main_context, &coroutine);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack, STACK);
    pthread_t thread;
    CHECK(pthread_create(&thread, &attributes, in_thread, NULL) == 0, "pthread_create");
    pthread_join(thread, NULL);
    free(stack);
    heap_is_right("after forks on stacks in the heap");
    said("fork and system in a coroutine and in a thread whose stacks are in the heap");
}

static void terminals(void)
{
    int master;
    fflush(stdout);
    pid_t child = forkpty(&master, NULL, NULL, NULL);
    CHECK(child >= 0, "forkpty: %s", strerror(errno));
    if (child == 0) {
        verify(heap, size, 1, "on a terminal");
        printf("on a terminal\n");
        exit(isatty(1) ? 8 : 1);
    }
    char *line = must_malloc(200);
    page_out(churn);
    ssize_t n = read(master, line, 200);
    CHECK(n > 13 && strncmp(line, "on a terminal", 13) == 0, "the terminal said %zd bytes", n);
    CHECK(WEXITSTATUS(wait_for(child)) == 8, "forkpty's child");
    close(master), free(line);
    said("forkpty");

    int ends[2];
    CHECK(pipe(ends) == 0, "pipe");
    child = fork();
    if (child == 0) {
        CHECK(daemon(1, 1) == 0, "daemon");
        verify(heap, size, 1, "in a daemon");
        page_out(churn);
        verify(heap, size, 1, "in a daemon, paged");
        _exit(write(ends[1], "d", 1) != 1);
    }
    close(ends[1]);
    char byte = 0;
    CHECK(wait_for(child) == 0 && read(ends[0], &byte, 1) == 1 && byte == 'd', "daemon");
    close(ends[0]);
    said("daemon");
}

int main(int argc, char **argv)
{
    churn = argument(argc, argv, 1, 12 * MIB);
    size = argument(argc, argv, 2, 2 * MIB);
    heap = must_malloc(size);
    fill(heap, size, 1);
    if (argc > 3)
        page_out(churn);
    vforks();
    spawns();
    clones();
    wrong_stacks();
    forks_on_heap_stacks();
    terminals();
    free(heap);
    return 0;
}
