/* Question: does a child see exactly the memory its parent had at the fork, and do both then write
 * without disturbing each other, also in a child of a child, and when a thread forks while others write?
 *
 * usage: fork_snapshot [bytes of heap] [bytes to page out]
 */
#include "common.h"

#include <stdatomic.h>
#include <sys/wait.h>

static size_t size, churn;
static unsigned char *heap;

static pid_t must_fork(void)
{
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0, "fork: %s", strerror(errno));
    return child;
}

static void must_end_well(pid_t child, const char *who)
{
    int status;
    CHECK(waitpid(child, &status, 0) == child, "waitpid");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s ended with status %x", who, status);
}

/* In a child: what was there, then its own contents, then its own allocations. */
static void live_alone(uint64_t inherited, uint64_t own)
{
    verify(heap, size, inherited, "the child's snapshot");
    fill(heap, size, own);
    page_out(churn);
    verify(heap, size, own, "the child's own bytes");
    void *block = must_malloc(size / 4);
    fill(block, size / 4, own + 1);
    heap = realloc(heap, size + size / 4);
    CHECK(heap != NULL, "realloc in the child");
    verify(heap, size / 8 * 8, own, "after the child's realloc");
    verify(block, size / 4, own + 1, "the child's new block");
    free(block);
    free(heap);
}

static void both_write(void)
{
    fill(heap, size, 100);
    page_out(churn);
    pid_t child = must_fork();
    if (child == 0) {
        live_alone(100, 200);
        exit(0);
    }
    fill(heap, size, 300);
    page_out(churn);
    verify(heap, size, 300, "the parent's bytes");
    must_end_well(child, "the child");
    verify(heap, size, 300, "the parent's bytes after the child");
    said("both write");
}

static void nested(void)
{
    fill(heap, size, 400);
    pid_t child = must_fork();
    if (child == 0) {
        fill(heap, size, 500);
        pid_t grandchild = must_fork();
        if (grandchild == 0) {
            live_alone(500, 600);
            exit(0);
        }
        fill(heap, size, 700);
        must_end_well(grandchild, "the grandchild");
        live_alone(700, 800);
        exit(0);
    }
    must_end_well(child, "the child");
    verify(heap, size, 400, "after child and grandchild");
    said("nested");
}

static void several(void)
{
    enum { CHILDREN = 4 };
    pid_t children[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
        fill(heap, size / 4, 900 + i);
        children[i] = must_fork();
        if (children[i] == 0) {
            verify(heap, size / 4, 900 + i, "one of several");
            fill(heap, size / 4, 1000 + i);
            verify(heap, size / 4, 1000 + i, "one of several, its own");
            exit(0);
        }
    }
    verify(heap, size / 4, 900 + CHILDREN - 1, "the parent of several");
    for (int i = 0; i < CHILDREN; i++)
        must_end_well(children[i], "one of several");
    said("several children");
}

enum { WRITERS = 3, FORKS = 10 };
static atomic_int stop;

/* Allocates, fills, verifies and frees without pause. */
static void *writer(void *parameter)
{
    uint64_t random = (size_t)parameter;
    while (!atomic_load(&stop)) {
        size_t length = between(&random, 1, size / 16);
        void *block = must_malloc(length);
        fill(block, length, random);
        verify(block, length, random, "a writer");
        free(block);
    }
    return NULL;
}

static void *forker(void *unused)
{
    for (int i = 0; i < FORKS; i++) {
        pid_t child = must_fork();
        if (child == 0) {
            verify(heap, size, 1100, "a quiet block in the child");
            void *block = must_malloc(100000);   /* no lock is left held by a thread that is not here */
            fill(block, 100000, 5);
            verify(block, 100000, 5, "a new block in the child");
            free(block);
            page_out(churn / 4);
            _exit(0);
        }
        must_end_well(child, "a thread's child");
    }
    return unused;
}

static void from_a_thread(void)
{
    pthread_t writers[WRITERS], thread;
    fill(heap, size, 1100);
    for (size_t i = 0; i < WRITERS; i++)
        writers[i] = start(writer, (void *)(i + 1));
    thread = start(forker, NULL);
    pthread_join(thread, NULL);
    atomic_store(&stop, 1);
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    verify(heap, size, 1100, "the quiet block at the end");
    said("fork from a thread while others write");
}

int main(int argc, char **argv)
{
    size = argument(argc, argv, 1, 6 * MIB);
    churn = argument(argc, argv, 2, 12 * MIB);
    heap = must_malloc(size);
    both_write();
    nested();
    several();
    from_a_thread();
    free(heap);
    return 0;
}
