/* Question: may stacks lie in malloc'ed memory that is paged out: a thread's, a coroutine's, and the
 * one that signal handlers run on?
 *
 * usage: stacks [bytes to page out] [threads|coroutines|altstack ...]
 */
#include "common.h"

#include <signal.h>
#include <ucontext.h>

static size_t churn;

/* Uses about `depth` pages of stack, each verified on the way back. */
__attribute__((noinline)) static uint64_t deep(int depth, uint64_t key)
{
    unsigned char frame[PAGE];
    fill(frame, sizeof frame, key + depth);
    if (depth == 20)
        page_out(churn);
    uint64_t below = depth > 0 ? deep(depth - 1, key) : 0;
    return below + verify(frame, sizeof frame, key + depth, "a stack frame");
}

static void *on_own_stack(void *parameter)
{
    uint64_t *sum = parameter;
    *sum = deep(100, *sum);
    *sum += deep(60, *sum);
    return parameter;
}

static void threads(void)
{
    enum { THREADS = 4, STACK = 1 * MIB };
    void *stack[THREADS];
    uint64_t sums[THREADS], total = 0;
    pthread_t handles[THREADS];
    size_t saved = churn;
    churn /= 2;   /* the threads page out at the same time */
    size_t each = churn / THREADS;
    churn = each;
    for (size_t i = 0; i < THREADS; i++) {
        pthread_attr_t attributes;
        stack[i] = memalign(PAGE, STACK);
        CHECK(stack[i] != NULL, "no memory for a stack");
        pthread_attr_init(&attributes);
        CHECK(pthread_attr_setstack(&attributes, stack[i], STACK) == 0, "pthread_attr_setstack");
        sums[i] = i;
        int error = pthread_create(&handles[i], &attributes, on_own_stack, &sums[i]);
        CHECK(error == 0, "pthread_create: %s", strerror(error));
        pthread_attr_destroy(&attributes);
    }
    page_out(saved / 2);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(handles[i], NULL);
        total += sums[i];
        free(stack[i]);
    }
    churn = saved;
    printf("%016llx ", (unsigned long long)total);
    said("thread stacks");
}

enum { COROUTINES = 16, ROUNDS = 4 };
static ucontext_t scheduler, *coroutines[COROUTINES];
static uint64_t results[COROUTINES];

static void coroutine(int number)
{
    unsigned char local[3 * PAGE];
    for (int round = 0; round < ROUNDS; round++) {
        fill(local, sizeof local, number * 100 + round);
        swapcontext(coroutines[number], &scheduler);
        results[number] += verify(local, sizeof local, number * 100 + round, "a coroutine's local");
    }
}

static void contexts(void)
{
    enum { STACK = 64 * KIB };
    void *stack[COROUTINES];
    uint64_t total = 0;
    for (int i = 0; i < COROUTINES; i++) {
        stack[i] = must_malloc(STACK);
        coroutines[i] = must_malloc(sizeof *coroutines[i]);
        getcontext(coroutines[i]);
        coroutines[i]->uc_stack.ss_sp = stack[i];
        coroutines[i]->uc_stack.ss_size = STACK;
        coroutines[i]->uc_link = &scheduler;
        makecontext(coroutines[i], (void (*)(void))coroutine, 1, i);
    }
    for (int round = 0; round <= ROUNDS; round++) {
        for (int i = 0; i < COROUTINES; i++)
            swapcontext(&scheduler, coroutines[i]);
        page_out(churn);
    }
    for (int i = 0; i < COROUTINES; i++) {
        total += results[i];
        free(stack[i]);
        free(coroutines[i]);
    }
    printf("%016llx ", (unsigned long long)total);
    said("coroutine stacks");
}

static volatile uintptr_t handler_frame;
static uint64_t *handler_sum;

static void on_signal(int number)
{
    unsigned char local[2 * PAGE];
    handler_frame = (uintptr_t)local;
    fill(local, sizeof local, number);
    *handler_sum += verify(local, sizeof local, number, "the handler's local");
}

/* The kernel itself writes the signal frame: the stack must be there when the signal comes. */
static void alternate(void)
{
    enum { STACK = 64 * KIB };
    stack_t mine = {.ss_sp = must_malloc(STACK), .ss_size = STACK}, old;
    handler_sum = calloc(1, sizeof *handler_sum);
    CHECK(sigaltstack(&mine, NULL) == 0, "sigaltstack: %s", strerror(errno));
    CHECK(sigaltstack(NULL, &old) == 0 && old.ss_sp == mine.ss_sp && old.ss_size == STACK,
          "sigaltstack shows another stack");
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    for (int round = 0; round < 5; round++) {
        page_out(churn);
        raise(SIGUSR1);
        CHECK(handler_frame > (uintptr_t)mine.ss_sp && handler_frame < (uintptr_t)mine.ss_sp + STACK,
              "the handler ran elsewhere");
    }
    stack_t none = {.ss_flags = SS_DISABLE};
    CHECK(sigaltstack(&none, NULL) == 0, "sigaltstack off");
    free(mine.ss_sp);
    printf("%016llx ", (unsigned long long)*handler_sum);
    free(handler_sum);
    said("alternate signal stack");
}

static int wanted(int argc, char **argv, const char *what)
{
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], what) == 0)
            return 1;
    return argc <= 2;
}

int main(int argc, char **argv)
{
    churn = argument(argc, argv, 1, 12 * MIB);
    if (wanted(argc, argv, "threads"))
        threads();
    if (wanted(argc, argv, "coroutines"))
        contexts();
    if (wanted(argc, argv, "altstack"))
        alternate();
    return 0;
}
