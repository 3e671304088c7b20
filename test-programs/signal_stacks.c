/* Question: do signals find the stack and leave the registers that they would natively: alternate stacks
 * and what is said of them, jumps out of handlers, vector registers under a fast timer, overflows?
 *
 * usage: signal_stacks [bytes to page out] [bytes of heap in use]
 */
#include "common.h"

#include <immintrin.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>

static size_t churn, size;
static unsigned char *heap;
static sigjmp_buf out;
static volatile int count;

static void heap_is_right(const char *when)
{
    page_out(churn);
    verify(heap, size, 1, when);
}

/* Alternate stacks: as set, as reported, refused while in use. */
static void show_stack(int signal)
{
    stack_t now, other = {.ss_sp = heap, .ss_size = 65536};
    CHECK(sigaltstack(NULL, &now) == 0, "sigaltstack");
    char here;
    int on = (char *)now.ss_sp <= &here && &here < (char *)now.ss_sp + now.ss_size;
    int changed = sigaltstack(&other, NULL);
    printf("in handler %d: flags %x, on it %d, change %d %d\n", signal, (unsigned)now.ss_flags, on, changed, errno == EPERM);
}

static void alternate_stacks(void)
{
    stack_t now, stack = {.ss_sp = memalign(PAGE, 64 * KIB), .ss_size = 64 * KIB};
    sigaltstack(NULL, &now);
    printf("none: flags %x\n", (unsigned)now.ss_flags);
    CHECK(sigaltstack(&stack, NULL) == 0 && sigaltstack(NULL, &now) == 0, "sigaltstack");
    printf("set: flags %x, same %d\n", (unsigned)now.ss_flags, now.ss_sp == stack.ss_sp && now.ss_size == stack.ss_size);
    static const int signals[] = {SIGUSR1, SIGSEGV};
    for (int i = 0; i < 4; i++) {
        struct sigaction action = {.sa_handler = show_stack, .sa_flags = i < 2 ? SA_ONSTACK : 0};
        sigemptyset(&action.sa_mask);
        sigaction(signals[i % 2], &action, NULL);
        page_out(churn);
        raise(signals[i % 2]);
        stack_t again = {.ss_flags = SS_DISABLE};
        sigaltstack(&again, &now);
        printf("afterwards: flags %x\n", (unsigned)now.ss_flags);
        sigaltstack(&stack, NULL);
    }
    stack_t small = {.ss_sp = stack.ss_sp, .ss_size = 100}, strange = {.ss_sp = stack.ss_sp, .ss_size = 65536, .ss_flags = 77};
    printf("too small: %d", sigaltstack(&small, NULL));
    printf(" %d", errno == ENOMEM);
    printf(", strange: %d", sigaltstack(&strange, NULL));
    printf(" %d\n", errno == EINVAL);
    stack.ss_flags = SS_DISABLE, sigaltstack(&stack, NULL), free(stack.ss_sp);
    signal(SIGUSR1, SIG_DFL), signal(SIGSEGV, SIG_DFL);
    fflush(stdout);
}

static void jump(int signal)
{
    (void)signal;
    heap[count++ * 4099 % size] ^= 0;
    siglongjmp(out, 1);
}

/* Jumps out of handlers that interrupt malloc, faults and calls; and registers that survive them. */
static void jumps(void)
{
    struct sigaction action = {.sa_handler = jump};
    sigfillset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL), sigaction(SIGSEGV, &action, NULL);
    count = 0;
    for (volatile int i = 0; i < 2000; i++) {
        if (sigsetjmp(out, 1) == 0) {
            if (i % 2)
                raise(SIGUSR1);
            *(volatile char *)8 = 1;
        }
    }
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    printf("%d jumps, SIGUSR1 blocked %d, SIGSEGV %d, SIGHUP %d\n", count, sigismember(&now, SIGUSR1),
           sigismember(&now, SIGSEGV), sigismember(&now, SIGHUP));
    signal(SIGSEGV, SIG_DFL), signal(SIGUSR1, SIG_DFL);
    heap_is_right("after jumps");
    fflush(stdout);
}

static void ticker(int signal)
{
    (void)signal;
    count++;
    for (int i = 0; i < 3; i++)
        heap[mix(count * 3 + i) % size] ^= 0;
#ifdef __x86_64__
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm7, %%xmm7; pcmpeqd %%xmm15, %%xmm15" ::: "xmm0", "xmm7", "xmm15");
    if (__builtin_cpu_supports("avx512f"))
        __asm__ volatile("vpternlogd $255, %%zmm17, %%zmm17, %%zmm17; vpternlogd $255, %%zmm31, %%zmm31, %%zmm31;"
                         "vpternlogd $255, %%zmm1, %%zmm1, %%zmm1; kxnorw %%k0, %%k0, %%k1" ::: "memory");
#endif
}

