/* Not a question but a sandbox: runs a program in which one system call fails.
 *
 * usage: deny CALL EPERM|ENOSYS|EINVAL|KILL PROGRAM ARGUMENTS...
 *        deny list        the calls that it knows: those that the library makes for itself
 *
 * "dispatch" is the request for Syscall User Dispatch, one of prctl's.
 */
#include "common.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { DISPATCH = 59 };

static const struct {
    const char *name;
    unsigned number;
} calls[] = {
    {"dispatch", SYS_prctl}, {"membarrier", SYS_membarrier}, {"memfd_create", SYS_memfd_create},
    {"sigaltstack", SYS_sigaltstack}, {"rt_sigaction", SYS_rt_sigaction}, {"rt_sigprocmask", SYS_rt_sigprocmask},
    {"process_vm_readv", SYS_process_vm_readv}, {"get_robust_list", SYS_get_robust_list},
    {"getdents64", SYS_getdents64}, {"gettid", SYS_gettid}, {"tgkill", SYS_tgkill},
    {"tkill", SYS_tkill}, {"statfs", SYS_statfs}, {"sysinfo", SYS_sysinfo}, {"ftruncate", SYS_ftruncate},
    {"fallocate", SYS_fallocate}, {"fcntl", SYS_fcntl}, {"prlimit64", SYS_prlimit64}, {"pread64", SYS_pread64},
    {"pwrite64", SYS_pwrite64}, {"sched_yield", SYS_sched_yield}, {"nanosleep", SYS_nanosleep},
    {"clone3", SYS_clone3}, {"madvise", SYS_madvise}, {"mremap", SYS_mremap}, {"faccessat", SYS_faccessat},
    {"arch_prctl", SYS_arch_prctl}, {"rt_tgsigqueueinfo", SYS_rt_tgsigqueueinfo}, {"copy_file_range", SYS_copy_file_range},
};
enum { CALLS = sizeof calls / sizeof *calls };

static unsigned action(const char *name)
{
    if (strcmp(name, "KILL") == 0)
        return SECCOMP_RET_KILL_PROCESS;
    int error = strcmp(name, "EPERM") == 0 ? EPERM : strcmp(name, "ENOSYS") == 0 ? ENOSYS : EINVAL;
    return SECCOMP_RET_ERRNO | error;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        for (int i = 0; i < CALLS; i++)
            puts(calls[i].name);
        return 0;
    }
    CHECK(argc > 3, "usage: deny CALL EPERM|ENOSYS|EINVAL|KILL PROGRAM ARGUMENTS...");
    int which = 0;
    while (which < CALLS && strcmp(calls[which].name, argv[1]) != 0)
        which++;
    CHECK(which < CALLS, "deny knows no %s", argv[1]);
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[which].number, 0, 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, DISPATCH, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action(argv[2])),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "seccomp");
    execvp(argv[3], argv + 3);
    fail("cannot execute %s", argv[3]);
}
