/* Runs a program under a kernel that is stricter about alternate signal stacks than this one may be: one of fewer bytes than
 * given is refused with ENOMEM, as on a processor with AMX that the process may use.
 *
 * usage: strict_stacks BYTES PROGRAM [argument…]
 *
 * A filter reports each sigaltstack of the program and of its children to this process, which looks at the size and
 * changes the answer.
 */
#include "common.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

static void report_calls(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sigaltstack, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = sizeof code / sizeof *code, .filter = code};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0, "the filter");
}

/* The call does not happen, and its answer is ENOMEM, if the stack is too small. In use comes first, as in the kernel. */
static void judge(pid_t thread, size_t least)
{
    struct user_regs_struct registers;
    stack_t stack;
    ptrace(PTRACE_GETREGS, thread, NULL, &registers);
    struct iovec here = {&stack, sizeof stack}, there = {(void *)registers.rdi, sizeof stack};
    if (registers.rdi == 0 || process_vm_readv(thread, &here, 1, &there, 1, 0) != (ssize_t)sizeof stack)
        return;
    if ((stack.ss_flags & 3) == SS_DISABLE || stack.ss_size >= least)
        return;
    registers.orig_rax = (unsigned long)-1;
    registers.rax = (unsigned long)-ENOMEM;
    ptrace(PTRACE_SETREGS, thread, NULL, &registers);
}

int main(int argc, char **argv)
{
    CHECK(argc > 2, "usage: strict_stacks BYTES PROGRAM [argument…]");
    size_t least = argument(argc, argv, 1, 0);
    pid_t program = fork();
    if (program == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        report_calls();
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    int status;
    CHECK(waitpid(program, &status, 0) == program && WIFSTOPPED(status), "the program starts");
    long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                   PTRACE_O_TRACECLONE;
    CHECK(ptrace(PTRACE_SETOPTIONS, program, NULL, options) == 0, "ptrace");
    for (pid_t thread = program;;) {
        int signal = 0;
        if (WIFSTOPPED(status)) {
            int event = status >> 16;
            if (event == PTRACE_EVENT_SECCOMP)
                judge(thread, least);
            else if (event == 0 && WSTOPSIG(status) != SIGSTOP)
                signal = WSTOPSIG(status);
            ptrace(PTRACE_CONT, thread, NULL, signal);
        } else if (thread == program) {
            break;
        }
        CHECK((thread = waitpid(-1, &status, __WALL)) > 0, "waitpid");
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