/* All vector registers hold what they held, across faults and handlers. */
__attribute__((noinline)) static void registers(void)
{
    if (!__builtin_cpu_supports("avx512f"))
        return;
    unsigned char *stack = must_malloc(128 * KIB);
    stack_t alternate = {.ss_sp = stack, .ss_size = 128 * KIB};
    sigaltstack(&alternate, NULL);
    struct sigaction action = {.sa_handler = ticker, .sa_flags = SA_ONSTACK | SA_RESTART};
    sigfillset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &timer, NULL);
    count = 0;
    uint64_t *pattern = must_malloc(4 * 64), found[4][8];
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < 32; i++)
            pattern[i] = mix(round * 32 + i);
        if (round % 10 == 0)
            page_out(churn / 4);
        volatile unsigned char *at = heap, *end = heap + size;
        __asm__ volatile("vmovdqu64 (%2), %%zmm1; vmovdqu64 64(%2), %%zmm17; vmovdqu64 128(%2), %%zmm31; mov $0x5a5a, %%eax; kmovw %%eax, %%k1;"
                         "1: xorb $0, (%0); add $4096, %0; cmp %1, %0; jb 1b;"
                         "vmovdqu64 %%zmm1, (%3); vmovdqu64 %%zmm17, 64(%3); vmovdqu64 %%zmm31, 128(%3); kmovw %%k1, %%eax; mov %%rax, 192(%3)"
                         : "+r"(at) : "r"(end), "r"(pattern), "r"(found) : "rax", "memory", "cc");
        CHECK(memcmp(found, pattern, 192) == 0 && found[3][0] == 0x5a5a, "a vector register changed in round %d", round);
    }
    while (count < 100)
        verify(heap, size, 1, "under a fast timer");
    setitimer(ITIMER_REAL, &never, NULL);
    signal(SIGALRM, SIG_IGN);
    alternate.ss_flags = SS_DISABLE, sigaltstack(&alternate, NULL);
    free(stack), free(pattern);
    heap_is_right("after a fast timer");
}

/* Which sizes are taken: the kernel's word, which the processor and what the process may use of it decide. With AVX-512 a
 * frame takes 3 KiB, with AMX 11. */
static size_t smallest_taken;

static void sizes(const char *when)
{
    static const size_t sizes[] = {0, 100, 2047, 2048, 2049, 4096, 8192, 10240, 12288, 16384, 20480, 24576, 32768, 65536};
    unsigned char *base = must_malloc(64 * KIB);
    printf("%s:", when);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        stack_t stack = {.ss_sp = base, .ss_size = sizes[i]}, none = {.ss_flags = SS_DISABLE}, now;
        errno = 0;
        int result = sigaltstack(&stack, NULL), why = errno;
        CHECK(sigaltstack(NULL, &now) == 0, "sigaltstack");
        /* The library's own call and the kernel's entry answer alike. */
        long direct = syscall(SYS_sigaltstack, &stack, NULL);
        CHECK(direct == result, "sigaltstack of %zu bytes gives %d, the call by number %ld", sizes[i], result, direct);
        printf(" %zu %s %d", sizes[i], result == 0 ? "taken" : "refused", result == 0 ? now.ss_size == sizes[i] : why == ENOMEM);
        CHECK(sigaltstack(&none, NULL) == 0, "sigaltstack");
    }
    for (smallest_taken = 16;; smallest_taken += 16) {
        stack_t stack = {.ss_sp = base, .ss_size = smallest_taken}, none = {.ss_flags = SS_DISABLE};
        if (sigaltstack(&stack, NULL) == 0) {
            sigaltstack(&none, NULL);
            break;
        }
    }
    printf(", from %zu on\n", smallest_taken);
    free(base);
    fflush(stdout);
}

static void on_small(int signal)
{
    (void)signal;
    count++;
}

/* The smallest stack that a frame fits on, and the smallest that is taken. What lies below and above stays as it was. */
static void smallest_stacks(void)
{
    size_t least = getauxval(AT_MINSIGSTKSZ), length = 64 * KIB;
    for (int fits = 0; fits < 2; fits++) {
        pid_t child = fork();
        if (child == 0) {
            unsigned char *room = memalign(PAGE, 3 * length), *base = room + length;
            size_t size_of_it = (least + 640 + 63) & ~(size_t)63;
            if (!fits || size_of_it < smallest_taken)
                size_of_it = smallest_taken;
            fill(room, length, 31), fill(base + size_of_it, length, 32);
            stack_t stack = {.ss_sp = base, .ss_size = size_of_it};
            CHECK(sigaltstack(&stack, NULL) == 0, "sigaltstack of %zu bytes", size_of_it);
            struct sigaction action = {.sa_handler = on_small, .sa_flags = SA_ONSTACK};
            sigemptyset(&action.sa_mask);
            sigaction(SIGUSR1, &action, NULL);
            count = 0;
            for (int i = 0; i < 10; i++) {
                page_out(churn / 4);
                raise(SIGUSR1);
            }
            verify(room, length, 31, "below a small stack"), verify(base + size_of_it, length, 32, "above a small stack");
            _exit(count);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child, "waitpid");
        printf("the smallest stack that %s: status %x\n", fits ? "a frame fits on" : "is taken", status & 0xff7f);
    }
    fflush(stdout);
}

/* AMX: tiles hold what they held, across faults and handlers. Without AMX nothing is asked. */
__attribute__((noinline, target("amx-tile"))) static void tiles(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    if (syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) != 0)
        return;
    sizes("sizes once tiles are allowed");
    static unsigned char shape[64] __attribute__((aligned(64))) = {[0] = 1, [16] = 64, [48] = 16};
    unsigned char *given = must_malloc(KIB), *found = must_malloc(KIB);
    struct sigaction action = {.sa_handler = on_small, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    count = 0;
    for (int round = 0; round < 20; round++) {
        fill(given, KIB, round);
        _tile_loadconfig(shape);
        _tile_loadd(0, given, 64);
        page_out(churn / 8);
        raise(SIGUSR1);
        _tile_stored(0, found, 64);
        _tile_release();
        CHECK(memcmp(given, found, KIB) == 0, "a tile changed in round %d", round);
    }
    printf("tiles, %d handlers\n", count);
    signal(SIGUSR1, SIG_DFL);
    free(given), free(found);
    smallest_stacks();
}

/* Overflows: of the thread's stack into the guard, seen on the alternate stack; and without one, death. */
__attribute__((noinline)) static int overflow(int n)
{
    volatile char here[512];
    here[0] = (char)n;
    return n < 0 ? here[0] : overflow(n + 1) + here[0];
}

static void on_overflow(int signal, siginfo_t *info, void *context)
{
    ucontext_t *where = context;
    uintptr_t distance = (uintptr_t)where->uc_mcontext.gregs[REG_RSP] - (uintptr_t)info->si_addr + 65536;
    count = signal + (distance < 2 * 65536);
    siglongjmp(out, 1);
}

static void *small_stack(void *parameter)
{
    stack_t stack = {.ss_sp = must_malloc(64 * KIB), .ss_size = 64 * KIB};
    sigaltstack(&stack, NULL);
    page_out(churn / 8);
    for (volatile int i = 0; i < 5; i++) {
        count = 0;
        if (sigsetjmp(out, 1) == 0)
            overflow(0);
        CHECK(count == SIGSEGV + 1, "an overflow gave %d", count);
    }
    if (parameter != NULL) {
        signal(SIGSEGV, SIG_DFL);
        overflow(0);
    }
    stack.ss_flags = SS_DISABLE, sigaltstack(&stack, NULL), free(stack.ss_sp);
    return NULL;
}

static void overflows(void)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 * KIB);
    fflush(stdout);
    for (int dies = 0; dies < 2; dies++) {
        pid_t child = fork();
        if (child == 0) {
            struct sigaction action = {.sa_sigaction = on_overflow, .sa_flags = SA_SIGINFO | SA_ONSTACK};
            sigemptyset(&action.sa_mask);
            sigaction(SIGSEGV, &action, NULL);
            pthread_t thread;
            CHECK(pthread_create(&thread, &attributes, small_stack, dies ? heap : NULL) == 0, "pthread_create");
            pthread_join(thread, NULL);
            _exit(4);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child, "waitpid");
        printf("overflow: status %x\n", status & 0xff7f);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    churn = argument(argc, argv, 1, 12 * MIB);
    size = argument(argc, argv, 2, 2 * MIB);
    heap = must_malloc(size);
    fill(heap, size, 1);
    page_out(churn);
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    alternate_stacks();
    jumps();
    registers();
    sizes("sizes");
    smallest_stacks();
    tiles();
    overflows();
    heap_is_right("at the end");
    free(heap);
    said("signal stacks");
    return 0;
}
